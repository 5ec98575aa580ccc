"""How long a run will take on this machine, from a few measured steps."""

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from cellda.adapters.base import Start
from cellda.case import Case
from cellda.models.classifier import CellClassifier
from cellda.settings import search_space
from cellda.training.loop import Trainer

STEPS = 2


def estimate(case: Case, trainer: Trainer) -> str:
    """One sentence: expected minutes of every stage that is not done yet, decoding left aside.

    Two training steps and two inference batches of the recipe's own network and image size are timed.
    """
    train, infer = _rates(case, trainer)
    recipe, support = case.recipe, len(case.draw.support)
    seconds: dict[str, float] = {}
    trains_source = recipe.adapter.start is Start.SOURCE
    if trains_source and not case.store.path("source", case.source_key).is_dir():
        largest = max(len(dataset) for dataset in case.sources) * len(case.sources)
        seconds["source training"] = recipe.training.epochs * largest * (1 - recipe.training.holdout) / train
    passes = recipe.adapter.image_passes(support)
    if recipe.search is not None and search_space(type(recipe.adapter)):
        share = 1 - 1 / recipe.search.folds
        seconds["search (at most)"] = recipe.search.trials * recipe.search.folds * passes * share / train
    seconds["adaptation"] = passes / train
    seconds["prediction"] = len(case.draw.query) / infer
    parts = ", ".join(f"{name} {_duration(value)}" for name, value in seconds.items() if value >= 1)
    size = recipe.backbone.image_size
    return (
        f"Estimated time on this machine ({trainer.device}, {train:.0f} images/s in training at {size} px): "
        f"{_duration(sum(seconds.values()))}{f' ({parts})' if parts else ''}."
    )


def _rates(case: Case, trainer: Trainer) -> tuple[float, float]:
    """Images per second in training and in inference."""
    recipe = case.recipe
    with torch.random.fork_rng():
        model = CellClassifier(recipe.backbone, recipe.normalizer, weights="none")
    model.to(trainer.device, memory_format=torch.channels_last).train()
    size, batch = recipe.backbone.image_size, recipe.training.batch_size
    images = torch.full((batch, 3, size, size), 0.5, device=trainer.device)
    labels = torch.zeros(batch, dtype=torch.int64, device=trainer.device)

    def train() -> None:
        F.cross_entropy(model(images), labels).backward()

    @torch.no_grad()
    def infer() -> None:
        model(images)

    rate = batch / _seconds(train, trainer.device)
    model.eval()
    return rate, batch / _seconds(infer, trainer.device)


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    step()  # warm-up
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / STEPS


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
