"""`cellda suggest`: which of a laboratory's images to label next."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cellda.cli.app import tell
from cellda.cli.early import (
    apart,
    each,
    existing_images,
    known_dataset,
    known_model,
    known_suggester,
    writable_file,
    writable_folder,
)
from cellda.cli.options import BitsOption, MapOption, TaxonomyOption
from cellda.cli.output import say
from cellda.cli.recipes import given, reading
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of
from cellda.source_models import DEFAULT as MODEL
from cellda.suggestion import DEFAULT
from cellda.text import counted


def suggest(
    images: Annotated[
        list[Path],
        typer.Argument(
            callback=existing_images,
            help="Image files, one cell each, folders that contain them, or patterns ('cells/*.png').",
        ),
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="Number of images to label.")] = 40,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            callback=each(known_model),
            help="Source model: a name (see: cellda list models), or the folder of a saved model.",
        ),
    ] = MODEL,
    suggester: Annotated[
        str,
        typer.Option(
            "--suggester", callback=each(known_suggester), help="Who chooses (see: cellda list suggesters)."
        ),
    ] = DEFAULT,
    labelled: Annotated[
        str | None,
        typer.Option(
            callback=each(known_dataset),
            help="Cells that are labelled already (table=to_label.csv, folder=~/my_cells): they are not suggested again.",
        ),
    ] = None,
    save: Annotated[
        Path, typer.Option(callback=writable_file, help="File for the list to label, .csv.")
    ] = Path("to_label.csv"),
    copy: Annotated[
        Path | None,
        typer.Option(
            callback=writable_folder,
            help="Also copy the images into this new folder, numbered in their order, to page through them.",
        ),
    ] = None,
    guess: Annotated[
        bool,
        typer.Option("--guess", help="Also write what the model takes each cell for; it biases who labels."),
    ] = False,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")] = 0,
) -> None:
    """Choose the images that should be labelled next, and write them into a list for a spreadsheet.

    Fill in its column label; `cellda adapt --labelled table=FILE` leaves out what is not labelled yet. Images without a
    nucleus and fields of many cells are never suggested. A list that holds labels is never replaced.
    """
    if labelled is None and given(map=map, taxonomy=taxonomy):
        raise ConfigurationError(
            "--map and --taxonomy say how --labelled is read: give it, or leave them out."
        )
    apart({"--copy": copy}, [labelled] if labelled else [], None, *images)

    from cellda.suggestion.to_label import check_free, check_list

    check_list(path_of(save))
    if copy is not None:
        check_free(path_of(copy))

    from cellda.data.root import DataRoot
    from cellda.suggestion import suggest as choosing
    from cellda.taxonomies.spec import PAPER, TaxonomySpec

    known = None
    if labelled is not None:
        classes = PAPER if taxonomy is None else TaxonomySpec(name=taxonomy)
        known = DataRoot(None).load(labelled, classes, **reading(labelled, group=None, bits=bits, map=map))
        tell(known.account)
    found = choosing.suggest(
        images,
        n,
        model,
        suggester=suggester,
        labelled=known,
        seed=seed,
        bits=bits,
    )
    tell(found.account)
    if copy is not None:
        found.copy(copy)
        say(f"Copied {counted(len(found.paths), 'image(s)')}, numbered in their order, into {copy}")
    found.write(save, guess=guess)
    say(f"Saved {counted(len(found.paths), 'image(s)')} of {found.account.used:,} to label in {save}")
    say(
        f"Write into its column label what each cell is ({', '.join(found.classes)}; other leaves a cell out). Then:"
    )
    table, start = shlex.quote(f"table={save}"), "" if model == MODEL else f" --model {shlex.quote(model)}"
    read = "".join(
        f" --{name} {shlex.quote(str(value))}"
        for name, value in given(bits=bits, map=map, taxonomy=taxonomy).items()
    )
    say(f"cellda adapt --labelled {table}{start}{read} --save my_model")
