"""`cellda list`: what you can choose from."""

from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from cellda.cli.app import out

Kind = Literal[
    "all",
    "normalizers",
    "framing",
    "adapters",
    "heads",
    "selectors",
    "datasets",
    "taxonomies",
    "formats",
    "models",
    "presets",
    "tables",
    "figures",
]


def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")] = "all") -> None:
    """List plug-ins of every kind, source models, presets, tables and figures with one line each."""
    from cellda import presets, source_models
    from cellda.plugin import REGISTRIES
    from cellda.reporting.catalogue import FIGURES, TABLES, summaries

    for title, registry in REGISTRIES.items():
        if kind in ("all", title):
            _print_list(title, {name: registry.summary(name) for name in registry.names()})
    if kind in ("all", "models"):
        models = {name: source_models.summary(name) for name in source_models.names()}
        _print_list("models", models or {"-": "none is installed; train one on datasets (--source)"})
    if kind in ("all", "presets"):
        _print_list("presets", {name: presets.summary(name) for name in presets.names()})
    for title, kinds in (("tables", TABLES), ("figures", FIGURES)):
        if kind in ("all", title):
            _print_list(title, summaries(kinds))


def _print_list(title: str, lines: dict[str, str]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, line in lines.items():
        table.add_row(name, escape(line))
    out.print(table)
    out.print()
