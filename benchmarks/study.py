"""What every study here shares: its command line, its files, its tables and figures."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from cellda import Recipe
from cellda.ablation import Ablation
from cellda.evaluation.costs import FILE as COSTS_FILE
from cellda.evaluation.costs import costs_of, with_costs
from cellda.evaluation.predictions import write_predictions
from cellda.reporting.bench import CHOICES, with_best
from cellda.reporting.catalogue import FIGURES, TABLES
from cellda.reporting.figures import save_figure
from cellda.reporting.tables import scores

RESULTS = Path(__file__).parent / "results"
DPI = 110


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Folder of its results.
        recipes: Condition -> recipe, in the order of tables; draw, seed and protocol are set from the fields
            below.
        targets: Targets, by name.
        main: Condition that the others are compared with, and the one shown where only one is.
        draws, seeds, protocols: What is run unless the command line says otherwise.
        tables, figures: Names in `cellda.reporting.catalogue`; each is made for every protocol.
        cap: The most images that an adaptation may send through the backbone; None sets no limit.
        oracle: Whether recipes may choose by query labels, as upper bounds.
        best: Whether the condition that was best on the other targets is reported as a condition of its own.
    """

    name: str
    recipes: Mapping[str, Recipe]
    targets: tuple[str, ...]
    main: str
    draws: tuple[int, ...] = (0, 1, 2)
    seeds: tuple[int, ...] = (0,)
    protocols: tuple[str, ...] = ("clean",)
    tables: tuple[str, ...] = ("summary", "conditions", "comparison")
    figures: tuple[str, ...] = ()
    cap: int | None = None
    oracle: bool = False
    best: bool = False


def main(study: Study) -> None:
    """Run the study, or the part that the command line names, and report it into its results folder.

    Finished runs lie in the store: parts can be run over several sittings with `--only-run`, and a last call
    without it, which finds them all, reports them together.
    """
    parser = argparse.ArgumentParser(description=study.name)
    parser.add_argument(
        "--data", type=Path, default=None, help="folder that holds one folder per dataset name"
    )
    parser.add_argument(
        "--store", type=Path, default=None, help="where runs lie (default: the user's cache folder)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS / study.name, help="folder of the results")
    parser.add_argument("--draws", type=int, nargs="+", default=study.draws, help="which draws")
    parser.add_argument("--seeds", type=int, nargs="+", default=study.seeds, help="which source seeds")
    parser.add_argument("--protocol", nargs="+", default=study.protocols, choices=study.protocols)
    parser.add_argument("--targets", nargs="+", default=study.targets, help="which targets")
    parser.add_argument(
        "--conditions", nargs="+", default=list(study.recipes), choices=study.recipes, metavar="CONDITION"
    )
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    given = parser.parse_args()
    parts, trials, costs, choices = {}, [], [], []
    for protocol in given.protocol:
        recipes = {name: study.recipes[name].with_(protocol=protocol) for name in given.conditions}
        study_runs = Ablation(
            recipes, given.targets, given.draws, given.seeds, cap=study.cap, oracle=study.oracle
        )
        predictions = study_runs.run(given.data, store=given.store)
        records = study_runs.records(given.data, store=given.store)
        runs = costs_of(records)
        trials += search_trials(records)
        if study.best:
            predictions, runs, choice = with_best(predictions, runs)
            choices.append(choice)
        costs.append(runs)
        parts[protocol] = with_costs(predictions, runs)
    if not given.only_run:
        report(study, parts, given.results)
        pd.concat(costs).to_csv(given.results / COSTS_FILE, index=False, float_format="%.4g")
        if choices:
            pd.concat(choices).to_csv(given.results / CHOICES, index=False)
        if trials:
            pd.DataFrame(trials).to_csv(given.results / "trials.csv", index=False, float_format="%.4f")


def search_trials(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a trial of all searches that finished runs have made, chosen or not."""
    rows = []
    for record in records:
        complete = [trial for trial in record["trials"] if trial["state"] == "complete"]
        chosen = max(complete, key=lambda trial: trial["score"], default=None)
        rows += [
            {
                "condition": record["condition"],
                "target": record["target"],
                "draw": record["draw"],
                "seed": record["seed"],
                "protocol": record["protocol"],
                **{name: value for name, value in trial.items() if name != "values"},
                "chosen": trial is chosen,
                **trial["values"],
            }
            for trial in record["trials"]
        ]
    return rows


def report(study: Study, parts: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write predictions (by protocol) and what is computed from them, and print the tables.

    Files: `predictions.parquet` (or one a protocol, `predictions_clean.parquet`, where the study has several),
    `scores.csv`, `tables.md`, and a png a figure. What runs cost and what `best` chose lies beside them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    console, texts, measured = Console(), [], []
    for protocol, predictions in parts.items():
        suffix = f"_{protocol}" if len(study.protocols) > 1 else ""
        write_predictions(predictions, folder / f"predictions{suffix}.parquet")
        measured.append(scores(predictions))
        for name in study.tables:
            table = TABLES[name](predictions, study.main)
            console.print(table)
            texts.append(table.to_markdown())
        for name in study.figures:
            save_figure(FIGURES[name](predictions, study.main), folder / f"{name}{suffix}.png", DPI)
    pd.concat(measured).to_csv(folder / "scores.csv", index=False, float_format="%.4f")
    (folder / "tables.md").write_text("\n".join(texts), encoding="utf-8")
