"""The tables and figures available by name, shared by `cellda table`, `cellda figure` and the studies.

Each is a function of a prediction table of one protocol (with the costs of its runs as added columns where they are known)
and of the main condition: the one that others are compared with, or the only one shown. `cellda list` shows its docstring.
pandas, torch and matplotlib are imported when one is made, not when they are listed.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from cellda.errors import UnknownNameError, nearest
from cellda.presets import OURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cellda.reporting.tables.text_table import TextTable

Made = TypeVar("Made")


def summary(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Means over targets with 95 % intervals, one row per condition."""
    from cellda.reporting.tables.conditions import summary_table

    return summary_table(predictions)


def conditions(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Accuracy by condition and target, mean ± standard deviation; Raabin also without basophils."""
    from cellda.reporting.tables.conditions import condition_table

    return condition_table(predictions)


def comparison(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """Wilcoxon tests against the main condition over paired runs, with Holm's correction."""
    from cellda.evaluation.compare import compare
    from cellda.reporting.tables.conditions import comparison_table, scores

    return comparison_table(compare(scores(predictions, resamples=0), main))


def comparison_balanced(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """The same tests on balanced accuracy."""
    from cellda.evaluation.compare import compare
    from cellda.reporting.tables.conditions import comparison_table, scores

    return comparison_table(compare(scores(predictions, resamples=0), main, "balanced_accuracy"))


def comparison_per_image(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """The tests image by image, as in the paper's Table 5; the p values are too small."""
    from cellda.evaluation.compare import compare_per_image
    from cellda.reporting.tables.conditions import comparison_table

    return comparison_table(compare_per_image(predictions, main))


def leaderboard(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Conditions by mean rank, with intervals, wins, labels and seconds; bounds below."""
    from cellda.reporting.tables.leaderboard import leaderboard_table

    return leaderboard_table(predictions)


def leaderboard_without_labels(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """The leaderboard of the conditions that used no target label."""
    from cellda.reporting.tables.leaderboard import leaderboard_without_labels as made

    return made(predictions)


def paper_means(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Table 5: conditions, averaged over targets; ours, paper, difference."""
    from cellda.reporting.paper.tables import paper_means_table

    return paper_means_table(predictions)


def paper_targets(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Table C.1: conditions on every target; ours, paper, difference."""
    from cellda.reporting.paper.tables import paper_targets_table

    return paper_targets_table(predictions)


def per_class(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """Table 4: precision and recall of every class; ours, paper, difference."""
    from cellda.reporting.paper.tables import per_class_table

    return per_class_table(predictions, main)


def stages(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """Stages of maturation between true and predicted class, by condition and target."""
    from cellda.reporting.tables.stages_and_others import stages_table

    return stages_table(predictions)


def rejection(predictions: "pd.DataFrame", _: str) -> "TextTable":
    """How well cells of no class (`other`) are told from the others, by condition and target."""
    from cellda.reporting.tables.stages_and_others import rejection_table

    return rejection_table(predictions)


def sample_size(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """Fig. D.1 as a table: accuracy by number of labelled cells."""
    from cellda.evaluation.sample_size import with_sizes
    from cellda.reporting.tables.conditions import condition_table

    return condition_table(with_sizes(predictions, main))


def sample_size_per_class(predictions: "pd.DataFrame", main: str) -> "TextTable":
    """Figs. D.2 and D.3 as a table: precision and recall of every class by number of labelled cells."""
    from cellda.reporting.paper.tables import class_size_table

    return class_size_table(predictions, main)


def bars(predictions: "pd.DataFrame", _: str) -> "Figure":
    """Table C.1 as bars: accuracy by condition and target, one dot per run."""
    from cellda.reporting.figures import condition_bars
    from cellda.reporting.tables.conditions import scores

    return condition_bars(scores(predictions, resamples=0))


def critical_difference(predictions: "pd.DataFrame", _: str) -> "Figure":
    """Mean ranks of conditions; bars join those that do not differ (Nemenyi)."""
    from cellda.reporting.rank_figures import critical_difference_diagram
    from cellda.reporting.tables.leaderboard import ranking

    return critical_difference_diagram(ranking(predictions))


def accuracy(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. 6: accuracy by target with 95 % intervals, next to the paper's."""
    from cellda.reporting.paper.bars import accuracy_bars

    return accuracy_bars(predictions, main)


def pr(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. 7: precision against recall, one curve per target."""
    from cellda.reporting.paper.figures import precision_recall

    return precision_recall(predictions, main)


def pr_per_class(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. B.1: precision against recall, one panel per target, one curve per class."""
    from cellda.reporting.paper.figures import precision_recall_per_class

    return precision_recall_per_class(predictions, main)


def accuracy_by_size(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. D.1: accuracy by number of labelled cells, one line per target."""
    from cellda.reporting.paper.figures import accuracy_by_size as draw

    return draw(predictions, main)


def precision_by_size(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. D.2: precision of every class by number of labelled cells."""
    from cellda.reporting.paper.figures import class_rates_by_size

    return class_rates_by_size(predictions, main, "precision")


def recall_by_size(predictions: "pd.DataFrame", main: str) -> "Figure":
    """Fig. D.3: recall of every class by number of labelled cells."""
    from cellda.reporting.paper.figures import class_rates_by_size

    return class_rates_by_size(predictions, main, "recall")


TABLES: "Mapping[str, Callable[[pd.DataFrame, str], TextTable]]" = {
    one.__name__: one
    for one in (
        summary,
        conditions,
        comparison,
        comparison_balanced,
        comparison_per_image,
        leaderboard,
        leaderboard_without_labels,
        paper_means,
        paper_targets,
        per_class,
        stages,
        rejection,
        sample_size,
        sample_size_per_class,
    )
}
"""Tables by name."""

FIGURES: "Mapping[str, Callable[[pd.DataFrame, str], Figure]]" = {
    one.__name__: one
    for one in (
        bars,
        critical_difference,
        accuracy,
        pr,
        pr_per_class,
        accuracy_by_size,
        precision_by_size,
        recall_by_size,
    )
}
"""Figures by name."""


def main_condition(predictions: "pd.DataFrame") -> str:
    """The condition that others are compared with if nobody says which: the only one there is, or the full workflow.

    Of a study of sizes (`our_workflow@n=30`, `our_workflow@n=60`, ...) it is their common name.
    """
    names = {str(name).partition("@n=")[0] for name in predictions["condition"].unique()}
    return names.pop() if len(names) == 1 else OURS


def named(
    name: str, makers: "Mapping[str, Callable[[pd.DataFrame, str], Made]]", noun: str
) -> "Callable[[pd.DataFrame, str], Made]":
    """The table or figure with this name.

    Raises:
        UnknownNameError: If the name is unknown; the message suggests similar names.
    """
    if name not in makers:
        raise UnknownNameError(f"There is no {noun} '{name}'; {nearest(name, makers)}")
    return makers[name]


def summaries(makers: Mapping[str, object]) -> dict[str, str]:
    """What each table or figure shows, in one line."""
    return {name: str(maker.__doc__) for name, maker in makers.items()}
