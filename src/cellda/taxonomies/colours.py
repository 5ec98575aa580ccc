"""Colours of classes in figures, which colour-blind people can tell apart."""

from collections.abc import Sequence

COLOURS = {
    "basophil": "#E69F00",
    "eosinophil": "#56B4E9",
    "erythroblast": "#009E73",
    "lymphocyte": "#0072B2",
    "monocyte": "#D55E00",
    "neutrophil": "#CC79A7",
    "immature granulocyte": "#F0E442",
    "platelet": "#999999",
    "band neutrophil": "#CC79A7",
    "segmented neutrophil": "#882255",
    "metamyelocyte": "#F0E442",
    "myelocyte": "#DDCC77",
    "promyelocyte": "#999933",
    "blast": "#000000",
    "atypical lymphocyte": "#88CCEE",
    "plasma cell": "#44AA99",
    "other": "#8C8C8C",
}
"""Type of cell -> colour: M. Okabe and K. Ito's eight (2008), and muted ones of P. Tol (2021) for further stages."""

FURTHER = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#F0E442", "#000000", "#882255", "#88CCEE", "#44AA99",
    "#DDCC77", "#999933", "#AA4499", "#332288", "#661100",
)  # fmt: skip
"""Colours of classes that have none of their own, in turn."""


def palette(classes: Sequence[str]) -> dict[str, str]:
    """Class -> colour: its own where it has one, and colours that no other class has, as long as there are any.

    >>> palette(["neutrophil", "my cell"])
    {'neutrophil': '#CC79A7', 'my cell': '#E69F00'}
    """
    found = {name: COLOURS[name] for name in classes if name in COLOURS}
    left = [colour for colour in FURTHER if colour not in found.values()] or list(FURTHER)
    for place, name in enumerate(name for name in classes if name not in found):
        found[name] = left[place % len(left)]
    return {name: found[name] for name in classes}
