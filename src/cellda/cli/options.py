"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder that holds one folder per dataset name.")]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="YAML file of a recipe; default: the paper's.")
]
Presets = Annotated[
    list[str],
    typer.Option("--preset", help="Edit the recipe by a preset (see: cellda list presets); may be repeated."),
]
Sources = Annotated[
    list[str], typer.Option("--source", help="Source dataset instead of the recipe's; may be repeated.")
]
Number = Annotated[
    int | None, typer.Option("--n", help="Number of labelled target images; default: the paper's.")
]
ProtocolOption = Annotated[
    str | None, typer.Option("--protocol", help="'clean' or 'paper'; default: the recipe's.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Where results lie; default: $CELLDA_STORE or the user's cache folder."),
]

AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        help="Adapter, or several in a row (adabn+lp_ft), instead of the recipe's (see: cellda list adapters).",
    ),
]
FramingOption = Annotated[
    str | None,
    typer.Option("--framing", help="Framing instead of the recipe's (see: cellda list framing)."),
]

Predictions = Annotated[
    list[Path], typer.Argument(help="Prediction files (parquet), or folders that hold them.")
]
Shown = Annotated[
    list[str], typer.Option("--condition", help="Condition to show; may be repeated; default: all.")
]
Aims = Annotated[list[str], typer.Option("--target", help="Target to show; may be repeated; default: all.")]
Main = Annotated[
    str,
    typer.Option(
        "--main", help="Condition that others are compared with, or the one shown where only one is."
    ),
]
