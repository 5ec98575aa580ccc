"""Recipes: equal ones are equal everywhere, and wrong or impossible ones are refused before anything is done."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import cellda.datasets
from cellda import Recipe
from cellda.adapters.full import Full
from cellda.datasets.base import CellDataset
from cellda.errors import CelldaError, ConfigurationError, UnknownNameError
from cellda.models.spec import Backbone
from cellda.normalizers.reinhard import PAPER
from tiny import recipe as tiny
from tiny import target
from trees import TREES

# One other value for every field there is.
EDITS: dict[str, Any] = {
    "taxonomy": "wbc13",
    "sources": ["raabin"],
    "normalizer": "identity",
    "target_normalizer": "identity",
    "framing": "cell",
    "backbone.name": "resnet18",
    "backbone.weights": "none",
    "backbone.image_size": 96,
    "backbone.embedding": 64,
    "training.epochs": 3,
    "training.batch_size": 32,
    "training.lr": 1e-3,
    "training.optimizer": "adam",
    "training.weight_decay": 0.1,
    "training.label_smoothing": 0.2,
    "training.one_cycle": False,
    "training.bn": "train",
    "training.holdout": 0.0,
    "training.mixstyle": 0.5,
    "training.stain_jitter": 1.0,
    "training.pooling": "root",
    "training.compared": "own",
    "training.taxonomy": "wbc13",
    "few_shot.n": 48,
    "few_shot.draw": 2,
    "few_shot.kind": "random",
    "adapter": "head_only",
    "search": None,
    "search.selector": "entropy",
    "search.trials": 5,
    "search.folds": 4,
    "search.batch": 1,
    "search.asynchronous": True,
    "calibration": "classwise",
    "pool": "disjoint",
    "present": ("lymphocyte", "neutrophil"),
    "twins": "drop",
    "protocol": "paper",
    "seed": 7,
    "device": "cpu",
}
ALSO = {
    "adapter options": Recipe(adapter={"name": "full", "lr": 1e-5}),
    "normalizer options": Recipe(normalizer={"name": "reinhard", "mask": None}),
    "given reference": Recipe(
        normalizer={"name": "reinhard", "space": "lab", "reference": PAPER.model_dump()}
    ),
    "source options": Recipe(sources=[{"name": "synthetic/0", "options": {"per_class": 6}}]),
    "degrade": Recipe(sources=[{"name": "barcelona", "degrade": False}, "munich_2019"]),
    "laptop": Recipe.preset("laptop", "no_transform"),
}


def edited(path: str, value: Any) -> Recipe:
    field, _, inner = path.partition(".")
    return Recipe().with_(**{field: {inner: value} if inner else value})


EVERY = {"default": Recipe(), **{path: edited(path, value) for path, value in EDITS.items()}, **ALSO}


def stored(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


# --- equality, YAML, digest


@pytest.mark.parametrize("name", EVERY)
def test_yaml_reads_back_equal(name: str):
    recipe = EVERY[name]
    again = Recipe.from_yaml(recipe.to_yaml())
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.to_yaml() == recipe.to_yaml()


def test_yaml_file_reads_back_equal(tmp_path: Path):
    file = tmp_path / "recipe.yaml"
    file.write_text(EVERY["laptop"].to_yaml(), encoding="utf-8")
    assert Recipe.from_yaml(file) == EVERY["laptop"]


def test_yaml_prints_every_field_with_its_value():
    printed = yaml.safe_load(Recipe().to_yaml())
    assert set(printed) == set(Recipe.model_fields)
    for part in ("backbone", "training", "few_shot", "search"):
        settings = getattr(Recipe(), part)
        assert printed[part] == {name: getattr(settings, name) for name in type(settings).model_fields}
    assert printed["adapter"] == {"name": "full", **Full().model_dump()}
    assert printed["normalizer"] == {
        "name": "reinhard",
        "space": "lalphabeta",
        "reference": "paper",
        "mask": "padding",
    }
    assert printed["sources"][0] == {"name": "barcelona", "degrade": True, "options": {}}


def test_a_source_is_degraded_by_default_if_its_card_says_that_it_is_sharp() -> None:
    with cellda.datasets.registry.scratch():

        @cellda.datasets.register("sharp_lab")
        class SharpLab(CellDataset):
            """Images of a sharp microscope."""

            sharp = True

            def _index(self) -> None:
                """Recipes read no table."""

        assert [source.degrade for source in Recipe(sources=["sharp_lab", "munich_2019"]).sources] == [
            True,
            False,
        ]
        assert not Recipe(sources=[{"name": "sharp_lab", "degrade": False}]).sources[0].degrade


def test_missing_fields_of_a_file_take_their_defaults():
    assert Recipe.from_yaml("seed: 3\nbackbone:\n  image_size: 96\n") == Recipe(
        seed=3, backbone={"image_size": 96}
    )
    assert Recipe.from_yaml("training: {lr: 3e-4}") == Recipe()  # YAML takes 3e-4 for a text


def test_every_field_is_edited_above():
    leaves = set()
    for name, value in Recipe().model_dump(mode="json").items():
        inner = name in ("backbone", "training", "few_shot", "search")
        leaves |= {f"{name}.{key}" for key in value} if inner else {name}
    assert leaves - {"source_model"} <= set(EDITS)  # tests/source_models


def test_another_value_of_any_field_is_another_recipe():
    digests = {name: recipe.digest for name, recipe in EVERY.items()}
    assert len(set(digests.values())) == len(EVERY), digests
    assert all(recipe != Recipe() for name, recipe in EVERY.items() if name != "default")


def test_equal_recipes_are_equal_however_they_were_written():
    assert (
        Recipe(sources="barcelona")
        == Recipe(sources=["barcelona"])
        == Recipe(sources=[{"name": "barcelona"}])
    )
    assert Recipe(adapter="full") == Recipe(adapter={"name": "full"}) == Recipe(adapter=Full())
    assert Recipe(training={"lr": "3e-4"}).digest == Recipe().digest
    assert Recipe(backbone=Backbone()) == Recipe()


def test_digest_is_the_same_in_every_process():
    code = "from cellda import Recipe; print(Recipe().digest, Recipe.preset('laptop', 'no_transform').digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "4321"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [Recipe().digest, ALSO["laptop"].digest]
    canonical = json.dumps(Recipe().model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    assert Recipe().digest == hashlib.sha256(canonical.encode()).hexdigest()[:16]


def test_a_recipe_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().seed = 3  # type: ignore[misc]


# --- edits


def test_with_changes_what_is_named_and_nothing_else():
    base = Recipe.preset("laptop")
    changed = base.with_(few_shot={"draw": 3}, seed=1, adapter={"lr": 1e-5})
    assert (changed.few_shot.draw, changed.few_shot.n, changed.few_shot.kind) == (3, None, "balanced")
    assert changed.adapter == Full().model_copy(update={"lr": 1e-5})
    assert (changed.seed, changed.backbone, changed.search) == (1, base.backbone, None)
    assert base == Recipe.preset("laptop")


def test_with_keeps_the_rest_of_the_backbone():
    changed = Recipe(backbone={"image_size": 96, "embedding": 64}).with_(backbone={"name": "resnet18"})
    assert changed.backbone == Backbone(name="resnet18", image_size=96, embedding=64)


def test_with_another_plugin_brings_its_own_defaults():
    base = Recipe(adapter={"name": "full", "epochs": 3}, normalizer={"name": "reinhard", "mask": None})
    changed = base.with_(adapter={"name": "head_only", "lr": 0.01}, normalizer="identity")
    assert changed.adapter.model_dump()["epochs"] == 50
    assert changed.normalizer.options == {}
    assert base.with_(normalizer={"mask": "padding"}) == base.with_(normalizer="reinhard")


def test_with_turns_parts_on_and_off():
    assert Recipe().with_(search=None).with_(search={"trials": 3}).search.trials == 3
    assert Recipe().with_(target_normalizer="identity").used_target_normalizer.name == "identity"
    assert Recipe().used_target_normalizer == Recipe().normalizer


def test_with_refuses_unknown_fields():
    with pytest.raises(
        ConfigurationError, match=r"unknown field 'backbone.image_siz': did you mean 'image_size'"
    ):
        Recipe().with_(backbone={"image_siz": 96})


# --- wrong fields and names


def test_all_problems_are_listed_together_with_near_names():
    with pytest.raises(ConfigurationError) as caught:
        Recipe(
            adaptr="full",
            sources=["barcelon", "munich_2019"],
            normalizer="reinhart",
            target_normalizer={"name": "reinhard", "spac": "lab"},
            backbone={"nam": "resnet18", "image_size": "big"},
            few_shot=3,
            adapter={"name": "full", "epoch": 3, "lr": "fast"},
            search={"trial": 3},
            seed=-1,
        )
    text = str(caught.value)
    for problem in (
        "unknown field 'adaptr': did you mean 'adapter'?",
        "'sources.0.name': There is no dataset 'barcelon'; did you mean 'barcelona'?",
        "'normalizer': There is no normalizer 'reinhart'; did you mean 'reinhard'?",
        "unknown field 'spac': did you mean 'space'?",
        "unknown field 'backbone.nam': did you mean 'name'?",
        "'backbone.image_size': Input should be a valid integer",
        "'few_shot' must be a mapping of its fields: n, draw, kind (got 3)",
        "unknown field 'epoch': did you mean 'epochs'?",
        "'lr': Input should be a valid number",
        "unknown field 'search.trial': did you mean 'trials'?",
        "'seed': Input should be greater than or equal to 0 (got -1)",
    ):
        assert problem in text
    assert text.count("\n  - ") == 10  # one line a field, no problem that is only the echo of another
    assert text.count("\n    - ") == 3  # those inside a plug-in, below it


def test_a_problem_is_listed_without_its_echo():
    """A list whose only member is wrong is not called empty as well."""
    with pytest.raises(ConfigurationError) as caught:
        Recipe(sources=["barcelon"])
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adapter": "hed_only"}, r"no adapter 'hed_only'; did you mean 'head_only'\?"),
        (
            {"adapter": {}},
            r"give the name of an adapter, a mapping with its 'name' and options, or a list.*Known: .*from_scratch, full",
        ),
        ({"adapter": {"epochs": 3}}, r"give the name of an adapter"),
        ({"adapter": None}, r"give the name of an adapter"),
        ({"adapter": {"name": "head_only", "bn": "train"}}, r"'bn': Input should be 'frozen'"),
        ({"normalizer": {"space": "lab"}}, r"'normalizer.name' is missing"),
        ({"normalizer": None}, r"'normalizer' must be a mapping"),
        (
            {"normalizer": {"name": "reinhard", "space": "lab", "reference": "paper"}},
            r"l-alpha-beta statistics.*reference='source'",
        ),
        ({"sources": []}, r"- sources is empty: name a dataset, or a trained source_model"),
        ({"sources": 5}, r"'sources': "),
        ({"sources": [{"nam": "raabin"}]}, r"'sources.0.name' is missing"),
        ({"sources": [{"name": ["raabin"]}]}, r"'sources.0.name': Input should be a valid string"),
        ({"sources": ["raabin", "raabin"]}, r"listed twice: raabin"),
        (
            {"sources": [{"name": "raabin", "options": {"root": "/x"}}]},
            r"not part of a recipe; give it as data=",
        ),
        ({"protocol": "papr"}, r"should be 'clean' or 'paper'"),
        ({"training": {"epochs": 2.5, "holdout": 0.9}}, r"(?s)training.epochs.*training.holdout"),
    ],
)
def test_what_a_recipe_refuses(fields: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError, match=message):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"adaptr: full\nseed: x\n",
            r"(?s)recipe\.yaml: .*'seed': Input should be.*'adaptr': did you mean 'adapter'",
        ),
        (b"search:\n  trial: 3\n", r"unknown field 'search.trial': did you mean 'trials'"),
        (b"preset: laptop\n", r"unknown field 'preset'"),
        (b"1: 2\n", r"unknown field '1'"),
        (b"adapter: {name: full, 1: 2}\n", r"unknown field '1'"),
        (b"a: [1\n", r"is not YAML in line 2"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", r"is not text: it holds zero bytes"),
        (b"\xff\xfe\x00\xd8", r"is not text in UTF-8"),
        (b"", r"does not hold a mapping"),
        (b"- full\n", r"does not hold a mapping"),
    ],
)
def test_what_a_recipe_file_must_not_hold(tmp_path: Path, content: bytes, message: str):
    file = tmp_path / "recipe.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        Recipe.from_yaml(file)
    assert str(file) in str(caught.value)


def test_a_recipe_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"no_such\.yaml cannot be read: No such file"):
        Recipe.from_yaml(tmp_path / "no_such.yaml")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        Recipe.from_yaml(tmp_path)


def test_a_file_name_is_not_taken_for_yaml():
    with pytest.raises(ConfigurationError, match=r"a file is read with Recipe\.from_yaml\(Path\(\.\.\.\)\)"):
        Recipe.from_yaml("recipe.yaml")


# --- what cannot work is refused before anything is decoded, trained or stored


def own_folder(root: Path, classes: dict[str, int]) -> Path:
    for shade, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, shade, 9)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch) -> Path:
    """An empty store, and datasets that must not be decoded."""

    def read(*_: Any) -> None:
        raise AssertionError("images were decoded")

    monkeypatch.setattr(cellda.datasets.get("synthetic"), "read", read)
    monkeypatch.setattr(CellDataset, "read", read)
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("edits", "aim", "message"),
    [
        ({}, "synthetic/0", r"is both the target and a source.*remove it from the sources"),
        ({"few_shot": {"n": 1000}}, None, r"cannot give 1,000 support cells.*ask for n = 41 or fewer"),
        (
            {"few_shot": {"n": 3}},
            None,
            r"3 support cells cannot be divided among the 6 classes.*n = 6 or more",
        ),
        ({"few_shot": {"n": 6}, "search": {"folds": 3}}, None, r"search.*search=None"),
        (
            {"adapter": {"name": "mixed_source", "source_images": 99}},
            None,
            r"the sources hold 36; set .* at most 36",
        ),
        ({}, "synthetic/99", r"no dataset 'synthetic/99'"),
        ({}, "syntetic/1", r"did you mean 'synthetic'"),
        (
            {"sources": [{"name": "synthetic/0", "options": {"per_clas": 6}}]},
            None,
            r"did you mean 'per_class'",
        ),
        ({"sources": ["synthetic/77"]}, None, r"no dataset 'synthetic/77'"),
        ({}, "raabin", r"'raabin' is read from a folder: say where with data="),
        ({"sources": ["raabin"]}, None, r"'raabin' is read from a folder: say where with data="),
        (
            {"backbone": {"name": "efficentnet_b0"}},
            None,
            r"timm has no model.*did you mean '.*efficientnet_b0",
        ),
        (
            {"backbone": {"weights": "wights.pth"}},
            None,
            r"neither 'timm', 'packaged', 'none' nor an existing file",
        ),
        ({"backbone": {"weights": "packaged"}}, None, r"are those of 'tf_efficientnet_lite0', not of"),
    ],
)
def test_impossible_runs_are_refused_first(untouched: Path, edits, aim, message: str):
    with pytest.raises(CelldaError, match=message):
        tiny(**edits).run(aim or target(), store=untouched, progress=False)
    assert stored(untouched) == []


def test_missing_folders_are_refused_first(untouched: Path, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"nowhere \(there is no such folder\)"):
        tiny().run("raabin", tmp_path / "nowhere", store=untouched, progress=False)
    (tmp_path / "data" / "rabin").mkdir(parents=True)
    with pytest.raises(
        ConfigurationError, match=r"no folder 'raabin' for dataset 'raabin' in .*it holds rabin"
    ):
        tiny().run("raabin", tmp_path / "data", store=untouched, progress=False)
    with pytest.raises(CelldaError, match=r"no_cells does not exist"):
        tiny().run(f"folder={tmp_path / 'no_cells'}", store=untouched, progress=False)
    assert stored(untouched) == []


def test_the_sources_images_under_another_name_are_refused_first(untouched: Path, tmp_path: Path):
    cells = own_folder(tmp_path / "barcelona", {"basophil": 4, "monocyte": 4})
    with pytest.raises(ConfigurationError, match="contains the same images as the source 'barcelona'"):
        tiny(sources=["barcelona"]).run(f"folder={cells}", tmp_path, store=untouched, progress=False)
    assert stored(untouched) == []


@pytest.mark.parametrize(("source", "aim"), [("barcelona", "bloodmnist"), ("bloodmnist", "barcelona")])
@pytest.mark.parametrize("adapter", ["full", "from_scratch"])
def test_the_same_cells_in_other_files_are_refused_first(
    untouched: Path, tmp_path: Path, source, aim, adapter
):
    for name in (source, aim):
        TREES[name](tmp_path / name)
    with pytest.raises(
        ConfigurationError,
        match=f"target '{aim}' shows the same cells as the source '{source}' in other files",
    ):
        tiny(sources=["synthetic/0", source], adapter=adapter).run(
            aim, tmp_path, store=untouched, progress=False
        )
    assert stored(untouched) == []


def test_sources_that_show_the_same_cells_are_refused_first(untouched: Path, tmp_path: Path):
    for name in ("barcelona", "bloodmnist"):
        TREES[name](tmp_path / name)
    with pytest.raises(ConfigurationError, match="sources 'barcelona' and 'bloodmnist' show the same cells"):
        tiny(sources=["barcelona", "bloodmnist"]).run(
            "synthetic/1", tmp_path, store=untouched, progress=False
        )
    assert stored(untouched) == []


def test_variants_of_one_set_are_never_source_and_target(untouched: Path, tmp_path: Path):
    TREES["jiangxi_tecom"](tmp_path / "jiangxi_tecom")
    with pytest.raises(ConfigurationError, match="shows the same cells as the source 'jiangxi_tecom'"):
        tiny(sources=["jiangxi_tecom"]).run(
            "jiangxi_tecom/authors", tmp_path, store=untouched, progress=False
        )
    assert stored(untouched) == []


def test_a_target_without_labelled_cells_is_refused_first(untouched: Path, tmp_path: Path):
    cells = own_folder(tmp_path / "few", {"monocyte": 3})  # half of 3 cells is one
    with pytest.raises(ConfigurationError, match=r"needs labelled images.* holds 1; set few_shot.n"):
        tiny(few_shot={"n": None}).run(f"folder={cells}", store=untouched, progress=False)
    assert stored(untouched) == []


def test_weights_that_cannot_be_had_are_refused_first(untouched: Path, monkeypatch):
    import timm

    build = timm.create_model

    def unreachable(name: str, pretrained: bool = False, **options: Any) -> Any:
        if not pretrained:  # the structure alone, to see whether it has BatchNorm
            return build(name, pretrained=False, **options)
        raise OSError("the hub is far away.")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(ConfigurationError) as caught:
        tiny(backbone={"weights": "timm"}).run(target(), store=untouched, progress=False)
    for part in (
        "the hub is far away",
        "weights='packaged'",
        "'cellda[offline]'",
        "weights='none'",
        "state dict",
    ):
        assert part in str(caught.value)
    assert stored(untouched) == []


def test_an_unknown_preset_names_the_near_ones():
    with pytest.raises(UnknownNameError, match=r"no preset 'hed_only'; did you mean 'head_only'\?"):
        Recipe.preset("laptop", "hed_only")
