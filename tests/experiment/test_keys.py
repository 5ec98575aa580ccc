"""What stored stages depend on: every file that a stage runs is in its key, and no other stage's key has it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

import cellda
from cellda.data import pixel_cache
from cellda.data.few_shot import draw_support
from cellda.experiment import keys
from cellda.experiment.keys import STAGES, Computing
from cellda.plugins.code_digest import PACKAGE, forget, shared_code, shared_files
from cellda.plugins.settings import Settings
from tiny import prepared, recipe

COMPUTING = {"pixels": Computing((*pixel_cache.READING, *pixel_cache.FRAMING), ()), **STAGES}

SILENT = (
    "__init__.py",
    "errors.py",
    "presets.py",
    "recipe.py",
    "plugins/",
    "runtime/progress.py",
    "runtime/memory.py",
    "runtime/clock.py",
    "runtime/store.py",
    "runtime/versions.py",
    "runtime/work.py",
    "models/heads/saving.py",
    "evaluation/condition.py",
    "evaluation/predictions.py",
    "data/few_shot.py",
    "data/root.py",
    "data/own_cells.py",
    "datasets/card.py",
    "datasets/download/",
    "datasets/reading/cell_table.py",
    "datasets/reading/layout.py",
    "experiment/checks.py",
    "experiment/estimate.py",
    "experiment/keys.py",
    "experiment/naming.py",
    "experiment/result.py",
    "experiment/workspace.py",
    "selection/settings.py",
)
"""What changes no result, or is covered by something else in a key: the table's rows, the drawn rows, the recipe's values."""


def covered(stage: str, file: str) -> bool:
    """Whether a change of a file of cellda changes a stage's shared code."""
    return PACKAGE / file in shared_files(COMPUTING[stage].code)


# ------------------------------------------------------------------ one line in each file


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """Within it, a file has one more line."""
    before = file.read_bytes()
    file.write_bytes(before + b"\n# another line\n")
    forget()
    yield
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
    "data/pixel_cache.py": {"pixels"},
    "framing/base.py": {"pixels"},
    "imaging/padding.py": {"pixels", "normalizer", "source", "adapt", "search"},
    "imaging/colour_space.py": {"normalizer", "source", "adapt", "search"},
    "normalizers/base.py": {"normalizer", "source", "adapt", "search"},
    "experiment/run.py": {"normalizer", "source", "adapt", "search"},
    "taxonomy.py": {"normalizer", "source", "adapt", "search"},
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
    for member in ("adapters/full.py", "normalizers/fda.py", "framing/cell.py", "datasets/raabin.py"):
        assert not any(covered(stage, member) for stage in COMPUTING), member


# ------------------------------------------------------------------ against what really runs

TRACED = """
import json, sys, threading
from pathlib import Path
import cellda
PACKAGE = Path(cellda.__file__).parent
seen, stack = {}, []

def trace(frame, event, argument):
    file = frame.f_code.co_filename
    if stack and file.startswith(str(PACKAGE)) and frame.f_code.co_name != "<module>":
        seen.setdefault(stack[-1], set()).add(Path(file).relative_to(PACKAGE).as_posix())

from cellda.runtime.store import Store
build = Store.build

def staged(self, kind, key, make):
    def inside(folder):
        stack.append(kind)
        try:
            return make(folder)
        finally:
            stack.pop()
    return build(self, kind, key, inside)

Store.build = staged
from cellda import Recipe
import cellda.datasets
recipe = Recipe(
    sources=[{"name": "synthetic/0", "options": {"per_class": 6}}],
    normalizer={"name": "reinhard", "reference": "source"},
    framing="cell", backbone={"name": "test_efficientnet", "weights": "none", "image_size": 32},
    training={"epochs": 1, "mixstyle": 0.5, "stain_jitter": 1.0}, few_shot={"n": 18}, device="cpu",
    adapter=[{"name": "full", "epochs": 1}, "label_propagation", "tta"], search={"trials": 2, "folds": 2},
)
import cellda.experiment.workflow, cellda.selection.search, torch, timm  # imports are no work
sys.setprofile(trace)
threading.setprofile(trace)
recipe.run(cellda.datasets.load("synthetic/1", per_class=7), store=sys.argv[1], progress=False)
sys.setprofile(None)
print(json.dumps({stage: sorted(files) for stage, files in seen.items()}))
"""


def test_every_file_that_a_stage_runs_is_in_its_key(tmp_path: Path) -> None:
    """A run of all stages, watched call by call: nothing computes that no key has."""
    said = subprocess.run(
        [sys.executable, "-c", dedent(TRACED), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    ran = json.loads(said.stdout)
    stage_of = {
        "pixels": "pixels",
        "normalizer": "normalizer",
        "source": "source",
        "search": "search",
        "runs": "adapt",
    }
    assert set(ran) == set(stage_of)
    members = (
        "adapters/full.py",
        "adapters/label_propagation.py",
        "adapters/tta.py",
        "datasets/synthetic.py",
        "datasets/rendering/",
        "framing/cell.py",
        "normalizers/reinhard.py",
        "selection/selectors/support_cv.py",
    )
    missing = {
        f"{kind}: {file}"
        for kind, stage in stage_of.items()
        for file in ran[kind]
        if not (covered(stage, file) or (kind != "pixels" and covered("pixels", file)))
        and not file.startswith((*SILENT, *members))
        and not file.endswith(("__init__.py", "spec.py"))
    }
    assert not missing


# ------------------------------------------------------------------ keys of runs


def test_keys_name_members_rows_and_versions(tmp_path: Path) -> None:
    run = prepared(recipe(adapter=[{"name": "full", "epochs": 1}, "tta"]), tmp_path)
    assert set(run.key["adapters"]) == {"full", "tta"}
    assert {"torch", "numpy", "scipy", "scikit-learn", "timm", "kornia", "accelerate"} <= set(
        run.key["versions"]
    )
    assert "optuna" not in run.key["versions"]
    searched = prepared(recipe(search={"trials": 2, "folds": 2}), tmp_path)
    assert "optuna" in searched.key["search"]["versions"]
    assert "pillow" in pixel_cache.pixels_key(run.target, 32, run.recipe.framing)["versions"]


def test_other_rows_are_another_run_of_the_same_source_model(tmp_path: Path, monkeypatch) -> None:
    run = prepared(recipe(), tmp_path)
    other = draw_support(run.target, 18, 1)
    monkeypatch.setattr("cellda.experiment.run.draw_support", lambda *_: other)
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
    monkeypatch.setattr("cellda.runtime.store.KEYS", -1)
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
