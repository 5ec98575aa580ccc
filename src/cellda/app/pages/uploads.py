"""Tables that the browser sends."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from fastapi import UploadFile

from cellda.errors import DataError

MOST = 50_000_000
"""Most bytes of a table."""
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".parquet")


@contextmanager
def sent(file: UploadFile) -> Iterator[Path]:
    """Context in which the table lies in a file of its name.

    Raises:
        DataError: If it is too large, or no table by its name.
    """
    name = PurePath((file.filename or "").replace("\\", "/")).name
    if PurePath(name).suffix.lower() not in SUFFIXES:
        raise DataError(f"'{name[:80]}' is no table: give a file that ends in {', '.join(SUFFIXES)}.")
    content = file.file.read(MOST + 1)
    if len(content) > MOST:
        raise DataError(f"{name} has more than {MOST // 1_000_000} MB; nothing was read.")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"{PurePath(name).stem[:80]}{PurePath(name).suffix.lower()}"
        place.write_bytes(content)
        yield place
