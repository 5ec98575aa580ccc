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
    "immature granulocyte": "#DDCC77",
    "platelet": "#332288",
    "segmented neutrophil": "#5D3FD3",
    "band neutrophil": "#B388FF",
    "metamyelocyte": "#7B3F00",
    "myelocyte": "#661100",
    "promyelocyte": "#440154",
    "blast": "#000000",
    "atypical lymphocyte": "#AADDFF",
    "plasma cell": "#004D40",
    "other": "#BBBBBB",
}
"""Type of cell -> colour: six of M. Okabe and K. Ito's (2008), and further ones as far from these and from each other as they
could be found for people with and without colour blindness (tested with the matrices of Machado et al. 2009)."""

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
    found: dict[str, str] = {}
    for name in classes:
        if name in COLOURS and COLOURS[name] not in found.values():
            found[name] = COLOURS[name]
    left = (colour for colour in _further() if colour not in found.values())
    return {name: found.get(name) or next(left) for name in classes}


def _further() -> Iterator[str]:
    """`FURTHER`, and then hues that are as far apart as possible, without an end."""
    yield from FURTHER
    for number in count():
        parts = hls_to_rgb(number * 0.618034 % 1, 0.45 + 0.2 * (number % 2), 0.65)
        yield "#" + "".join(f"{round(255 * part):02X}" for part in parts)
