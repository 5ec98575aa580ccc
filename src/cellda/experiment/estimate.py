"""How long runs will take on this machine, from a few measured steps."""

import time
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from cellda.adapters.base import Start
from cellda.experiment.run import Run
from cellda.models.classifier import CellClassifier
from cellda.selection.selectors.base import Use
from cellda.training.loop import Trainer, to_device

STEPS = 3


def estimate(cases: Sequence[Run], trainer: Trainer) -> str:
    """One sentence: the expected time of the unfinished runs `cases`, decoding and finished stages left aside.

    Three training steps and inference batches of the first case's network and image size are timed; all cases are
    taken to be of that size.

    Args:
        cases: At least one.
        trainer: On the device that will be used.
    """
    with torch.random.fork_rng():  # dropout draws too
        train, infer = _rates(cases[0], trainer)
    seconds = dict.fromkeys(("source training", "search (at most)", "adaptation", "prediction"), 0.0)
    sources = set()
    for case in cases:
        recipe = case.recipe
        source = case.store.path("source", case.source_key)
        if recipe.adapter.start is Start.SOURCE and source not in sources and not source.is_dir():
            sources.add(source)
            largest = max(len(dataset) for dataset in case.sources) * len(case.sources)
            passes = recipe.training.epochs * largest * (1 - recipe.training.holdout)
            seconds["source training"] += passes / train
        passes = recipe.adapter.image_passes(case.offer)
        if case.search is not None:
            folds = case.search.folds
            rounds = folds - 1 if Use.SUPPORT_LABELS in case.uses else 1  # of whole support sets
            judged = len(case.scored) if case.oracle or case.uses_pool else 0
            seconds["search (at most)"] += case.search.trials * (rounds * passes / train + judged / infer)
        seconds["adaptation"] += passes / train
        seconds["prediction"] += recipe.adapter.views * len(case.scored) / infer
    parts = ", ".join(f"{name} {_duration(value)}" for name, value in seconds.items() if value >= 1)
    size = cases[0].recipe.backbone.image_size
    return (
        f"Estimated time on this machine ({trainer.device}, {train:.0f} images/s in training at {size} px): "
        f"{_duration(sum(seconds.values()))}{f' ({parts})' if parts else ''}."
    )


def _rates(case: Run, trainer: Trainer) -> tuple[float, float]:
    """Images per second in training and in inference."""
    recipe = case.recipe
    model = CellClassifier(recipe.backbone, recipe.normalizer, weights="none")
    to_device(model, trainer.device).train()
    size, batch = recipe.backbone.image_size, recipe.training.batch_size
    images = torch.full((batch, 3, size, size), 0.5, device=trainer.device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64, device=trainer.device)

    def train() -> None:
        torch.autograd.backward(F.cross_entropy(model(images), labels))

    @torch.no_grad()
    def infer() -> None:
        model(images)

    rate = batch / _seconds(train, trainer.device)
    model.eval()
    return rate, batch / _seconds(infer, trainer.device)


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of the fastest of a few steps: what else the machine does only ever adds to them."""
    step()  # warm-up
    times = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
