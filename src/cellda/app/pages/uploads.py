"""Tables that the browser sends."""

from pathlib import Path

from fastapi import UploadFile

from cellda.app.project.project import Project
from cellda.errors import DataError

MOST = 50_000_000
"""Most bytes of a table."""


def kept(file: UploadFile, project: Project) -> Path:
    """The table, saved in the project under the suffix of its name.

    Raises:
        DataError: If it is too large.
    """
    content = file.file.read(MOST + 1)
    if len(content) > MOST:
        raise DataError(f"{file.filename} has more than {MOST // 1_000_000} MB; nothing was read.")
    place = project.place / f"sent{Path(file.filename or '.csv').suffix}"
    place.write_bytes(content)
    return place
