"""Ctrl-C: one sentence that is true for the command, at every moment, also while cellda is loading."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

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
            ("cellda.experiment.workflow", "accounted"),
            "Finished stages are kept",
        ),
        (
            ["datasets", "check", "synthetic/1"],
            ("cellda.data.check", "check"),
            "The dataset was not changed.",
        ),
        (
            ["datasets", "fetch", "bccd", "--data", "."],
            ("cellda.datasets.download.fetch", "fetch"),
            "What has arrived is kept",
        ),
        (["store", "--store", "x"], ("cellda.runtime.storage.inventory", "entries"), "Nothing was changed."),
        (
            ["store", "clear", "--all", "--store", "x"],
            ("cellda.runtime.storage.inventory", "entries"),
            "Results that were already removed are gone",
        ),
        (
            ["store", "--store", "x", "clear", "--all"],
            ("cellda.runtime.storage.inventory", "entries"),
            "Results that were already removed are gone",
        ),
        (
            ["store", "--verify", "--store", "clear"],
            ("cellda.runtime.storage.inventory", "entries"),
            "Nothing was changed.",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_each_command_says_what_is_kept(cellda_, monkeypatch, arguments, patched, kept: str) -> None:
    owner, name = patched
    monkeypatch.setattr(*((f"{owner}.{name}",) if isinstance(owner, str) else (owner, name)), interrupt)
    said = cellda_(*arguments)
    assert said.status == 130
    assert f"Interrupted. {kept}" in text(said.err)


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


def test_an_interrupted_question_is_an_interruption(cellda_, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "runs" / ("0" * 16)).mkdir(parents=True)

    def ask(_: str) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise typer.Abort from None  # as it does

    monkeypatch.setattr(typer, "confirm", ask)
    said = cellda_("store", "clear", "--all", "--store", tmp_path)
    assert said.status == 130
    assert "Interrupted. Results that were already removed are gone" in text(said.err)


# --- the guard

STUCK = """
import ctypes, sys, threading, time
from cellda import cli


def stuck(place):
    print(flush=True)
    {work}

import cellda.cli.findings
cellda.cli.findings.versions = lambda: stuck(None)
sys.argv = ["cellda", "doctor"]
cli.main()
"""
WORKS = {
    "a step that takes long": "ctypes.CDLL(None).sleep(60)",
    "a thread that takes long": "threading.Thread(target=time.sleep, args=(60,)).start(); time.sleep(60)",
    "a step of Python": "time.sleep(60)",
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
@pytest.mark.parametrize("times", [1, 2])
def test_whatever_it_does_an_interrupted_process_ends(work: str, times: int) -> None:
    code = STUCK.format(work=work)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        process.stdout.readline()
        for _ in range(times):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.2)
        _, said = process.communicate(timeout=30)
    # A second interruption may come while Python ends, which is 130 to a shell.
    assert process.returncode in {130, -signal.SIGINT}
    assert said.strip() == "Interrupted. Nothing was changed."
