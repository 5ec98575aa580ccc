"""The window that is cropped around a cell in a smear field."""

from cellda.datasets.reading.decode import Box

SIDE = 250
"""Pixels: LISC and Tianjin are cropped to 250 x 250 around the cell before anything else (paper, Data processing)."""


def window(centre: tuple[float, float], frame: tuple[int, int], side: int = SIDE) -> Box:
    """The square around a cell, moved into the frame if the cell lies near its edge.

    Args:
        centre: `(x, y)` of the cell in pixels from the top left.
        frame: `(width, height)` of the field; a side shorter than the window is used whole.
        side: Side of the window, in pixels.

    >>> window((400, 20), (720, 576))
    (275, 0, 250, 250)
    """
    width, height = (min(side, length) for length in frame)
    x = min(max(round(centre[0] - side / 2), 0), frame[0] - width)
    y = min(max(round(centre[1] - side / 2), 0), frame[1] - height)
    return x, y, width, height
