"""Which stored stages a change of one file makes stale, seen in the keys of prepared runs: shared code and members."""

from collections.abc import Callable
from pathlib import Path

import pytest

import cellda.adapters
import cellda.datasets
from cellda.data.pixel_cache import WHOLE, pixels_key
from cellda.datasets.synthetic import Synthetic
from cellda.experiment.keys import source_key
from cellda.plugins.code_digest import member_code
from cellda.runtime.storage.store import digest
from rewritten import rewritten
from tiny import prepared, recipe

SEARCH = {"trials": 2, "folds": 2}
RUN = {"plain", "searched"}
"""An adaptation without a search and one with it."""
MODEL = {"source", *RUN}
ALL = {"normalizer", *MODEL}

STALE: dict[str, set[str]] = {
    # Code that members share.
    "datasets/reading/decode.py": ALL,
    "imaging/padding.py": ALL,
    "imaging/colour_space.py": ALL,
    "training/loop.py": MODEL,
    "adapters/base.py": RUN,
    "selection/search.py": {"searched"},
    # Members that the recipe names.
    "datasets/synthetic.py": ALL,
    "framing/cell.py": ALL,
    "normalizers/reinhard.py": ALL,
    "normalizers/histogram.py": RUN,
    "adapters/full.py": RUN,
    "selection/selectors/support_cv.py": {"searched"},
    # Nothing that these runs use.
    "framing/center.py": set(),
    "normalizers/fda.py": set(),
    "adapters/probe.py": set(),
    "selection/selectors/snd.py": set(),
    "cli/runs.py": set(),
}
"""File -> the stages whose key changes with it, of runs with `framing="cell"` that show the target by `histogram`."""


def keys_of(folder: Path, **edits: object) -> dict[str, str]:
    """Digests of the keys of all stages, of runs that are prepared anew."""
    edits = {"framing": "cell", "normalizer": "reinhard", "target_normalizer": "histogram", **edits}
    plain = prepared(recipe(**edits), folder)
    return {
        "normalizer": digest(plain.normalizer_key(plain.recipe.normalizer)),
        "source": digest(plain.source_key),
        "plain": plain.digest,
        "searched": prepared(recipe(**edits, search=SEARCH), folder).digest,
    }


@pytest.mark.parametrize("file", STALE)
def test_a_changed_file_makes_stale_what_runs_it(tmp_path: Path, file: str) -> None:
    before = keys_of(tmp_path)
    with rewritten(file):
        after = keys_of(tmp_path)
    assert {stage for stage in before if after[stage] != before[stage]} == STALE[file]
    assert keys_of(tmp_path) == before


@pytest.mark.parametrize(
    ("file", "edits"),
    [
        ("normalizers/reinhard.py", {"normalizer": "identity"}),
        ("normalizers/histogram.py", {"target_normalizer": "reinhard"}),
        ("adapters/full.py", {"adapter": "head_only"}),
    ],
)
def test_a_recipe_without_a_member_keeps_its_keys_when_that_member_changes(
    tmp_path: Path, file: str, edits: dict[str, str]
) -> None:
    before = keys_of(tmp_path, **edits)
    with rewritten(file):
        assert keys_of(tmp_path, **edits) == before


def test_the_readers_of_datasets_make_only_their_own_images_stale(
    tmp_path: Path, reader: Callable[[str], str]
) -> None:
    before = {name: reader(name) for name in ("synthetic", "folder")}
    with rewritten("datasets/folder.py"):
        after = {name: reader(name) for name in before}
    assert {name for name in before if after[name] != before[name]} == {"folder"}
    with rewritten("datasets/rendering/optics.py"):
        after = {name: reader(name) for name in before}
    assert {name for name in before if after[name] != before[name]} == {"synthetic"}


@pytest.fixture
def reader(tmp_path: Path) -> Callable[[str], str]:
    """Digest of the decoded images of a dataset, by its name."""
    cell = tmp_path / "own" / "neutrophil" / "cell.png"
    cell.parent.mkdir(parents=True)
    cell.write_bytes(b"picture")
    places = {"synthetic": (), "folder": (tmp_path / "own",)}
    return lambda name: digest(pixels_key(cellda.datasets.load(name, *places[name]), 32, WHOLE))


def test_keys_hold_the_code_of_each_adapter(tmp_path: Path) -> None:
    run = prepared(recipe(adapter=[{"name": "full", "epochs": 1}, "tta"]), tmp_path)
    assert run.key["adapters"] == {name: member_code(cellda.adapters.get(name)) for name in ("full", "tta")}


def test_a_source_model_of_another_device_is_another_one(tmp_path: Path) -> None:
    run = prepared(recipe(), tmp_path)
    elsewhere = run.recipe.model_copy(update={"device": "cuda"})
    changed = source_key(elsewhere, run.sources)
    assert {name for name in changed if changed[name] != run.source_key[name]} == {"device"}


@pytest.mark.parametrize(("name", "stale"), [("synthetic/0", ALL), ("synthetic/1", RUN)])
def test_other_images_of_a_source_or_of_the_target_make_stale_what_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stale: set[str]
) -> None:
    before = keys_of(tmp_path)
    read = Synthetic.fingerprint.func
    monkeypatch.setattr(
        Synthetic, "fingerprint", property(lambda self: read(self) + "x" * (self.full_name == name))
    )
    after = keys_of(tmp_path)
    assert {stage for stage in before if after[stage] != before[stage]} == stale
