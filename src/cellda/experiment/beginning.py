"""What search, adaptation and cross-validation of a run begin with, the same in every process that makes a part of it."""

from dataclasses import dataclass

from cellda.adapters.base import AdaptContext, Need, Start, TargetView
from cellda.experiment.accounts import framed_of
from cellda.experiment.run import Run
from cellda.experiment.stages import (
    fitted_normalizer,
    fresh_model,
    normalizer_state,
    source_model,
    source_splits,
)
from cellda.experiment.translated import held_out_part, in_target_classes
from cellda.models.classifier import CellClassifier
from cellda.runtime.clock import Clock
from cellda.training.loop import Trainer


@dataclass(frozen=True, eq=False)
class Beginning:
    """What an adaptation begins with.

    Attributes:
        model: The model before its adaptation; who changes it copies it first.
        target: The labelled cells, and the unlabelled ones if the adapter takes them.
        context: Trainer, seed and source images.
    """

    model: CellClassifier
    target: TargetView
    context: AdaptContext


def beginning(run: Run, trainer: Trainer, clock: Clock) -> Beginning:
    """The beginning of a run; its source model is trained if it is not in the store."""
    recipe = run.recipe
    adapter, normalizer = recipe.adapter, recipe.used_target_normalizer
    state = normalizer_state(run, normalizer)
    with clock.stage("source"):
        source = source_model(run, trainer) if adapter.start is Start.SOURCE else None
    if source is None:
        model = fresh_model(run, run.taxonomy.classes)
    else:
        model = CellClassifier.load(source).in_classes(run.taxonomy, run.seed)
    model.calibration = model.evidence = None  # of the source model, before it changes
    model = model.with_normalizer(normalizer, state)
    framed = framed_of(run).get(run.target.full_name)
    model.framing_spec = recipe.framing if framed is None else framed.framing
    if recipe.present is not None:
        model = model.with_present(recipe.present)
    pool = run.pool(model.normalizer) if Need.UNLABELLED in adapter.needs else None
    target = TargetView(run.support(model.normalizer), pool)
    own = fitted_normalizer(run, recipe.normalizer) if Need.SOURCE in adapter.needs else None
    sources = () if own is None else run.source_sets(own)
    splits = source_splits(run, sources) if sources else []
    told = tuple(in_target_classes(run, number, images) for number, images in enumerate(sources))
    context = AdaptContext(trainer, run.seed, told, held_out_part(run, sources, splits))
    return Beginning(model, target, context)
