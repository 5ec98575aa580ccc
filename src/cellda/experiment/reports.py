"""What reports show of finished runs, gathered from where it is stored."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cellda.data.pixel_cache import cached_pixels
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.cell_table import cell_names
from cellda.errors import ConfigurationError
from cellda.evaluation.conformal import Sets
from cellda.evaluation.counts import Confusion, by_group
from cellda.evaluation.predictions import classes_of, probabilities
from cellda.experiment.result import RunResult
from cellda.experiment.summary import summary
from cellda.experiment.workspace import Workspace
from cellda.models.classifier import CellClassifier
from cellda.report.content import MEASURED, Cells, Example, Report, shown_rows
from cellda.report.gathering import RESEARCH, embedded, table_of
from cellda.reporting.tables.conditions import condition_table
from cellda.reporting.tables.text_table import TextTable
from cellda.text import counted, shown

EXAMPLES = 5
"""Cells that are shown before and after framing and normalization."""


def report_of_run(
    result: RunResult, target: "CellDataset | str | None" = None, workspace: Workspace | None = None
) -> Report:
    """The report of a finished run.

    Args:
        result: The run.
        target: Its target, for the pictures, by name or loaded; None for that of the record, which a laboratory's own cells
            cannot be found by.
        workspace: Where images are found and decoded ones are kept; None for no data folder and the default store.

    Raises:
        CelldaError: If a target is given, and its images cannot be read.
    """
    record, metrics, found = result.record, result.metrics, result.predictions
    workspace = workspace or Workspace(progress=False)
    missing = []
    dataset = _target(result, target, workspace)
    if dataset is None:
        missing.append(
            "There are no pictures: say where the images are (target and data, or --target and --data), and they are shown."
        )
    model = result.model if (result.path / "model").is_dir() else None
    if model is None:
        missing.append("The run did not keep its model: there are no map and no explanations.")
    lines = [
        f"Of {counted(metrics.n, 'cell(s)')} that the model has not learned from, {metrics.accuracy.value:.0%} are right "
        f"(95 % interval {metrics.accuracy.low:.0%} to {metrics.accuracy.high:.0%}).",
        f"Averaged over {metrics.averaged}, so that rare classes count as much as common ones: {metrics.balanced_accuracy}.",
        RESEARCH,
    ]
    held = result.cross_validation
    confusion = (
        None
        if held is None
        else Confusion.of(held if record.calibration is None else record.calibration.of(held))
    )
    return Report(
        title=f"{record.condition} on {record.target}",
        headline=lines,
        doubts=metrics.notes,
        facts=_facts(result),
        recipe=result.recipe.to_yaml(),
        predictions=found,
        counts=by_group(
            found.assign(group="", confidence=probabilities(found).max(1)), classes_of(found), confusion
        ),
        corrected=confusion is not None,
        cells=_measured_cells(result, dataset, workspace, model),
        total=len(found),
        model=model,
        examples=[] if dataset is None or model is None else _examples(dataset, model, workspace, result),
        account=[shown(line) for line in summary(record, len(found))]
        + [line for account in record.accounts for line in account.lines()],
        missing=missing,
    )


def report_of_runs(results: Sequence[RunResult]) -> Report:
    """Several runs compared: means over draws of each condition and target, with their tables.

    Raises:
        DataError: If they are of different classes, or the same run is given twice.
    """
    found = pd.concat([result.predictions for result in results], ignore_index=True)
    found = found.assign(condition=_named(results, found))
    best = max(results, key=lambda result: result.metrics.balanced_accuracy.value)
    overview = TextTable(
        "The runs",
        ("run", "target", "draw", "labels used", "accuracy", "balanced accuracy", "calibration error"),
        tuple(
            (
                result.record.condition,
                result.record.target,
                str(result.record.draw),
                str(result.labels_used),
                str(result.metrics.accuracy),
                str(result.metrics.balanced_accuracy),
                f"{result.metrics.ece:.2f}",
            )
            for result in results
        ),
        names=2,
    )
    return Report(
        title=f"{len(results)} runs compared",
        headline=[
            f"The highest balanced accuracy is that of {best.record.condition} on {best.record.target}, draw "
            f"{best.record.draw}: {best.metrics.balanced_accuracy}.",
            "Intervals that overlap do not tell two runs apart; compare them on several draws (cellda table comparison).",
        ],
        facts={
            f"run {result.digest}": f"{result.record.condition} on {result.record.target}, draw {result.record.draw}, "
            f"source seed {result.record.seed}, protocol {result.record.protocol}"
            for result in results
        },
        tables=[overview, condition_table(found)],
    )


def _facts(result: RunResult) -> dict[str, str]:
    record, recipe = result.record, result.recipe
    source = recipe.source_model
    return {
        "target": record.target,
        "source": source.name if source else ", ".join(one.name for one in recipe.sources),
        "adapter": recipe.adapter.name,
        "normalizer": recipe.used_target_normalizer.name,
        "framing": recipe.framing.name,
        "labelled cells": f"{record.labels_used} (draw {record.draw}, {recipe.few_shot.kind})",
        "protocol": record.protocol,
        "calibration": "none"
        if record.calibration is None
        else f"temperature {record.calibration.temperature:.2f}",
        "seconds": ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in record.seconds.items()),
        "device": record.device,
        "run": record.digest,
    }


def _named(results: Sequence[RunResult], found: pd.DataFrame) -> "pd.Series[str]":
    """Conditions, with the run's digest where two runs of one name are of the same target and draw."""
    keys = [(one.record.condition, one.record.target, one.record.draw, one.record.seed) for one in results]
    if len(set(keys)) == len(keys):
        return found["condition"]
    names = np.repeat(
        [f"{one.record.condition} {one.digest[:6]}" for one in results],
        [len(one.predictions) for one in results],
    )
    return pd.Series(names, index=found.index, dtype="string")


def _target(
    result: RunResult, target: "CellDataset | str | None", workspace: Workspace
) -> CellDataset | None:
    from cellda import datasets

    taxonomy = result.recipe.taxonomy
    if target is not None:
        return workspace.load(target, taxonomy)
    name = result.record.target
    base = name.partition("/")[0]
    if base not in datasets.registry or not (datasets.get(base).synthetic or workspace.data.root is not None):
        return None
    return workspace.load(name, taxonomy)


def _measured_cells(
    result: RunResult, dataset: CellDataset | None, workspace: Workspace, model: CellClassifier | None
) -> Cells:
    found, held = result.predictions, result.cross_validation
    sets: Sequence[str] = ()
    if held is not None:
        calibration = result.record.calibration
        sets = Sets.fitted(held if calibration is None else calibration.of(held)).names(probabilities(found))
    table = table_of(found, MEASURED, sets)
    rows = shown_rows(table)
    table = table.iloc[rows].reset_index(drop=True)
    if dataset is None:
        return Cells(table)
    pixels = _pixels(dataset, list(table["path"]), workspace, result)
    return Cells(table, pixels, None if model is None else embedded(model, pixels))


def _pixels(dataset: CellDataset, names: Sequence[str], workspace: Workspace, result: RunResult) -> Tensor:
    """The named cells as the network sees them.

    Raises:
        ConfigurationError: If the dataset does not hold them.
    """
    place = {name: row for row, name in enumerate(cell_names(dataset.table, range(len(dataset))))}
    absent = [name for name in names if name not in place]
    if absent:
        raise ConfigurationError(
            f"{dataset.full_name} is not the target of this run: it does not hold {absent[0]}"
            + (f" and {len(absent) - 1} more of its cells." if len(absent) > 1 else ".")
        )
    recipe = result.recipe
    with workspace.display():
        whole = cached_pixels(dataset, recipe.backbone.image_size, workspace.store, recipe.framing)
    return torch.as_tensor(whole[torch.tensor([place[name] for name in names])])


def _examples(
    dataset: CellDataset, model: CellClassifier, workspace: Workspace, result: RunResult
) -> list[Example]:
    """A few cells: the image, what the network is shown of it, and that normalized."""
    rows = np.linspace(0, len(dataset) - 1, min(EXAMPLES, len(dataset))).round().astype(int).tolist()
    whole: dict[int, np.ndarray] = {}
    dataset.originals(rows, lambda place, image: whole.__setitem__(rows[place], image))
    names = cell_names(dataset.table, rows)
    framed = _pixels(dataset, names, workspace, result)
    with torch.no_grad():
        normalized = (model.normalized(framed).clamp(0, 1) * 255).round().to(torch.uint8)
    return [
        Example(
            name,
            {
                "the image": whole[row],
                "the cell, framed": framed[number].permute(1, 2, 0).numpy(),
                "colours normalized": normalized[number].permute(1, 2, 0).cpu().numpy(),
            },
        )
        for number, (row, name) in enumerate(zip(rows, names, strict=True))
    ]
