"""The tables of `docs/speed.md`, from the stored measurements: `python -m benchmarks.speed.report`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS
from cellda.reporting.tables.text_table import TextTable

FOLDER = RESULTS / "speed"

CONTESTS = {
    "reinhard_lalphabeta": "Reinhard l-alpha-beta, 64 images at 224 px",
    "reinhard_lab": "Reinhard CIELAB, 64 images at 224 px",
    "source_training": "source training as in the paper, Barcelona",
    "source_training_default": "source training by default (BatchNorm statistics frozen)",
    "adaptation": "adaptation, 100 cells",
    "head_only": "`head_only`, 50 epochs, 100 cells",
    "search": "search, 8 trials x 3 folds, 100 cells, a tenth of the epochs",
    "ablation": "six conditions x 4 targets x 5 draws, synthetic cells, 48 px",
    "prediction": "prediction of a folder of jpgs",
}


def main(given: Sequence[str] | None = None) -> None:
    """Write `table.md` and `floor.md` next to the measurements, and print them."""
    command_line(__doc__).parse_args(given)
    tables = {
        "table": [_contests(), _start()],
        "floor": [_floor()],
        "growth": [_growth()],
        "operations": [_operations()],
    }
    for name, parts in tables.items():
        text = "\n".join(part.to_markdown() for part in parts)
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        for part in parts:
            Console().print(part)


def _contests() -> TextTable:
    rows = []
    machines = set()
    for name, title in CONTESTS.items():
        for row in _rows(name):
            asked = "-" if pd.isna(row.asked) else f"{row.asked:g}"
            rate = f"{row.images / row.ours_seconds:.0f}" if row.images else "-"
            ratio = f"{row.ratio:.3g}"
            cells = (title, str(row.peer), ratio, asked)
            met = "-" if pd.isna(row.asked) else "yes" if row.ratio >= row.asked else "no"
            seconds = (f"{row.ours_seconds:.3g} s", f"{row.peer_seconds:.3g} s")
            rows.append((*cells, met, rate, *seconds, str(row.rounds)))
            machines.add(f"{row.machine}, {row.threads} threads")
    return TextTable(
        "How many times faster than its peers",
        ("what", "compared with", "times faster", "asked", "met", "images/s", "cellda", "peer", "repeats"),
        rows,
        ["Medians of repeats in turn, in one process; " + "; ".join(sorted(machines)) + "."],
        names=2,
    )


def _start() -> TextTable:
    rows = [
        (str(row.what), f"{row.seconds:.2f} s", _cell(row.asked) + " s")
        for row in _rows("start")
        if row.asked > 0
    ]
    return TextTable("Start", ("command", "median", "asked"), rows)


def _floor() -> TextTable:
    rows = []
    for row in _rows("floor"):
        shares = [getattr(row, f"share_{part}") for part in ("prepare", "forward", "backward", "optimizer")]
        floors = (f"{row.floor_ms_flops:.1f}", f"{row.floor_ms_bytes:.1f}")
        rows.append(
            (row.what, f"{row.ms_per_image:.1f}", *floors, *(f"{100 * share:.0f} %" for share in shares))
        )
    first = _rows("floor")[0]
    return TextTable(
        "Milliseconds per image, the floors, and where the time goes",
        ("what", "measured", "floor: FLOPs", "floor: bytes", "prepare", "forward", "backward", "optimizer"),
        rows,
        [
            f"{first.matmul_gflop_per_second:.0f} GFLOP/s in matrix products, {first.copy_gb_per_second:.0f} GB/s in copies; "
            f"{first.machine}."
        ],
    )


def _operations() -> TextTable:
    parts: dict[str, list[str]] = {}
    for row in _rows("operations"):
        name = row.operation.removeprefix("aten::").strip("_")
        parts.setdefault(row.what, []).append(f"{name} {100 * row.share:.0f} %")
    rows = [(what, ", ".join(shares[:6])) for what, shares in parts.items()]
    return TextTable(
        "Operations with the largest share of the processor's time", ("what", "operations"), rows
    )


def _growth() -> TextTable:
    table = pd.read_csv(FOLDER / "growth.csv")
    shown = [name for name in table.columns if name not in ("threads", "machine")]
    rows = [tuple(_cell(value) for value in row) for row in table[shown].itertuples(index=False)]
    return TextTable("How cost grows", shown, rows)


def _rows(name: str) -> list[Any]:
    """Rows of one measurement, columns as attributes."""
    return list(pd.read_csv(FOLDER / f"{name}.csv").itertuples())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if pd.isna(value) else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    command(main)
