"""Check a dataset before it is used: counts, unreadable files, what is left out, identical images."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cellda.data.cards import PAPER, counts_table
from cellda.data.pixel_cache import CHUNK
from cellda.datasets import load
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Account
from cellda.datasets.reading.formats.unusual import unusual
from cellda.errors import DataError
from cellda.framing import Framing
from cellda.framing import create as create_framing
from cellda.framing.base import UNSURE
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work
from cellda.taxonomies import DEFAULT
from cellda.text import counted

_SHOWN = 20
_TWINS = 4
_KEPT = "used as published (leave all copies out with twins='drop')"
_REFUSED = "which runs refuse (remove the wrong copies, or leave all out with twins='drop')"
SIDE = 32
"""Side in pixels to which framed images are resized; the check needs to know only whether there is a cell."""


@dataclass(frozen=True)
class CheckReport:
    """What `check` found; rich can print it, and `full` prints every name.

    Attributes:
        name: Registered name of the dataset.
        root: The folder that paths are relative to, None for synthetic datasets.
        classes: The classes that are counted.
        counts: Cells of each class found.
        published: Cells of each class in the paper's Table 2, if it lists them.
        note: What a reader of the counts needs to know.
        account: What was found, used and left out; None if the dataset cannot be loaded.
        identical: Sets of paths whose files hold the same bytes.
        contradictory: Cells that are the same image under different classes, with their labels.
        kept: Whether runs use contradictory cells unless told otherwise, because the dataset is published with them.
        unreadable: Path (and box) of images that cannot be used -> reason.
        unusual: How images are stored that are not single pictures of 8 bits, one line for each kind.
        framing: The framing that was tested on every image.
        unframed: Path (and box) of images in which it found no cell.
        problems: Why the dataset cannot be loaded (missing layout, unknown labels, bad rows, ...).
        unknown: Labels that the taxonomy does not know.
    """

    name: str
    root: Path | None
    classes: tuple[str, ...] = PAPER
    counts: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] | None = None
    note: str = ""
    account: Account | None = None
    identical: tuple[tuple[str, ...], ...] = ()
    contradictory: tuple[str, ...] = ()
    kept: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    unusual: tuple[str, ...] = ()
    framing: str = "none"
    unframed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the dataset can be used: it loads, every image can be read, and none has two classes."""
        return not (self.problems or self.unreadable or (self.contradictory and not self.kept))

    def __rich__(self) -> RenderableType:
        """Counts, then one list for each kind of finding, then the verdict; long lists are cut."""
        left_out = [] if self.account is None else [line.strip() for line in self.account.details()]
        return self._shown(left_out, _SHOWN)

    def full(self) -> RenderableType:
        """The same with every name."""
        every = [] if self.account is None else [*self.account.every(), *self.account.notes]
        return self._shown(every, None)

    def to_data(self) -> dict[str, Any]:
        """The findings as plain data, with every name."""
        return {**asdict(self), "ok": self.ok}

    def _contradicts(self, paths: Sequence[str]) -> bool:
        """Whether identical images are listed as contradictory, too."""
        return any(all(f"{path} ('" in one for path in paths) for one in self.contradictory)

    def _shown(self, left_out: list[str], most: int | None) -> RenderableType:
        parts: list[RenderableType] = [
            Text(f"{self.name}: {self.root or 'synthetic, no folder'}", style="bold")
        ]
        if self.counts:
            parts.append(counts_table(self.counts, self.published, self.classes))
        if self.note:
            parts.append(Text(self.note))
        if self.account is not None and self.account.groups is not None:
            parts.append(
                Text(f"{counted(self.account.groups, 'group(s)')} (photographs, smears or patients)")
            )
        twins = [_equal(paths, most and _TWINS) for paths in self.identical if not self._contradicts(paths)]
        for title, lines in (
            ("left out and noted", left_out),
            ("byte-identical images, kept in one group", twins),
            (
                f"one image under several classes, {_KEPT if self.kept else _REFUSED}",
                list(self.contradictory),
            ),
            (f"no cell found by the framing '{self.framing}', shown whole", list(self.unframed)),
            ("stored in an unusual way", list(self.unusual)),
            ("cannot be read", [f"{path}: {reason}" for path, reason in self.unreadable.items()]),
            ("cannot be loaded", list(self.problems)),
        ):
            if lines:
                shown = [f"  {line}" for line in lines[:most]]
                if len(shown) < len(lines):
                    shown.append(f"  ... and {len(lines) - len(shown):,} more; --all lists them")
                parts.append(Text("\n".join([f"{title} ({len(lines)}):", *shown])))
        parts.append(
            Text("ready to use", style="green") if self.ok else Text("not usable as it is", style="red")
        )
        return Group(*parts)


def check(
    dataset: CellDataset | str,
    path: str | Path | None = None,
    *,
    framing: str = "none",
    taxonomy: str = DEFAULT,
    **options: Any,
) -> CheckReport:
    """Load a dataset, decode each of its images and report the findings; it reports problems instead of raising them.

    It shows a bar inside `cellda.runtime.progress.display()`.

    Args:
        dataset: A dataset, or a registered name.
        path: The dataset's folder (or file), if `dataset` is a name.
        framing: Name of a framing to test on every readable image.
        taxonomy: Name of the classes, if `dataset` is a name.
        options: Options of the loader, if `dataset` is a name.

    Raises:
        UnknownNameError: If no dataset or framing has this name.
        ConfigurationError: If an option is unknown or mistyped.
    """
    chosen = create_framing(framing)
    if isinstance(dataset, str):
        try:
            dataset = load(dataset, path, taxonomy=taxonomy, **options)
        except DataError as error:
            root = None if path is None else Path(path)
            problems = (error.summary, *error.problems)
            return CheckReport(str(dataset), root, problems=problems, unknown=tuple(error.unknown))
    reasons = _unreadable(dataset)
    return CheckReport(
        name=dataset.full_name,
        root=dataset.root,
        classes=dataset.taxonomy.classes,
        counts=dataset.class_counts(),
        published=dataset.published_counts,
        note=dataset.note,
        account=dataset.account,
        identical=tuple(tuple(paths) for paths in dataset.identical_images()),
        contradictory=tuple(map(str, dataset.contradictions)),
        kept=dataset.is_published,
        unreadable={_place(dataset, row): reason for row, reason in reasons.items()},
        unusual=tuple(_unusual(dataset, set(reasons))),
        framing=framing,
        unframed=tuple(_place(dataset, row) for row in _unframed(dataset, chosen, set(reasons))),
    )


def _equal(paths: tuple[str, ...], most: int | None) -> str:
    more = len(paths) - len(paths[:most])
    return " = ".join([*paths[:most], *([f"{more:,} more"] if more else [])])


def _unreadable(dataset: CellDataset) -> dict[int, str]:
    with progress.task(Work(Stage.READ, dataset.full_name), len(dataset)) as advance:
        return dataset.unusable(advance)


def _unframed(dataset: CellDataset, framing: Framing, unreadable: set[int]) -> Iterator[int]:
    """Rows of the readable images in which the framing finds no cell."""
    if not framing.cuts:
        return
    rows = [row for row in range(len(dataset)) if row not in unreadable]
    with progress.task(Work(Stage.FRAME, dataset.full_name), len(rows)) as advance:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            _, confidence = dataset.framed(part, SIDE, framing)
            yield from (row for row, seen in zip(part, confidence.tolist(), strict=True) if seen < UNSURE)
            advance(len(part))


def _unusual(dataset: CellDataset, unreadable: set[int]) -> list[str]:
    """How the readable images are stored that are not single pictures of 8 bits."""
    if dataset.root is None:
        return []
    bad = {dataset.table.loc[row, "path"] for row in unreadable}
    return unusual({path: dataset.root / path for path in dataset.files if path not in bad}, dataset.bits)


def _place(dataset: CellDataset, row: int) -> str:
    """The name of a cell in the report: its path, with its box if it has one."""
    path, box = dataset.table.loc[row, ["path", "box"]]
    return str(path) if box is None else f"{path} {box}"
