"""Where the time of training and prediction goes, and the best the machine could do.

    python -m benchmarks.speed.floor --data ~/wbc

Two floors of a step of the preset `laptop`: its FLOPs at the machine's measured matrix-multiplication rate, and its
activations, each written and read once in the forward and backward passes, at the measured copy bandwidth. Next to them, the
time of the step and its shares: fetching, augmentation and normalization, forward, backward, optimizer. About two minutes.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.options import command, command_line
from benchmarks.speed import cells
from benchmarks.speed.contest import THREADS, record
from cellda.adapters import create
from cellda.data.image_set import ImageSet
from cellda.training.examples import ImageExamples
from cellda.training.loop import Trainer
from cellda.training.settings import Training

STEP = 16
"""Images per step on which FLOPs and activations are counted."""


def main(given: Sequence[str] | None = None) -> None:
    """Measure everything, record it and print it."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder per dataset name")
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        dataset = cells.some("barcelona", parser.parse_args(given).data, 40, Path(folder) / "barcelona")
        images = cells.decoded(dataset, cells.model())
    rates = {"matmul": _matmul_rate(), "copy": _copy_rate()}
    published = cells.LAPTOP.with_preset("published_training").training
    stages = [
        _training("source training", images, published.model_copy(update={"epochs": 2}), rates),
        _training("adaptation", images, _short_adaptation(), rates),
        _prediction(images, rates),
    ]
    record("floor", stages)
    Console().print(pd.DataFrame(stages).round(3).T.to_string(header=False))


def _short_adaptation() -> Training:
    adapter = create("full", epochs=2)
    assert isinstance(adapter, Training)
    return adapter


def _training(name: str, images: ImageSet, settings: Training, rates: dict[str, float]) -> dict[str, Any]:
    model, trainer = cells.model(), Trainer("cpu")
    examples = ImageExamples(images.subset(range(len(images))))
    trainer.fit(model, examples, settings.model_copy(update={"epochs": 1}), seed=0)  # warm-up
    with _shares(model) as shares:
        started = time.perf_counter()
        trainer.fit(model, examples, settings, seed=0)
        seconds = time.perf_counter() - started
    passes = settings.epochs * len(images)
    flops, outputs = _counted(model)
    # The backward pass costs two forward passes: gradients of inputs and of weights (torch's counter counts a depthwise
    # convolution's as that of a full one). Activations are written and read in the forward pass; in the backward pass, their
    # gradients are written and read, and they are read once more.
    return _row(name, seconds, passes, 3 * flops, 5 * outputs, rates, dict(shares))


def _prediction(images: ImageSet, rates: dict[str, float]) -> dict[str, Any]:
    model, trainer = cells.model(), Trainer("cpu")
    trainer.probabilities(model, images)
    with _shares(model) as shares:
        started = time.perf_counter()
        trainer.probabilities(model, images)
        seconds = time.perf_counter() - started
    flops, outputs = _counted(model)
    return _row("prediction", seconds, len(images), flops, 2 * outputs, rates, dict(shares))


def _row(
    name: str,
    seconds: float,
    passes: int,
    flops: float,
    moved: float,
    rates: dict[str, float],
    shares: dict[str, float],
) -> dict[str, Any]:
    row = {
        "what": name,
        "images_per_second": passes / seconds,
        "ms_per_image": 1e3 * seconds / passes,
        "gflop_per_image": flops / 1e9,
        "floor_ms_flops": 1e3 * flops / rates["matmul"],
        "mb_per_image": moved / 1e6,
        "floor_ms_bytes": 1e3 * moved / rates["copy"],
        "matmul_gflop_per_second": rates["matmul"] / 1e9,
        "copy_gb_per_second": rates["copy"] / 1e9,
    }
    parts = ("fetch", "prepare", "forward", "backward", "optimizer")
    row |= {f"share_{part}": shares.get(part, 0.0) / seconds for part in parts}
    return row | {"share_other": 1 - sum(shares.values()) / seconds}


def _counted(model: nn.Module) -> tuple[float, float]:
    """FLOPs of a forward pass, and bytes that its layers output (convolutions, norms, activations, linear), per image."""
    sizes: list[int] = []
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.Linear)
    hooks = [
        part.register_forward_hook(lambda _part, _given, made: sizes.append(made.numel() * 4))
        for part in model.modules()
        if isinstance(part, kinds)
    ]
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.rand(STEP, 3, cells.SIZE, cells.SIZE))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() / STEP, sum(sizes) / STEP


@contextmanager
def _shares(model: nn.Module) -> Iterator[dict[str, float]]:
    """Seconds spent in each part of the loop within the context."""
    seconds: dict[str, float] = defaultdict(float)
    watched = [
        (ImageExamples, "__getitems__", "fetch"),
        (ImageSet, "raw", "fetch"),
        (ImageExamples, "prepare", "prepare"),
        (type(model), "normalized", "prepare"),
        (type(model), "forward", "forward"),
        (Accelerator, "backward", "backward"),
        (torch.optim.Adam, "step", "optimizer"),
        (torch.optim.AdamW, "step", "optimizer"),
    ]
    inside: list[str] = []

    def timed(own: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            inside.append(part)
            try:
                return own(*arguments, **options)
            finally:
                inside.pop()
                if not inside:  # a part within another one counts towards that one
                    seconds[part] += time.perf_counter() - started

        return call

    own = [(owner, name, getattr(owner, name)) for owner, name, _ in watched]
    for owner, name, part in watched:
        setattr(owner, name, timed(getattr(owner, name), part))
    try:
        yield seconds
    finally:
        for owner, name, method in own:
            setattr(owner, name, method)


def _matmul_rate(side: int = 2048) -> float:
    """FLOPs per second of a large matrix product in float32."""
    one, other = torch.rand(side, side), torch.rand(side, side)
    return 2 * side**3 / _median(lambda: one @ other)


def _copy_rate(size: int = 2**28) -> float:
    """Bytes per second, read and written, of a large copy."""
    one = torch.ones(size // 4)
    other = torch.empty_like(one)
    return 2 * size / _median(lambda: other.copy_(one))


def _median(run: Callable[[], object], repeats: int = 9) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    command(main)
