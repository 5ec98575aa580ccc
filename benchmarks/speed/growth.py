"""How cost grows: seconds and peak memory of every step of the workflow at 1,000, 10,000 and 100,000 images.

`python -m benchmarks.speed.growth [--sizes 1000 10000 100000]` writes `benchmarks/results/speed/growth.csv`.

Every step at every size runs in its own process, so that peaks do not mix. `peak_mb` is the maximum anonymous memory
(RssAnon of /proc/<pid>/status, read every 10 ms from start to end) that this process held: everything it allocated, imports
and the dataset's table included, without the pages of memory-mapped files such as the decoded images. `idle_mb` is what it
held right before the step began.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

import cellda.datasets
from benchmarks.common.options import command, command_line
from benchmarks.speed.contest import record
from cellda.data.image_set import ImageSet
from cellda.data.pixel_cache import cached_pixels
from cellda.datasets.base import CellDataset
from cellda.evaluation.condition import NO_SOURCE, Condition
from cellda.evaluation.metrics import measure
from cellda.evaluation.predictions import probability_columns, validate
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.recipe import Recipe
from cellda.runtime.storage.store import Store
from cellda.taxonomies import DEFAULT, create
from cellda.training.loop import Trainer

CLASSES = create(DEFAULT).classes
ROOT = Path(__file__).parents[2]
"""Of the clone: where `-m` finds this package."""
SIDE = 32
THREADS = 1
"""Of torch: growth does not depend on it, and a single thread is not slowed down by other processes."""
DRAWN = 334
"""Distinct cells of each class; the others are turned, mirrored and made brighter."""
MUNICH = {"BAS": 700, "EBO": 40_000, "EOS": 9_000, "LYT": 40_000, "MON": 6_000, "NGB": 15_000, "NGS": 60_673}
"""171,373 files as Munich 2021 lays them out: codes of classes, folders of 1,000."""
PEAK_ASKED = 1.3

Work = Callable[[], object]


def index(tree: Path, _work: Path) -> Work:
    """Table, fingerprint and the groups that splits keep together; the first time, when every file is read."""

    def work() -> None:
        dataset = cellda.datasets.load("folder", tree)
        assert len(dataset.effective_groups()) == len(dataset)
        assert dataset.fingerprint

    return work


def index_again(tree: Path, work: Path) -> Work:
    """The same in another process, when what the files hold is remembered."""
    return index(tree, work)


def open_run(tree: Path, work: Path) -> Work:
    """A run with its draw and its digest, before anything is decoded or trained."""
    source = {"name": "synthetic/0", "options": {"per_class": 6}}
    backbone = {"name": "test_efficientnet", "weights": "none", "image_size": SIDE}
    recipe = Recipe(sources=[source], backbone=backbone, search=None, device="cpu")
    return lambda: Run.prepare(recipe, f"folder={tree}", Workspace(store=work, progress=False)).digest


def decode(tree: Path, work: Path) -> Work:
    """All images into the memory-mapped cache."""
    dataset = indexed(tree)
    return lambda: cached_pixels(dataset, SIDE, Store(work))


def predict(tree: Path, work: Path) -> Work:
    """The whole set through the Trainer, from the cache."""
    dataset, model = indexed(tree), classifier()
    pixels = cached_pixels(dataset, SIDE, Store(work))
    images = ImageSet(pixels, torch.arange(len(dataset)), model.normalizer)
    trainer = Trainer("cpu")
    return lambda: np.save(work / "probabilities.npy", trainer.probabilities(model, images).numpy())


def predict_files(tree: Path, _work: Path) -> Work:
    """The whole set from its files, as a user of the trained classifier calls it."""
    dataset, model = indexed(tree), classifier()
    files = [dataset.folder / path for path in dataset.table["path"]]
    return lambda: model.predict(files)


def evaluate(tree: Path, work: Path) -> Work:
    """All measures with intervals over 1,000 resamples."""
    table, probabilities = indexed(tree).table, np.load(work / "probabilities.npy")
    facts = {"adapter": "none", "framing": "none", "normalizer": "identity", "source": NO_SOURCE}
    columns = {
        **Condition(name="growth", n=0, labels_used=0, **facts).columns(),
        **{"target": "folder", "draw": 0, "seed": 0, "protocol": "clean"},
        "path": table["path"],
        "group": table["path"],
        "label": table["label"],
        "predicted": [CLASSES[code] for code in probabilities.argmax(1)],
        **dict(zip(probability_columns(CLASSES), probabilities.T, strict=True)),
    }
    predictions = validate(pd.DataFrame(columns))
    return lambda: measure(predictions)


STEPS: dict[str, Callable[[Path, Path], Work]] = {
    step.__name__: step for step in (index, index_again, open_run, decode, predict, predict_files, evaluate)
}


def indexed(tree: Path) -> CellDataset:
    """The dataset with its fingerprint, which is not part of the steps that follow."""
    dataset = cellda.datasets.load("folder", tree)
    assert dataset.fingerprint
    return dataset


def classifier() -> CellClassifier:
    """A network so small that the cost of everything else is visible."""
    torch.manual_seed(0)
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=SIDE)
    return CellClassifier(backbone, NormalizerSpec(name="reinhard")).eval()


def draw_tree(folder: Path, images: int) -> Path:
    """Distinct JPEG files of synthetic cells, one folder per class."""
    cells = cellda.datasets.load("synthetic/0", per_class=DRAWN)
    pixels = cells.read(range(len(cells)), SIDE).permute(0, 2, 3, 1).numpy().astype(np.int16)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for number in range(images):
        variant, place = divmod(number, len(cells))
        kind, cell = place % len(CLASSES), place % len(CLASSES) * DRAWN + place // len(CLASSES)
        turned = np.rot90(pixels[cell], variant % 4)
        mirrored = turned[::-1] if variant % 8 >= 4 else turned
        brighter = np.clip(mirrored + variant // 8, 0, 255).astype(np.uint8)
        Image.fromarray(brighter).save(folder / CLASSES[kind] / f"{number:06d}.jpg", quality=90)
    return folder


def munich_tree(folder: Path) -> Path:
    """As many files as Munich 2021 has, each a few random bytes: the index opens files but decodes none."""
    draw = random.Random(0)
    for code, files in MUNICH.items():
        for number in range(files):
            thousand = folder / code / f"{number // 1000 * 1000:05d}-{number // 1000 * 1000 + 999:05d}"
            if number % 1000 == 0:
                thousand.mkdir(parents=True)
            (thousand / f"{code}_{number + 1:05d}.jpg").write_bytes(draw.randbytes(draw.randrange(20, 400)))
    return folder


def anonymous_mb(pid: int | str) -> float:
    """Anonymous memory that a process holds, in MB; 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def run_step(step: str, tree: Path, work: Path) -> None:
    """The work of a child process: one step, and a line about it."""
    torch.set_num_threads(THREADS)
    do = STEPS[step](tree, work)
    idle = anonymous_mb("self")
    wall, processor = time.perf_counter(), time.process_time()
    do()
    seconds, processor = time.perf_counter() - wall, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "cpu_seconds": processor, "idle_mb": idle}))


def measured(step: str, images: int, tree: Path, work: Path) -> dict[str, Any]:
    """Run one step in a child process and watch its memory."""
    itself = [sys.executable, "-m", "benchmarks.speed.growth"]
    command = [*itself, "--step", step, "--tree", str(tree), "--work", str(work)]
    own = {"OMP_NUM_THREADS": str(THREADS), "CELLDA_STORE": str(work / "store")}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **own}
    ) as child:
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, anonymous_mb(child.pid))
            time.sleep(0.01)
        said = child.stdout.read() if child.stdout else ""
    if child.returncode != 0:
        raise SystemExit(f"'{step}' of {images} images ended with status {child.returncode}.")
    row = {"what": step, "images": images, **json.loads(said), "peak_mb": peak}
    row["us_per_image"] = 1e6 * row["seconds"] / images
    row["cpu_us_per_image"] = 1e6 * row["cpu_seconds"] / images
    print(
        {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()},
        flush=True,
    )
    return row


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with its ratios to the next smaller size of the same step."""
    table = pd.DataFrame(rows)
    for column in ("us_per_image", "cpu_us_per_image", "peak_mb"):
        table[f"{column}_ratio"] = table[column] / table.groupby("what")[column].shift()
    table["peak_ratio_asked"] = np.where(table["what"].isin(["predict", "evaluate"]), PEAK_ASKED, np.nan)
    return table.to_dict("records")  # type: ignore[return-value]


def main(given: Sequence[str] | None = None) -> None:
    """Measure everything, or, in a child process, one step."""
    parser = command_line(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(given)
    if chosen.step:
        run_step(chosen.step, chosen.tree, chosen.work)
        return
    torch.set_num_threads(THREADS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="cellda-growth-") as folder:
        for images in sorted(chosen.sizes):
            tree = draw_tree(Path(folder) / f"cells{images}", images)
            rows += [measured(step, images, tree, Path(folder) / f"work{images}") for step in STEPS]
        tree = munich_tree(Path(folder) / "munich")
        for step in ("index", "index_again"):
            row = measured(step, sum(MUNICH.values()), tree, Path(folder) / "munich-work")
            rows.append({**row, "what": f"{step}_munich_2021"})
    record("growth", compared(rows))


if __name__ == "__main__":
    command(main)
