"""A report as a page: HTML that needs no other file and no network, or PDF."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from cellda.errors import ConfigurationError
from cellda.evaluation.metrics import measure
from cellda.models.explanation import Explanation, explanations
from cellda.report.charts import counts_chart, curves_chart, reliability_chart, risk_chart, svg
from cellda.report.content import LABELLED, Cells, Report
from cellda.report.embedding_map import FEWEST, NO_CLASS, embedding_map, projected, verdicts
from cellda.report.pictures import heated, sheet, small, uri
from cellda.report.static_map import static_map
from cellda.reporting.tables.counted import count_tables, not_shown
from cellda.reporting.tables.measured import confusion_table
from cellda.reporting.tables.text_table import TextTable
from cellda.runtime.place import written
from cellda.runtime.versions import versions

SUFFIXES = (".html", ".pdf")
NEAREST = 3
"""Labelled cells that are shown next to a cell."""
LOOKED_AT = 8
"""Cells of each kind that are explained."""
PRINTED = 60
"""Cells of the gallery in a PDF, where nothing can be filtered."""


def check_report(file: Path) -> None:
    """Refuse a file that a report cannot be written to.

    Raises:
        ConfigurationError: If its suffix is another, or WeasyPrint is needed and not installed.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"A report is a page or a PDF: end '{file}' in .html or .pdf.")
    if suffix == ".pdf" and find_spec("weasyprint") is None:
        raise ConfigurationError(
            "A PDF needs WeasyPrint: pip install 'cellda[pdf]'; or save the report as .html, and print it in a browser."
        )


def write(report: Report, file: Path) -> Path:
    """Write a report as its suffix says; the file appears whole or not at all.

    Raises:
        ConfigurationError: As of `check_report`.
    """
    check_report(file)
    printed = file.suffix.lower() == ".pdf"
    text = html(report, printed=printed)
    with written(file) as part:
        if printed:
            import weasyprint  # optional, and takes a second to load

            weasyprint.HTML(string=text).write_pdf(part)
        else:
            part.write_text(text, encoding="utf-8")
    return file


def html(report: Report, *, printed: bool = False) -> str:
    """The page as text.

    Args:
        report: What it shows.
        printed: Whether it is for paper: nothing moves, nothing is folded, and few cells are shown.
    """
    folder = files("cellda.report")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(folder.joinpath("page.html.j2").read_text(encoding="utf-8"))
    style = Markup(folder.joinpath("style.css").read_text(encoding="utf-8"))
    parts = {**_numbers(report), **_counts(report), **_cells(report, printed=printed)}
    text = template.render(
        report=report,
        style=style,
        printed=printed,
        version=versions("cellda")["cellda"],
        tables=[Markup(table._repr_html_()) for table in report.tables],
        steps=list(report.examples[0].steps) if report.examples else [],
        examples=[
            {"name": one.name, "pictures": [uri(image) for image in one.steps.values()]}
            for one in report.examples
        ],
        **parts,
    )
    return text.replace("<details>", "<details open>") if printed else text


def _drawn(figure: Any) -> Markup:
    return Markup(svg(figure)) if figure is not None else Markup("")


def _numbers(report: Report) -> dict[str, Any]:
    """Confusion matrix, table of classes and curves, of measured cells."""
    found = report.predictions
    if found is None:
        return dict.fromkeys(("confusion", "per_class", "reliability", "risk", "curves"), "")
    metrics = measure(found)
    per_class = TextTable(
        "Each class",
        ("class", "precision", "recall", "F1", "cells"),
        tuple(
            (
                name + "*" * (name in metrics.left_out),
                str(one.precision),
                str(one.recall),
                str(one.f1),
                str(one.support),
            )
            for name, one in metrics.per_class.items()
        ),
        tuple(metrics.notes),
    )
    return {
        "confusion": _confusion(found),
        "per_class": Markup(per_class._repr_html_()),
        "reliability": _drawn(reliability_chart(found)),
        "risk": _drawn(risk_chart(found)),
        "curves": _drawn(curves_chart(found)),
    }


def _confusion(found: pd.DataFrame) -> Markup:
    """The confusion matrix, darker where there are more cells of a class."""
    table = confusion_table(found)
    rows = []
    for name, *cells, total in table.rows:
        shaded = [
            Markup('<td style="background: rgba(0, 114, 178, {:.2f})">{}</td>').format(
                0.75 * int(cell) / max(1, int(total)), cell
            )
            for cell in cells
        ]
        rows.append(Markup("<tr><th>{}</th>{}<td>{}</td></tr>").format(name, Markup("").join(shaded), total))
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in table.columns)
    return Markup("<table><tr>{}</tr>{}</table>").format(head, Markup("").join(rows))


def _counts(report: Report) -> dict[str, Any]:
    """The differential counts: a chart of all cells, and a table of each group."""
    if report.counts is None:
        return {"counts": [], "counts_chart": ""}
    groups = {str(name): rows for name, rows in report.counts.groupby("group", sort=False)}
    tables = [Markup(table._repr_html_()) for table in count_tables(report.counts)]
    if line := not_shown(report.counts):
        tables.append(Markup("<p>{}</p>").format(line))
    return {"counts": tables, "counts_chart": _drawn(counts_chart(next(iter(groups.values()))))}


def _cells(report: Report, *, printed: bool) -> dict[str, Any]:
    """The gallery, the map, and the cells to look at."""
    empty: dict[str, Any] = dict.fromkeys(("sheet", "map_script", "map_div", "map_picture"), "")
    empty |= {"gallery": [], "filters": [], "why": []}
    cells = report.cells
    if cells is None or not len(cells):
        return empty
    looks = None if cells.pixels is None else small(cells.pixels)
    whole, places = ("", []) if looks is None or printed else sheet(looks)
    found = {**empty, "sheet": Markup(whole), "why": _why(report, cells)}
    if cells.embeddings is not None and len(cells) >= FEWEST:
        where = projected(cells.embeddings)
        if printed:
            found["map_picture"] = _drawn(static_map(cells, where))
        elif places:
            script, div = embedding_map(cells, where, places)
            found |= {"map_script": Markup(script), "map_div": Markup(div)}
    table, states = cells.table, verdicts(cells)
    rows = range(len(cells)) if not printed else _first(table, states)
    found["gallery"] = [
        {
            **_facts(table, row),
            "verdict": states[row],
            "wrong": states[row] == "wrong",
            "at": f"{-places[row][0] * 64}px {-places[row][1] * 64}px" if places else "",
            "look": uri(looks[row]) if looks is not None and not places else "",
        }
        for row in rows
    ]
    flags = sorted({flag for one in table["flag"] if one for flag in str(one).split("+")})
    found["filters"] = [
        ("class", sorted({name or NO_CLASS for name in table["predicted"]})),
        ("verdict", sorted(set(states))),
        ("flag", ["none", *flags]),
        ("set", sorted(set(table["part"]))),
    ]
    return found


def _first(table: pd.DataFrame, states: Sequence[str]) -> list[int]:
    """The cells of a printed gallery: wrong and flagged ones, then the least sure."""
    sure = table["confidence"].astype(float).fillna(0)
    order = sorted(
        range(len(table)),
        key=lambda row: (states[row] != "wrong", not table["flag"].iloc[row], sure.iloc[row]),
    )
    return order[:PRINTED]


def _facts(table: pd.DataFrame, row: int) -> dict[str, Any]:
    """What is said of a cell."""
    cell = table.iloc[row]
    sure = "" if pd.isna(cell["confidence"]) else f"{100 * cell['confidence']:.0f}\u00a0%"
    return {
        **{name: str(cell[name]) for name in ("path", "label", "predicted", "flag", "set", "part")},
        "confidence": sure,
    }


def _why(report: Report, cells: Cells) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Confident errors and doubtful cells, explained."""
    model, pixels, table = report.model, cells.pixels, cells.table
    if model is None or pixels is None:
        return []
    judged = table[(table["predicted"] != "").to_numpy(dtype=bool)]
    wrong = judged[((judged["label"] != "") & (judged["label"] != judged["predicted"])).to_numpy(dtype=bool)]
    right = judged.drop(index=wrong.index)
    fresh = right[(right["part"] != LABELLED).to_numpy(dtype=bool)]
    kinds = {
        "Wrong, the surest first": wrong.sort_values("confidence", ascending=False, kind="stable"),
        "Unsure": (fresh if len(fresh) else right).sort_values("confidence", kind="stable"),
    }
    shown = []
    for title, rows in kinds.items():
        chosen = [int(row) for row in rows.index[:LOOKED_AT]]
        if chosen:
            told = explanations(model, pixels[chosen], NEAREST + 1)
            shown.append(
                (title, [_explained(report, cells, row, one) for row, one in zip(chosen, told, strict=True)])
            )
    return shown


def _explained(report: Report, cells: Cells, row: int, why: Explanation) -> Mapping[str, Any]:
    assert report.model is not None
    assert cells.pixels is not None
    look = np.ascontiguousarray(cells.pixels[row].permute(1, 2, 0).numpy())
    return {
        **_facts(cells.table, row),
        "look": uri(look),
        "heat": "" if why.heat is None else uri(heated(look, why.heat)),
        "measures": [(name, f"{value:.2f}") for name, value in why.measures.items()],
        "nearest": _nearest(report, why, str(cells.table["path"].iloc[row])),
    }


def _nearest(report: Report, why: Explanation, path: str) -> Sequence[Mapping[str, str]]:
    """The nearest labelled cells, without the cell itself."""
    evidence = None if report.model is None else report.model.evidence
    if evidence is None:
        return []
    stored = {int(row): place for place, row in enumerate(evidence.kept.tolist())}
    return [
        {
            "label": str(evidence.cells["label"].iloc[row]),
            "alike": f"{alike:.2f}",
            "look": uri(np.ascontiguousarray(evidence.looks[stored[row]].permute(1, 2, 0).numpy())),
        }
        for row, alike in zip(why.nearest, why.alike, strict=True)
        if evidence.cells["path"].iloc[row] != path
    ][:NEAREST]
