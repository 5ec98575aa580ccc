"""Archives of strangers: what is written, and what is refused as a whole."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from cellda.datasets.download.unpack import unpack
from cellda.errors import DataError
from served import zipped


def tar(*members: tuple[str, bytes, str]) -> bytes:
    """A compressed tar file of `(name, type, target of a link)`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, 2 if kind == tarfile.REGTYPE else 0
            info.pax_headers = {"path": name}  # other formats end a name at its first zero
            archive.addfile(info, io.BytesIO(b"ok") if info.size else None)
    return stream.getvalue()


def zip_of_mode(mode: int) -> bytes:
    info = zipfile.ZipInfo("thing")
    info.create_system, info.external_attr = 3, mode << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("sound.txt", "ok")
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


FILE = ("sound.txt", tarfile.REGTYPE, "")
TRAPS = {
    "up": (zipped({"sound.txt": b"ok", "../trap": b"x"}), "'../trap' leads out of the folder"),
    "up inside": (zipped({"a/../../trap": b"x"}), "'a/../../trap' leads out"),
    "up on Windows": (zipped({"a\\..\\..\\trap": b"x"}), "leads out of the folder"),
    "absolute": (zipped({"/tmp/trap": b"x"}), "'/tmp/trap' has an absolute path"),
    "drive": (zipped({"C:/trap": b"x"}), "'C:/trap' has an absolute path"),
    "relative to a drive": (zipped({"C:trap": b"x"}), "'C:trap' has an absolute path"),
    "network": (zipped({"\\\\host\\share\\trap": b"x"}), "has an absolute path"),
    "zip link": (zip_of_mode(stat.S_IFLNK | 0o777), "'thing' is a link"),
    "zip device": (zip_of_mode(stat.S_IFCHR | 0o666), "'thing' is a device"),
    "two capitals": (zipped({"a.txt": b"x", "A.TXT": b"y"}), "'A.TXT' would overwrite 'a.txt'"),
    "file as folder": (zipped({"a": b"x", "a/b": b"y"}), "'a/b' lies in the file 'a'"),
    "tar up": (tar(FILE, ("../trap", tarfile.REGTYPE, "")), "'../trap' leads out"),
    "tar absolute": (tar(FILE, ("/trap", tarfile.REGTYPE, "")), "'/trap' has an absolute path"),
    "symbolic link": (tar(FILE, ("link", tarfile.SYMTYPE, "/etc")), "'link' is a link"),
    "link inside": (tar(FILE, ("link", tarfile.SYMTYPE, "sound.txt")), "'link' is a link"),
    "hard link": (tar(FILE, ("link", tarfile.LNKTYPE, "sound.txt")), "'link' is a link"),
    "no name": (tar(FILE, ("a\0b", tarfile.REGTYPE, "")), "is not a file name"),
    "pipe": (tar(FILE, ("pipe", tarfile.FIFOTYPE, "")), "'pipe' is a device"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_of_a_malicious_archive_is_written(trap: str, tmp_path: Path):
    content, problem = TRAPS[trap]
    archive, folder = tmp_path / "in" / "archive", tmp_path / "out" / "deep"
    archive.parent.mkdir()
    archive.write_bytes(content)
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"1 of its (1 entry|[23] entries) is unsafe") as caught:
        unpack(archive, folder)
    assert problem in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "deep", "in", "out"]


def test_a_tar_file_is_unpacked_like_a_zip(tmp_path: Path):
    archive, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    archive.write_bytes(tar(("deep", tarfile.DIRTYPE, ""), ("deep/a.txt", tarfile.REGTYPE, ""), FILE))
    unpack(archive, folder)
    assert {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.txt")} == {
        "deep/a.txt": "ok",
        "sound.txt": "ok",
    }


def test_one_trap_in_many_is_found_and_several_are_all_listed(tmp_path: Path):
    archive, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    archive.write_bytes(zipped({**{f"{n}.txt": b"ok" for n in range(40)}, "../one": b"x", "/two": b"x"}))
    with pytest.raises(DataError, match="archive is not unpacked: 2 of its 42 entries are unsafe") as caught:
        unpack(archive, folder)
    assert len(caught.value.problems) == 2
    assert not list(folder.iterdir())


def test_a_size_that_lies_cannot_fill_the_disk(tmp_path: Path):
    """What is checked against the room on the disk is all that is ever written."""
    honest = zipped({"a.txt": b"0" * 5000})
    size = (5000).to_bytes(4, "little")
    archive, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    archive.write_bytes(honest.replace(size + size, size + (7).to_bytes(4, "little")))
    with pytest.raises(DataError, match="is damaged"):
        unpack(archive, folder)
    assert all(path.stat().st_size <= 7 for path in folder.iterdir())


def test_an_archive_that_ends_too_early_is_damaged(tmp_path: Path):
    archive = tmp_path / "archive"
    archive.write_bytes(tar(FILE, *((str(number), tarfile.REGTYPE, "") for number in range(50)))[:-60])
    with pytest.raises(DataError, match="archive is damaged and cannot be unpacked"):
        unpack(archive, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
