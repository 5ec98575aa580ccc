"""Places are tried before the work, and files are written whole or not at all."""

import errno
import os
import sys
from pathlib import Path

import pytest

from cellda.errors import ConfigurationError
from cellda.runtime import place
from cellda.runtime.os_errors import number, reason, sentence
from cellda.runtime.place import check_writable, written
from cellda.runtime.storage.store import Store

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and /dev/full")


def failing(code):
    """A call that fails as the system would."""

    def fail(*_args, **_settings):
        raise OSError(code, os.strerror(code), "somewhere")

    return fail


def test_a_place_that_can_be_written_stays_as_it_was(tmp_path):
    (tmp_path / "old.csv").write_text("old", encoding="utf-8")
    before = (tmp_path / "old.csv").stat()
    assert check_writable(tmp_path / "old.csv") == tmp_path / "old.csv"
    check_writable(tmp_path / "new.csv")
    check_writable(tmp_path / "some" / "new" / "folder", folder=True)
    check_writable(tmp_path, folder=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.csv"]
    assert (tmp_path / "old.csv").read_text(encoding="utf-8") == "old"
    assert (tmp_path / "old.csv").stat().st_mtime_ns == before.st_mtime_ns


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert check_writable("~/a.csv") == tmp_path / "a.csv"


def test_a_file_for_a_folder_and_a_folder_for_a_file_are_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=r"--save: .*file is a file; give a folder"):
        check_writable(tmp_path / "file", folder=True, what="--save")
    with pytest.raises(ConfigurationError, match=r"--csv: .*folder is a folder; give a file in it"):
        check_writable(tmp_path / "folder", what="--csv")
    for below in ("file/a.csv", "file/b/a.csv"):
        with pytest.raises(ConfigurationError, match="a part of the path is a file"):
            check_writable(tmp_path / below)
    with pytest.raises(ConfigurationError, match="a part of the path is a file"):
        check_writable(tmp_path / "file/b/c", folder=True)


@pytest.mark.parametrize("folder", [False, True])
def test_names_that_the_system_refuses_are_refused(tmp_path, folder):
    with pytest.raises(ConfigurationError, match="too long"):
        check_writable(tmp_path / ("x" * 300), folder=folder)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigurationError, match="loop"):
        check_writable(tmp_path / "loop", folder=folder)


@LINUX
def test_places_of_the_system_are_refused():
    with pytest.raises(
        ConfigurationError, match=r"/dev/full cannot be written: there is no room left on the disk"
    ):
        check_writable("/dev/full")
    for folder in (False, True):
        with pytest.raises(ConfigurationError, match=r"/proc/here cannot be written"):
            check_writable("/proc/here", folder=folder)
    assert check_writable("/dev/null") == Path("/dev/null")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "not permitted; choose a place of your own"),
        (errno.EROFS, "read-only; choose a place on another disk"),
        (errno.ENOSPC, "no room left on the disk; free some"),
        (errno.EDQUOT, "quota"),
        (errno.EMFILE, "too many files are open; raise the limit"),
        (errno.EIO, "the disk reports an error"),
    ],
)
def test_what_the_system_says_becomes_a_sentence_with_the_remedy(tmp_path, monkeypatch, code, words):
    monkeypatch.setattr(place.tempfile, "NamedTemporaryFile", failing(code))
    for folder in (False, True):
        with pytest.raises(ConfigurationError, match=words):
            check_writable(tmp_path / "a", folder=folder)
    assert words in sentence(OSError(code, os.strerror(code), "somewhere"))
    assert sentence(OSError(code, os.strerror(code), "somewhere")).startswith("somewhere: ")


def test_every_error_number_makes_one_sentence():
    for code in errno.errorcode:
        text = sentence(OSError(code, os.strerror(code), "a.csv"))
        assert text.startswith("a.csv: ")
        assert text.endswith(".")
        assert "; " in text
    assert sentence(OSError(errno.EXDEV, "Cross-device link", "a", None, "b")).startswith("a -> b: ")
    assert sentence(OSError()) == (
        "Reading or writing failed: OSError; repeat the command, or choose another file or place."
    )


def test_numbers_that_libraries_quote_are_understood():
    arrow = OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device")
    rust = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert number(arrow) == number(rust) == errno.ENOSPC
    assert reason(arrow) == reason(rust) == reason(OSError(errno.ENOSPC, ""))
    assert number(ValueError("28")) is None


# ------------------------------------------------------------------ written whole or not at all


def test_a_name_that_libraries_could_not_read_is_refused(tmp_path):
    odd = tmp_path / os.fsdecode(b"odd\xff")
    for writes in (lambda: Store(odd).check_writable(), lambda: written(odd / "a.parquet").__enter__()):
        with pytest.raises(ConfigurationError, match="not valid UTF-8; choose another place or name"):
            writes()


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "new" / "a.csv"
    with written(target) as part:
        part.write_text("whole", encoding="utf-8")
        assert part.suffix == ".csv"
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "whole"
    assert [entry.name for entry in target.parent.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("bad")])
def test_what_fails_leaves_the_old_file_and_no_part(tmp_path, error):
    target = tmp_path / "a.csv"
    target.write_text("old", encoding="utf-8")

    def write():
        with written(target) as part:
            part.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        write()
    assert [(entry.name, entry.read_text(encoding="utf-8")) for entry in tmp_path.iterdir()] == [
        ("a.csv", "old")
    ]


def test_a_full_disk_is_said_with_the_file(tmp_path):
    with pytest.raises(OSError, match=r"file\.pt") as caught, written(tmp_path / "file.pt"):
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")
    assert sentence(caught.value).startswith(f"{tmp_path / 'file.pt'}: there is no room left on the disk")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("old", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with written(tmp_path / "link.csv") as part:
        part.write_text("new", encoding="utf-8")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text(encoding="utf-8") == "new"


@LINUX
def test_devices_are_written_directly():
    with written(Path("/dev/null")) as part:
        assert part == Path("/dev/null")
