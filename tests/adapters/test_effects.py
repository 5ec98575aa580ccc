"""Effects of adapters: each states its own, chains are checked by them, and every step starts from a clean model."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import cellda.adapters
from cellda import CellClassifier, Recipe
from cellda.adapters import AdaptContext, Adapter, Effect, TargetView
from cellda.adapters.chain import Chain
from cellda.errors import ConfigurationError
from cellda.models.heads.base import Head
from cellda.training.loop import Trainer
from tiny import brightness_set, small_model, state

PLUGINS = Path(__file__).parents[2] / "docs" / "plugins.md"
OWN = cellda.adapters.names()
SMALL = {"pool_images": 12, "source_images": 12, "neighbours": 3, "threshold": 0.01}


STATISTICS = {"adabn", "embedding_statistics", "tent"}
HEAD = {"head_only", "t3a", "tim"}
NEW_HEAD = {"logistic", "ncm"}
MEMORY = {"calibrated_prior", "lame", "prior_correction", "tip_cache"}
ENCODER_AND_HEAD = {
    "bitfit",
    "bss",
    "coral",
    "dann",
    "delta",
    "fixmatch",
    "from_scratch",
    "full",
    "l2_sp",
    "lora",
    "lp_ft",
    "mcc",
    "mean_teacher",
    "mixed_source",
    "mmd",
    "mme",
    "norm_only",
    "self_training",
    "surgical",
}
STATED = {
    "none": frozenset(),
    "second_view": frozenset(),
    **dict.fromkeys(STATISTICS, frozenset({Effect.ENCODER, Effect.SOURCE_STATISTICS})),
    **dict.fromkeys(HEAD, frozenset({Effect.HEAD})),
    **dict.fromkeys(NEW_HEAD, frozenset({Effect.NEW_HEAD})),
    **dict.fromkeys(MEMORY, frozenset({Effect.MEMORY})),
    **dict.fromkeys(ENCODER_AND_HEAD, frozenset({Effect.ENCODER, Effect.HEAD})),
    "label_propagation": {Effect.NEW_HEAD, Effect.MEMORY},
    "probe": {Effect.ENCODER, Effect.NEW_HEAD},
    "shot": {Effect.ENCODER},
    "tta": {Effect.VIEWS},
}
"""What each adapter does to the model, written out by hand."""

REMEMBERING = MEMORY | {"label_propagation"}
TRAINED = ENCODER_AND_HEAD | {"shot"}
REFUSED = {
    **dict.fromkeys(TRAINED, REMEMBERING | {"tta"}),
    **dict.fromkeys(STATISTICS, REMEMBERING | TRAINED | STATISTICS | {"probe", "tta"}),
    **dict.fromkeys(HEAD, REMEMBERING),
    **dict.fromkeys(NEW_HEAD | {"label_propagation"}, REMEMBERING | HEAD | NEW_HEAD),
    **dict.fromkeys(("from_scratch", "probe"), frozenset(OWN)),
}
"""Second step of a chain -> the first steps that it cannot follow."""


class Careless(Adapter):
    """Trains the embedding alone, and leaves the rest frozen and the model in training mode."""

    effects = frozenset({Effect.ENCODER})

    def adapt(self, model, target, context):
        model.requires_grad_(False).train()
        model.embedding.requires_grad_(True)
        context.trainer.fit(model, None, None)
        return model.train()

    def image_passes(self, offer) -> int:
        return 0


class Aloof(Careless):
    """Changes nothing, and leaves everything frozen."""

    effects = frozenset()

    def adapt(self, model, target, context):
        return model.requires_grad_(False).train()


class Exact(Careless):
    """Checks what the contract promises about the model it receives."""

    effects = frozenset()

    def adapt(self, model, target, context):
        assert all(weight.requires_grad for weight in model.parameters())
        assert not any(layer.training for layer in model.modules())
        return model


class Forgetful(Careless):
    """Returns something other than a classifier."""

    effects = frozenset()

    def adapt(self, model, target, context):
        return nn.Identity()


def batchnorm_only() -> type[Adapter]:
    """The class that docs/plugins.md prints."""
    code = PLUGINS.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    space: dict[str, Any] = {"__name__": "wardlab"}
    exec(code.replace('@register_adapter("batchnorm_only")\n', ""), space)
    return space["BatchNormOnly"]


@pytest.fixture(scope="module", autouse=True)
def third_party():
    """Adapters of another package, registered in these tests only."""
    classes = {cls.__name__.lower(): cls for cls in (Careless, Aloof, Exact, Forgetful)}
    with cellda.adapters.registry.scratch():
        classes["batchnorm_only"] = batchnorm_only()
        for name, cls in classes.items():
            cellda.adapters.register(name)(cls)
        yield


class Noting(Trainer):
    """Records the parameters it is given to train, and trains nothing."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.trained: list[frozenset[str]] = []

    def fit(self, module, examples, settings, **options):
        named = module.named_parameters(prefix="" if isinstance(module, CellClassifier) else "head")
        self.trained.append(frozenset(name for name, weight in named if weight.requires_grad))
        return []


@cache
def source() -> CellClassifier:
    model = small_model()
    model.folded()  # what is found out about its layers is copied with it
    return model


def fresh() -> CellClassifier:
    return deepcopy(source())


SOURCES = (brightness_set(per_class=3, seed=2),)
VIEW = TargetView(
    brightness_set(per_class=2), replace(brightness_set(per_class=3, seed=1), known_labels=None)
)


def small(name: str) -> Adapter:
    fields = cellda.adapters.get(name).model_fields
    return cellda.adapters.create(name, **{key: value for key, value in SMALL.items() if key in fields})


def trained_by(adapter: Adapter, model: CellClassifier) -> tuple[list[frozenset[str]], CellClassifier]:
    """The parameters in every training run by `adapter`, and the model that it returns."""
    trainer = Noting()
    found = adapter.apply(model, VIEW, AdaptContext(trainer, 0, SOURCES))
    return trainer.trained, found


def allowed(*names: str) -> Chain | None:
    try:
        return Chain(steps=tuple(map(small, names)))
    except ValueError:
        return None


# ---------------------------------------------------------------------------------------------- effects


def test_every_adapter_states_its_effects() -> None:
    assert {name: cellda.adapters.get(name).effects for name in OWN} == STATED


@pytest.mark.parametrize("name", OWN)
def test_what_an_adapter_changes_is_what_it_states(name) -> None:
    adapter, model = small(name), fresh()
    before = deepcopy(model)
    trained, after = trained_by(adapter, model)
    trained_names = frozenset().union(*trained)

    def differs(part: str) -> bool:
        one, other = (getattr(each, part).state_dict() for each in (before, after))
        return one.keys() != other.keys() or any(not torch.equal(one[key], other[key]) for key in one)

    stated = adapter.effects
    assert (Effect.ENCODER in stated) == (
        differs("encoder")
        or differs("embedding")
        or any(not key.startswith("head.") for key in trained_names)
    )
    replaced = type(after.head) is not type(before.head)
    assert replaced == bool(stated & {Effect.NEW_HEAD, Effect.MEMORY})
    if name != "surgical":  # of its head, statistics alone follow the images: see below
        assert (Effect.HEAD in stated) == (
            any(key.startswith("head.") for key in trained_names) or (differs("head") and not replaced)
        )
    assert after.symmetric == (Effect.VIEWS in stated) == (adapter.views > 1)


@pytest.mark.parametrize("name", ["adabn", "shot", "surgical", "tent"])
def test_what_trains_the_encoder_alone_states_the_head_if_its_statistics_follow(name) -> None:
    adapter, model = small(name), fresh()
    before = state(model.head)
    after = state(adapter.apply(model, VIEW, AdaptContext(Trainer("cpu"), 0, SOURCES)).head)
    moved = {key for key in before if not torch.equal(after[key], before[key])}
    assert not moved & {key for key, _ in source().head.named_parameters()}
    assert bool(moved) == (Effect.HEAD in adapter.effects)


class Silent(Adapter):
    """States nothing."""

    def adapt(self, model, target, context):
        raise AssertionError("nothing may be adapted")

    def image_passes(self, offer) -> int:
        return 0


class Listed(Silent):
    """States its effects as the wrong type."""

    effects = ["encoder"]


class Manifold(Silent):
    """Embeds views without saying so."""

    effects = frozenset({Effect.HEAD})
    views = 4


@pytest.mark.parametrize("cls", [Silent, Listed])
@pytest.mark.parametrize("ask", ["create", "recipe", "class"])
def test_an_adapter_that_does_not_state_its_effects_is_refused(cls, ask) -> None:
    asked = {
        "create": lambda: cellda.adapters.create("silent"),
        "recipe": lambda: Recipe(adapter="silent"),
        "class": cls,
    }
    with cellda.adapters.registry.scratch():
        cellda.adapters.register("silent")(cls)
        with pytest.raises(ConfigurationError) as caught:
            asked[ask]()
    said = str(caught.value)
    assert "'silent'" in said
    assert "does not state its effects" in said
    assert "effects = frozenset()" in said
    assert all(f"Effect.{effect.name}: {effect.value}" in said for effect in Effect)


def test_views_go_with_their_effect() -> None:
    with pytest.raises(ConfigurationError, match=r"views=4; state Effect\.VIEWS if, and only if"):
        Manifold()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("aloof", "careless"), None),
        (("careless", "adabn"), "put 'adabn' first"),
        (("tta", "careless"), "put 'careless' before 'tta'"),
        (("tip_cache", "careless"), "'careless' before 'tip_cache'"),
        (("tip_cache", "aloof"), None),
        (("head_only", "careless", "ncm"), None),
        (("head_only", "aloof", "ncm"), "put 'head_only' after 'ncm'"),
    ],
    ids=str,
)
def test_chains_with_adapters_of_others_are_judged_by_what_these_state(names, said) -> None:
    if said is None:
        assert cellda.adapters.build(names).name == "+".join(names)
    else:
        with pytest.raises(ConfigurationError, match=said):
            Recipe(adapter=names)


def test_the_pairs_of_adapters_that_a_chain_refuses() -> None:
    refused = {
        second: {first for first in OWN if first != second and allowed(first, second) is None}
        for second in OWN
    }
    assert refused == {name: REFUSED.get(name, set()) - {name} for name in OWN}
    assert sum(map(len, refused.values())) == 315


# ---------------------------------------------------------------------------------------------- a clean model

THIRD = ("batchnorm_only", "careless", "aloof")
TRAINING = [name for name in OWN if cellda.adapters.get(name).effects & {Effect.ENCODER, Effect.HEAD}] + [
    *THIRD[:2]
]
"""Adapters that train or compute statistics; for the others there is nothing to compare."""


def paper_head() -> Head:
    return deepcopy(source().head)


@pytest.mark.parametrize("first", [*OWN, *THIRD])
def test_a_step_of_a_chain_receives_a_clean_model_and_a_run_leaves_one(first) -> None:
    model = fresh().requires_grad_(False).train()
    _, found = trained_by(Chain(steps=(small(first), small("exact"))), model)
    _, alone = trained_by(small(first), fresh())
    for left in (found, alone):
        assert all(weight.requires_grad for weight in left.parameters())
        assert not any(layer.training for layer in left.modules())


def left_by(name: str) -> type[Adapter]:
    """An adapter that returns what the named one returns, computed once for all chains that begin with it."""
    adapter = small(name)
    left = adapter.adapt(fresh(), VIEW.seen_by(adapter), AdaptContext(Noting(), 0, SOURCES))

    class Left(Careless):
        """Return the other's result."""

        effects = adapter.effects
        views = adapter.views

        def adapt(self, model, target, context):
            return deepcopy(left)

    Left.name = name
    return Left


@cache
def trained_alone(name: str, head: Callable[[], Head]) -> list[frozenset[str]]:
    """The parameters of the source model, with such a head, that an adapter trains."""
    model = fresh()
    model.head = head()
    return trained_by(small(name), model)[0]


@pytest.mark.parametrize("first", [*OWN, *THIRD])
def test_what_a_step_trains_is_what_it_trains_alone(first) -> None:
    """For every ordered pair that the rules allow, including those of other packages."""
    begin = left_by(first)()
    head = begin.adapt(None, None, None).head
    same_head = [key for key, _ in head.named_parameters()] == [
        key for key, _ in source().head.named_parameters()
    ]
    make_head = paper_head if same_head else lambda: deepcopy(head)
    pairs = 0
    for second in TRAINING:
        if second != first and allowed(first, second):
            found, _ = trained_by(Chain(steps=(begin, small(second))), source())
            assert found == trained_alone(second, make_head), second
            pairs += 1
    assert pairs or Effect.MEMORY in begin.effects


def test_full_after_the_class_of_the_guide_trains_all_that_it_trains_alone() -> None:
    class Watching(Noting):
        """Trains too."""

        def fit(self, module, examples, settings, **options):
            super().fit(module, examples, settings, **options)
            return Trainer.fit(self, module, examples, settings, **options)

    full = cellda.adapters.create("full", epochs=2)
    alone, chained = Watching(), Watching()
    full.apply(fresh(), VIEW, AdaptContext(alone, 0))
    first = cellda.adapters.create("batchnorm_only", epochs=10)
    between = first.apply(fresh(), VIEW, AdaptContext(Trainer("cpu"), 0))
    before = {name: weight.detach().clone() for name, weight in between.named_parameters()}
    after = Chain(steps=(first, full)).apply(fresh(), VIEW, AdaptContext(chained, 0))
    assert len(before) == 57
    assert alone.trained == [frozenset(before)]
    assert len(chained.trained[0]) < 57
    assert chained.trained[1:] == alone.trained
    moved = {name for name, weight in after.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == set(before)


def test_an_adapter_that_returns_no_classifier_is_refused_wherever_it_stands() -> None:
    for adapter in (small("forgetful"), Chain(steps=(small("forgetful"), small("exact")))):
        with pytest.raises(
            ConfigurationError, match="'forgetful' returned a Identity instead of a classifier"
        ):
            trained_by(adapter, fresh())
