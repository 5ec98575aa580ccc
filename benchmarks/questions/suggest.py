"""Which cells to label: suggesters against random draws (`benchmarks/results/suggest/`).

    python -m benchmarks.questions.suggest --data ~/wbc --store STORE

Source models are those of the released pool, each trained without its target (`benchmarks.studies.pooled` trains the same). A
draw halves the groups of the target as the protocol `clean` does. Every suggester chooses in the support half, and the query
half, whole, is measured: accuracy of a logistic regression on embeddings of the chosen cells. `rounds`: the suggester sees
labels after 10, 20 and 40 cells; `at_once`: it sees none, as in the first call of `cellda suggest`. `natural`: cells of
the support half of Raabin and BCCD are left out at random until classes are as frequent as in blood. Random draws are repeated
`REPEATS` times per half, and averaged. Query labels only measure.

Writes `draws.csv` (every draw), `summary.csv` (against as many random cells, and twice as many) and `choice.csv` (which
suggester the other three targets would choose). Takes minutes, once the source models are there.
`benchmarks.questions.suggest_adapted` measures the whole adaptation.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.halves import Halves, as_scores, halves_of
from benchmarks.common.options import command, command_line, on_targets
from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.results import RESULTS, write_table
from cellda.evaluation.bootstrap import interval
from cellda.evaluation.compare import compare
from cellda.experiment.workspace import Workspace
from cellda.suggestion import suggesters

STEPS = (10, 20, 40, 80)
"""Numbers of labels."""
RANDOM = "random"
REPEATS = 10
CHOSEN_AT = 40
"""Number of labels at which the default is chosen."""
RESAMPLES = 10_000
ASKED = ("pool", "way", "labels")
"""Columns that say among what, how and for how many cells a suggester was asked."""
UNBALANCED = ("raabin", "bccd")
"""Targets with cells enough for natural proportions."""


def sequences(halves: Halves, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row for each suggester, way of asking and number of labels of one draw."""
    pools = {"published": halves}
    if halves.key["target"] in UNBALANCED:
        pools["natural"] = halves.natural()
    for pool, half in pools.items():
        steps = [number for number in STEPS if number <= len(half.support.rows)]
        for name in names:
            suggester = suggesters.create(name)
            for seed in range(REPEATS) if name == RANDOM else [half.run.draw.draw]:
                rounds = half.chosen(suggester, steps, seed)
                for number in steps:
                    row = {"pool": pool, **half.key, "suggester": name, "seed": seed, "labels": number}
                    found = half.measured(rounds[:number])
                    yield {**row, "way": "rounds", **found}
                    if name != RANDOM and number > steps[0]:
                        found = half.measured(half.chosen(suggester, [number], seed))
                    yield {**row, "way": "at_once", **found}


def difference(scores: pd.DataFrame, baseline: str, measure: str) -> pd.DataFrame:
    """Every condition against a baseline: means over targets of means over draws, 95 % interval, Wilcoxon's p with Holm.

    For the interval, draws are resampled within every target; the targets stay as they are.

    Args:
        scores: Columns `condition, target, draw, seed, protocol` and the measure, one row per run.
        baseline: The condition that the others are compared with.
        measure: The column to compare.
    """
    wide = scores.pivot_table(index=["target", "draw"], columns="condition", values=measure)
    rows = []
    for test in compare(scores, baseline, measure):
        pairs = wide[[test.condition, baseline]].dropna()
        means = pairs.groupby("target").mean().mean()
        rng, gains = np.random.default_rng(0), pairs[test.condition] - pairs[baseline]
        resampled = [
            rng.choice(one.to_numpy(), (RESAMPLES, len(one))).mean(1) for _, one in gains.groupby("target")
        ]
        low, high = interval(np.mean(resampled, axis=0))
        rows.append(
            {
                "measure": measure,
                "condition": test.condition,
                "baseline": baseline,
                "mean": means[test.condition],
                "of_baseline": means[baseline],
                "difference": means[test.condition] - means[baseline],
                "low": float(low),
                "high": float(high),
                "pairs": test.pairs,
                "p": test.p_value,
                "p_holm": test.p_holm,
            }
        )
    return pd.DataFrame(rows)


def summary(draws: pd.DataFrame) -> pd.DataFrame:
    """Every suggester against as many random cells, and against twice as many."""
    tables = []
    for pool, way, number in draws[[*ASKED]].drop_duplicates().itertuples(index=False):
        part = draws[(draws["pool"] == pool) & (draws["way"] == way) & (draws["labels"] == number)]
        alike = draws[(draws["pool"] == pool) & (draws["way"] == way) & (draws["suggester"] == RANDOM)]
        every = part.groupby("suggester")["every_class_at"].agg(lambda at: at.notna().mean())
        for random in (number, 2 * number):
            baseline = f"{RANDOM}_{random}"
            drawn = alike[alike["labels"] == random].assign(condition=baseline)
            if drawn.empty:
                continue
            suggested = part[part["suggester"] != RANDOM]
            both = as_scores(pd.concat([suggested.assign(condition=suggested["suggester"]), drawn]))
            for measure in ("accuracy", "balanced_accuracy"):
                table = difference(both, baseline, measure)
                table["every_class"] = table["condition"].map(every)
                table["every_class_random"] = every[RANDOM]
                tables.append(table.assign(pool=pool, way=way, labels=number))
    found = pd.concat(tables, ignore_index=True)
    return found[[*ASKED, *found.columns.drop([*ASKED])]]


def choices(draws: pd.DataFrame, number: int = CHOSEN_AT) -> pd.DataFrame:
    """For every target, the suggester with the highest accuracy on the others, asked once; and how it does on this target."""
    asked = (draws["pool"] == "published") & (draws["way"] == "at_once") & (draws["labels"] == number)
    means = draws[asked].groupby(["suggester", "target"])["accuracy"].mean().unstack("target")  # noqa: PD010
    rows = []
    for target in means.columns:
        best = str(means.drop(columns=target).mean(axis=1).idxmax())
        rows.append(
            {
                "target": target,
                "chosen_elsewhere": best,
                "accuracy": means.loc[best, target],
                "random": means.loc[RANDOM, target],
            }
        )
    rows.append({"target": "all", "chosen_elsewhere": str(means.mean(axis=1).idxmax())})
    return pd.DataFrame(rows)


def main(given: Sequence[str] | None = None) -> None:
    """Run what the command line names, print and write."""
    parser = on_targets(command_line(__doc__), RESULTS / "suggest", TARGETS, draws=5)
    parser.add_argument(
        "--suggesters", nargs="+", default=suggesters.names(), choices=suggesters.names(), metavar="NAME"
    )
    chosen = parser.parse_args(given)
    names = list(dict.fromkeys([RANDOM, *chosen.suggesters]))
    workspace = Workspace(chosen.data, chosen.store)
    rows = [
        row
        for target in chosen.targets
        for halves in halves_of(POOLED, target, chosen.draws, workspace)
        for row in sequences(halves, names)
    ]
    draws = pd.DataFrame(rows)
    chosen.out.mkdir(parents=True, exist_ok=True)
    draws.to_csv(chosen.out / "draws.csv", index=False, float_format="%.4f")
    write_table(summary(draws), chosen.out / "summary.csv")
    if len(chosen.targets) > 1:
        write_table(choices(draws), chosen.out / "choice.csv")


if __name__ == "__main__":
    command(main)
