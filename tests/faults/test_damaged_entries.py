"""Every file of every entry of a store is damaged in every way: it is named, set aside and made again."""

import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cellda import Recipe
from cellda.experiment.result import RunResult
from cellda.runtime.storage.entry import DAMAGED
from faults import counts
from tiny import recipe, target

FAULTS = ("truncated", "flipped", "removed")


def chosen() -> Recipe:
    """A run with an entry of every kind: images, framed ones, a normalizer, a source model, a search, a run with its model."""
    return recipe(
        framing="cell",
        normalizer={"name": "reinhard", "reference": "source"},
        adapter={"name": "head_only", "epochs": 2},
        search={"trials": 2, "folds": 2},
        training={"epochs": 1, "holdout": 0.2},
    )


def made(store: Path) -> RunResult:
    return chosen().run(target(), store=store, progress=False)


def harm(file: Path, fault: str, at: int) -> None:
    content = bytearray(file.read_bytes())
    if fault == "removed":
        file.unlink()
        return
    at %= len(content)
    content[at] ^= 1 << at % 8
    file.write_bytes(content[:at] if fault == "truncated" else content)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, RunResult]:
    store = tmp_path_factory.mktemp("whole") / "store"
    return store, made(store)


@pytest.mark.parametrize(
    "every", [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.faults)]
)
def test_no_damage_changes_a_result(stored, tmp_path: Path, capsys, every: bool) -> None:
    whole, expected = stored
    predictions = expected.predictions
    files = sorted(file.relative_to(whole) for file in whole.glob("*/*/**/*") if file.is_file())
    kinds = {file.parts[0] for file in files}
    assert kinds == {"normalizer", "pixels", "runs", "search", "source"}
    cases = list(itertools.product(files, FAULTS))
    rows: Counter[tuple[str, str, str]] = Counter()
    # In the short form, most files are damaged in one of the ways.
    for number, (file, fault) in enumerate(cases if every else cases[:: len(FAULTS) + 1]):
        store = tmp_path / "store"
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(whole, store)
        if file.parts[0] != "runs":  # a finished run needs no other entry
            shutil.rmtree(store / "runs")
        harm(store / file, fault, at=37 * number + 11)
        capsys.readouterr()
        again = made(store)
        said = capsys.readouterr().err
        case = f"{file} was {fault}"
        assert predictions.equals(again.predictions), case
        assert again.digest == expected.digest
        assert f"{store / file.parts[0] / file.parts[1]} is damaged: " in said, case
        assert file.name in said, case
        aside = store / file.parts[0] / (file.parts[1] + DAMAGED)
        assert aside.is_dir(), case
        assert (store / file).is_file(), case
        rows[file.parts[0], "/".join(file.parts[2:]), fault] += 1
    counts.write(
        "damaged_entries",
        [
            {"kind": kind, "file": name, "fault": fault, "entries": number, "named_and_made_again": number}
            for (kind, name, fault), number in sorted(rows.items())
        ],
    )


def test_a_damaged_model_of_a_laboratory_is_made_again(tmp_path: Path, capsys) -> None:
    store, labelled = tmp_path / "store", target()

    def adapted():
        own = recipe(adapter={"name": "head_only", "epochs": 1}, training={"epochs": 1})
        return own.adapt(labelled, store=store, progress=False).state_dict()

    expected = adapted()
    (weights,) = store.glob("adapted/*/model/*.safetensors")
    harm(weights, "flipped", at=5000)
    found = adapted()
    assert "model/" + weights.name in capsys.readouterr().err
    assert all(expected[name].equal(found[name]) for name in expected)
