"""Rows of a prediction table, written as they are made, so that the same call continues after an interruption.

While a table grows, its rows are lines of JSON in `<table>.partial`. The first line says what made them: model, images,
settings, code, versions. A call with the same continues after the last whole block; another one is refused. The table itself
appears when it is complete, and next to it `<table>.json`: the first line, and the account of what was found and left out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pandas as pd

from cellda.datasets.reading.account import Account
from cellda.errors import ConfigurationError
from cellda.models.evidence import Evidence
from cellda.models.predicted_file import write_table
from cellda.models.results import Result
from cellda.models.table_file import check_table, record_of
from cellda.models.told import USUAL, Terms, told
from cellda.runtime.place import saving, written
from cellda.runtime.storage.lock import LockedError, locked
from cellda.text import counted, plain

BOX = ("x", "y", "w", "h")
_BEGIN = b'{"made_by"'


class Rows:
    """A table of predictions that grows; a context manager that keeps other processes from the same table.

    Args:
        file: The table, by its suffix CSV or Parquet.
        made_by: What makes the rows: name -> anything that JSON holds. Equal values make equal rows.
        classes: Class names in column order.
        overwrite: Whether an existing table, or an interrupted one that something else made, is replaced.

    Attributes:
        done: Number of rows that an earlier call has written.

    Raises:
        ConfigurationError: If the suffix is another, the table exists, the interrupted one was made by something else, or
            another process writes it.
    """

    def __init__(
        self, file: Path, made_by: Mapping[str, Any], classes: Sequence[str], *, overwrite: bool = False
    ) -> None:
        self.file, self.classes = file, tuple(classes)
        check_table(file, overwrite=overwrite)
        self._partial = file.with_name(f"{file.name}.partial")
        self._held = ExitStack()
        self._head = {"made_by": {**made_by, "classes": list(classes)}}
        self._overwrite = overwrite
        self.done = 0
        self._kept = 0

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._partial.with_name(f"{self._partial.name}.lock")))
            except LockedError as held_by:
                raise ConfigurationError(
                    f"{self.file} is being written by {held_by}; wait for it, or save in another file."
                ) from None
            with self._saving():
                self._stream: IO[str] = held.enter_context(self._continued())
            self._kept = self.done
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What a full disk did not take is still in the stream, which cannot be closed without the same error.
        with suppress(OSError) if error is not None else nullcontext():
            self._held.close()

    def add(self, results: Iterable[Result]) -> None:
        """Add a block of results; they are on the disk when this returns."""
        lines = [json.dumps(self._row(result)) + "\n" for result in results]
        with self._saving():
            self._stream.write("".join(lines) + "\n")
            self._stream.flush()
        self._kept += len(lines)

    def finish(
        self, account: Account, evidence: Evidence | None = None, terms: Terms = USUAL
    ) -> pd.DataFrame:
        """Write the record and the table, remove the interrupted one, and return the table.

        Args:
            account: What was found, predicted and left out.
            evidence: What is known of the model; None if nothing is.
            terms: What is told of each image.
        """
        self._stream.close()
        record = {**self._head, "terms": asdict(terms), "account": asdict(account.brief())}
        # Before the table, so that there is never a table without its record.
        with self._saving(), written(record_of(self.file)) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        rows = [row for block in self._blocks() for row in block]
        table = self._in_order(told(self._table(rows), evidence, terms))
        with self._saving():
            write_table(table, self.file)
        self._partial.unlink()
        return table

    def _saving(self) -> AbstractContextManager[None]:
        kept = f"{counted(self._kept, 'row(s) (is|are)')} kept in {self._partial}; the same command continues from there."
        return saving(self.file, kept if self._kept else "No row was predicted yet.")

    def _row(self, result: Result) -> dict[str, Any]:
        picture, values = result.picture, result.probabilities
        return {
            "path": plain(picture.name),
            "group": plain(picture.group),
            **dict(zip(BOX, picture.box or (), strict=False)),
            "predicted": result.label,
            **dict(
                zip(
                    self._columns,
                    [None] * len(self.classes) if values is None else values.tolist(),
                    strict=True,
                )
            ),
            "flag": result.flag,
            "reason": plain(result.reason),
        }

    @property
    def _columns(self) -> list[str]:
        return [f"p_{name}" for name in self.classes]

    def _table(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        boxed = any("x" in row for row in rows)
        names = ["path", "group", *(BOX if boxed else ()), "predicted", *self._columns, "flag", "reason"]
        table = pd.DataFrame(rows, columns=names)
        return table.astype(
            dict.fromkeys(self._columns, "float32") | dict.fromkeys(BOX if boxed else (), "int64")
        )

    def _in_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """What a person reads first, then the probabilities."""
        first = ["path", "group", *BOX, "predicted", "confidence", "set", "flag"]
        names = [name for name in (*first, *self._columns, "reason") if name in table.columns]
        return table[names]

    def _continued(self) -> IO[str]:
        """The interrupted table, opened behind its last whole block, or a new one; one without rows holds nothing to keep."""
        if self._partial.exists():
            head, blocks, end = self._blocks_and_end()
            differing = _differing(head, self._head)
            if blocks and not differing:
                self.done = sum(map(len, blocks))
                stream = self._partial.open("r+", encoding="utf-8")
                stream.seek(end)
                stream.truncate()
                return stream
            if head is None and not self._torn() and not self._overwrite:
                raise ConfigurationError(
                    f"{self._partial} exists and is not an interrupted table; remove it, save in another file, or replace it "
                    "with --overwrite."
                )
            if blocks and not self._overwrite:
                raise ConfigurationError(
                    f"{self._partial} is an interrupted table of another prediction, which differs in: "
                    f"{', '.join(differing)}. "
                    "Finish it with the command that began it, save in another file, or begin again with --overwrite."
                )
        stream = self._partial.open("w", encoding="utf-8")
        stream.write(json.dumps(self._head) + "\n")
        stream.flush()
        return stream

    def _torn(self) -> bool:
        """Whether the interrupted table ends in its first line, which is written before any row."""
        with self._partial.open("rb") as stream:
            content = stream.read()
        return b"\n" not in content and content[: len(_BEGIN)] == _BEGIN[: len(content)]

    def _blocks(self) -> list[list[dict[str, Any]]]:
        return self._blocks_and_end()[1]

    def _blocks_and_end(self) -> tuple[Any, list[list[dict[str, Any]]], int]:
        """The first line, the whole blocks, each of which ends in an empty line, and where they end in the file.

        Without a readable first line, nobody knows what made the rows: there are none.
        """
        with self._partial.open("rb") as stream:
            content = stream.read()
        first, _, rest = content.partition(b"\n")
        blocks: list[list[dict[str, Any]]] = []
        end = len(first) + 1
        head = _parsed(first)
        if head is None:
            return None, [], 0
        while (stop := rest.find(b"\n\n")) >= 0:
            block = [_parsed(line) for line in rest[:stop].splitlines()]
            if None in block:
                break  # torn by the system: what follows is predicted again
            blocks.append([row for row in block if row is not None])
            rest, end = rest[stop + 2 :], end + stop + 2
        return head, blocks, end


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line of JSON; None if it is not whole."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _differing(one: Any, other: dict[str, Any]) -> list[str]:
    """Names of what made two tables and differs."""
    made, wanted = (one or {}).get("made_by") or {}, other["made_by"]
    return sorted(name for name in made.keys() | wanted.keys() if made.get(name) != wanted.get(name))
