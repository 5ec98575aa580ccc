"""Check a dataset before it is used: counts, unreadable files, ignored files, identical images."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cellda.data.cards import counts_table
from cellda.data.pixel_cache import CHUNK
from cellda.datasets import load
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.layout import is_image
from cellda.errors import DataError
from cellda.framing import Framing
from cellda.framing import create as create_framing
from cellda.runtime import progress
from cellda.runtime.work import Stage, Work

_SHOWN = 20
_KEPT = "used as published (leave all copies out with twins='drop')"
_REFUSED = "which runs refuse (remove the wrong copies, or leave all out with twins='drop')"
SIDE = 32
"""Side in pixels to which framed images are resized; the check needs to know only whether there is a cell."""


@dataclass(frozen=True)
class CheckReport:
    """What `check` found; rich can print it.

    Attributes:
        name: Registered name of the dataset.
        root: The folder that paths are relative to, None for synthetic datasets.
        counts: Cells of each class found.
        published: Cells of each class in the paper's Table 2, if it lists them.
        note: What a reader of the counts needs to know.
        dropped: Cells of each known label that belongs to none of the six classes.
        groups: Number of groups that splits keep together; None if the dataset has none.
        identical: Sets of paths whose files hold the same bytes.
        contradictory: Cells that are the same image under different classes, with their labels.
        kept: Whether runs use contradictory cells unless told otherwise, because the dataset is published with them.
        unreadable: Path (and box) of images that cannot be used -> reason.
        framing: The framing that was tested on every image.
        unframed: Path (and box) of images in which it found no cell.
        ignored: Path of ignored files and folders -> reason.
        problems: Why the dataset cannot be loaded (missing layout, unknown labels, bad rows, ...).
    """

    name: str
    root: Path | None
    counts: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] | None = None
    note: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    groups: int | None = None
    identical: tuple[tuple[str, ...], ...] = ()
    contradictory: tuple[str, ...] = ()
    kept: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    framing: str = "none"
    unframed: tuple[str, ...] = ()
    ignored: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the dataset can be used: it loads, every image can be read, and none has two classes."""
        return not (self.problems or self.unreadable or (self.contradictory and not self.kept))

    def __rich__(self) -> RenderableType:
        """Counts, then one list for each kind of finding, then the verdict."""
        parts: list[RenderableType] = [
            Text(f"{self.name}: {self.root or 'synthetic, no folder'}", style="bold")
        ]
        if self.counts:
            parts.append(counts_table(self.counts, self.published))
        if self.note:
            parts.append(Text(self.note))
        if self.groups is not None:
            parts.append(Text(f"{self.groups} groups (photographs, smears or patients)"))
        dropped = [f"{label}: {count}" for label, count in self.dropped.items()]
        twins = [" = ".join(paths) for paths in self.identical]
        for title, lines in (
            ("cells left out, of none of the six classes", dropped),
            ("byte-identical images, kept in one group", twins),
            (
                f"one image under several classes, {_KEPT if self.kept else _REFUSED}",
                list(self.contradictory),
            ),
            ("ignored", _by_kind(self.ignored)),
            (f"no cell found by the framing '{self.framing}', shown whole", list(self.unframed)),
            ("cannot be read", [f"{path}: {reason}" for path, reason in self.unreadable.items()]),
            ("cannot be loaded", list(self.problems)),
        ):
            if lines:
                more = [f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
                parts.append(
                    Text("\n".join([f"{title} ({len(lines)}):", *(f"  {x}" for x in lines[:_SHOWN]), *more]))
                )
        parts.append(
            Text("ready to use", style="green") if self.ok else Text("not usable as it is", style="red")
        )
        return Group(*parts)


def check(
    dataset: CellDataset | str, path: str | Path | None = None, *, framing: str = "none", **options: Any
) -> CheckReport:
    """Load a dataset, decode each of its images and report the findings; it reports problems instead of raising them.

    It shows a bar inside `cellda.runtime.progress.display()`.

    Args:
        dataset: A dataset, or a registered name.
        path: The dataset's folder (or file), if `dataset` is a name.
        framing: Name of a framing to test on every readable image.
        options: Options of the loader, if `dataset` is a name.

    Raises:
        UnknownNameError: If no dataset or framing has this name.
        ConfigurationError: If an option is unknown or mistyped.
    """
    chosen = create_framing(framing)
    if isinstance(dataset, str):
        try:
            dataset = load(dataset, path, **options)
        except DataError as error:
            root = None if path is None else Path(path)
            return CheckReport(str(dataset), root, problems=(error.summary, *error.problems))
    reasons = _unreadable(dataset)
    dropped = dataset.dropped["raw_label"].value_counts(sort=False)
    grouped = bool(dataset.table["group"].notna().any())
    return CheckReport(
        name=dataset.full_name,
        root=dataset.root,
        counts=dataset.class_counts(),
        published=dataset.published_counts,
        note=dataset.note,
        dropped={str(label): int(count) for label, count in dropped.items()},
        groups=len(set(dataset.effective_groups())) if grouped else None,
        identical=tuple(tuple(paths) for paths in dataset.identical_images()),
        contradictory=tuple(map(str, dataset.contradictions)),
        kept=dataset.is_published,
        unreadable={_place(dataset, row): reason for row, reason in reasons.items()},
        framing=framing,
        unframed=tuple(_place(dataset, row) for row in _unframed(dataset, chosen, set(reasons))),
        ignored=dict(_ignored(dataset)),
    )


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
            _, found = dataset.framed(part, SIDE, framing)
            yield from (row for row, seen in zip(part, found.tolist(), strict=True) if not seen)
            advance(len(part))


def _place(dataset: CellDataset, row: int) -> str:
    """The name of a cell in the report: its path, with its box if it has one."""
    path, box = dataset.table.loc[row, ["path", "box"]]
    return str(path) if box is None else f"{path} {box}"


def _ignored(dataset: CellDataset) -> Iterator[tuple[str, str]]:
    """Files next to the dataset's images, and folders next to its folders, that hold none of its cells."""
    if dataset.root is None:
        return
    cells = {*dataset.files, *dataset.dropped["path"]}
    holding = {PurePosixPath(path).parent for path in cells}
    passed = {above for folder in holding for above in folder.parents} | holding
    for folder in sorted(passed):
        for entry in sorted((dataset.root / folder).iterdir()):
            place = folder / entry.name
            if entry.is_dir():
                if place not in passed:
                    yield f"{place}/", "a folder that holds none of the cells"
            elif folder in holding and str(place) not in cells:
                yield str(place), _why_ignored(entry.name)


def _by_kind(ignored: dict[str, str]) -> list[str]:
    """One line per folder, suffix and reason: a folder of masks is one line."""
    kinds: dict[tuple[PurePosixPath, str, str], list[str]] = defaultdict(list)
    for path, reason in ignored.items():
        kinds[PurePosixPath(path).parent, PurePosixPath(path).suffix, reason].append(path)
    return [
        f"{paths[0]}: {reason}"
        + (f"; {len(paths) - 1} more {suffix or 'such'} files there" if paths[1:] else "")
        for (_, suffix, reason), paths in kinds.items()
    ]


def _why_ignored(name: str) -> str:
    if name.startswith("."):
        return "a hidden file"
    return "an image that is not part of the layout" if is_image(name) else "not an image by its suffix"
