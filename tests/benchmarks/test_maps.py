"""Maps of cells: every point is where it should be, in the colour and shape that the legend says."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from benchmarks.common.maps import MARKERS, Map, cell_maps
from cellda.errors import ConfigurationError
from cellda.reporting.figures import PALETTE
from cellda.taxonomies import create
from tiny import CLASSES

CLASS_COLOURS = create("paper6").colours

POINTS = np.arange(20, dtype=np.float32).reshape(10, 2)
CELLS = ["monocyte", "basophil", "neutrophil", "basophil", "monocyte"] * 2


def drawn(axes) -> dict[tuple[float, float], str]:
    """Colour of each filled point, by its place."""
    found = {}
    for part in axes.collections:
        places = part.get_offsets()
        colours = np.resize(part.get_facecolor(), (len(places), 4))
        found |= {
            tuple(map(float, place)): to_hex(colour) for place, colour in zip(places, colours, strict=True)
        }
    return found


def legend(figure) -> dict[str, object]:
    (found,) = figure.legends
    return {
        text.get_text(): handle for text, handle in zip(found.get_texts(), found.legend_handles, strict=True)
    }


def test_points_have_the_colour_of_their_class():
    figure = cell_maps([Map("before", POINTS, CELLS), Map("after", -POINTS, CELLS)], "class", title="Raabin")
    assert [axes.get_title() for axes in figure.axes] == ["before", "after"]
    assert figure.get_suptitle() == "Raabin"
    for sign, axes in zip((1, -1), figure.axes, strict=True):
        expected = {
            (float(sign * x), float(sign * y)): CLASS_COLOURS[name].lower()
            for (x, y), name in zip(POINTS, CELLS, strict=True)
        }
        assert drawn(axes) == expected
    entries = legend(figure)
    assert list(entries) == ["class", "basophil", "monocyte", "neutrophil"]  # class order, once
    for name in ("basophil", "monocyte", "neutrophil"):
        assert entries[name].get_markerfacecolor() == CLASS_COLOURS[name]
        assert entries[name].get_marker() == MARKERS[CLASSES.index(name)]


def test_shapes_tell_a_second_thing():
    labs = ["Raabin"] * 4 + ["BCCD"] * 6
    figure = cell_maps([Map("", POINTS, CELLS, labs)], "class", "dataset")
    entries = legend(figure)
    assert list(entries) == ["class", "basophil", "monocyte", "neutrophil", "", "dataset", "Raabin", "BCCD"]
    assert (entries["Raabin"].get_marker(), entries["BCCD"].get_marker()) == MARKERS[:2]
    first, second = figure.axes[0].collections
    assert first.get_offsets().tolist() == POINTS[:4].tolist()
    assert second.get_offsets().tolist() == POINTS[4:].tolist()
    assert not np.array_equal(first.get_paths()[0].vertices, second.get_paths()[0].vertices)


def test_wrong_cells_are_ringed_and_regions_numbered():
    wrong = [i in (2, 7) for i in range(10)]
    notes = {"1": (3.0, 4.0), "2": (9.0, 8.0)}
    figure = cell_maps(
        [Map("", POINTS, CELLS, ringed=wrong, notes=notes)], "class", ring_title="wrong (2 of 10)"
    )
    (axes,) = figure.axes
    rings = axes.collections[-1]
    assert rings.get_offsets().tolist() == POINTS[[2, 7]].tolist()
    assert len(rings.get_facecolor()) == 0
    assert {text.get_text(): text.xy for text in axes.texts} == notes
    assert "wrong (2 of 10)" in legend(figure)


def test_ten_datasets_are_told_apart():
    names = [f"set {i}" for i in range(10)]
    entries = legend(cell_maps([Map("", POINTS, names)], "dataset"))
    styles = {(entries[name].get_marker(), entries[name].get_markerfacecolor()) for name in names}
    assert len(styles) == 10
    assert {colour for _, colour in styles} == set(PALETTE)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([], "at least one map"),
        ([Map("x", POINTS, CELLS[:9])], "10 points, 9 colours"),
        ([Map("x", POINTS, CELLS, ["a"])], "1 shapes"),
        ([Map("x", POINTS, CELLS, ringed=[True])], "1 rings"),
        ([Map("x", np.zeros((13, 2), np.float32), [str(i) for i in range(13)])], "at most 12 categories"),
    ],
)
def test_maps_that_do_not_fit_are_refused(maps, message):
    with pytest.raises(ConfigurationError, match=message):
        cell_maps(maps, "class")
