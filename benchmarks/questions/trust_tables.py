"""What a person is told, against what is true (`benchmarks/results/trust/*.csv`), from stored predictions.

    python -m benchmarks.questions.trust_tables

Of every run in `predictions.parquet` and `cross_validation.parquet` (`trust.py`): `calibration.csv`, expected calibration
error and accuracy of the query, as the model is and calibrated on its labelled cells; and of the preset `best_without_labels`
(from `pooled_without_labels`), calibrated by the confidence of the network before. `coverage.csv`: sets of classes, coverage
promised against coverage kept, on the query as it is and on slides of other compositions. `abstention.csv`: error rate
promised against that of the decided cells, and how many cells are left for a person. `counts.csv`: slides of 100 to 1,000
cells of other compositions, drawn from the query: how often the 95 % interval of a class holds its share, and how far raw and
corrected shares are from it. `summary.csv`: the means of all of them. Query labels are used only to see what was kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.common.halves import NATURAL
from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from benchmarks.questions.trust import FREE, OUT
from cellda.evaluation import abstention
from cellda.evaluation.calibration import Calibration, fitted
from cellda.evaluation.calibration_kinds import Kind
from cellda.evaluation.conformal import Sets, kept
from cellda.evaluation.counts import Confusion, differential
from cellda.evaluation.metrics import expected_calibration_error
from cellda.evaluation.predictions import class_indices, classes_of, probabilities, read_predictions
from cellda.evaluation.rates import MIN_CELLS

RUN = ["condition", "target", "draw", "seed"]
KINDS: tuple[Kind, ...] = ("none", "temperature", "classwise")
SLIDES = 8
SIZES = (100, 1000)


def runs(folder: Path) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """The facts of each run, the predictions of its query, and those of its labelled cells."""
    query = read_predictions(folder / "predictions.parquet")
    held = dict(list(read_predictions(folder / "cross_validation.parquet").groupby(RUN)))
    for key, rows in query.groupby(RUN):
        yield dict(zip(RUN, key, strict=True)), rows, held[key]


def calibration_of(held: pd.DataFrame, kind: Kind) -> Calibration:
    """The calibration that labelled cells give."""
    return fitted(probabilities(held), class_indices(held), kind)


def accuracy(rows: pd.DataFrame) -> float:
    """Share of the cells that are right."""
    return float((rows["label"] == rows["predicted"]).mean())


def calibrations(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for each run and kind of calibration."""
    for facts, rows, held in runs(folder):
        for kind in KINDS:
            how = calibration_of(held, kind)
            after = how.of(rows)
            yield {
                **facts,
                "labelled": len(held),
                "kind": kind,
                "temperature": how.temperature,
                "ece": expected_calibration_error(after),
                "accuracy": accuracy(after),
                "accuracy_told": accuracy(how.of(held)),
            }
    before = read_predictions(RESULTS / "pooled_without_labels" / "predictions.parquet")
    before = before[(before["condition"] == "lame_20+tta@cell") & (before["seed"] == 0)]
    for kind, stored in (("none", before), ("temperature", read_predictions(folder / f"{FREE}.parquet"))):
        for key, rows in stored.groupby(["target", "draw", "seed"]):
            yield {
                "condition": FREE,
                **dict(zip(RUN[1:], key, strict=True)),
                "labelled": 0,
                "kind": kind,
                "ece": expected_calibration_error(rows),
                "accuracy": accuracy(rows),
            }


def coverages(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for each run and promised coverage."""
    for facts, rows, held in runs(folder):
        how = calibration_of(held, "temperature")
        rows, held = how.of(rows), how.of(held)
        labels = class_indices(rows)
        for promised in (0.8, 0.9, 0.95):
            sets = Sets.fitted(held, promised)
            inside = sets.of(probabilities(rows))
            holds = kept(rows, inside)
            by_class = np.array([holds[labels == one].mean() for one in np.unique(labels)])
            slides = [float(by_class @ shares) for shares in compositions(len(by_class), facts["draw"])]
            yield {
                **facts,
                "labelled": len(held),
                "promised": promised,
                "kept": float(holds.mean()),
                "kept_on_other_compositions": float(np.mean(slides)),
                "worst_composition_of_20": float(np.quantile(slides, 0.05)),
                "worst_class": float(by_class.min()),
                "classes_in_a_set": float(inside.sum(1).mean()),
                "sets_of_one": float((inside.sum(1) == 1).mean()),
                "shared_thresholds": len(sets.shared),
            }


def abstentions(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for each run, promised error rate and way of keeping it."""
    for facts, rows, held in runs(folder):
        how = calibration_of(held, "temperature")
        rows, held = how.of(rows), how.of(held)
        right = (rows["label"] == rows["predicted"]).to_numpy(dtype=bool)
        found = probabilities(rows)
        for promised in (0.01, 0.02, 0.05, 0.1):
            least = abstention.threshold(held, promised)
            ways = {
                "by_confidence": abstention.by_confidence(found, promised),
                "by_labelled_cells": np.zeros(len(rows), bool) if least is None else found.max(1) >= least,
            }
            for way, decided in ways.items():
                yield {
                    **facts,
                    "labelled": len(held),
                    "promised": promised,
                    "way": way,
                    "error": float((~right[decided]).mean()) if decided.any() else np.nan,
                    "left_for_a_person": float((~decided).mean()),
                    "error_of_all": float((~right).mean()),
                    "area": abstention.area(rows),
                }


def compositions(number: int, seed: int) -> npt.NDArray[np.float64]:
    """Shares of so many classes on `SLIDES` slides, from one class alone to all alike `(SLIDES, number)`."""
    return np.random.default_rng(seed).dirichlet(np.ones(number), SLIDES)


def counted(rows: pd.DataFrame, held: pd.DataFrame, draw: int) -> Iterator[dict[str, Any]]:
    """Slides of other compositions, counted: one row for each number of cells, kind of composition and class.

    Args:
        rows: Predictions of the query, from which slides are drawn.
        held: Predictions of the labelled cells, by cross-validation.
        draw: Seed.
    """
    how = calibration_of(held, "temperature")
    rows, held = how.of(rows), how.of(held)
    classes, confusion = classes_of(rows), Confusion.of(held)
    told = pd.DataFrame({"predicted": rows["predicted"], "confidence": probabilities(rows).max(1)})
    parts = {str(name): part for name, part in told.groupby(rows["label"])}
    cells = {name: part for name, part in parts.items() if len(part) >= MIN_CELLS}
    names = [name for name in classes if name in cells]
    normal = np.array([NATURAL.get(name, 0.0) for name in names])
    for size in SIZES:
        rng = np.random.default_rng([draw, size])
        shares = compositions(len(names), draw)
        if (normal > 0).sum() > 1:  # a class alone is no composition
            shares = np.vstack([shares, [normal / normal.sum()] * (SLIDES // 2)])
        measured = []
        for place, true in enumerate(shares):
            numbers = rng.multinomial(size, true)
            drawn = [
                cells[name].iloc[rng.integers(len(cells[name]), size=number)]
                for name, number in zip(names, numbers, strict=True)
            ]
            slide = pd.concat(drawn, ignore_index=True)
            found = differential(slide, classes, confusion, place).set_index("class").loc[names]
            plain = differential(slide, classes, None, place).set_index("class").loc[names]
            measured.append(
                pd.DataFrame(
                    {
                        "compositions": "normal blood" if place >= SLIDES else "any",
                        "covered": (found["low"] <= true) & (true <= found["high"]),
                        "covered_raw": (plain["low"] <= true) & (true <= plain["high"]),
                        "width": found["high"] - found["low"],
                        "error": (found["share"] - true).abs(),
                        "error_raw": (found["raw"] - true).abs(),
                    }
                )
            )
        by_class = pd.concat(measured).astype({"covered": float, "covered_raw": float})
        for (kind, name), part in by_class.groupby(["compositions", by_class.index]):
            yield {
                "labelled": len(held),
                "counted": size,
                "compositions": kind,
                "class": name,
                **{str(what): value for what, value in part.drop(columns="compositions").mean().items()},
            }


def counts(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for each run, number of counted cells, kind of composition and class."""
    for facts, rows, held in runs(folder):
        for row in counted(rows, held, facts["draw"]):
            yield {**facts, **row}


def summary(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Means over targets, draws and seeds of every measure."""
    by = {
        "calibration": ["kind"],
        "coverage": ["promised"],
        "abstention": ["promised", "way"],
        "counts": ["compositions", "counted"],
    }
    parts = []
    for name, table in tables.items():
        keys = ["condition", *by[name]]
        numbers = table.drop(columns=["draw", "seed"]).groupby(keys).mean(numeric_only=True).reset_index()
        long = numbers.melt(keys, var_name="measure", value_name="mean")
        of = long[by[name]].astype(str).agg(" ".join, axis=1)
        parts.append(
            pd.DataFrame(
                {"table": name, "condition": long["condition"], "of": of, **long[["measure", "mean"]]}
            )
        )
    return pd.concat(parts, ignore_index=True)


MADE = {"calibration": calibrations, "coverage": coverages, "abstention": abstentions, "counts": counts}
"""Table -> its rows, from the folder of the predictions."""


def main() -> None:
    """Compute the tables from the stored predictions."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    parser.add_argument("--tables", nargs="+", default=list(MADE), choices=MADE, help="which tables")
    given = parser.parse_args()
    for name in given.tables:
        write_table(pd.DataFrame(MADE[name](given.out)), given.out / f"{name}.csv")
    files = {name: given.out / f"{name}.csv" for name in MADE}
    found = {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}
    write_table(summary(found), given.out / "summary.csv")


if __name__ == "__main__":
    command(main)
