"""`cellda store`: what takes the room, and that nothing else than what was asked for is removed."""

import errno
import json
import os
import time
from pathlib import Path

import pytest

from cellda.experiment import orphans
from cellda.experiment.orphans import announce, orphaned
from cellda.runtime.storage.lock import locked
from cellda.runtime.storage.store import KEYS, Store, stage_digest
from cellda.runtime.versions import versions
from cellda.text import counted
from said import text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two results of today, one of another torch, one of an earlier cellda; a partial and a damaged one; and other files."""
    place = Store(tmp_path / "store")

    def make(folder: Path) -> None:
        (folder / "file").write_bytes(bytes(1000))

    today, older = versions("torch"), {"torch": "1.13"}
    place.build("pixels", {"n": 0, "versions": today}, make)
    place.build("source", {"n": 1, "versions": today}, make)
    place.build("source", {"n": 2, "versions": older}, make)
    early = place.build("runs", {"n": 3}, make)
    key = json.loads((early / "key.json").read_text())
    (early / "key.json").write_text(json.dumps({**key, "keys": KEYS - 1}))
    for name in (stage_digest({"n": 4}) + ".partial", stage_digest({"n": 5}) + ".damaged.2"):
        make_folder(place.root / "pixels" / name)
    make_folder(place.root / "pixels" / "of_the_user")
    (place.root / "contents.sqlite").write_bytes(b"index")
    return place


def make_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").write_bytes(bytes(1000))


def names(store: Store) -> set[str]:
    """The results that are there, each as its kind and what follows the digest."""
    return {f"{place.parent.name}/{place.name}" for place in store.root.glob("*/*")}


def test_it_shows_what_takes_the_room(cellda_, store: Store) -> None:
    before = names(store)
    said = text(cellda_("store", "--store", store.root).out)
    rows = {
        " ".join(line.split()[:3])
        for line in cellda_("store", "--store", store.root).out.splitlines()
        if line
    }
    assert {
        "pixels usable 1",
        "pixels partial 1",
        "pixels damaged 1",
        "source usable 1",
        "source orphaned 1",
        "runs orphaned 1",
    } <= rows
    assert f"torch 1.13 -> {versions('torch')['torch']}" in said
    assert "made by an earlier cellda" in said
    assert "6 results, " in said
    assert names(store) == before


def test_reading_every_file_finds_damage(cellda_, store: Store) -> None:
    (folder,) = (
        place for place in (store.root / "source").iterdir() if '"n": 1' in (place / "key.json").read_text()
    )
    (folder / "file").write_bytes(bytes(999))
    assert "source damaged" not in " ".join(cellda_("store", "--store", store.root).out.split())
    said = text(cellda_("store", "--verify", "--store", store.root).out)
    assert f"damaged: {folder} (file has 999 of 1,000 bytes)" in said.replace("\n", "")


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--kind", "pixels"], {"pixels": 3}),
        (["--orphaned"], {"source": 1, "runs": 1}),
        (["--partial", "--damaged"], {"pixels": 2}),
        (["--orphaned", "--kind", "source"], {"source": 1}),
        (["--older", "30d"], {"source": 1}),
        (["--all"], {"pixels": 3, "source": 2, "runs": 1}),
    ],
    ids=" ".join,
)
def test_it_removes_what_was_asked_for_and_nothing_else(cellda_, store: Store, options, gone) -> None:
    old = store.path("source", {"n": 1, "versions": versions("torch")})
    long_ago = time.time() - 31 * 86400
    for place in (*old.rglob("*"), old):
        os.utime(place, (long_ago, long_ago))
    before = names(store)
    dry = cellda_("store", "clear", *options, "--dry-run", "--store", store.root)
    assert counted(sum(gone.values()), "result(s)") in dry.out
    assert names(store) == before
    said = cellda_("store", "clear", *options, "--yes", "--store", store.root)
    assert said.status == 0
    assert f"Removed {counted(sum(gone.values()), 'result(s)')}" in said.out
    left = names(store)
    assert {"pixels/of_the_user"} <= left < before
    assert len(before - left) == sum(gone.values())
    for kind, number in gone.items():
        assert sum(name.startswith(kind) for name in before - left) == number
    assert (store.root / "contents.sqlite").exists()
    assert not list(store.root.glob("*/*.lock"))


def test_clearing_what_is_damaged_reads_the_files(cellda_, store: Store) -> None:
    (entry,) = (place for place in store.root.glob("pixels/*") if len(place.name) == 16)
    (entry / "file").write_bytes(b"x" * 1000)
    assert cellda_("store", "--store", store.root, "clear", "--damaged", "--yes").status == 0
    assert not entry.exists()


@pytest.mark.parametrize("found", ["file", "broken link"])
def test_what_is_not_a_folder_is_shown_as_damaged_and_removed(cellda_, store: Store, found: str) -> None:
    places = [store.path("pixels", {"number": 1}).with_name(f"{'0123' * 4}{end}") for end in ("", ".damaged")]
    for place in places:
        place.write_text("x") if found == "file" else place.symlink_to(store.root / "gone")
    said = cellda_("store", "--store", store.root)
    assert f"damaged: {places[0]} ({'it is a file' if found == 'file' else 'it is a link'}" in text(said.out)
    assert cellda_("store", "clear", "--store", store.root, "--damaged", "--yes").status == 0
    assert not any(place.is_symlink() or place.exists() for place in places)


def test_a_store_that_cannot_be_written_is_shown_and_not_cleared(cellda_, store: Store, monkeypatch) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr("cellda.runtime.place.try_folder", refuse)
    assert cellda_("store", "--store", store.root).status == 0
    assert cellda_("store", "--store", store.root, "clear", "--all", "--dry-run").status == 0
    for given in (("--store", store.root, "clear", "--all"), ("clear", "--all", "--store", store.root)):
        said = cellda_("store", *given, "--yes")
        assert said.status == 2
        assert "the disk is read-only" in text(said.err)
    (store.root / "file").touch()
    for place in (store.root / "file", store.root / "file" / "below"):
        assert cellda_("store", "--store", place).err.startswith(f"cellda: --store: {place}")


def test_it_asks_before_it_removes(cellda_, store: Store, monkeypatch) -> None:
    before = names(store)
    for answer, status in ((False, 1), (True, 0)):
        monkeypatch.setattr("typer.confirm", lambda _question, answer=answer: answer)
        assert cellda_("store", "clear", "--all", "--store", store.root).status == status
        assert (names(store) == before) is not answer


def test_what_a_process_works_on_stays(cellda_, store: Store) -> None:
    digest = stage_digest({"n": 4})
    with locked(store.root / "pixels" / f"{digest}.lock"):
        said = cellda_("store", "clear", "--partial", "--yes", "--store", store.root)
    assert "1 result stays, because a process works there" in said.out
    assert f"pixels/{digest}.partial" in names(store)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ([], "Say what to remove: --older 30d"),
        (["--older", "soon"], "'soon' is not a time; write hours, days or weeks, as in 12h, 30d or 8w"),
        (["--kind", "pixel"], "No results of kind 'pixel' are in"),
        (["--all", "--partial"], "--all stands alone, and --partial would narrow it"),
        (["--hashes", "--older", "1d"], "--hashes stands alone, and --older would narrow it"),
    ],
)
def test_unclear_wishes_are_refused(cellda_, store: Store, options, answer: str) -> None:
    before = names(store)
    said = cellda_("store", "clear", *options, "--yes", "--store", store.root)
    assert said.status == 2
    assert answer in text(said.err)
    assert names(store) == before


def test_an_empty_store_is_said_to_be_empty(cellda_, tmp_path: Path) -> None:
    assert "There are no results in" in cellda_("store", "--store", tmp_path / "none").out
    assert not (tmp_path / "none").exists()


# --- a change of version


def test_a_change_says_once_what_is_orphaned(store: Store, capsys, monkeypatch) -> None:
    announce(store)
    said = text(capsys.readouterr().err)
    assert "2 stored results" in said
    assert "orphaned" in said
    assert "`cellda store clear --orphaned` removes them" in said
    announce(store)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(orphans, "KEYS", KEYS + 1)
    announce(store)
    assert "4 stored results" in text(capsys.readouterr().err)


def test_a_search_is_orphaned_by_the_versions_that_only_it_has() -> None:
    key = {"keys": KEYS, "search": {"versions": {"optuna": "1.0"}}}
    assert "optuna 1.0 -> " in orphaned(key)
    assert orphaned({"keys": KEYS, "search": {"versions": versions("optuna")}}) is None


def test_an_entry_is_orphaned_by_version_code_or_format(monkeypatch) -> None:
    known = {
        "keys": KEYS,
        "versions": versions("torch"),
        "computing": orphans.STAGES["source"].key["computing"],
    }
    assert orphaned(known) is None
    assert orphaned({**known, "keys": KEYS - 1}) == "made by an earlier cellda"
    assert orphaned({**known, "computing": "other"}) == "the code of cellda has changed"
    assert orphaned({**known, "search": {"computing": "other"}}) == "the code of cellda has changed"
    assert orphaned({**known, "versions": {"torch": "0.1"}}).startswith("torch 0.1 -> ")


# --- hashes of images


def test_the_hashes_of_images_are_shown_and_removed_alone(cellda_, store: Store) -> None:
    (store.root / "contents.sqlite.damaged").write_bytes(b"damaged")
    before = names(store)
    assert "contents.sqlite: 12 bytes of hashes" in text(cellda_("store", "--store", store.root).out)
    dry = cellda_("store", "clear", "--hashes", "--dry-run", "--store", store.root)
    assert "(12 bytes) would be removed" in text(dry.out)
    assert (store.root / "contents.sqlite").exists()
    assert cellda_("store", "clear", "--hashes", "--yes", "--store", store.root).status == 0
    assert not list(store.root.glob("contents*"))
    assert names(store) == before
    again = cellda_("store", "clear", "--hashes", "--yes", "--store", store.root)
    assert "There are no hashes" in text(again.out)


def test_options_before_and_after_clear_have_one_meaning(cellda_, store: Store, tmp_path: Path) -> None:
    before = names(store)
    said = cellda_("store", "--verify", "--store", store.root, "clear", "--damaged", "--yes")
    assert said.status == 2
    assert "--verify only shows" in text(said.err)
    said = cellda_("store", "--store", store.root, "clear", "--all", "--yes", "--store", tmp_path)
    assert said.status == 2
    assert "--store is given twice" in text(said.err)
    assert names(store) == before
