"""Estimates how long runs will take on this machine, from a few measured steps."""

import time
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from cellda.adapters.base import Start
from cellda.experiment.cross_validation import parts
from cellda.experiment.run import Run
from cellda.experiment.stages import has_source_model
from cellda.models.classifier import CellClassifier
from cellda.runtime.clock import duration
from cellda.selection.selectors.base import Use
from cellda.training.loop import Trainer, to_device

STEPS = 3


def estimate(runs: Sequence[Run], trainer: Trainer) -> str:
    """One sentence: the expected time of unfinished runs, without decoding and finished stages.

    Three training steps and three inference batches are timed with the first run's network and image size; all runs are
    assumed to use them.

    Args:
        runs: At least one.
        trainer: On the device that will be used.
    """
    with torch.random.fork_rng():  # dropout draws too
        train, infer = _rates(runs[0], trainer)
    seconds = dict.fromkeys(
        ("source training", "search (at most)", "adaptation", "cross-validation", "prediction"), 0.0
    )
    sources = set()
    for run in runs:
        recipe = run.recipe
        source = run.workspace.store.path("source", run.source_key)
        if recipe.adapter.start is Start.SOURCE and source not in sources and not has_source_model(run):
            sources.add(source)
            largest = max(len(dataset) for dataset in run.sources) * len(run.sources)
            passes = recipe.training.epochs * largest * (1 - recipe.training.holdout)
            seconds["source training"] += passes / train
        passes = recipe.adapter.image_passes(run.offer)
        if run.search is not None:
            folds = run.search.folds
            rounds = folds - 1 if Use.SUPPORT_LABELS in run.uses else 1  # in whole support sets
            judged = len(run.scored) if run.oracle or run.uses_pool else 0
            seconds["search (at most)"] += run.search.trials * (rounds * passes / train + judged / infer)
        seconds["adaptation"] += passes / train
        if run.measured and run.uses_labels:
            seconds["cross-validation"] += len(parts(run)) * passes / train
        seconds["prediction"] += recipe.adapter.views * len(run.scored) / infer
    shares = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items() if value >= 1)
    size = runs[0].recipe.backbone.image_size
    return (
        f"Estimated time on this machine ({trainer.device}, {train:.0f} images/s in training at {size} px): "
        f"{duration(sum(seconds.values()))}{f' ({shares})' if shares else ''}."
    )


def _rates(run: Run, trainer: Trainer) -> tuple[float, float]:
    """Images per second in training and in inference."""
    recipe = run.recipe
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
    """Seconds of the fastest of a few steps: other work on the machine only makes steps slower."""
    step()  # warm-up
    times = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)
