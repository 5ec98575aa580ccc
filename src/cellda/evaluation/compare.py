"""Comparisons of conditions: paired scores, Wilcoxon signed-rank tests, effect sizes, Holm's correction."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata, wilcoxon

from cellda.errors import ConfigurationError, nearest
from cellda.evaluation.predictions import single
from cellda.text import counted

Floats = npt.NDArray[np.float64]

RUN_OF_CONDITION = ("target", "draw", "seed")
"""Columns that name a run of one condition under one protocol."""

UNIT = ("target", "draw")
"""Columns that name a pair of scores: source seeds are repetitions of one draw, and are averaged first."""

_PER_IMAGE = (
    "per image, as the paper did it: images of one group, and one image in several draws, are not "
    "independent; this p value is too small"
)


class Comparison(BaseModel):
    """One condition against the baseline.

    Attributes:
        condition: The condition.
        baseline: The condition it is compared with.
        measure: The measure that is compared.
        protocol: The protocol of both.
        pairs: Number of pairs.
        mean_difference: Mean of condition minus baseline.
        statistic: Wilcoxon's signed-rank statistic, the smaller of the two rank sums.
        p_value: Two-sided; 1 when no pair differs, NaN when there is only one pair.
        p_holm: `p_value` after Holm's correction within the family of comparisons with this baseline.
        effect_size: Matched-pairs rank-biserial correlation in [-1, 1] (Kerby 2014); positive where the
            condition is better, 0 when no pair differs.
        independent: Whether pairs count as independent; false for the per-image test.
        note: What to know when reading the p value; may be empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    condition: str
    baseline: str
    measure: str
    protocol: str
    pairs: int
    mean_difference: float
    statistic: float
    p_value: float
    p_holm: float
    effect_size: float
    independent: bool
    note: str


def compare(scores: pd.DataFrame, baseline: str, measure: str = "accuracy") -> list[Comparison]:
    """Compare every condition with a baseline over the (target, draw) pairs both have.

    Runs of one draw from several source seeds share their support and query, so their scores are averaged (over
    the seeds both conditions have) and count once. Draws of one target share images, and all draws of a seed
    their source model, so these pairs are not fully independent either; use several targets and source seeds.

    Args:
        scores: One row per run, as returned by `cellda.reporting.tables.conditions.scores`.
        baseline: The condition the others are compared with.
        measure: The column to compare.

    Raises:
        ConfigurationError: If the baseline or measure is unknown, protocols are mixed, or there are no pairs.
    """
    if measure not in scores.columns:
        raise ConfigurationError(
            f"Scores have no measure '{measure}'; {nearest(measure, map(str, scores.columns))}"
        )
    return _family(scores, list(RUN_OF_CONDITION), list(UNIT), baseline, measure, independent=True)


def compare_per_image(predictions: pd.DataFrame, baseline: str) -> list[Comparison]:
    """Compare every condition with a baseline image by image: right (1) or wrong (0).

    This is how the paper tested. It is marked `independent=False`: images of one photograph, smear or patient
    are correlated, so its p values are too small. Report it alongside `compare`, never instead of it.

    Args:
        predictions: A prediction table of one protocol.
        baseline: The condition the others are compared with.

    Raises:
        ConfigurationError: If the baseline is unknown, protocols are mixed, or there are no pairs.
    """
    right = (predictions["label"] == predictions["predicted"]).astype(float)
    image = [*RUN_OF_CONDITION, "path"]
    return _family(predictions.assign(correct=right), image, image, baseline, "correct", independent=False)


def across_draws(scores: pd.DataFrame, measure: str = "accuracy") -> pd.DataFrame:
    """Mean, standard deviation and every value of a measure over the runs of each condition on each target.

    Returns:
        Columns `condition, target, protocol, mean, sd, runs, values`, in order of appearance; `sd` is the
        sample standard deviation, NaN for a single run; `values` are ordered by draw, then seed.
    """
    ordered = scores.sort_values(["draw", "seed"], kind="stable")
    grouped = ordered.groupby(["condition", "target", "protocol"], sort=False)[measure]
    table = grouped.agg(mean="mean", sd="std", runs="size", values=tuple)
    seen = scores[["condition", "target", "protocol"]].drop_duplicates()
    return seen.merge(table.reset_index(), how="left", on=["condition", "target", "protocol"])


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's step-down correction (Holm 1979); NaN values stay NaN and do not count."""
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full_like(p, np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    stepped = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected


def rank_biserial(differences: Floats) -> float:
    """Matched-pairs rank-biserial correlation: (W+ - W-) / (W+ + W-) over the nonzero differences."""
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 0.0
    ranks = rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def _family(
    table: pd.DataFrame, key: list[str], unit: list[str], baseline: str, measure: str, independent: bool
) -> list[Comparison]:
    """Every condition against the baseline: values are named by `key`, and paired by their means over `unit`."""
    protocol = single(table, "protocol")
    conditions: list[str] = list(dict.fromkeys(table["condition"].astype(str)))
    if baseline not in conditions:
        raise ConfigurationError(
            f"There is no condition '{baseline}' to compare with; {nearest(baseline, conditions)}"
        )
    twice = table[table.duplicated(["condition", *key])]
    if not twice.empty:
        first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in ["condition", *key])
        raise ConfigurationError(
            f"{counted(len(twice), 'score(s) (is|are)')} given twice, the first for {first}; give each run once."
        )
    wide = table.set_index([*key, "condition"])[measure].unstack("condition")  # noqa: PD010 - one value each

    def both(condition: str) -> pd.DataFrame:
        shared = wide[[condition, baseline]].dropna()
        return shared if unit == key else shared.groupby(level=unit, sort=False).mean()

    tests = [
        _test(condition, baseline, measure, protocol, both(condition), independent)
        for condition in conditions
        if condition != baseline
    ]
    return [
        test.model_copy(update={"p_holm": float(p)})
        for test, p in zip(tests, holm([test.p_value for test in tests]), strict=True)
    ]


def _test(
    condition: str, baseline: str, measure: str, protocol: str, both: pd.DataFrame, independent: bool
) -> Comparison:
    if both.empty:
        raise ConfigurationError(
            f"'{condition}' and '{baseline}' share no run to compare them on; run both on the same targets, "
            "draws and seeds."
        )
    # Rounded, so that equal differences of shares tie although they differ in the last bit.
    differences = np.round((both[condition] - both[baseline]).to_numpy(dtype=np.float64), 12)
    moved = int(np.count_nonzero(differences))
    notes = [] if independent else [_PER_IMAGE]
    if moved == 0:
        statistic, p = 0.0, 1.0
        notes.append("no pair differs")
    elif len(differences) == 1:
        statistic, p = 0.0, float("nan")
        notes.append("one pair only: nothing to test")
    else:
        # Zeros are dropped beforehand (Wilcoxon's own rule), which keeps the exact test for few pairs.
        statistic, p = map(float, wilcoxon(differences[differences != 0]))
        if moved < 6:
            notes.append(
                f"with {counted(moved, 'differing pair(s)')} p cannot fall below {2.0 ** (1 - moved):.3g}"
            )
    return Comparison(
        condition=condition,
        baseline=baseline,
        measure=measure,
        protocol=protocol,
        pairs=len(differences),
        mean_difference=float(differences.mean()),
        statistic=statistic,
        p_value=p,
        p_holm=p,
        effect_size=rank_biserial(differences),
        independent=independent,
        note="; ".join(notes),
    )
