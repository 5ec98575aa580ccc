"""The search of a run: built once and stored."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellda.adapters import build, described
from cellda.adapters.base import AdaptContext, Adapter
from cellda.data.image_set import ImageSet
from cellda.experiment.beginning import Beginning
from cellda.experiment.run import Run
from cellda.experiment.stages import fitted_normalizer, source_splits
from cellda.experiment.statement import held_out
from cellda.experiment.translated import held_out_part, training_part
from cellda.selection.judge import Judge
from cellda.selection.search import Trials, kept_in, search
from cellda.selection.selectors.base import Use
from cellda.selection.settings import Search

SEARCH = "search"
"""The kind of the stage in the store."""
SEARCH_RECORD = "search.json"


def searched(run: Run, begun: Beginning) -> tuple[Adapter, list[dict[str, Any]]]:
    """The recipe's adapter with the values that its search chose, and all trials; without a search, the adapter itself."""
    settings = run.search
    if settings is None:
        return run.recipe.adapter, []

    def make(folder: Path) -> None:
        result = search(_judge(run, begun, settings), run.workspace.store.pieces(SEARCH, run.key))
        content = {
            "adapter": described(result.adapter),
            "trials": result.trials,
            "asynchronous": settings.asynchronous,
        }
        text = json.dumps(content, indent=2)
        (folder / SEARCH_RECORD).write_text(text + "\n", encoding="utf-8")

    folder = run.workspace.store.build(SEARCH, run.key, make)
    found = json.loads((folder / SEARCH_RECORD).read_text(encoding="utf-8"))
    return build(found["adapter"]), found["trials"]


def trials_of(run: Run, begun: Beginning, settings: Search) -> Trials:
    """The trials of a run's search, for a process that makes some of them."""
    return kept_in(run.workspace.store.pieces(SEARCH, run.key), _judge(run, begun, settings))


def _judge(run: Run, begun: Beginning, settings: Search) -> Judge:
    context = begun.context
    if Use.HELD_OUT_SOURCE in run.uses:
        context = replace(context, held_out=())  # cells that score trials are not used by them
    measured, context = _measured(run, begun, context)
    model = begun.model
    return Judge(run.recipe.adapter, lambda: deepcopy(model), begun.target, context, settings, measured)


def _measured(
    run: Run, begun: Beginning, context: AdaptContext
) -> tuple[dict[Use, tuple[ImageSet, ...]], AdaptContext]:
    """The images of each kind of evidence that the recipe's selector declares, and the context of its trials.

    The query labels are attached to the images only for a selector that declares them: the oracle.
    """
    target = begun.target
    normalizer = target.support.normalizer
    measured: dict[Use, tuple[ImageSet, ...]] = {}
    if Use.POOL in run.uses:
        measured[Use.POOL] = (target.unlabelled or run.pool(normalizer),)
    if Use.QUERY_LABELS in run.uses:
        labels = run.target.labels[list(run.scored)]
        measured[Use.QUERY_LABELS] = (replace(run.query(normalizer), known_labels=labels),)
    if Use.HELD_OUT_SOURCE in run.uses:
        sets = run.source_sets(fitted_normalizer(run, run.recipe.normalizer))
        splits = source_splits(run, sets)
        held = held_out_part(run, sets, splits)
        measured[Use.HELD_OUT_SOURCE] = held_out(run.recipe, run.taxonomy.classes, held)
        # Cells that score trials must not be training cells of an adapter that uses the sources.
        if context.source:
            context = replace(context, source=training_part(run, sets, splits))
    return measured, context
