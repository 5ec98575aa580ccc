"""A folder's manifest, written last: size and hash of every file, by which damage is found before anything is used."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import xxhash

from cellda.runtime import progress
from cellda.runtime.file_hash import hash_of
from cellda.runtime.work import Stage, Work
from cellda.text import counted

MANIFEST = "manifest.json"
KEY = "key.json"
"""States what a folder was made of."""
WORKING = "working"
"""Subfolder for what an unfinished stage resumes from: it is not in the manifest, and removed with the last step."""

SHOWN = 2**28
"""From this many bytes on, checking shows a bar."""

Stamp = tuple[int, int, int, int]
"""Size, time of the last change of content and of inode (ns), and inode."""

_sound: dict[Path, dict[str, Stamp]] = {}
"""Folders that this process has checked, with the stamps that their files had then."""


def seal(folder: Path, name: str) -> None:
    """Write the manifest of a folder's files, the last step before the folder gets its name.

    Args:
        folder: Holds the finished files.
        name: The name that the folder will have; under another one, it is not sound.
    """
    for old in (folder / MANIFEST, _half(folder / MANIFEST)):
        old.unlink(missing_ok=True)
    files = {file: {"bytes": stamp[0], "hash": hash_of(folder / file)} for file, stamp in _stamps(folder)}
    content = {"name": name, "files": files}
    text = json.dumps({**content, "hash": _hash(content)}, indent=2)
    # A fixed name, which a later attempt finds and removes if this one is killed.
    half = _half(folder / MANIFEST)
    half.write_text(text + "\n", encoding="utf-8")
    half.replace(folder / MANIFEST)


def damage(folder: Path, name: str | None = None) -> str | None:
    """What is wrong with a sealed folder; None if every file has the size and the content that it was sealed with.

    All bytes are read once a process (7 GB/s from memory, as fast as the disk otherwise); afterwards only sizes and times are
    compared.

    Args:
        folder: The folder.
        name: The name that it was sealed under; by default its own.

    Raises:
        PermissionError: If files may not be read.
    """
    place = folder.absolute()
    try:
        stamps = dict(_stamps(folder))
        if _sound.get(place) == stamps:
            return None
        problem = _difference(folder, name or folder.name, stamps)
    except PermissionError:
        raise
    except OSError as error:
        problem = f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    if problem is None:
        _sound[place] = stamps
    return problem


def _difference(folder: Path, name: str, stamps: dict[str, Stamp]) -> str | None:
    if MANIFEST not in stamps:
        return f"{MANIFEST} is missing"
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        said = manifest.pop("hash")
        files: dict[str, dict[str, Any]] = manifest["files"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{MANIFEST} is damaged"
    if said != _hash(manifest):
        return f"{MANIFEST} is damaged"
    if manifest["name"] != name:
        return f"it was made as {manifest['name']}"
    for file, stored in files.items():
        if file not in stamps:
            return f"{file} is missing"
        if stamps[file][0] != stored["bytes"]:
            return f"{file} has {stamps[file][0]:,} of {counted(stored['bytes'], 'byte(s)')}"
    total = sum(stored["bytes"] for stored in files.values())
    if total < SHOWN:
        return _changed(folder, files, lambda _bytes: None)
    with progress.task(Work(Stage.VERIFY, f"{folder.parent.name}/{name}"), total) as advance:
        return _changed(folder, files, advance)


def _changed(folder: Path, files: dict[str, dict[str, Any]], advance: Callable[[int], None]) -> str | None:
    changed = (file for file, stored in files.items() if hash_of(folder / file, advance) != stored["hash"])
    return next((f"the content of {file} is not what was stored" for file in changed), None)


def _stamps(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """Every file of a folder by its relative name, without what an unfinished stage kept."""
    for place, folders, files in os.walk(folder, onerror=_raise):
        if Path(place) == folder and WORKING in folders:
            folders.remove(WORKING)
        folders.sort()
        for name in sorted(files):
            file = Path(place, name)
            facts = file.stat()
            stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
            yield file.relative_to(folder).as_posix(), stamp


def _half(file: Path) -> Path:
    return file.with_name(file.name + ".half")


def _hash(content: Any) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(content, sort_keys=True).encode())


def _raise(error: OSError) -> None:
    raise error
