"""The folder of a saved classifier: what is damaged, replaced, hostile or not finite is refused by name, and quickly."""

import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cellda import CellClassifier
from cellda.errors import ConfigurationError, DataError
from cellda.models import Backbone, saved
from cellda.models.description import DESCRIPTION
from cellda.models.finite import DivergedError
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.file_hash import sha256_of
from described import describe, described, first_format

BACKBONE = Backbone(name="test_efficientnet", weights="none", image_size=32)
Damage = Callable[[Path], None]


def fresh() -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CellClassifier(BACKBONE, NormalizerSpec.model_validate("reinhard")).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return fresh().save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def weights(**changes: Any) -> Damage:
    """Other tensors, with a description that has their hash: as from a training that went wrong."""

    def damage(folder: Path) -> None:
        state = load_file(folder / saved.WEIGHTS)
        for name, change in changes.items():
            key = name.replace("__", ".")
            if change is None:
                state.pop(key)
            else:
                state[key] = change(state[key]) if callable(change) else change
        save_file(state, folder / saved.WEIGHTS)
        rehash(folder)

    return damage


def rehash(folder: Path) -> None:
    file = folder / saved.WEIGHTS
    held = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    describe(folder, described(folder) | {"weights": held})


def fields(**changes: Any) -> Damage:
    """Another description, with a checksum that fits it."""
    return lambda folder: describe(folder, described(folder) | changes)


def raw(text: str) -> Damage:
    return lambda folder: (folder / DESCRIPTION).write_text(text) and None


def first_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor.flatten()[0] = value
        return tensor

    return change


def header(length: int, rest: bytes = b"{}") -> Damage:
    return lambda folder: (
        (folder / saved.WEIGHTS).write_bytes(struct.pack("<Q", length) + rest) and rehash(folder)
    )


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no weights": (
        lambda folder: (folder / saved.WEIGHTS).unlink(),
        r"does not hold a saved classifier; these files are missing:\n  - .*model\.safetensors",
    ),
    "NaN": (weights(embedding__bias=first_value(torch.nan)), r"'embedding\.bias' holds NaN or infinite"),
    "infinite": (weights(head__2__weight=first_value(torch.inf)), r"'head\.2\.weight' holds NaN or infinite"),
    "negative variance": (
        weights(encoder__bn1__running_var=first_value(-0.5)),
        r"'encoder\.bn1\.running_var' holds negative variances",
    ),
    "no deviation": (weights(std=first_value(0.0)), r"'std' holds deviations that are not positive"),
    "a shape": (
        weights(embedding__bias=torch.zeros(127)),
        r"'embedding\.bias' has shape \(127,\) and type F32 instead of \(128,\) and F32",
    ),
    "a type": (weights(embedding__bias=lambda value: value.double()), r"'embedding\.bias' .* type F64 instead"),
    "a missing tensor": (weights(embedding__weight=None), r"'embedding\.weight' is missing"),
    "a surplus tensor": (weights(more=torch.zeros(2)), r"'more' is not a tensor of this model"),
    "truncated": (
        lambda folder: (folder / saved.WEIGHTS).write_bytes((folder / saved.WEIGHTS).read_bytes()[:1000]) and None,
        r"could not be read: model\.safetensors is truncated",
    ),
    "a flipped byte": (
        lambda folder: flip(folder / saved.WEIGHTS, -5),
        r"model\.safetensors is not the file that classifier\.json was written for",
    ),
    "weights of another model": (
        lambda folder: save_file(
            {name: value.clone() for name, value in other().state_dict().items()}, folder / saved.WEIGHTS
        ),
        r"is not the file that classifier\.json was written for",
    ),
    "a header of 1 GB": (header(1 << 30), r"its header would have 1073741824 bytes"),
    "an endless header": (header((1 << 64) - 1), r"its header would have 18446744073709551615 bytes"),
    "an empty file": (lambda folder: (folder / saved.WEIGHTS).write_bytes(b"") and None, r"truncated|could not be read"),
    "not JSON": (raw("{"), r"could not be read: classifier\.json: "),
    "a list": (raw("[]"), r"holds a list, not the fields"),
    "deep JSON": (raw("[" * 100_000), r"could not be read"),
    "long JSON": (raw('{"classes": "' + "a" * 2**20 + '"}'), r"has more than 256 kB"),
    "twice": (raw('{"format": 2, "format": 2}'), r"field 'format' is given twice"),
    "a NaN": (raw('{"format": NaN}'), r"NaN is not a number"),
    "an endless number": (raw('{"format": 1e999}'), r"1e999 is not a number"),
    "a long number": (raw('{"format": ' + "9" * 10_000 + "}"), r"could not be read"),
    "many unknown fields": (raw(json.dumps({f"f{n}": n for n in range(20_000)})), r"could not be read"),
    "a changed character": (
        lambda folder: edit(folder / DESCRIPTION, "basophil", "basophi1"),
        r"was changed after it was written.*checksum",
    ),
    "classes in another order": (
        lambda folder: edit(folder / DESCRIPTION, '"basophil",\n    "eosinophil"', '"eosinophil",\n    "basophil"'),
        r"was changed after it was written.*checksum",
    ),
    "no classes": (fields(classes=None), r"'classes'"),
    "two classes": (fields(classes=["one", "two"]), r"'head\.6\.bias' has shape \(6,\).* instead of \(2,\)"),
    "one class": (fields(classes=["one"]), r"'classes'"),
    "the same class": (fields(classes=["one", "one", "two", "three", "four", "five"]), r"not distinct"),
    "a class that is a number": (fields(classes=[1, 2, 3, 4, 5, 6]), r"'classes\.0'.*string"),
    "a class that moves the cursor": (fields(classes=["\x1b[2J", "b", "c", "d", "e", "f"]), r"control characters"),
    "a long class": (fields(classes=["a" * 101, "b", "c", "d", "e", "f"]), r"'classes\.0'.*100 characters"),
    "symmetric as a word": (fields(symmetric="false"), r"'symmetric'.*boolean"),
    "symmetric as a number": (fields(symmetric=0), r"'symmetric'.*boolean"),
    "an unknown field": (fields(temperature=2.0), r"unknown field 'temperature'"),
    "no hash": (fields(weights=None), r"'weights' is empty"),
    "a later format": (fields(format=3), r"(?s)'format'.*or a newer cellda"),
    "an unknown normalizer": (fields(normalizer={"name": "reinhart"}), r"did you mean 'reinhard'"),
    "an unknown backbone": (fields(backbone={"name": "test_efficientnt"}), r"did you mean 'test_efficientnet'"),
    "an unknown setting": (fields(backbone={"side": 3}), r"unknown field 'backbone\.side'"),
    "a huge image": (fields(backbone={"name": "test_efficientnet", "image_size": 10**9}), r"image_size.*1024"),
    "a huge backbone": (fields(backbone={"name": "vit_giant_patch14_224"}), r"do not belong together"),
    "a huge embedding": (
        fields(backbone=BACKBONE.model_dump() | {"embedding": 10**12}),
        r"backbone\.embedding.*65536",
    ),
    "a huge head": (
        fields(head={"name": "cache", "size": 10**12, "alpha": 1.0, "beta": 1.0, "inner": {"name": "mlp"}}),
        r"do not belong together: 'head\.keys' is missing",
    ),
    "a negative head": (
        fields(head={"name": "cache", "size": -1, "alpha": 1.0, "beta": 1.0, "inner": {"name": "mlp"}}),
        r"'size'.*greater than or equal to 1",
    ),
    "a head without a name": (fields(head={}), r"a head has a name"),
    "a head with a width": (fields(head={"name": "mlp", "width": 3}), r"width and classes are the classifier's"),
    "an unknown head": (fields(head={"name": "mlq"}), r"did you mean 'mlp'"),
}  # fmt: skip


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def other() -> CellClassifier:
    return CellClassifier(BACKBONE, NormalizerSpec.model_validate("reinhard"))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_by_name(copy: Path, name: str):
    damage, message = DAMAGES[name]
    damage(copy)
    started = time.perf_counter()
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        CellClassifier.load(copy)
    assert str(copy) in str(caught.value)
    assert len(str(caught.value)) < 5000
    assert time.perf_counter() - started < 20  # it would take minutes, or all memory


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(min_value=0),
    bit=st.integers(0, 7),
    file=st.sampled_from([saved.WEIGHTS, DESCRIPTION]),
)
def test_any_flipped_bit_is_noticed(folder: Path, tmp_path: Path, place: int, bit: int, file: str):
    for one in folder.iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    content = bytearray((folder / file).read_bytes())
    content[place % len(content)] ^= 1 << bit
    (tmp_path / file).write_bytes(content)
    try:
        loaded = CellClassifier.load(tmp_path)
    except DataError:
        return
    # White space between the fields of a description says nothing.
    assert file == DESCRIPTION
    assert described(tmp_path) == described(folder)
    assert loaded.classes == fresh().classes


def test_a_folder_without_hashes_is_read_with_a_word(copy: Path):
    first_format(copy)
    with pytest.warns(UserWarning, match=r"saved by an earlier version, without a hash.*Save it again"):
        loaded = CellClassifier.load(copy)
    again = CellClassifier.load(loaded.save(copy / "again"))  # and now without one
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(again.predict(pixels).probabilities, fresh().predict(pixels).probabilities)


def test_a_folder_without_hashes_is_checked_as_far_as_it_goes(copy: Path):
    weights(embedding__bias=first_value(torch.nan))(copy)
    first_format(copy)
    with (
        pytest.warns(UserWarning, match="without a hash"),
        pytest.raises(DataError, match=r"'embedding\.bias' holds NaN"),
    ):
        CellClassifier.load(copy)


def test_the_folder_of_a_run_is_read_as_its_model(folder: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(folder)
    (tmp_path / "run" / "record.json").write_text("{}")
    assert CellClassifier.load(tmp_path / "run").classes == fresh().classes


def test_a_model_of_a_training_that_diverged_is_not_saved(tmp_path: Path):
    model = fresh()
    with torch.no_grad():
        model.embedding.bias[3] = torch.nan
    with pytest.raises(ConfigurationError, match=r"training diverged: 'embedding\.bias' holds NaN"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("symmetric", [False, True])
def test_probabilities_that_are_not_finite_are_an_error(symmetric: bool):
    """Finite weights can give them, too: products overflow."""
    model = fresh()
    model.symmetric = symmetric
    with torch.no_grad():
        model.embedding.bias.fill_(1e30)
        model.head[2].weight.fill_(3e38)
    with pytest.raises(
        DivergedError, match=r"Predicting: the model gives NaN or infinite values for 3 of 3 images"
    ):
        model.predict(torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8))


# --- half precision


def test_half_precision_halves_the_file_and_loads_as_the_halved_model(tmp_path: Path):
    whole, halved = fresh(), fresh().halved()
    whole.save(tmp_path / "whole")
    whole.save(tmp_path / "half", half=True)
    sizes = {name: (tmp_path / name / saved.WEIGHTS).stat().st_size for name in ("whole", "half")}
    assert sizes["half"] < 0.6 * sizes["whole"]
    loaded = CellClassifier.load(tmp_path / "half")
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    for name, value in halved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert torch.equal(loaded.predict(images).probabilities, halved.predict(images).probabilities)
    assert not torch.equal(loaded.predict(images).probabilities, whole.predict(images).probabilities)
    assert torch.allclose(
        loaded.predict(images).probabilities, whole.predict(images).probabilities, atol=1e-2
    )


def test_statistics_and_biases_keep_their_precision(tmp_path: Path):
    whole = fresh()
    whole.save(tmp_path, half=True)
    held = load_file(tmp_path / saved.WEIGHTS)
    for name, value in whole.state_dict().items():
        if name.endswith(("running_mean", "running_var", "bias")) or name in ("mean", "std"):
            assert torch.equal(held[name], value), name


def test_a_folder_in_half_precision_is_saved_again_as_it_is(tmp_path: Path):
    fresh().save(tmp_path / "first", half=True)
    CellClassifier.load(tmp_path / "first").save(tmp_path / "second", half=True)
    assert saved.folder_digest(tmp_path / "first") == saved.folder_digest(tmp_path / "second")
