"""Colours of classes in figures, which colour-blind people can tell apart."""

from collections.abc import Iterator, Sequence
from colorsys import hls_to_rgb
from itertools import count

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
    """Class -> colour, all different: its own where it has one, then those of `FURTHER`.

    Where there are more classes than that, further ones differ in hue alone, and not every reader can tell them apart.

    >>> palette(["neutrophil", "my cell"])
    {'neutrophil': '#CC79A7', 'my cell': '#E69F00'}
    """
    found = {name: COLOURS[name] for name in classes if name in COLOURS}
    left = (colour for colour in _further() if colour not in found.values())
    return {name: found.get(name) or next(left) for name in classes}


def _further() -> Iterator[str]:
    """`FURTHER`, and then hues that are as far apart as possible, without an end."""
    yield from FURTHER
    for number in count():
        parts = hls_to_rgb(number * 0.618034 % 1, 0.45 + 0.2 * (number % 2), 0.65)
        yield "#" + "".join(f"{round(255 * part):02X}" for part in parts)
