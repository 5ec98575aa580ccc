"""Differential counts as tables for people."""

import pandas as pd

from cellda.reporting.tables.text_table import TextTable
from cellda.text import agreeing, counted

FEWEST = 10
"""Groups of fewer cells have no table of their own."""


def count_tables(found: pd.DataFrame) -> list[TextTable]:
    """One table for all cells, and one for each group of at least `FEWEST` cells.

    Args:
        found: What `cellda.evaluation.counts.by_group` returns.
    """
    return [
        TextTable(
            f"{group or 'all'}: {counted(int(rows['cells'].sum()), 'cell(s)')}",
            ("class", "cells", "counted", "95 % interval"),
            tuple(
                (
                    str(row["class"]),
                    f"{row['cells']}",
                    f"{row['raw']:.1%}",
                    f"{row['low']:.1%} to {row['high']:.1%}",
                )
                for _, row in rows.iterrows()
            ),
        )
        for group, rows in _groups(found).items()
        if not group or rows["cells"].sum() >= FEWEST
    ]


def not_shown(found: pd.DataFrame) -> str:
    """What is said of groups that have no table; empty if all have one."""
    small = [group for group, rows in _groups(found).items() if group and rows["cells"].sum() < FEWEST]
    if not small:
        return ""
    own = agreeing(len(small), "(its|their)")
    return (
        f"{counted(len(small), 'group(s) (has|have)')} fewer than {FEWEST} cells, and no table of {own} own."
    )


def _groups(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(name): rows for name, rows in found.groupby("group", sort=False)}
