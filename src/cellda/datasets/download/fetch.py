"""Fetch a published dataset: download, verify, unpack, try to read. The dataset appears only if all of this succeeds."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pooch
import requests

from cellda.datasets import load
from cellda.datasets.download.places import Archive, ByHand, Download, Place, place
from cellda.datasets.download.transfer import ResumingDownloader, reason
from cellda.datasets.download.unpack import unpack
from cellda.errors import ConfigurationError, DataError
from cellda.runtime.given import path_of
from cellda.runtime.storage.lock import LockedError, locked
from cellda.runtime.work import Stage, Work


@dataclass(frozen=True)
class Record:
    """The record of a download.

    Attributes:
        url: The address of the file.
        bytes: Size of the downloaded file.
        sha256: Its checksum.
        day: The date, as `2024-02-29`.
    """

    url: str
    bytes: int
    sha256: str
    day: str


@dataclass(frozen=True)
class Fetched:
    """A dataset that is available on disk.

    Attributes:
        path: Its folder, or its file.
        record: The record of the download; None if the dataset existed before.
        record_file: The file that keeps `record`.
    """

    path: Path
    record: Record | None
    record_file: Path


def fetch(name: str, root: str | Path) -> Fetched:
    """Put the published dataset `name` into `root`, as `cellda.datasets.load(name, root / name)` reads it.

    After an interruption, `<name>.partial` next to it keeps what has arrived, and the next call resumes from
    there. `<name>.download.json` keeps size and sha256 of the download; if the publisher gives no
    checksum, a later download must have the same sha256. Bars are shown inside
    `cellda.runtime.progress.display(unit="bytes")`.

    Args:
        name: A registered name, with the variant if several are published (`"bloodmnist/64"`).
        root: The folder that holds one folder per dataset.

    Raises:
        UnknownNameError: If no place of publication is known.
        DataError: If the dataset must be downloaded by hand (the message lists the steps), the server fails, the
            checksum differs, the archive is unsafe or damaged, or it does not hold the dataset.
        ConfigurationError: If `root` cannot be written or is full, or another process fetches the same.
    """
    source = place(name)
    root = path_of(root)
    folder = root / name.partition("/")[0]
    path = source.result(folder)
    key = name.replace("/", "_")
    work, record_file = root / f"{key}.partial", root / f"{key}.download.json"
    if path.exists():
        _check_there(source, folder, path)
        return Fetched(path, None, record_file)
    if isinstance(source, ByHand):
        raise _to_be_got(name, source, folder)
    try:
        with _alone(work, name):
            record = _fetch(source, folder, work, record_file)
    except requests.RequestException as error:
        raise DataError(
            f"Dataset '{name}' could not be downloaded from {source.url}: {reason(error)}.",
            [
                *(["what has arrived is kept: the same command resumes from there"] if work.exists() else []),
                source.by_hand(folder),
            ],
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"Dataset '{name}' cannot be written to {root} ({error.strerror or error}); make room or name another folder. "
            "What has arrived is kept."
        ) from error
    return Fetched(path, record, record_file)


@contextmanager
def _alone(work: Path, name: str) -> Iterator[None]:
    """Create `work` and lock it against other processes; afterwards, remove it if it is empty."""
    work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(locked(work.with_name(f"{work.name}.lock")))
        except LockedError as held_by:
            raise ConfigurationError(
                f"Dataset '{name}' is being fetched into {work.parent} by {held_by}; wait for it."
            ) from None
        try:
            yield
        finally:
            if work.exists() and not any(work.iterdir()):
                work.rmdir()


def _fetch(source: Download, folder: Path, work: Path, record_file: Path) -> Record:
    """Download into `work`, and move the result to its final place once nothing can go wrong any more."""
    file = _download(source, folder, work, record_file)
    record = Record(source.url, file.stat().st_size, pooch.file_hash(str(file)), date.today().isoformat())
    ready = _unpacked(source, file, folder) if isinstance(source, Archive) else file
    record_file.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    path = source.result(folder)
    path.parent.mkdir(exist_ok=True)
    ready.rename(path)
    shutil.rmtree(work)
    return record


def _download(source: Download, folder: Path, work: Path, record_file: Path) -> Path:
    """The downloaded file, verified."""
    expected, by = source.known_hash, "its publisher gives"
    before = _recorded(record_file)
    if expected is None and before is not None and before.url == source.url:
        expected, by = f"sha256:{before.sha256}", f"was recorded on {before.day} in {record_file}"
    part = work / f"{source.file}.part"
    downloader = ResumingDownloader(part, Work(Stage.DOWNLOAD, source.file))
    pooch.get_logger().setLevel(
        "WARNING"
    )  # Otherwise it writes between the bars, and suggests a hash in the code.
    try:
        return Path(pooch.retrieve(source.url, expected, source.file, work, downloader=downloader))
    except requests.RequestException:
        raise
    except ValueError as error:
        raise DataError(
            f"{source.url} did not send the file whose checksum {by}. {error}",
            [
                "fetch it again: that fixes damage in transfer",
                "if the error persists, the file was replaced"
                + (f": remove {record_file} to accept the new one" if source.known_hash is None else ""),
                source.by_hand(folder),
            ],
        ) from error


def _recorded(record_file: Path) -> Record | None:
    """The record of the last download."""
    if not record_file.exists():
        return None
    try:
        return Record(**json.loads(record_file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{record_file} is not the record of a download: {error}; remove it.") from error


def _unpacked(source: Archive, file: Path, folder: Path) -> Path:
    """A folder next to `file` with its unpacked content, tested with the dataset's own loader."""
    ready = file.parent / "unpacked"
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir()
    try:
        unpack(file, ready, source.inner)
        _check(folder, ready, f"What came from {source.url} is not the dataset.")
    except DataError as error:
        shutil.rmtree(file.parent)
        problems = [*error.problems, "the download was removed", source.by_hand(folder)]
        raise DataError(error.summary, problems) from error
    return ready


def _check_there(source: Place, folder: Path, path: Path) -> None:
    """Refuse an existing folder or file that is not the dataset, such as an interrupted copy."""
    if path == folder:
        message = f"{folder} exists, but is not the dataset; complete it, or move it away to fetch it."
        _check(folder, folder, message)
    elif isinstance(source, Download) and source.known_hash is not None:
        algorithm, _, expected = source.known_hash.partition(":")
        found = pooch.file_hash(str(path), alg=algorithm)
        if found != expected:
            raise DataError(
                f"{path} exists, but is not the published file (its {algorithm} is {found} instead of {expected}); "
                "move it away to fetch it."
            )


def _check(folder: Path, where: Path, message: str) -> None:
    """Let the loader of the dataset that `folder` is named after read `where`."""
    try:
        load(folder.name, where)
    except DataError as error:
        raise DataError(message, [error.summary, *error.problems]) from error


def _to_be_got(name: str, source: ByHand, folder: Path) -> DataError:
    return DataError(
        f"Dataset '{name}' must be downloaded by hand, because {source.why}.",
        [
            *source.steps,
            f"place it so that {folder} holds {source.holds}",
            f"check it: cellda datasets check {name} {folder}",
        ],
    )
