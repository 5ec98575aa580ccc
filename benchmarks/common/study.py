"""Code shared by all studies: the command line, the files, the tables and figures."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.common.datasets import names_of
from benchmarks.common.left_out import without
from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.results import RESULTS
from cellda import Recipe
from cellda.errors import ConfigurationError
from cellda.evaluation.costs import FILE as COSTS_FILE
from cellda.evaluation.costs import with_costs
from cellda.evaluation.predictions import RUN, classes_of, probability_columns, write_predictions
from cellda.experiment.record import RunRecord, costs_of
from cellda.experiment.study import Study
from cellda.experiment.workspace import Workspace
from cellda.reporting.catalogue import FIGURES, TABLES
from cellda.reporting.figures import save_figure
from cellda.reporting.leaderboard_files import CHOICES, with_best
from cellda.reporting.tables.conditions import scores

DPI = 110

GRID = 2**13
"""Stored probabilities are multiples of 1 / GRID: finer than any table shows, in half the space of full precision."""


@dataclass(frozen=True)
class StudyScript:
    """One study.

    Attributes:
        name: Folder of its results.
        recipes: Condition -> recipe, in the order of tables; draw, seed and protocol are set from the fields
            below.
        targets: Targets, by name.
        main: Condition that the others are compared with, or the only one shown.
        draws, seeds, protocols: What is run by default.
        tables, figures: Names in `cellda.reporting.catalogue`; each is made for every protocol.
        families: Groups of conditions, each compared with its first condition in a table of tests, for studies whose
            question is not how `main` compares with all others.
        cap: Maximum number of images that an adaptation may send through the backbone; None sets no limit.
        oracle: Whether recipes may choose values by query labels, as upper bounds.
        best: Whether the condition that was best on the other targets is reported as a condition of its own.
        n: Number of labelled cells of single targets, instead of the recipes'.
        leave_out: Whether each target is left out of the sources, which may then name all datasets.
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
    families: tuple[tuple[str, ...], ...] = ()
    cap: int | None = None
    oracle: bool = False
    best: bool = False
    n: Mapping[str, int] = field(default_factory=dict)
    leave_out: bool = False


def main(study: StudyScript, description: str | None = None, given: Sequence[str] | None = None) -> None:
    """Run the study, or the part that the command line names, and report it in its results folder.

    Finished runs stay in the store: run parts with `--only-run` over several sessions, then report all of them with a final
    call without it.

    Args:
        study: The study to run.
        description: Text of `--help`.
        given: Words of the command line; None takes those of the process.
    """
    command(lambda: run(study, options(study, description, given)))


def options(
    study: StudyScript, description: str | None = None, given: Sequence[str] | None = None
) -> argparse.Namespace:
    """The parsed command line."""
    parser = with_store(command_line(description))
    parser.add_argument("--data", type=Path, help="folder that holds one folder per dataset name")
    parser.add_argument("--results", type=Path, default=RESULTS / study.name, help="folder of the results")
    parser.add_argument("--draws", type=int, nargs="+", default=study.draws, help="which draws")
    parser.add_argument("--seeds", type=int, nargs="+", default=study.seeds, help="which source seeds")
    parser.add_argument("--protocol", nargs="+", default=study.protocols, choices=study.protocols)
    parser.add_argument(
        "--targets",
        nargs="+",
        default=study.targets,
        help=f"which targets; 'all': every dataset in --data except the sources (default: {' '.join(study.targets)})",
    )
    parser.add_argument("--sources", nargs="+", help="sources instead of the study's")
    parser.add_argument(
        "--backbone",
        choices=("study", "paper"),
        default="study",
        help="'paper': EfficientNet-B0 at 224 px with weights from timm (default: the study's)",
    )
    parser.add_argument(
        "--conditions", nargs="+", default=list(study.recipes), choices=study.recipes, metavar="CONDITION"
    )
    parser.add_argument(
        "--on", default="local", metavar="WHERE", help="local, processes:N, tcp://HOST:PORT or slurm:..."
    )
    parser.add_argument("--only-run", action="store_true", help="fill the store, write no results")
    return parser.parse_args(given)


def chosen_recipes(study: StudyScript, given: argparse.Namespace) -> dict[str, Recipe]:
    """The study's recipes by condition, with the sources and the backbone that the command line names."""
    edits: dict[str, Any] = {} if given.sources is None else {"sources": given.sources}
    if given.backbone == "paper":
        edits["backbone"] = Recipe().backbone.model_dump()
    return {name: study.recipes[name].with_(**edits) for name in given.conditions}


def chosen_targets(recipes: Mapping[str, Recipe], given: argparse.Namespace) -> list[str]:
    """The targets that the command line names; `all` means every dataset in `--data` except the sources of the recipes."""
    if list(given.targets) != ["all"]:
        return list(given.targets)
    sources = [source.name for recipe in recipes.values() for source in recipe.sources]
    return names_of(given.data, without=list(dict.fromkeys(sources)))


def run(study: StudyScript, given: argparse.Namespace) -> None:
    """Run what the command line names, and report it."""
    chosen = chosen_recipes(study, given)
    targets = chosen_targets(chosen, given)
    parts, trials, costs, choices = {}, [], [], []
    workspace = Workspace(given.data, given.store)
    for protocol in given.protocol:
        recipes = {name: recipe.with_(protocol=protocol) for name, recipe in chosen.items()}
        studies = [
            Study(
                own,
                names,
                given.draws,
                given.seeds,
                study.cap,
                n={name: number for name, number in study.n.items() if name in names},
                oracle=study.oracle,
                workspace=workspace,
            )
            for own, names in parts_of(study, recipes, targets)
        ]
        predictions = pd.concat([part.run(given.on) for part in studies], ignore_index=True)
        if given.only_run:
            continue
        records = [record for part in studies for record in part.records()]
        runs = costs_of(records)
        trials += search_trials(records)
        if study.best:
            predictions, runs, choice = with_best(predictions, runs)
            choices.append(choice)
        costs.append(runs)
        parts[protocol] = with_costs(predictions, runs)
    if not given.only_run:
        report(study, parts, given.results)
        pd.concat(costs).to_csv(given.results / COSTS_FILE, index=False)
        if choices:
            pd.concat(choices).to_csv(given.results / CHOICES, index=False)
        if trials:
            pd.DataFrame(trials).to_csv(given.results / "trials.csv", index=False, float_format="%.4g")


def parts_of(
    study: StudyScript, recipes: dict[str, Recipe], targets: Sequence[str]
) -> list[tuple[dict[str, Recipe], list[str]]]:
    """The recipes and the targets that go together: all, or one target with recipes whose sources lack it."""
    if not study.leave_out:
        return [(recipes, list(targets))]
    return [
        (
            {name: left for name, recipe in recipes.items() if (left := without(recipe, target)) is not None},
            [target],
        )
        for target in targets
    ]


def search_trials(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """One row per trial of all searches of finished runs, chosen or not."""
    rows = []
    for record in records:
        complete = [trial for trial in record.trials if trial.state == "complete" and trial.score is not None]
        chosen = max(complete, key=lambda trial: trial.score or 0, default=None)
        rows += [
            {
                **{name: getattr(record, name) for name in RUN},
                **trial.model_dump(exclude={"values"}),
                "chosen": trial is chosen,
                **trial.values,  # noqa: PD011 - of a search
            }
            for trial in record.trials
        ]
    return rows


def report(study: StudyScript, parts: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write predictions (by protocol) and what is computed from them, and print the tables.

    Files: `predictions.parquet` (or one per protocol, `predictions_clean.parquet`, where the study has several), `scores.csv`,
    the tables in `README.md`, and next to the folder `figures/<study>_<figure>.png`. A table or figure that these predictions
    do not allow, such as a comparison with the paper if it reports none of the targets, is left out with a line that says
    why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    console, texts, measured = Console(), [], []
    for protocol, predictions in parts.items():
        suffix = f"_{protocol}" if len(study.protocols) > 1 else ""
        columns = list(probability_columns(classes_of(predictions)))
        coarse = (predictions[columns] * GRID).round() / GRID
        predictions = predictions.assign(**coarse)
        write_predictions(predictions, folder / f"predictions{suffix}.parquet")
        measured.append(scores(predictions))
        asked = [(name, predictions, study.main) for name in study.tables]
        for family in study.families:
            inside = predictions["condition"].isin(family).to_numpy(dtype=bool)
            asked.append(("comparison", predictions[inside], family[0]))
        for name, rows, baseline in asked:
            with left_out(f"table {name}", protocol):
                table = TABLES[name](rows, baseline)
                console.print(table)
                texts.append(table.to_markdown())
        for name in study.figures:
            with left_out(f"figure {name}", protocol):
                file = folder.parent / "figures" / f"{folder.name}_{name}{suffix}.png"
                save_figure(FIGURES[name](predictions, study.main), file, DPI)
    pd.concat(measured).to_csv(folder / "scores.csv", index=False, float_format="%.4f")
    (folder / "README.md").write_text("\n".join(texts), encoding="utf-8")


@contextmanager
def left_out(what: str, protocol: str) -> Iterator[None]:
    """Say why a table or figure cannot be made, and continue with the next: the runs behind them took hours."""
    try:
        yield
    except ConfigurationError as error:
        Console(stderr=True).print(
            f"No {what}, protocol '{protocol}': {error}", markup=False, highlight=False
        )
