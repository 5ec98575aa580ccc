"""`cellda list`: what you can choose from."""

from collections.abc import Mapping
from typing import Annotated, Literal

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cellda.cli.output import Json, Output

Kind = Literal[
    "all",
    "normalizers",
    "framing",
    "adapters",
    "heads",
    "selectors",
    "suggesters",
    "datasets",
    "taxonomies",
    "formats",
    "models",
    "presets",
    "tables",
    "figures",
]


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = "all",
    as_json: Json = False,
) -> None:
    """List plug-ins of every kind, source models, presets, tables and figures with one line each."""
    from cellda import presets, source_models
    from cellda.plugin import REGISTRIES
    from cellda.reporting.catalogue import FIGURES, TABLES, summaries

    lists = {
        title: {name: registry.summary(name) for name in registry.names()}
        for title, registry in REGISTRIES.items()
    }
    lists["models"] = {name: source_models.summary(name) for name in source_models.names()}
    lists["presets"] = {name: presets.summary(name) for name in presets.names()}
    lists |= {"tables": summaries(TABLES), "figures": summaries(FIGURES)}
    wanted = {title: lines for title, lines in lists.items() if kind in ("all", title)}
    Output(as_json).answer(wanted, *(_list(title, lines) for title, lines in wanted.items()))


def _list(title: str, lines: Mapping[str, str]) -> Group:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, line in (lines or {"-": "none is installed; train one on datasets (--source)"}).items():
        table.add_row(name, escape(line))
    return Group(table, Text())
