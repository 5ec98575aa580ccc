"""Ctrl-C: one sentence that is true for the command, at every moment, also while cellda is loading."""

import sys
from typing import Any

import pytest

import cellda
from cellda import Recipe, datasets
from said import text


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "patched", "kept"),
    [
        (["run", "--target", "synthetic/1"], (Recipe, "run"), "Finished stages are kept"),
        (
            ["adapt", "--save", "x", "--labelled", "synthetic/1"],
            (Recipe, "adapt"),
            "Finished stages are kept",
        ),
        (["datasets", "check", "synthetic/1"], ("cellda.data.check", "check"), "Nothing was changed."),
        (
            ["datasets", "fetch", "bccd", "--data", "."],
            ("cellda.datasets.download.fetch", "fetch"),
            "What has arrived is kept",
        ),
        (["store", "--store", "x"], ("cellda.runtime.inventory", "entries"), "Nothing was changed."),
        (
            ["store", "clear", "--all", "--store", "x"],
            ("cellda.runtime.inventory", "entries"),
            "What was removed is gone",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_each_command_says_what_is_kept(cellda_, monkeypatch, arguments, patched, kept: str) -> None:
    owner, name = patched
    monkeypatch.setattr(*((f"{owner}.{name}",) if isinstance(owner, str) else (owner, name)), interrupt)
    said = cellda_(*arguments)
    assert said.status == 130
    assert text(said.err).startswith(f"Interrupted. {kept}")


def test_an_interruption_while_options_are_checked_is_said(cellda_, monkeypatch) -> None:
    monkeypatch.setattr(datasets.registry, "unknown", interrupt)
    said = cellda_("run", "--target", "no_such_dataset")
    assert said.status == 130
    assert text(said.err).startswith("Interrupted. Finished stages are kept")


class Interrupting:
    """An import system that a user interrupts."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "cellda.cli.commands":
            raise KeyboardInterrupt


def test_an_interruption_while_cellda_loads_is_said(cellda_, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "cellda.cli.commands", raising=False)
    monkeypatch.delattr(cellda.cli, "commands", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    said = cellda_("list")
    assert (said.status, text(said.err)) == (130, "Interrupted. Nothing was changed. ")
