"""Download one file over HTTP so that a lost connection costs only what has not arrived."""

import re
import time
from pathlib import Path

import requests

from cellda.runtime import progress
from cellda.runtime.work import Work

FAILURES = 4
"""How many consecutive times a connection may fail without new bytes."""
PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""
BLOCK = 1 << 14
"""Bytes read at once: when a connection is lost, so are those of an unfinished block."""
_TIMEOUT = (15, 60)
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class ResumingDownloader:
    """A pooch downloader that keeps what has arrived in `part` and requests only the rest.

    The server says whether the file is still the same (`If-Range` with its ETag or date). If it is not, or if
    the server does not support ranges, the download starts again from the beginning.

    Args:
        part: The growing file, which survives an interruption. `<part>.version` next to it holds the server's
            name of its version.
        work: What the progress bar calls it.
    """

    def __init__(self, part: Path, work: Work) -> None:
        self.part = part
        self.version_file = part.with_name(part.name + ".version")
        self.work = work

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Download all of `url`, then move it to `output_file`.

        Raises:
            requests.RequestException: If the server refuses, or the connection failed too often.
            OSError: If it cannot be written.
        """
        failures, farthest = 0, self._arrived()
        while True:
            try:
                self._attempt(url)
                break
            except requests.RequestException as error:
                arrived = self._arrived()
                failures = 1 if arrived > farthest else failures + 1
                farthest = max(arrived, farthest)
                if failures == FAILURES or not _passing(error):
                    raise
                time.sleep(PAUSE * 2 ** (failures - 1))
        self.part.replace(output_file)
        self.version_file.unlink()

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _attempt(self, url: str) -> None:
        # With compression in transfer, bytes could not be counted.
        headers = {"Accept-Encoding": "identity"}
        offset, version = self._arrived(), self._version(url)
        if offset and version:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            start, total = _content_range(response)
            if response.status_code == 416 and total == offset:
                return  # Everything had arrived, and the server still has the same file.
            changed = _version_of(response) not in (None, version)
            if response.status_code == 416 or (response.status_code == 206 and (start != offset or changed)):
                self.part.unlink(missing_ok=True)
                raise requests.ConnectionError("the server sent another part of the file than requested")
            response.raise_for_status()
            if response.status_code != 206:
                total = _length(response)
                # Remove the old part first: it must never coexist with the name of another version.
                self.part.unlink(missing_ok=True)
                self.version_file.write_text(f"{url}\n{_version_of(response) or ''}\n", encoding="utf-8")
            self._receive(response, total)

    def _receive(self, response: requests.Response, total: int | None) -> None:
        with self.part.open("ab") as file, progress.task(self.work, total) as advance:
            advance(file.tell())
            for block in response.iter_content(BLOCK):
                file.write(block)
                advance(len(block))
        if total is not None and self._arrived() != total:
            raise requests.ConnectionError(f"{self._arrived()} of {total} bytes arrived")

    def _version(self, url: str) -> str | None:
        """The server's name of the version that the part belongs to."""
        if not self.version_file.exists():
            return None
        named_url, _, version = self.version_file.read_text(encoding="utf-8").partition("\n")
        return version.strip() or None if named_url == url else None


def reason(error: requests.RequestException) -> str:
    """Why a download failed, as the end of a sentence."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "there is no connection, or it was cut"
    return str(error)


def _passing(error: requests.RequestException) -> bool:
    """Whether another attempt may succeed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in (408, 425, 429) or error.response.status_code >= 500
    cut = requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
    return isinstance(error, cut)


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """Where the sent part begins, and the length of the whole file; None if the server does not say."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    return int(match[1]) if match[1] else None, int(match[2]) if match[2] != "*" else None


def _version_of(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag", "")
    # A weak ETag promises the same meaning, not the same bytes.
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _length(response: requests.Response) -> int | None:
    return int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
