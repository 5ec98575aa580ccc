"""Files that were damaged, edited or made to do harm: each is refused with a sentence or read for what it says."""

import csv
import io
import json
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import cellda.datasets
from cellda import Recipe
from cellda.datasets.reading.decode import decode, frame_size
from cellda.datasets.table import WAITING
from cellda.evaluation.predictions import read_predictions, write_predictions
from cellda.models.classifier import CellClassifier
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from faults.counts import write
from faults.hostile import BYTES, SECONDS, Outcome, tried
from faults.mutators import mutated, mutated_text
from predicted import run
from tiny import target

Count = Callable[[Outcome, str], None]


@pytest.fixture(scope="module")
def counts() -> Iterator[Count]:
    rows: list[dict[str, Any]] = []
    yield lambda outcome, what: rows.append(outcome.row(what))
    write("hostile_files", rows)


SLACK = 5
"""The machine of a test may be busy; the counts of the long form hold the seconds."""


def amounts(short: int, long: int) -> Any:
    """The number of inputs in the short form and in the long one."""
    return pytest.mark.parametrize("number", [short, pytest.param(long, marks=pytest.mark.faults)])


def check(what: str, number: int, attempt: Callable[[random.Random], str], counts: Count) -> None:
    outcome = tried(number, attempt)
    assert outcome.growth < BYTES
    assert outcome.worst < SECONDS * SLACK
    assert outcome.kinds["refused"] > 0
    counts(outcome, what)


@pytest.fixture(scope="module")
def cell() -> Image.Image:
    return Image.fromarray(target(1, 1).read([0], 48)[0].permute(1, 2, 0).numpy())


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    """A PNG of 16-bit colours, which Pillow cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


FORMATS: dict[str, dict[str, Any]] = {
    "cell.png": {},
    "cell.jpg": {"quality": 90},
    "cell.bmp": {},
    "cell.gif": {},
    "cell.webp": {},
    "cell.tif": {"compression": "tiff_lzw"},
    "plain.tif": {},
}


@amounts(140, 2_000)
def test_images_are_refused_or_decoded_and_their_change_is_noticed(tmp_path, cell, number, counts) -> None:
    sound = {}
    for name, options in FORMATS.items():
        held = io.BytesIO()
        cell.save(held, Image.registered_extensions()[Path(name).suffix], **options)
        sound[name] = held.getvalue()
    deep = io.BytesIO()
    Image.fromarray(np.asarray(cell.convert("L")).astype(np.uint16) * 257).save(deep, "PNG")
    sound["deep.png"] = deep.getvalue()
    sound["deep_colours.png"] = png_of_16_bits(np.asarray(cell).astype(np.uint16) * 257)

    def attempt(chance: random.Random) -> str:
        name = chance.choice(list(sound))
        folder = tmp_path / "own"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "neutrophil").mkdir(parents=True)
        file = folder / "neutrophil" / name
        file.write_bytes(sound[name])
        before = cellda.datasets.load("folder", folder).fingerprint
        content = mutated(sound[name], chance)
        file.write_bytes(content)
        if content != sound[name]:
            assert cellda.datasets.load("folder", folder).fingerprint != before
        pixels = decode(file)
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (3, *frame_size(file)[::-1])
        return "decoded"

    check("images", number, attempt, counts)


@amounts(60, 500)
def test_tables_are_refused_or_every_row_is_used_or_named(tmp_path, number, counts) -> None:
    for index in range(12):
        Image.fromarray(np.full((32, 32, 3), 20 * index, np.uint8)).save(tmp_path / f"{index}.png")
    labels = ["neutrophil", "NGB", "Lymphocytes", "monocyte", "other", "eosinophil"] * 2
    rows = [f"{i}.png,{label},patient {i // 3},1,2,20,20" for i, label in enumerate(labels)]
    text = "\n".join(["path,label,group,x,y,w,h", *rows, ""])
    file = tmp_path / "cells.csv"

    def attempt(chance: random.Random) -> str:
        content = mutated_text(text, chance) if chance.random() < 0.8 else mutated(text.encode(), chance)
        file.write_bytes(content)
        cells = cellda.datasets.load("table", file)
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            lines = content.decode(encoding)
        except UnicodeDecodeError:
            lines = content.decode("cp1252", "replace")
        header = lines.splitlines()[0]
        separator = max(",;\t|", key=header.count)
        given = [
            row
            for row in csv.reader(io.StringIO(lines, newline=""), delimiter=separator)
            if any(map(str.strip, row))
        ]
        waiting = sum(one.count for one in cells.account.left_out if one.what == WAITING)
        assert len(cells.table) + len(cells.dropped) + waiting == len(given) - 1
        return "read"

    check("tables", number, attempt, counts)


@amounts(60, 500)
def test_recipes_are_refused_or_hold_what_their_file_says(tmp_path, number, counts) -> None:
    text = Recipe(
        adapter=["adabn", {"name": "full", "epochs": 3}], framing="cell", search={"trials": 4}
    ).to_yaml()
    file = tmp_path / "recipe.yaml"

    def attempt(chance: random.Random) -> str:
        content = mutated_text(text, chance) if chance.random() < 0.8 else mutated(text.encode(), chance)
        file.write_bytes(content)
        read = Recipe.from_yaml(file)
        said = yaml.safe_load(content)
        assert isinstance(said, dict)
        backbone = said.get("backbone")
        if isinstance(backbone, dict) and str(backbone.get("weights")) not in ("timm", "none"):
            backbone["weights"] = str(
                file.parent / backbone["weights"]
            )  # a path, relative to the recipe's file
        differing = list(unlike(said, read.model_dump(mode="json"), ""))
        assert not differing, differing
        return "read"

    check("recipes", number, attempt, counts)


def unlike(said: Any, held: Any, at: str) -> Any:
    """Where a recipe holds something else than its file says; names and lists of plug-ins may be written shorter."""
    if isinstance(said, dict) and isinstance(held, dict):
        for name, value in said.items():
            if name not in held:
                yield f"{at}.{name} is lost"
            else:
                yield from unlike(value, held[name], f"{at}.{name}")
    elif isinstance(held, dict) and isinstance(said, str):
        if held.get("name") != said:
            yield f"{at}: {said!r} became {held!r}"
    elif isinstance(held, list) and not isinstance(said, list):
        yield from unlike([said], held, at)
    elif isinstance(held, list):
        if len(said) != len(held):
            yield f"{at}: {len(said)} became {len(held)}"
        else:
            for index, (one, other) in enumerate(zip(said, held, strict=True)):
                yield from unlike(one, other, f"{at}.{index}")
    elif said != held or isinstance(said, bool) != isinstance(held, bool):
        yield f"{at}: {said!r} became {held!r}"


@amounts(40, 500)
def test_model_folders_are_refused_or_hold_the_same_model(tmp_path, number, counts) -> None:
    backbone = Backbone(name="test_efficientnet", weights="none", image_size=32)
    sound = CellClassifier(backbone, NormalizerSpec(name="identity")).save(tmp_path / "sound")
    whole = CellClassifier.load(sound)
    contents = {file.name: file.read_bytes() for file in sound.iterdir()}

    def attempt(chance: random.Random) -> str:
        place = tmp_path / "model"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(sound, place)
        name = chance.choice(sorted(contents))
        text = name.endswith(".json") and chance.random() < 0.7
        changed = mutated_text(contents[name].decode(), chance) if text else mutated(contents[name], chance)
        (place / name).write_bytes(changed)
        model = CellClassifier.load(place)
        for now, before in zip(model.state_dict().values(), whole.state_dict().values(), strict=True):
            assert torch.equal(now, before)
        if name.endswith(".json"):
            said = json.loads(changed.decode("utf-8-sig"))
            assert list(model.classes) == said["classes"]
            assert model.symmetric is said["symmetric"]
            return "read"
        return "the same"

    check("model folders", number, attempt, counts)


@amounts(60, 500)
def test_prediction_files_are_refused_or_hold_the_same_rows(tmp_path, number, counts) -> None:
    sound = write_predictions(run("full", "raabin", 0, 2.0), tmp_path / "sound.parquet").read_bytes()
    whole, file = read_predictions(tmp_path / "sound.parquet"), tmp_path / "predictions.parquet"

    def attempt(chance: random.Random) -> str:
        file.write_bytes(mutated(sound, chance))
        pd.testing.assert_frame_equal(read_predictions(file), whole)
        return "the same"

    check("prediction files", number, attempt, counts)
