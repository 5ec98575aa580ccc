"""Room on the disk: taken before the work, and the error says how much is missing."""

import errno
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from cellda.errors import ConfigurationError
from cellda.runtime import room
from cellda.runtime.room import check_room, in_words, needed, reserve, taken

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def small_disk(monkeypatch):
    """A disk on which 1 MB is free."""
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _place: Usage(10**9, 999 * 10**6, 10**6))


def test_reserved_room_is_taken_and_keeps_what_is_there(tmp_path: Path):
    with (tmp_path / "file").open("w+b") as stream:
        stream.write(b"content")
        stream.flush()
        reserve(stream, 100_000)
        assert os.fstat(stream.fileno()).st_size == 100_000
    assert taken(tmp_path / "file") >= 100_000
    assert (tmp_path / "file").read_bytes().rstrip(b"\0") == b"content"
    assert taken(tmp_path / "none") == 0


def test_a_longer_file_is_cut(tmp_path: Path):
    with (tmp_path / "file").open("w+b") as stream:
        stream.write(bytes(100))
        stream.flush()
        reserve(stream, 10)
        assert os.fstat(stream.fileno()).st_size == 10


def test_without_reservation_the_free_room_decides(tmp_path: Path, monkeypatch, small_disk):
    def unsupported(*_given):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    with (tmp_path / "file").open("w+b") as stream:
        reserve(stream, 10**6)
        with pytest.raises(OSError, match="No space left") as caught:
            reserve(stream, 10**6 + 1)
    assert caught.value.errno == errno.ENOSPC


def test_what_is_missing_is_said(tmp_path: Path, small_disk):
    check_room(10**6, tmp_path / "not" / "yet", "the images")
    with pytest.raises(ConfigurationError) as caught:
        check_room(25 * 10**5, tmp_path / "not" / "yet", "the images")
    said = str(caught.value)
    assert said.startswith(
        f"There is no room for the images: 2.5 MB are written, and 1.0 MB are free in {tmp_path} (1.5 MB more are needed)"
    )
    assert "--store" in said


@pytest.mark.parametrize("number", sorted(room.FULL))
def test_a_full_disk_becomes_a_sentence_and_other_errors_stay(tmp_path: Path, number: int):
    said = r"no room for the images.*" + os.strerror(number)
    with pytest.raises(ConfigurationError, match=said), needed(10, tmp_path, "the images"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(PermissionError), needed(10, tmp_path, "the images"):
        raise PermissionError(errno.EACCES, "no")


def test_sizes_are_in_words():
    assert [in_words(size) for size in (0, 999, 1000, 2_340_000, 25_800_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "2.3 MB",
        "25.8 GB",
    ]


WRITERS = """
import resource, signal, sys
from pathlib import Path
import numpy, pandas, torch
from safetensors.torch import save_file
from cellda.runtime.room import is_full
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
values, folder = numpy.random.rand(60_000), Path(sys.argv[1])
tensor, table = torch.from_numpy(values), pandas.DataFrame({"a": values})
for name, write in {
    "torch": lambda file: torch.save(tensor, file),
    "torch, a stream": lambda file: torch.save(tensor, file.open("wb", buffering=0)),
    "safetensors": lambda file: save_file({"a": tensor}, file),
    "numpy": lambda file: numpy.save(file, values),
    "pandas": lambda file: table.to_csv(file),
    "arrow": lambda file: table.to_parquet(file),
    "python": lambda file: file.write_bytes(bytes(200_000)),
}.items():
    try:
        write(folder / "file.npy")
        print(name, "wrote it")
    except Exception as error:
        if not is_full(error):
            print(name, repr(error))
"""


def test_what_every_library_says_of_too_little_room_is_understood(tmp_path: Path):
    pytest.importorskip("resource")
    said = subprocess.run(
        [sys.executable, "-c", WRITERS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (said.stdout, said.returncode) == ("", 0), said.stderr


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EIO, "Input/output error"),
        ValueError("a fault of the code: no space left in the list"),
        RuntimeError("PytorchStreamReader failed reading zip archive"),
        ConfigurationError("There is no adapter of this name: File too large"),
    ],
    ids=repr,
)
def test_another_error_on_a_full_disk_stays_what_it_is(error: Exception, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _place: Usage(10**9, 10**9, 0))
    assert not room.is_full(error)
