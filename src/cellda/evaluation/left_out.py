"""Over how many of its classes the averages of a target go, and which classes they leave out."""

import pandas as pd

from cellda.evaluation.predictions import RUN
from cellda.evaluation.rates import MIN_CELLS


def left_out_lines(predictions: pd.DataFrame) -> list[str]:
    """One line for each target with classes that the averages of some run leave out; none where all are averaged.

    Args:
        predictions: A prediction table.
    """
    lines = []
    for target, rows in predictions.groupby("target", sort=True):
        cells = rows.groupby([*RUN, "label"]).size().groupby("label").min()
        few = cells[cells < MIN_CELLS]
        if len(few):
            named = ", ".join(f"{name} ({count})" for name, count in few.items())
            lines.append(
                f"{target}: averages (balanced, macro) are over {len(cells) - len(few)} of {len(cells)} classes; left out, "
                f"with fewer than {MIN_CELLS} query cells in a run: {named}."
            )
    return lines
