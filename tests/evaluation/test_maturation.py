"""Distances between stages, against counting by hand."""

import numpy as np
import pandas as pd
import pytest

from cellda.evaluation.maturation import stage_distance
from cellda.evaluation.metrics import measure
from cellda.taxonomies import create
from predicted import run


def table(taxonomy: str, *pairs: tuple[str, str]) -> pd.DataFrame:
    """Rows with these true and predicted classes."""
    classes = create(taxonomy).classes
    rows = (
        run("a", "x", 0, 1.0)
        .iloc[: len(pairs)]
        .drop(columns=[f"p_{name}" for name in create("paper6").classes])
    )
    rows = rows.assign(label=[one for one, _ in pairs], predicted=[other for _, other in pairs])
    p = np.array([[float(name == other) for name in classes] for _, other in pairs], np.float32)
    return rows.assign(**{f"p_{name}": p[:, number] for number, name in enumerate(classes)})


def test_distances_are_counted_in_stages() -> None:
    rows = table(
        "wbc13",
        ("myelocyte", "myelocyte"),
        ("myelocyte", "metamyelocyte"),
        ("blast", "segmented neutrophil"),
        ("band neutrophil", "monocyte"),
        ("monocyte", "monocyte"),
    )
    found = stage_distance(rows)
    assert found is not None
    assert found.cells == 3
    assert found.mean == pytest.approx((0 + 1 + 5) / 3)
    assert found.near == pytest.approx(2 / 3)
    assert measure(rows).stages == found
    assert "stages apart" in str(measure(rows))


def test_classes_without_stages_have_no_distance() -> None:
    rows = table("paper6", ("neutrophil", "monocyte"), ("monocyte", "monocyte"))
    assert stage_distance(rows) is None
    assert "stages apart" not in str(measure(rows))
    assert stage_distance(table("wbc13", ("monocyte", "monocyte"))) is None
