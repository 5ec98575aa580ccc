"""`cellda doctor`: what is wrong here, and what to do."""

import builtins
import errno
import os
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cellda.adapters
import cellda.datasets
from cellda.cli import findings
from cellda.cli.findings import State, survived
from cellda.errors import ConfigurationError


def wrong(found):
    """Subject -> text and remedy of what is wrong."""
    return {one.subject: f"{one.text}; {one.remedy}" for one in found if one.state is State.WRONG}


def told(found):
    return {one.subject: one.text for one in found}


@pytest.fixture(autouse=True)
def complete(monkeypatch):
    """All libraries that are declared are there, whatever this installation lacks."""
    declared = ["numpy>=1.26", "torch>=2.5", 'peft>=0.14; extra == "lora"', 'ruff; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda _: declared)


def test_all_is_well(cellda_, tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "SCARCE", 0)
    said = cellda_("doctor", "--store", tmp_path / "store")
    assert said.status == 0, said.out
    assert said.out.rstrip().endswith("All is well.")
    for word in ("Python", "cellda", "numpy", "torch", "threads", "free room", "adapters"):
        assert word in said.out
    assert not (tmp_path / "store").exists()


def test_absent_and_old_libraries_are_named_with_the_command(monkeypatch):
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda _: [
            "numpy>=99",
            "no-such-library>=2",
            'no-such-extra; extra == "lora"',
            'unknown; extra == "dev"',
        ],
    )
    found = list(findings.versions())
    assert wrong(found) == {
        "numpy": f"{metadata.version('numpy')}, but numpy>=99 is needed; pip install 'numpy>=99'",
        "no-such-library": "absent; pip install 'no-such-library>=2'",
    }
    assert told(found)["no-such-extra"] == "absent (optional)"
    assert "unknown" not in told(found)


def test_a_torch_that_cannot_be_imported_is_named(monkeypatch):
    real = builtins.__import__

    def broken(name, *rest, **named):
        if name == "torch":
            raise ImportError("libcudart.so: cannot open shared object file")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", broken)
    assert "libcudart" in wrong(findings.device())["torch"]


def test_a_gpu_that_torch_does_not_use_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "does not use it" in wrong(findings.device())["accelerator"]


def test_weights_are_found_in_the_cache_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [none] = [one for one in findings.weights() if one.subject == "downloaded"]
    assert none.state is State.NOTE
    assert "unset HF_HUB_OFFLINE" in none.remedy
    (tmp_path / "models--timm--efficientnet_b0.ra_in1k").mkdir()
    (tmp_path / "models--other--thing").mkdir()
    assert told(findings.weights())["downloaded"] == f"efficientnet_b0.ra_in1k (in {tmp_path})"


def test_a_store_that_cannot_be_written_or_is_full_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert "--store" in wrong(findings.store(tmp_path / "file" / "below"))["place"]
    full = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert wrong(findings.store(tmp_path))["free room"].startswith("1.0 MB; free some room")


def test_what_is_in_a_store_is_counted(tmp_path):
    for name, key in (("0" * 16, '{"keys": -1}'), ("1" * 16, "broken")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "key.json").write_text(key, encoding="utf-8")
    assert told(findings.store(tmp_path))["results"] == (
        "2 (18 bytes); 1 orphaned, 1 damaged (`cellda store` shows them)"
    )


def cells(folder: Path) -> None:
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "a.png")


def test_datasets_are_recognised_and_what_is_wrong_is_named(cellda_, tmp_path):
    root = tmp_path / "data"
    cells(root / "folder" / "neutrophil")
    (root / "raabin").mkdir()
    (root / "rabin").mkdir()
    (root / ".hidden").mkdir()
    found = list(findings.data(root))
    assert told(found)["folder"] == "1 cell (1 neutrophil)"
    assert "raabin" in wrong(found)
    assert "raabin" in told(found)["rabin"]
    assert {one.subject for one in found} == {"folder", "raabin", "rabin"}
    said = cellda_("doctor", "--data", root, "--store", tmp_path / "store")
    assert said.status == 1
    assert "see above for what to do" in said.out


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    get = cellda.adapters.registry.get

    def broken(name):
        if name == "coral":
            raise ConfigurationError("The adapter 'coral' cannot be loaded: ImportError.")
        return get(name)

    monkeypatch.setattr(cellda.adapters.registry, "get", broken)
    found = list(findings.plugins())
    assert list(wrong(found)) == ["adapter coral"]
    assert told(found)["adapters"] == f"{len(cellda.adapters.names()) - 1} can be loaded"


def test_whatever_stops_a_search_is_a_finding():
    def stopped():
        yield findings.Finding("one", "fine")
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/data")

    found = list(survived(stopped(), "data"))
    assert found[0].text == "fine"
    assert wrong(found)["data"].startswith("/data: the disk reports an error")


def test_whatever_lies_in_a_data_folder_is_named(tmp_path, monkeypatch):
    cells(tmp_path / "folder" / "neutrophil")
    cells(tmp_path / "synthetic" / "neutrophil")
    for name in ("cells.csv", "raabin.zip", "raabin.download.json", "bccd.partial.lock"):
        (tmp_path / name).touch()
    for name in ("bccd.partial", "raabin"):
        (tmp_path / name).mkdir()
    load = cellda.datasets.load

    def broken(name, *rest):
        if name == "raabin":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / name))
        return load(name, *rest)

    monkeypatch.setattr(cellda.datasets, "load", broken)
    found = {one.subject: one for one in findings.data(tmp_path)}
    assert found.keys() == {"folder", "synthetic", "cells.csv", "raabin.zip", "bccd.partial", "raabin"}
    assert "the disk reports an error" in found["raabin"].text
    assert "reads no files" in found["synthetic"].text
    assert "folder=PATH" in found["synthetic"].remedy
    assert found["cells.csv"].remedy == f"give it as table={tmp_path / 'cells.csv'}"
    assert "unpack" in found["raabin.zip"].remedy
    assert "fetch" in found["bccd.partial"].remedy
    assert found["folder"].state is State.GOOD
