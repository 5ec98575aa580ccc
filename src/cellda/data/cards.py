"""Data cards on a terminal: all of them in brief, one of them in full, and counts next to the paper's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cellda import taxonomies
from cellda.datasets.card import NOT_STATED, DataCard
from cellda.errors import ConfigurationError
from cellda.taxonomies import DEFAULT, create

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset  # loads torch, which listing datasets must not

PAPER = create(DEFAULT).classes
"""The classes that the paper counts."""

_FIELDS = (
    "title", "centre", "imaging", "magnification", "specimen", "patients", "licence", "citation", "url",
    "published_images", "published_counts", "few_shot", "note", "same_cells_as", "synthetic",
)  # fmt: skip


def brief_cards(cards: Mapping[str, type[DataCard]], summaries: Mapping[str, str]) -> RenderableType:
    """All data cards in brief, without the facts that are not stated, then the paper's Table 2.

    Args:
        cards: By dataset name.
        summaries: One line about each dataset, by name.
    """
    listing = Table(title="datasets", title_justify="left", title_style="bold", box=None, show_header=False)
    listing.add_column(style="cyan", no_wrap=True)
    listing.add_column()
    for name, card in cards.items():
        facts = (card.centre, _smear(card), card.imaging, card.magnification)
        origin = "; ".join(fact for fact in facts if not fact.startswith(NOT_STATED))
        terms = "" if card.licence == NOT_STATED else f"Licence: {card.licence}. Cite: {card.citation}."
        listing.add_row(name, Text("\n".join(filter(None, [summaries[name], origin, terms]))))
    counts = Table(title="cells in the paper's Table 2", title_justify="left", title_style="bold", box=None)
    counts.padding = (0, 0, 0, 1)  # 80 columns
    counts.add_column("", style="cyan", no_wrap=True)
    for label in PAPER:
        counts.add_column(label, justify="right")
    for name, card in cards.items():
        if card.published_counts is not None:
            counts.add_row(name, *(f"{card.published_counts.get(label, 0):,}" for label in PAPER))
    return Group(listing, Text(), counts)


def facts(card: type[DataCard], summary: str) -> dict[str, Any]:
    """All fields of a card as plain data; what is not stated is None."""
    fields = {name: getattr(card, name) for name in _FIELDS}
    return {"summary": summary} | {
        name: None if value == NOT_STATED else value for name, value in fields.items()
    }


def full_card(card: type[DataCard], summary: str, found: Mapping[str, int] | None = None) -> RenderableType:
    """One data card with all its fields.

    Args:
        card: The dataset's card.
        summary: One line about the dataset.
        found: Cells of each class on disk, to show next to the paper's.
    """
    fields = Table(box=None, show_header=False)
    fields.add_column(style="bold", no_wrap=True)
    fields.add_column()
    for title, value in (
        ("centre", card.centre),
        ("imaging", card.imaging),
        ("magnification", card.magnification),
        ("specimen", _smear(card)),
        ("licence", card.licence),
        ("citation", card.citation),
        ("where", card.url),
        ("images", _number(card.published_images, "in the paper's Table 1", "not in the paper's Table 1")),
        (
            "fine-tuning",
            _number(card.few_shot, "images in the paper's Table 3", "not in the paper's Table 3"),
        ),
        ("same cells", ", ".join(other for other in card.same_cells_as if other != card.name)),
        ("note", card.note),
    ):
        if value:
            fields.add_row(title, Text(value))
    parts: list[RenderableType] = [Text(card.name, style="bold cyan"), Text(summary), fields]
    if found is not None or card.published_counts is not None:
        parts.append(counts_table(found, card.published_counts))
    return Group(*parts)


def counts_table(
    found: Mapping[str, int] | None,
    published: Mapping[str, int] | None,
    classes: Sequence[str] = PAPER,
) -> Table:
    """Cells of each class: found, in the paper's Table 2 if these are its classes, and the difference if both are known.

    If a copy has fewer cells of every class, a caption says that it is a part of the dataset.
    """
    published = published if tuple(classes) == PAPER else None
    table = Table("class", caption_justify="left")
    columns = []
    if found is not None:
        columns.append(("found", [found.get(name, 0) for name in classes], ","))
    if published is not None:
        columns.append(("paper, Table 2", [published.get(name, 0) for name in classes], ","))
    if found is not None and published is not None:
        differences = [found.get(name, 0) - published.get(name, 0) for name in classes]
        columns.append(("difference", differences, "+,"))
        if all(found.get(name, 0) < cells for name, cells in published.items() if cells):
            table.caption = (
                f"Fewer cells of every class than published, {sum(found.values()):,} of {sum(published.values()):,}: "
                "this copy is a part of the dataset."
            )
    for title, _, _ in columns:
        table.add_column(title, justify="right")
    for row, name in enumerate(classes):
        table.add_row(
            name, *(format(values[row], style) if values[row] else "0" for _, values, style in columns)
        )
    return table


def _smear(card: type[DataCard]) -> str:
    known = [fact for fact in (card.specimen, card.patients) if fact != NOT_STATED]
    return ", ".join(known) or NOT_STATED


def _number(value: int | None, where: str, nowhere: str) -> str:
    return nowhere if value is None else f"{value:,} {where}"


@dataclass(frozen=True)
class UnderTaxonomy:
    """The cells of a dataset under one taxonomy.

    Attributes:
        cells: Cells of each class that has any.
        left_out: Number of cells of none of the classes, or labelled more coarsely.
        coarser: Number of the latter.
        problem: Why the taxonomy cannot be used; empty if it can.
    """

    cells: dict[str, int]
    left_out: int = 0
    coarser: int = 0
    problem: str = ""


def under_taxonomies(dataset: "CellDataset") -> dict[str, UnderTaxonomy]:
    """Cells of each class of a dataset under each taxonomy with classes of its own."""
    raw = Counter([*dataset.table["raw_label"], *dataset.dropped["raw_label"]])
    under: dict[str, UnderTaxonomy] = {}
    for name in taxonomies.names():
        try:
            taxonomy = create(name)
        except ConfigurationError as error:
            under[name] = UnderTaxonomy({}, problem=str(error))
            continue
        if taxonomy.open:
            continue
        naming = replace(dataset.naming, taxonomy=taxonomy)
        found: Counter[str | None] = Counter()
        coarse = 0
        for label, count in raw.items():
            known = naming.is_known(label)
            found[naming.fold(label) if known else None] += count
            coarse += count * (known and naming.coarse(label) is not None)
        under[name] = UnderTaxonomy(
            {kind: found[kind] for kind in taxonomy.classes if found[kind]}, found[None], coarse
        )
    return under


def taxonomies_table(under: Mapping[str, UnderTaxonomy]) -> Table:
    """Cells of each class of a dataset under each taxonomy, and how many it leaves out, or are labelled more coarsely."""
    table = Table(
        "taxonomy",
        "cells",
        "left out",
        title="the same cells under each taxonomy",
        title_justify="left",
        box=None,
    )
    for name, one in under.items():
        cells = ", ".join(f"{kind} {count:,}" for kind, count in one.cells.items())
        left = f"{one.left_out:,}" + (f" ({one.coarser:,} coarser)" if one.coarser else "")
        table.add_row(name, one.problem or cells or "none", "" if one.problem else left)
    return table
