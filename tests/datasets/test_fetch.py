"""Fetching datasets from a server on this machine: from the command to cells that can be read."""

import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

import cellda.datasets
from cellda import cli
from cellda.datasets.download import unpack
from cellda.datasets.download.fetch import fetch
from cellda.datasets.download.places import PUBLISHED, ByHand, Download
from cellda.errors import ConfigurationError, DataError, UnknownNameError
from cellda.plugins.registry import Registry
from cellda.runtime import progress
from cellda.runtime.storage.lock import locked
from cellda.runtime.work import Stage, Work
from served import TECOM, Answer, Server, bitmap, zipped


def left(root: Path) -> list[str]:
    """What lies in `root`."""
    return sorted(path.name for path in root.iterdir())


# --- the whole of it


def test_a_fetched_dataset_is_loaded_and_never_fetched_twice(server: Server, tecom: bytes, tmp_path: Path):
    fetched = fetch("jiangxi_tecom", tmp_path)
    assert fetched.path == tmp_path / "jiangxi_tecom"
    dataset = cellda.datasets.load("jiangxi_tecom", fetched.path)
    assert list(dataset.table["label"]) == ["neutrophil", "lymphocyte", "monocyte"]
    assert dataset.read([1], 8)[0, :, 0, 0].tolist() == [80, 80, 90]
    record = json.loads((tmp_path / "jiangxi_tecom.download.json").read_text())
    assert record["sha256"] == hashlib.sha256(tecom).hexdigest()
    assert (record["bytes"], record["url"]) == (len(tecom), server.url)
    assert fetched.record is not None
    assert fetched.record.sha256 == record["sha256"]
    assert left(tmp_path) == ["jiangxi_tecom", "jiangxi_tecom.download.json"]

    again = fetch("jiangxi_tecom", tmp_path)
    assert again.path == fetched.path
    assert again.record is None
    assert server.answers == [Answer(200, None, len(tecom))]


def test_a_folder_that_is_not_the_dataset_is_neither_used_nor_replaced(server: Server, tecom, tmp_path: Path):
    mine = tmp_path / "jiangxi_tecom" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(
        DataError, match=r"exists, but is not the dataset; complete it, or move it away"
    ) as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert "looked for Dataset 1" in str(caught.value)
    assert mine.read_text() == "mine"
    assert server.answers == []


def test_a_single_file_is_put_as_it_is(server: Server, publish, tmp_path: Path):
    content = b"numbers" * 100
    md5 = hashlib.md5(content).hexdigest()
    publish(content, "bloodmnist/64", Download, file="bloodmnist_64.npz", known_hash=f"md5:{md5}")
    fetched = fetch("bloodmnist/64", tmp_path)
    assert fetched.path == tmp_path / "bloodmnist" / "bloodmnist_64.npz"
    assert fetched.path.read_bytes() == content
    assert fetch("bloodmnist/64", tmp_path).record is None
    assert len(server.answers) == 1
    assert left(tmp_path) == ["bloodmnist", "bloodmnist_64.download.json"]


def test_a_broken_copy_of_a_single_file_is_not_taken_for_it(server: Server, publish, tmp_path: Path):
    md5 = hashlib.md5(b"whole").hexdigest()
    publish(b"whole", "bloodmnist/64", Download, file="bloodmnist_64.npz", known_hash=f"md5:{md5}")
    mine = tmp_path / "bloodmnist" / "bloodmnist_64.npz"
    mine.parent.mkdir()
    mine.write_bytes(b"who")
    with pytest.raises(DataError, match=f"is not the published file .*{md5}.* move it away"):
        fetch("bloodmnist/64", tmp_path)
    assert mine.read_bytes() == b"who"
    mine.unlink()
    assert fetch("bloodmnist/64", tmp_path).path.read_bytes() == b"whole"


def test_a_file_in_the_place_of_a_folder_is_not_the_dataset(tmp_path: Path):
    (tmp_path / "raabin").write_text("notes")
    with pytest.raises(DataError, match="exists, but is not the dataset"):
        fetch("raabin", tmp_path)


@pytest.mark.parametrize("wrapper", ["", "A dataset of cells/"])
def test_an_archive_in_the_archive_is_unpacked_where_its_dataset_has_one(
    publish, tmp_path: Path, wrapper: str
):
    images = {f"PBC_dataset_normal_DIB/{name}/BA_1.jpg": bitmap(9) for name in ("basophil", "monocyte")}
    publish(zipped({f"{wrapper}PBC.zip": zipped(images)}), "barcelona", inner="PBC.zip")
    fetched = fetch("barcelona", tmp_path)
    assert cellda.datasets.load("barcelona", fetched.path).class_counts() == {"basophil": 1, "monocyte": 1}
    assert not list(fetched.path.rglob("*.zip"))


def test_a_trap_in_the_inner_archive_is_found(publish, tmp_path: Path):
    publish(zipped({"PBC.zip": zipped({"../../../trap": b"x"})}), "barcelona", inner="PBC.zip")
    with pytest.raises(DataError, match=r"PBC\.zip is not unpacked"):
        fetch("barcelona", tmp_path)
    assert left(tmp_path) == []


# --- checksums


def test_a_wrong_checksum_is_an_error_that_names_both(server: Server, publish, tmp_path: Path):
    content = zipped(TECOM)
    wanted, found = hashlib.md5(b"something else").hexdigest(), hashlib.md5(content).hexdigest()
    publish(content, known_hash=f"md5:{wanted}")
    with pytest.raises(DataError, match="whose checksum its publisher gives") as caught:
        fetch("jiangxi_tecom", tmp_path)
    message = str(caught.value)
    assert wanted in message
    assert found in message
    assert "https://example.org/page" in message
    assert [path.name for path in tmp_path.rglob("*zip*")] == []  # neither kept nor taken for a part
    assert not (tmp_path / "jiangxi_tecom").exists()

    server.content = b"right"
    publish(content, known_hash=f"md5:{found}")
    fetch("jiangxi_tecom", tmp_path)


def test_without_a_published_checksum_the_recorded_one_is_kept_to(
    server: Server, tecom: bytes, publish, tmp_path: Path
):
    fetch("jiangxi_tecom", tmp_path).path.rename(tmp_path / "elsewhere")
    fetch("jiangxi_tecom", tmp_path).path.rename(tmp_path / "elsewhere_too")
    publish(zipped({**TECOM, "segmentation_WBC-master/news": b"x"}))
    with pytest.raises(DataError, match=r"recorded on .* in .*jiangxi_tecom\.download\.json") as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert hashlib.sha256(tecom).hexdigest() in str(caught.value)
    assert hashlib.sha256(server.content).hexdigest() in str(caught.value)
    assert "to accept the new one" in str(caught.value)

    (tmp_path / "jiangxi_tecom.download.json").unlink()
    assert fetch("jiangxi_tecom", tmp_path).record is not None


# --- archives that are no datasets


def test_all_traps_are_listed_and_the_download_is_removed(server: Server, publish, tmp_path: Path):
    publish(zipped({**TECOM, "../one": b"x", "/two": b"x"}))
    with pytest.raises(DataError, match="2 of its 7 entries are unsafe") as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert "'../one'" in str(caught.value)
    assert "'/two'" in str(caught.value)
    assert left(tmp_path) == []


def test_an_archive_larger_than_the_disk_is_not_begun(publish, tmp_path: Path, monkeypatch):
    publish(zipped(TECOM))
    size = sum(map(len, TECOM.values()))
    usage = partial(type(unpack.shutil.disk_usage(tmp_path)), 10**9, 10**9)
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _path: usage(size - 1))
    with pytest.raises(
        ConfigurationError, match=f"unpacks to {size:,} bytes, but .* has room for {size - 1:,}"
    ):
        fetch("jiangxi_tecom", tmp_path)
    assert not list(tmp_path.rglob("*.bmp"))
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _path: usage(size))
    fetch("jiangxi_tecom", tmp_path)  # and the download was kept: see the next test


def test_no_second_download_where_only_the_unpacking_failed(
    server: Server, tecom, tmp_path: Path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(
            unpack, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(
            ConfigurationError, match=r"cannot be written to .* \(No space left on device\); make room"
        ):
            fetch("jiangxi_tecom", tmp_path)
    assert not (tmp_path / "jiangxi_tecom").exists()
    half = tmp_path / "jiangxi_tecom.partial" / "unpacked" / "half.bmp"  # of an unpacking that was killed
    half.write_bytes(b"half")
    fetched = fetch("jiangxi_tecom", tmp_path)
    assert not list(fetched.path.rglob("half.bmp"))
    assert len(server.answers) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<html>Please log in</html>",
            r"neither a zip nor a tar file; it begins with b'<html>Please log in",
        ),
        (zipped({"a.txt": b"0123456789"}).replace(b"0123456789", b"9876543210"), "is damaged"),
        (zipped({"a.txt": b"x"}), "is not the dataset"),
    ],
)
def test_what_is_not_the_dataset_is_removed(publish, tmp_path: Path, content: bytes, message: str):
    publish(content)
    with pytest.raises(DataError, match=message) as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert "https://example.org/page" in str(caught.value)
    assert left(tmp_path) == []


# --- folders


def test_a_place_that_cannot_be_written_is_an_error_in_a_sentence(tecom: bytes, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match=r"cannot be written to .*file .*name another folder"):
        fetch("jiangxi_tecom", tmp_path / "file")


def test_two_processes_do_not_fetch_the_same(server: Server, tecom: bytes, tmp_path: Path):
    with (
        locked(tmp_path / "jiangxi_tecom.partial.lock"),
        pytest.raises(ConfigurationError, match=r"'jiangxi_tecom' is being fetched into .* by process"),
    ):
        fetch("jiangxi_tecom", tmp_path)
    assert server.answers == []


# --- where datasets are published


def test_every_dataset_that_is_published_says_where():
    names = Registry("dataset", "cellda.datasets", "cellda.datasets.base:CellDataset").names()
    others = {"synthetic", "randomised", "folder", "table"}  # rendered, and the user's own
    assert {*names} - others <= {*PUBLISHED}
    assert not others & {*PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_places_are_whole(name: str):
    source = PUBLISHED[name]
    if isinstance(source, ByHand):
        assert source.steps
        assert source.holds
        assert not source.why.endswith(".")
    else:
        assert source.url.startswith("https://")
        assert source.page.startswith("https://")
        algorithm, _, digest = (source.known_hash or f"md5:{'0' * 32}").partition(":")
        assert len(digest) == 2 * hashlib.new(algorithm).digest_size


def test_the_addresses_are_distinct_where_the_files_are():
    files = {source.file: source.url for source in PUBLISHED.values() if not isinstance(source, ByHand)}
    assert len(set(files.values())) == len(files)


# --- the command


@pytest.fixture
def cellda_(monkeypatch, capsys):
    def call(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cellda", "datasets", "fetch", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return call


def test_the_command_says_what_came_and_what_to_do_next(
    cellda_, server: Server, tecom: bytes, tmp_path: Path
):
    status, out, err = cellda_("jiangxi_tecom", "--data", tmp_path)
    assert (status, err) == (0, "")
    assert f"{len(tecom):,} bytes were downloaded from {server.url}" in out
    assert f"sha256 {hashlib.sha256(tecom).hexdigest()}" in out
    assert f"cellda datasets check jiangxi_tecom {tmp_path / 'jiangxi_tecom'}" in out
    status, out, err = cellda_("jiangxi_tecom", "--data", tmp_path)
    assert (status, err) == (0, "")
    assert "already exists; nothing was downloaded" in out


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("bccd", "kaggle datasets download -d paultimothymooney/blood-cells"),
        ("munich_2019", "https://doi.org/10.7937/tcia.2019.36f5o9ld"),
        ("munich_2021", "https://doi.org/10.7937/TCIA.AXH3-T579"),
        ("raabin", "raabindata.com"),
        ("tianjin", "13:2160"),
    ],
)
def test_a_dataset_to_download_by_hand_exits_with_status_2(cellda_, tmp_path: Path, name: str, wanted: str):
    status, out, err = cellda_(name, "--data", tmp_path)
    assert (status, out) == (2, "")
    assert wanted in err
    assert f"place it so that {tmp_path / name} holds" in err
    assert left(tmp_path) == []


def test_what_was_got_by_hand_is_there(tmp_path: Path):
    image = tmp_path / "raabin" / "Train" / "Basophil" / "95-8-12-5_82_1.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(bitmap(3))
    assert fetch("raabin", tmp_path).record is None


def test_names_that_are_published_nowhere():
    with pytest.raises(UnknownNameError, match="did you mean 'barcelona'"):
        fetch("barcelna", "wbc")
    with pytest.raises(UnknownNameError, match="No dataset 'synthetic/3' is known to be published"):
        fetch("synthetic/3", "wbc")


def test_bytes_are_shown_with_their_speed_and_what_is_left(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(Progress, "remove_task", lambda self, _bar: self.refresh())  # the last look stays
    with (
        progress.display(unit="bytes"),
        progress.task(Work(Stage.DOWNLOAD, "file.zip"), 4_000_000) as advance,
    ):
        advance(2_000_000)
        advance(1_000_000)
    shown = capsys.readouterr().err
    assert "downloading (file.zip)" in shown
    assert "3.0/4.0 MB" in shown
    assert "left:" in shown
