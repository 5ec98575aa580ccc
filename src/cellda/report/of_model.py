"""What a report shows of an adapted model, and of its predictions of new images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torchvision.transforms.v2.functional import resize

from cellda.errors import ConfigurationError
from cellda.evaluation.conformal import Sets
from cellda.evaluation.predictions import probabilities
from cellda.models.classifier import CellClassifier
from cellda.models.counted import counted_by, wide
from cellda.models.inputs import Picture
from cellda.models.results import Read
from cellda.report.content import LABELLED, NEW, Cells, Report, shown_rows
from cellda.report.gathering import RESEARCH, embedded, table_of
from cellda.reporting.tables.measured import doubts, headline
from cellda.runtime.given import path_of
from cellda.text import counted


def report_of_model(
    model: CellClassifier,
    name: str,
    recipe: str = "",
    predictions: pd.DataFrame | None = None,
    record: Sequence[str] = (),
    bits: int | None = None,
) -> Report:
    """The report of an adapted model: its labelled cells and, if there are any, its predictions of new images.

    Args:
        model: The model.
        name: What it is called.
        recipe: Its recipe as YAML.
        predictions: What `cellda predict` wrote (`cellda.models.predicted_file`).
        record: The account of the images, in lines.
        bits: Significant bits that the camera records, if they were given when the images were predicted.
    """
    evidence = model.evidence
    if evidence is None and predictions is None:
        raise ConfigurationError(
            f"There is nothing to report of {name}: it was never measured on labelled cells, and no predictions are given."
        )
    parts = []
    lines = [
        "This model was never measured on labelled cells: nothing says how many of its predictions are right."
    ]
    if evidence is not None:
        lines = [*headline(evidence.cells, evidence.folds, searched=evidence.searched), RESEARCH]
        kept = evidence.cells.iloc[evidence.kept.tolist()].reset_index(drop=True)
        sets = Sets.fitted(evidence.cells).names(probabilities(kept))
        parts.append(Cells(table_of(kept, LABELLED, sets), evidence.looks, evidence.embeddings))
    counts, total = None, sum(map(len, parts))
    missing: list[str] = []
    if predictions is not None:
        if predictions["predicted"].notna().any():
            counts = counted_by(model, predictions)
            if line := wide(model, predictions):
                missing.append(f"{line}.")
        else:
            missing.append("No image has a class, so there is nothing to count.")
        fresh, lost = _new_cells(model, predictions, bits)
        parts.append(fresh)
        total += len(predictions)
        if lost:
            missing.append(
                f"{counted(lost, 'image(s) (is|are)')} not shown: they cannot be found or read any more."
            )
    return Report(
        title=f"The model {name}"
        + (f" on {counted(len(predictions), 'image(s)')}" if predictions is not None else ""),
        headline=lines,
        doubts=[] if evidence is None else doubts(evidence.cells),
        facts={
            "classes": ", ".join(model.classes),
            "backbone": f"{model.backbone.name}, {model.backbone.image_size} px",
            "normalizer": model.normalizer_spec.name,
            "framing": model.framing_spec.name,
            "calibration": "none"
            if model.calibration is None
            else f"temperature {model.calibration.temperature:.2f}",
        },
        recipe=recipe,
        predictions=None if evidence is None else evidence.cells,
        counts=counts,
        corrected=evidence is not None,
        cells=_together(parts, model.backbone.image_size),
        total=total,
        model=model,
        account=record,
        missing=missing,
    )


def _new_cells(model: CellClassifier, predictions: pd.DataFrame, bits: int | None) -> tuple[Cells, int]:
    """The predicted images as the network sees them, and how many of those to be shown cannot be read any more."""
    table = pd.DataFrame(
        {
            "path": predictions["path"],
            "group": predictions.get("group", ""),
            "part": NEW,
            "label": "",
            "predicted": predictions["predicted"].fillna("").astype(str),
            "confidence": predictions.get("confidence", np.nan),
            "set": predictions.get("set", ""),
            "flag": predictions["flag"],
        }
    )
    rows = shown_rows(table)
    boxes = (
        predictions[["x", "y", "w", "h"]].astype(int).to_numpy().tolist()
        if "x" in predictions.columns
        else None
    )
    every = [
        Picture(name, path_of(name), None if boxes is None else tuple(boxes[row]))
        for row, name in enumerate(map(str, table["path"]))
    ]
    there_all = [one for one in every if one.path is not None and one.path.is_file()]
    network, _, _ = model.network().framed_for(there_all, bits=bits)  # as when they were predicted
    pictures = [every[row] for row in rows]
    there = [place for place, one in enumerate(pictures) if one.path is not None and one.path.is_file()]
    read = Read([pictures[place] for place in there], network.size, network.framing.build(), bits)
    good = [number for number in range(len(there)) if number not in read.reasons]
    pixels = torch.from_numpy(read.pixels[good]).permute(0, 3, 1, 2).contiguous()
    chosen = table.iloc[[rows[there[number]] for number in good]].reset_index(drop=True)
    embeddings = embedded(model, pixels) if len(pixels) else None
    return Cells(chosen, pixels, embeddings), len(rows) - len(good)


def _together(parts: Sequence[Cells], side: int) -> Cells | None:
    """Several parts as one, with pictures of one size."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return None
    pixels, embeddings = [], []
    for part in kept:
        assert part.pixels is not None
        assert part.embeddings is not None
        pixels.append(
            part.pixels
            if part.pixels.shape[-1] == side
            else resize(part.pixels, [side, side], antialias=True)
        )
        embeddings.append(part.embeddings)
    tables = pd.concat([part.table for part in kept], ignore_index=True)
    return Cells(tables, torch.cat(pixels), torch.cat(embeddings))
