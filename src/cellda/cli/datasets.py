"""`cellda datasets`: data cards, downloads, and checks of a copy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellda.cli.app import tell
from cellda.cli.options import (
    BitsOption,
    DatasetName,
    DatasetPath,
    FramingTried,
    GroupOption,
    MapOption,
    TaxonomyOption,
)
from cellda.cli.output import Json, Output, say
from cellda.cli.recipes import reading
from cellda.errors import ConfigurationError
from cellda.taxonomies import DEFAULT
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.data.check import CheckReport

datasets_app = typer.Typer(
    no_args_is_help=False, help="Datasets: show their data cards, download them, and check your copy."
)


@datasets_app.callback(invoke_without_command=True)
def datasets(context: typer.Context, as_json: Json = False) -> None:
    """Print brief data cards of all datasets."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise ConfigurationError("--json comes after the command: cellda datasets show NAME --json.")
        return
    from cellda.data.cards import brief_cards, facts
    from cellda.datasets import names, summary
    from cellda.datasets.card import card

    cards, summaries = {name: card(name) for name in names()}, {name: summary(name) for name in names()}
    document = {name: facts(one, summaries[name]) for name, one in cards.items()}
    Output(as_json).answer(document, brief_cards(cards, summaries))


@datasets_app.command("show")
def show(
    name: DatasetName,
    path: DatasetPath = None,
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    as_json: Json = False,
) -> None:
    """Print the data card of a dataset; with PATH, also count the cells there, under each taxonomy."""
    from cellda.data.cards import facts, full_card, taxonomies_table, under_taxonomies
    from cellda.datasets import load, summary
    from cellda.datasets.card import card

    name, path = _placed(name, path)
    base = name.partition("/")[0]
    found, under = None, None
    if path is not None or card(base).synthetic:
        dataset = load(name, path, **reading(name, group=group, bits=bits, map=map))
        found, under = dataset.class_counts(), under_taxonomies(dataset)
        tell(dataset.account)
    document = facts(card(base), summary(base)) | {"found": found, "taxonomies": under}
    tables = [] if under is None else [taxonomies_table(under)]
    Output(as_json).answer(document, full_card(card(base), summary(base), found), *tables)


def _draft(output: Output, report: "CheckReport", file: Path, taxonomy: str) -> None:
    """Write a mapping of the unknown labels that a check found."""
    from cellda.datasets.reading.words import draft
    from cellda.taxonomies import create

    if not report.unknown:
        output.say(f"All labels are known; {file} was not written.")
        return
    file.write_text(draft(report.unknown, create(taxonomy)), encoding="utf-8")
    output.say(
        f"Wrote {file}: check what it says of {counted(len(report.unknown), 'name(s)')}, then give it with --map {file}"
    )


def _placed(name: str, path: Path | None) -> tuple[str, Path | None]:
    """Name and path of a dataset given as `NAME PATH` or `NAME=PATH`."""
    name, _, given_path = name.partition("=")
    return name, Path(given_path) if given_path and path is None else path


@datasets_app.command("check")
def check(
    name: DatasetName,
    path: DatasetPath = None,
    framing: FramingTried = "none",
    group: GroupOption = None,
    bits: BitsOption = None,
    map: MapOption = None,
    taxonomy: TaxonomyOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every file and problem instead of the first of each kind.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decode every image of a dataset and report counts, unreadable files and unknown labels.

    If labels are unknown and the file of --map does not exist, it is written as a draft: own name -> nearest class.
    """
    from cellda.data.check import check as check_dataset
    from cellda.datasets import get
    from cellda.runtime import progress

    name, path = _placed(name, path)
    if path is None and not get(name.partition("/")[0]).synthetic:
        raise ConfigurationError(
            f"Dataset '{name}' is read from files: give their path, as in `cellda datasets check {name} PATH`."
        )
    with progress.display():
        classes = taxonomy or DEFAULT
        wanted = map if map is not None and not map.exists() else None
        options = reading(name, group=group, bits=bits, map=None if wanted else map)
        report = check_dataset(name, path, framing=framing, taxonomy=classes, **options)
    output = Output(as_json)
    output.answer(report.to_data(), report.full() if every else report)
    if wanted is not None:
        _draft(output, report, wanted, classes)
    if not report.ok:
        raise typer.Exit(1)


@datasets_app.command("fetch")
def fetch(
    name: DatasetName,
    data: Annotated[
        Path, typer.Option(file_okay=False, help="Folder that holds one folder per dataset name.")
    ],
) -> None:
    """Download a published dataset into the data folder, or explain how to get it by hand."""
    from cellda.datasets import load
    from cellda.datasets.download.fetch import fetch as fetch_dataset
    from cellda.runtime import progress

    with progress.display(unit="bytes"):
        fetched = fetch_dataset(name, data)
    if fetched.record is None:
        say(f"{fetched.path} already exists; nothing was downloaded.")
        return
    say(
        f"{fetched.path} is ready; {counted(fetched.record.bytes, 'byte(s) (was|were)')} downloaded from {fetched.record.url}"
    )
    say(f"sha256 {fetched.record.sha256}, kept in {fetched.record_file}")
    tell(load(name, fetched.path).account)
    say(f"Check it: cellda datasets check {name} {fetched.path}")
