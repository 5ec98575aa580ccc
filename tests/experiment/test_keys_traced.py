"""What a stage runs, and what its code imports, is in its key or on a list of what changes no result."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from cellda.plugins.code_digest import PACKAGE
from experiment.covered import COMPUTING, covered
from project.house import arrows, modules

SILENT = {
    "pixels": (
        "datasets/card.py",
        "datasets/exporting/exports.py",
        "datasets/reading/account.py",
        "datasets/reading/cell_table.py",
        "datasets/reading/file_contents.py",
        "datasets/reading/groups.py",
        "datasets/reading/listed.py",
        "datasets/reading/names.py",
        "datasets/reading/naming.py",
        "datasets/reading/survey.py",
        "datasets/reading/words.py",
        "errors.py",
        "framing/__init__.py",
        "framing/account.py",
        "framing/framed.py",
        "plugins/code_digest.py",
        "plugins/loading.py",
        "plugins/options.py",
        "plugins/registry.py",
        "plugins/settings.py",
        "plugins/spec.py",
        "runtime/contents.py",
        "runtime/storage/entry.py",
        "runtime/given.py",
        "runtime/ledger.py",
        "runtime/storage/manifest.py",
        "runtime/place.py",
        "runtime/events.py",
        "runtime/progress.py",
        "runtime/room.py",
        "runtime/storage/store.py",
        "runtime/versions.py",
        "runtime/work.py",
        "text.py",
    ),
    "normalizer": (
        "adapters/__init__.py",
        "data/few_shot.py",
        "data/own_cells.py",
        "data/own_draw.py",
        "data/spec.py",
        "evaluation/predictions.py",
        "experiment/checks.py",
        "experiment/keys.py",
        "experiment/known_cells.py",
        "experiment/naming.py",
        "experiment/workspace.py",
        "normalizers/spec.py",
        "recipe/__init__.py",
        "runtime/clock.py",
        "runtime/file_hash.py",
        "runtime/tensor_file.py",
        "selection/settings.py",
    ),
    "source": (
        "evaluation/calibration_kinds.py",
        "evaluation/condition.py",
        "experiment/logged.py",
        "models/description.py",
        "models/evidence.py",
        "models/heads/__init__.py",
        "models/heads/saving.py",
        "models/inputs.py",
        "models/prediction.py",
        "models/results.py",
        "models/saved.py",
        "plugins/paths.py",
        "runtime/group.py",
        "runtime/launched.py",
        "runtime/memory.py",
    ),
    "adapt": (
        "cluster/place.py",
        "experiment/elsewhere.py",
        "data/root.py",
        "datasets/spec.py",
        "experiment/accounts.py",
        "experiment/departure.py",
        "experiment/estimate.py",
        "experiment/keeping.py",
        "experiment/model_card.py",
        "experiment/orphans.py",
        "experiment/record.py",
        "experiment/result.py",
        "experiment/sharing.py",
        "experiment/statement.py",
        "experiment/summary.py",
        "plugins/yaml_text.py",
        "recipe/files.py",
        "reporting/tables/cells.py",
        "reporting/tables/measured.py",
        "reporting/tables/text_table.py",
        "runtime/storage/holder.py",
        "runtime/storage/lease.py",
        "runtime/storage/lock.py",
        "runtime/storage/pieces.py",
        "selection/selectors/base.py",
        "selection/storage.py",
        "source_models/spec.py",
    ),
    "search": ("selection/selectors/__init__.py",),
}
"""What changes no result, or is covered by something else in a key (the table's rows, the drawn rows, the recipe's values),
under the first stage that runs or imports it. A later stage may do so, too."""


def silent(stage: str) -> set[str]:
    """The files that need not be in the key of a stage."""
    order = list(SILENT)
    return {file for one in order[: order.index(stage) + 1] for file in SILENT[one]}


def in_key(stage: str, file: str) -> bool:
    """Whether a change of a file changes a stage's key, which contains the key of the decoded images."""
    return covered(stage, file) or (stage != "pixels" and covered("pixels", file))


def test_what_changes_no_result_is_a_list_of_files() -> None:
    assert [file for file in silent(list(SILENT)[-1]) if not (PACKAGE / file).is_file()] == []
    assert list(SILENT) == list(COMPUTING)


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

from cellda.runtime.storage.store import Store
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
        if not (in_key(stage, file) or file in silent(stage) or file.startswith(members))
    }
    assert not missing


# ------------------------------------------------------------------ against what is imported

LATER = {
    "experiment/run.py": "prepares every stage",
    "experiment/searching.py": "calls the search",
    "experiment/stages.py": "calls every stage",
    "datasets/base.py": "classes and groups are in the table, whose rows are in the key of its images",
    "models/classifier.py": "views come with an adapter",
}
"""Files of an early stage that also import what only later stages run, each with the reason."""


@pytest.mark.parametrize("stage", COMPUTING)
def test_every_file_that_a_stage_imports_is_in_its_key(stage: str) -> None:
    files = {module: file.relative_to(PACKAGE).as_posix() for module, file in modules().items()}
    missing = set()
    for arrow in arrows(modules()):
        importing, imported = files[arrow.source], files[arrow.target]
        if arrow.place or not covered(stage, importing):
            continue
        stages = COMPUTING if importing in LATER else (stage,)
        if not any(in_key(one, imported) or imported in silent(one) for one in stages):
            missing.add(f"{importing} imports {imported}")
    assert not missing
