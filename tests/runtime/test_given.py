"""Whatever a user gives as a path is found, is missing, or is refused in a sentence."""

from pathlib import Path

import pytest

import cellda.datasets
from cellda import Recipe
from cellda.errors import CelldaError, ConfigurationError
from cellda.evaluation.predictions import read_predictions
from cellda.models.classifier import CellClassifier
from cellda.runtime.given import path_of, url_of

LONG, DEEP, NULL, NOBODY = "x" * 5000, "/".join(["y" * 200] * 40), "a\0b", "~no-such-user-of-this-machine/x"


def test_home_is_expanded_and_nothing_needs_to_be_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/missing/cells") == tmp_path / "missing" / "cells"
    assert path_of(tmp_path / "a file.txt" / "below") == tmp_path / "a file.txt" / "below"


@pytest.mark.parametrize(
    ("given", "said"),
    [(LONG, "too long"), (DEEP, "too long"), (NULL, "null character"), (NOBODY, "no home folder")],
)
def test_impossible_paths_are_refused_briefly(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        path_of(given)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("given", [LONG, DEEP, NULL, NOBODY], ids=["long", "deep", "null", "nobody"])
@pytest.mark.parametrize(
    "use",
    [
        lambda given: Recipe(sources=given),
        lambda given: Recipe.from_yaml(Path(given)),
        lambda given: Recipe().run("raabin", data=given),
        lambda given: Recipe().run(f"folder={given}"),
        lambda given: Recipe().run("synthetic/1", store=given),
        lambda given: cellda.datasets.load("folder", given),
        lambda given: cellda.datasets.load("table", given),
        lambda given: cellda.datasets.load("raabin", given),
        lambda given: cellda.datasets.load(given),
        CellClassifier.load,
        read_predictions,
    ],
    ids=[
        "sources",
        "recipe",
        "data",
        "target",
        "store",
        "folder",
        "table",
        "root",
        "name",
        "model",
        "predictions",
    ],
)
def test_every_place_for_a_path_refuses_in_a_sentence(use, given: str) -> None:
    with pytest.raises(CelldaError):
        use(given)


@pytest.mark.parametrize("given", ["s3://cells/a b/c", "s3://cells/a b/c/", "gs://x"])
def test_urls_are_told_from_paths(given) -> None:
    assert url_of(given) == str(given).rstrip("/")


@pytest.mark.parametrize(
    "given", ["store", "/a/b", "~/store", "C:/store", "C:\\store", "a:b", Path("/x/s3:")]
)
def test_paths_are_no_urls(given) -> None:
    assert url_of(given) is None


@pytest.mark.parametrize("given", ["s3:/cells/a", Path("s3://cells/a"), "s3://", "s3:///"])
def test_half_a_url_is_not_taken_for_a_folder(given) -> None:
    with pytest.raises(
        ConfigurationError, match=r"is neither a path nor a URL; write s3://NAME/PREFIX, as text"
    ):
        url_of(given)


def test_a_path_written_as_a_url_is_said_to_be_one() -> None:
    with pytest.raises(
        ConfigurationError, match="is a folder of this machine; give its path, without 'file:'"
    ):
        url_of("file:///store")


@pytest.mark.parametrize("given", ["s3://cells/lab[12]", "s3://cells/*", "s3://cells/a?b"])
def test_patterns_are_refused_because_they_would_name_what_belongs_to_others(given) -> None:
    with pytest.raises(ConfigurationError, match="choose a prefix without them"):
        url_of(given)
