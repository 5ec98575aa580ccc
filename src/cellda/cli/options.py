"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cellda.cli import completion
from cellda.cli.early import (
    each,
    existing,
    known_dataset,
    known_framing,
    known_logger,
    known_model,
    known_number,
    known_place,
    known_preset,
    known_taxonomy,
    readable_store,
    stated_classes,
    writable_store,
)

Protocol = Literal["clean", "paper"]
Pool = Literal["query", "disjoint"]

Target = Annotated[
    str,
    typer.Option(
        "--target",
        callback=each(known_dataset),
        autocompletion=completion.datasets,
        help="Target dataset, or NAME=PATH (folder=~/my_cells).",
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        callback=each(known_dataset),
        autocompletion=completion.datasets,
        help="Target dataset, or NAME=PATH; may be repeated.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", file_okay=False, callback=existing, help="Folder that holds one folder per dataset name."
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", callback=existing, help="YAML file of a recipe; default: the paper's."),
]
Presets = Annotated[
    list[str],
    typer.Option(
        "--preset",
        callback=each(known_preset),
        autocompletion=completion.presets,
        help="Apply a preset to the recipe (see: cellda list presets); may be repeated.",
    ),
]
LogOption = Annotated[
    list[str],
    typer.Option(
        "--log",
        metavar="LOGGER[=PLACE]",
        callback=each(known_logger),
        help="Log the run: tensorboard=FOLDER, mlflow=URI, wandb=PROJECT; may be repeated.",
    ),
]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set any field of the recipe, after all other options (adapter.lr=1e-4, few_shot.n=40, search=null; in a "
        "chain: adapter.full.lr=1e-4); may be repeated.",
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COLUMN",
        help="Column of a table (table=cells.csv) that says which cells belong together: patient, slide or smear.",
    ),
]
BitsOption = Annotated[
    int | None,
    typer.Option(
        min=8,
        max=16,
        help="Significant bits of the camera (10, 12, 14), if the 16-bit images of a folder or table do not state them.",
    ),
]
MapOption = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE",
        help="What your own names of classes mean (labels.yaml, own name: class); cellda datasets check drafts it.",
    ),
]
TaxonomyOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy",
        callback=each(known_taxonomy),
        autocompletion=completion.taxonomies,
        help="Classes instead of the recipe's (see: cellda list taxonomies); own: those that your cells are labelled with.",
    ),
]
Sources = Annotated[
    list[str],
    typer.Option(
        "--source",
        autocompletion=completion.datasets,
        help="Source dataset instead of the recipe's; may be repeated.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        callback=each(known_model),
        autocompletion=completion.models,
        help="Trained source model instead of sources: a name (see: cellda list models), or the folder of a saved model.",
    ),
]
Number = Annotated[
    int | None,
    typer.Option("--n", min=1, help="Number of labelled target images; default: the recipe's."),
]
Numbers = Annotated[
    list[str],
    typer.Option(
        "--n",
        metavar="[TARGET=]NUMBER",
        callback=each(known_number),
        help="Number of labelled images, of all targets (--n 100) or of one (--n raabin=40); may be repeated; default: the "
        "recipe's.",
    ),
]
ProtocolOption = Annotated[Protocol | None, typer.Option("--protocol", help="Default: the recipe's.")]
PoolOption = Annotated[
    Pool | None,
    typer.Option(
        "--pool",
        help="Unlabelled images: the query images themselves, or images of groups that are not predicted; default: the "
        "recipe's.",
    ),
]
PresentOption = Annotated[
    list[str],
    typer.Option(
        "--present",
        metavar="CLASS,CLASS",
        callback=stated_classes,
        help="The classes that can occur, if this is known (neutrophil,lymphocyte): no other is predicted; may be repeated.",
    ),
]
OnOption = Annotated[
    str,
    typer.Option(
        "--on",
        callback=known_place,
        metavar="WHERE",
        help="Where it runs: local, processes:N, tcp://HOST:PORT (a Dask scheduler), or slurm:jobs=N,cores=N,memory=SIZE.",
    ),
]

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        callback=writable_store,
        metavar="DIR|URL",
        help="Where results are stored, a folder or s3://BUCKET/PREFIX; default: $CELLDA_STORE or the user's cache folder.",
    ),
]
ShownStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        callback=readable_store,
        metavar="DIR|URL",
        help="The store, a folder or s3://BUCKET/PREFIX; default: $CELLDA_STORE or the user's cache folder.",
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        autocompletion=completion.adapters,
        help="Adapter instead of the recipe's, or several chained with + (adabn+lp_ft); see: cellda list adapters.",
    ),
]
FramingOption = Annotated[
    str | None,
    typer.Option(
        "--framing",
        autocompletion=completion.framings,
        help="Framing instead of the recipe's (see: cellda list framing).",
    ),
]
FramingTried = Annotated[
    str,
    typer.Option(
        "--framing",
        callback=each(known_framing),
        autocompletion=completion.framings,
        help="Try this framing on every image, and list those without a cell.",
    ),
]

DatasetName = Annotated[
    str,
    typer.Argument(
        callback=each(known_dataset), autocompletion=completion.datasets, help="Registered dataset name."
    ),
]
DatasetPath = Annotated[Path | None, typer.Argument(help="The dataset's own folder or file.")]

Predictions = Annotated[
    list[Path],
    typer.Argument(callback=existing, help="Prediction files (parquet), or folders that contain them."),
]
Shown = Annotated[
    list[str], typer.Option("--condition", help="Condition to show; may be repeated; default: all.")
]
Aims = Annotated[list[str], typer.Option("--target", help="Target to show; may be repeated; default: all.")]
Main = Annotated[
    str | None,
    typer.Option(
        "--main",
        help="Condition that others are compared with, or the only one shown; default: the only one that the files hold, or "
        "our_workflow.",
    ),
]
