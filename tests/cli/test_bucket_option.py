"""Stores in a bucket on the command line."""

import json
from pathlib import Path

import pytest

from buckets import Machine, machines, server
from cellda import Study
from tiny import quiet, recipe


@pytest.fixture(scope="module")
def served():
    with server() as environment:
        yield environment


@pytest.fixture
def machine(monkeypatch, served, tmp_path: Path) -> Machine:
    return machines(monkeypatch, served, tmp_path)


def test_a_store_in_a_bucket_is_shown_and_cleared_as_any_other(cellda_, machine) -> None:
    store = machine("a")
    Study({"none": recipe(adapter="none")}, ["synthetic/1"], workspace=quiet(store)).run()
    machine("b")
    shown = json.loads(cellda_("store", "--json", "--store", store).out)
    assert shown["store"] == str(store)
    assert {one["kind"]: (one["state"], one["results"]) for one in shown["results"]} == {
        "pixels": ("usable", 2),
        "source": ("usable", 1),
        "runs-without-model": ("usable", 1),
    }
    assert all(one["bytes"] > 0 for one in shown["results"])
    text = cellda_("store", "--store", store)
    assert f"in {store}" in text.out
    assert "What this machine uses of it is copied to" in text.out
    study = json.loads(cellda_("study", "show", "--json", "--store", store).out)
    assert (len(study["done"]), study["on"]) == (1, "local")
    tried = cellda_("store", "clear", "--all", "--dry-run", "--store", store)
    assert "4 results" in tried.out
    cleared = cellda_("store", "clear", "--all", "--yes", "--store", store)
    assert cleared.status == 0
    assert "Removed 4 results" in cleared.out
    assert "There are no results in s3://" in cellda_("store", "--store", store).out


def test_a_damaged_object_is_named_by_verify(cellda_, machine) -> None:
    store = machine("a")
    name = store.build("stage", {"n": 1}, lambda folder: (folder / "file").touch()).name
    store.remote.bucket.write(f"stage/{name}.zip", b"half")
    assert "damaged:" not in cellda_("store", "--store", store).out
    assert (
        f"damaged: stage/{name}.zip (File is not a zip file)"
        in cellda_("store", "--verify", "--store", store).out
    )


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--target", "synthetic/1", "--source", "synthetic/0"),
        ("ablate", "--target", "synthetic/1", "--source", "synthetic/0"),
        ("store",),
        ("study", "show"),
    ],
)
def test_a_bucket_that_is_not_there_is_refused_in_a_sentence(cellda_, machine, words) -> None:
    machine("a")
    told = cellda_(*words, "--store", "s3://none/a")
    assert told.status == 2
    assert (
        "The store s3://none/a cannot be used: there is no such bucket; create it first"
        in told.err.replace("\n", " ")
    )


def test_the_doctor_looks_at_a_bucket(cellda_, machine) -> None:
    store = machine("a")
    well = cellda_("doctor", "--store", store).out.replace("\n", " ")
    assert f"{store}, can be written; what is used is copied to" in " ".join(well.split())
    ill = cellda_("doctor", "--store", "s3://none/a")
    assert ill.status == 1
    assert "there is no such bucket" in ill.out.replace("\n", " ")


def test_the_environment_names_a_bucket(cellda_, machine, monkeypatch) -> None:
    store = machine("a")
    monkeypatch.setenv("CELLDA_STORE", str(store))
    assert f"There are no results in {store}." in cellda_("store").out


@pytest.mark.parametrize("given", ["s3:/cells/a", "s3://", "file:///tmp/store"])
@pytest.mark.parametrize("words", [("run", "--target", "synthetic/1", "--source", "synthetic/0"), ("store",)])
def test_half_a_url_is_refused_and_no_folder_is_made(
    cellda_, tmp_path: Path, monkeypatch, words, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    told = cellda_(*words, "--store", given)
    assert told.status == 2
    assert told.err.startswith("cellda: '")
    assert not list(tmp_path.iterdir())
