"""What files hold: a change is always noticed, an unchanged file is not read again, and the index only saves time."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellda.errors import DataError
from cellda.runtime import contents
from cellda.runtime.contents import Contents, read_contents

_opened: list[str] | None = None


def _audit(event: str, arguments: tuple) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_audit)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The names of the files that are opened within it, by whatever function."""
    global _opened
    _opened = names = []
    try:
        yield names
    finally:
        _opened = None


@pytest.fixture
def settled(monkeypatch) -> None:
    """Files that were written just now are remembered."""
    monkeypatch.setattr(contents, "SETTLED", 0)


def made(folder: Path, count: int = 6) -> list[str]:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(bytes([number]) * 100)
    return [str(folder / f"{number}.png") for number in range(count)]


def read(files: list[str], index: Path) -> Contents:
    return read_contents(files, "folder/own", index)


@pytest.mark.usefixtures("settled")
def test_a_second_call_opens_no_file_and_knows_the_same(tmp_path: Path) -> None:
    files = made(tmp_path / "own")
    with opened() as names:
        first = read(files, tmp_path)
    assert sorted(set(names) & set(files)) == files
    with opened() as names:
        second = read(files, tmp_path)
    assert not set(names) & set(files)
    assert second == first
    assert len(set(first.hashes)) == len(files)


@pytest.mark.usefixtures("settled")
def test_a_file_that_changed_is_read_again_whatever_its_size_and_time(tmp_path: Path) -> None:
    files = made(tmp_path / "own")
    first = read(files, tmp_path)
    before = Path(files[2]).stat()
    Path(files[2]).write_bytes(b"x" * 100)
    os.utime(files[2], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = Path(files[2]).stat()
    assert (after.st_size, after.st_mtime_ns) == (100, before.st_mtime_ns)
    assert first.changed() == [files[2]]
    with opened() as names:
        second = read(files, tmp_path)
    assert set(names) & set(files) == {files[2]}
    assert [one != other for one, other in zip(first.hashes, second.hashes, strict=True)] == [
        number == 2 for number in range(len(files))
    ]
    assert first.differing("folder/own") == [files[2]]


@pytest.mark.usefixtures("settled")
def test_another_file_under_the_same_name_is_read_again(tmp_path: Path) -> None:
    files = made(tmp_path / "own", 2)
    first = read(files, tmp_path)
    for one, other in ((files[0], tmp_path / "t"), (files[1], files[0]), (tmp_path / "t", files[1])):
        Path(one).rename(other)
    assert list(read(files, tmp_path).hashes) == list(reversed(first.hashes))


@pytest.mark.usefixtures("settled")
def test_a_new_time_of_the_same_bytes_is_no_difference(tmp_path: Path) -> None:
    files = made(tmp_path / "own")
    first = read(files, tmp_path)
    os.utime(files[0], ns=(1, 1))
    assert first.changed() == [files[0]]
    assert first.differing("folder/own") == []


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    files = made(tmp_path / "own", 1)
    first = read(files, tmp_path)
    with opened() as names:
        assert read(files, tmp_path).hashes == first.hashes
    assert files[0] in names


def test_files_that_are_gone_cannot_be_read_or_change_are_all_named(tmp_path: Path, monkeypatch) -> None:
    files = made(tmp_path / "own", 4)
    Path(files[1]).unlink()
    Path(files[3]).unlink()
    with pytest.raises(DataError, match=r"2 files of dataset 'folder/own' are gone") as caught:
        read(files, tmp_path)
    assert caught.value.problems == (files[1], files[3])
    (tmp_path / "own" / "1.png").mkdir()
    real = os.read

    def growing(opened: int, length: int) -> bytes:
        with Path(files[0]).open("ab") as stream:
            stream.write(b"more")
        return real(opened, min(length, 4096))[:0]

    monkeypatch.setattr(os, "read", growing)
    with pytest.raises(DataError, match="cannot be read") as caught:
        read([files[0], files[1]], tmp_path)
    assert "0.png: it changed while it was read; wait until it is complete" in caught.value.problems[0]
    assert "1.png: " in caught.value.problems[1]


@pytest.mark.usefixtures("settled")
def test_a_name_that_is_not_utf8_is_remembered(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"own \xff")
    files = [*made(folder, 1), str(folder / os.fsdecode(b"\xe4\xf6 'x\".png"))]
    Path(files[1]).write_bytes(b"x")
    first = read(files, tmp_path)
    with opened() as names:
        assert read(files, tmp_path) == first
    assert not set(names) & set(files)


# --- the index


def bad_indices(good: bytes, entry: int) -> dict[str, bytes]:
    """Damage of every kind to an index, in which an entry begins at `entry`."""
    flipped = {
        place: good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :] for place in range(len(good))
    }
    return {
        "cut": good[: len(good) // 2],
        "short": good[:-1000],
        "text": b"no database" * 900,
        "zeros": bytes(8192),
        "header": flipped[3],
        "page": flipped[4096],
        "state": flipped[entry],
        "hash": flipped[entry + 40],
        "checksum": flipped[entry + 50],
    }


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", bad_indices(bytes(8192), 0))
def test_a_damaged_index_is_named_set_aside_and_rebuilt(tmp_path: Path, damage: str) -> None:
    files = made(tmp_path / "own")
    first = read(files, tmp_path)
    index = tmp_path / "contents.sqlite"
    good = index.read_bytes()
    bad = bad_indices(good, good.index(first.states[3]))[damage]
    index.write_bytes(bad)
    with pytest.warns(
        UserWarning, match=r"contents\.sqlite is damaged .* moved to contents\.sqlite\.damaged"
    ):
        assert read(files, tmp_path) == first
    assert (tmp_path / "contents.sqlite.damaged").read_bytes() == bad
    with opened() as names:
        assert read(files, tmp_path) == first
    assert not set(names) & set(files)


@pytest.mark.usefixtures("settled")
def test_where_nothing_can_be_remembered_a_warning_says_so(tmp_path: Path) -> None:
    files = made(tmp_path / "own")
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"cannot be remembered in .*file.*CELLDA_STORE"):
        assert len(read(files, tmp_path / "file").hashes) == len(files)


PROCESS = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("error")
from cellda.runtime import contents
contents.SETTLED = 0
files = sorted(map(str, Path(sys.argv[1]).iterdir()))
sys.stdin.readline()
print(b"".join(contents.read_contents(files, "own", Path(sys.argv[2])).hashes).hex())
"""


def test_eight_processes_at_once_share_an_index(tmp_path: Path) -> None:
    files = made(tmp_path / "own", 200)
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "own"), str(tmp_path / "index")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(8)]
    said: list[tuple[str, str]] = []
    threads = [
        threading.Thread(target=lambda process=process: said.append(process.communicate("\n")))
        for process in processes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * 8, said
    expected = b"".join(read(sorted(files), tmp_path / "index").hashes).hex()
    assert {out.strip() for out, _ in said} == {expected}
    assert {error for _, error in said} == {""}
