"""The contract of every adapter, and what each of them does."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import cellda.adapters
from cellda import CellClassifier, Recipe
from cellda.adapters import Adapter
from cellda.adapters.base import AdaptContext, Need, Offer, Start, TargetView
from cellda.adapters.mixed_source import MixedSource
from cellda.errors import ConfigurationError
from cellda.experiment.run import Run
from cellda.experiment.stages import fresh_model, normalizer_state, source_model
from cellda.models.timm_names import encoder_structure
from cellda.normalizers.identity import Identity
from cellda.normalizers.reinhard import Reinhard
from cellda.plugins.settings import search_space
from cellda.training.batches import Batches, Mix
from cellda.training.loop import Trainer
from cellda.training.settings import Training
from tiny import CLASSES, brightness_set, prepared, recipe, same, state, target

NAMES = cellda.adapters.names()
SMALL = {"epochs": 2, "probe_epochs": 2, "source_images": 12, "threshold": 0.01}
OFFER = Offer((3,) * 6, 24, 36, CLASSES, (), encoder_structure("test_efficientnet"))
"""What the tiny case below offers."""


def small(name: str) -> Adapter:
    """The adapter, with values that make it quick if it has any."""
    fields = cellda.adapters.get(name).model_fields
    return cellda.adapters.create(name, **{key: value for key, value in SMALL.items() if key in fields})


@dataclass
class Tiny:
    """A source model on disk, a target with a draw, and what an adapter receives of them."""

    case: Run
    trainer: Trainer
    source: Path

    def model(self, adapter: Adapter) -> CellClassifier:
        spec = self.case.recipe.used_target_normalizer
        start = (
            CellClassifier.load(self.source)
            if adapter.start is Start.SOURCE
            else fresh_model(self.case, CLASSES)
        )
        return start.with_normalizer(spec, normalizer_state(self.case, spec))

    def view(self, adapter: Adapter, model: CellClassifier) -> TargetView:
        pool = self.case.pool(model.normalizer) if Need.UNLABELLED in adapter.needs else None
        return TargetView(self.case.support(model.normalizer), pool).seen_by(adapter)

    def offer(self, adapter: Adapter) -> Offer:
        return replace(
            self.case, recipe=self.case.recipe.with_(adapter=cellda.adapters.described(adapter))
        ).offer

    def context(self, adapter: Adapter, seed: int = 0) -> AdaptContext:
        wanted = Need.SOURCE in adapter.needs
        sources = self.case.source_sets(fresh_model(self.case, CLASSES).normalizer) if wanted else ()
        return AdaptContext(self.trainer, seed, sources)

    def adapted(self, adapter: Adapter, seed: int = 0) -> CellClassifier:
        model = self.model(adapter)
        return adapter.adapt(model, self.view(adapter, model), self.context(adapter, seed))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Tiny:
    case, trainer = prepared(recipe(), tmp_path_factory.mktemp("store")), Trainer("cpu")
    return Tiny(case, trainer, source_model(case, trainer))


# ---------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_named_after_the_adapter(name) -> None:
    cls = cellda.adapters.get(name)
    assert cls.name == name
    assert cls.__module__ == f"cellda.adapters.{name}"
    assert issubclass(cls, Adapter)


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_is_a_sentence(name) -> None:
    summary = cellda.adapters.summary(name)
    assert summary == cellda.adapters.get(name).__doc__.strip().split("\n")[0]
    assert 20 < len(summary) < 120
    assert summary.rstrip().endswith((".", ")"))


@pytest.mark.parametrize("name", NAMES)
def test_needs_and_start_are_declared(name) -> None:
    cls = cellda.adapters.get(name)
    assert isinstance(cls.needs, frozenset)
    assert all(isinstance(need, Need) for need in cls.needs)
    assert isinstance(cls.start, Start)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_lie_inside_the_ranges_and_their_ends_are_allowed(name) -> None:
    default = cellda.adapters.create(name)
    for field, allowed in search_space(type(default)).items():
        value = getattr(default, field)
        if allowed.choices is not None:
            assert value in allowed.choices
            ends = allowed.choices
        else:
            assert allowed.low <= value <= allowed.high
            ends = (allowed.low, allowed.high)
        for end in ends:
            typed = int(end) if allowed.integer else end
            assert getattr(cellda.adapters.create(name, **{field: typed}), field) == end


@pytest.mark.parametrize("name", NAMES)
def test_unknown_hyper_parameters_are_refused_by_name(name) -> None:
    with pytest.raises(ConfigurationError, match=rf"adapter '{name}'.*\n.*unknown field 'learningrate'"):
        cellda.adapters.create(name, learningrate=1)
    with pytest.raises(ConfigurationError, match="learningrate"):
        Recipe(adapter={"name": name, "learningrate": 1})


@pytest.mark.parametrize("name", NAMES)
def test_values_cannot_be_changed_afterwards(name) -> None:
    adapter = cellda.adapters.create(name)
    for field in type(adapter).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(adapter, field, getattr(adapter, field))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_with_it_survives_yaml(name) -> None:
    space = search_space(cellda.adapters.get(name))
    values = {
        field: a.choices[-1] if a.choices else (int(a.high) if a.integer else a.high)
        for field, a in space.items()
    }
    chosen = Recipe(adapter={"name": name, **values})
    again = Recipe.from_yaml(chosen.to_yaml())
    assert again == chosen
    assert type(again.adapter) is cellda.adapters.get(name)
    assert again.digest == chosen.digest
    plain = Recipe(adapter=name)
    assert (chosen.digest == plain.digest) == (chosen.adapter == plain.adapter)


@pytest.mark.parametrize("name", NAMES)
def test_the_time_it_takes_can_be_told_beforehand(name) -> None:
    adapter = small(name)
    passes = adapter.image_passes(OFFER)
    assert isinstance(passes, int)
    assert passes >= 0
    # The defaults keep to the budget on which methods are compared (docs/zoo.md).
    for support, pool in ((20, 230), (100, 1000), (100, 100_000)):
        offer = replace(OFFER, support=(support,), unlabelled=pool, source=2000)
        assert cellda.adapters.create(name).image_passes(offer) <= 3000


@pytest.mark.parametrize("name", NAMES)
def test_the_images_that_pass_the_backbone_are_those_announced(tiny, monkeypatch, name) -> None:
    adapter, passed = small(name), []
    embed = CellClassifier.embed
    monkeypatch.setattr(
        CellClassifier, "embed", lambda self, images: passed.append(len(images)) or embed(self, images)
    )
    tiny.adapted(adapter)
    assert sum(passed) == adapter.image_passes(tiny.offer(adapter))


def fingerprint(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_it_returns_a_usable_classifier_and_changes_nothing_on_disk(tiny, tmp_path, name) -> None:
    before = fingerprint(tiny.source)
    model = tiny.adapted(small(name))
    assert fingerprint(tiny.source) == before

    assert isinstance(model, CellClassifier)
    raw = tiny.case.query(model.normalizer).raw(range(5))
    with torch.no_grad():
        logits = model.eval()(model.normalized(raw))
    assert logits.shape == (5, 6)
    assert logits.isfinite().all()
    said = model.predict(raw).probabilities
    torch.testing.assert_close(said.sum(1), torch.ones(5))
    # What is kept on disk says the same.
    kept = CellClassifier.load(model.save(tmp_path / "model"))
    torch.testing.assert_close(kept.predict(raw).probabilities, said, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_what_it_does(tiny, name) -> None:
    adapter = small(name)
    torch.manual_seed(1)
    first = state(tiny.adapted(adapter, seed=3))
    torch.manual_seed(2)
    assert same(first, state(tiny.adapted(adapter, seed=3)))
    draws = isinstance(adapter, Training) or name in {"calibrated_prior", "second_view"}
    assert same(first, state(tiny.adapted(adapter, seed=4))) == (not draws)


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_the_images_alone(tiny, name) -> None:
    adapter = small(name)
    model = tiny.model(adapter)
    view, context = tiny.view(adapter, model), tiny.context(adapter)
    sets = [view.support, *context.source]
    before = [(part.pixels.clone(), part.rows.clone()) for part in sets]
    adapter.adapt(model, view, context)
    for part, (pixels, rows) in zip(sets, before, strict=True):
        assert torch.equal(part.pixels, pixels)
        assert torch.equal(part.rows, rows)


# ---------------------------------------------------------------------------------------------- on a transformer

WITH_BATCHNORM = ("adabn", "tent")


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory) -> Tiny:
    chosen = recipe(backbone={"name": "test_vit", "weights": "none", "image_size": 32})
    case, trainer = prepared(chosen, tmp_path_factory.mktemp("store")), Trainer("cpu")
    return Tiny(case, trainer, source_model(case, trainer))


@pytest.mark.parametrize("name", NAMES)
def test_on_a_transformer_it_works_or_says_why_not(tiny_vit, tmp_path, name) -> None:
    adapter = small(name)
    if name in WITH_BATCHNORM:
        with pytest.raises(ConfigurationError, match=f"{name} works on the BatchNorm layers.*has none"):
            adapter.check(tiny_vit.offer(adapter))
        return
    adapter.check(tiny_vit.offer(adapter))
    model = tiny_vit.adapted(adapter)
    raw = tiny_vit.case.query(model.normalizer).raw(range(5))
    said = model.predict(raw).probabilities
    torch.testing.assert_close(said.sum(1), torch.ones(5))
    kept = CellClassifier.load(model.save(tmp_path / "model"))
    torch.testing.assert_close(kept.predict(raw).probabilities, said, atol=1e-6, rtol=1e-5)


# ---------------------------------------------------------------------------------------------- each of them


class Spy(Trainer):
    """Records the arguments of `fit`, and trains nothing."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.calls: list[dict] = []

    def fit(self, module, examples, settings, **options):
        self.calls.append({"module": module, "examples": examples, "settings": settings, **options})
        return []


def spied(tiny: Tiny, adapter: Adapter, seed: int = 0) -> tuple[dict, CellClassifier, TargetView]:
    """The one call of the training loop that the adapter makes, its model and its view."""
    spy = Spy()
    model = tiny.model(adapter)
    view = tiny.view(adapter, model)
    adapter.adapt(model, view, replace(tiny.context(adapter, seed), trainer=spy))
    assert len(spy.calls) == 1
    return spy.calls[0], model, view


def test_none_changes_nothing(tiny) -> None:
    adapter = small("none")
    assert same(state(tiny.adapted(adapter)), state(tiny.model(adapter)))
    assert adapter.needs == frozenset()


@pytest.mark.parametrize("name", ["full", "from_scratch"])
def test_full_trains_the_whole_model_on_the_support_alone(tiny, name) -> None:
    adapter = small(name)
    call, model, view = spied(tiny, adapter, seed=9)
    assert call["module"] is model
    assert call["examples"].sets == (view.support,)
    assert call["settings"] == adapter
    assert call["seed"] == 9
    before, after = state(tiny.model(adapter)), state(tiny.adapted(adapter))
    trained = [key for key, _ in model.named_parameters()]
    assert all(not torch.equal(before[key], after[key]) for key in trained if key.endswith("weight"))


@pytest.mark.parametrize("name", ["full", "from_scratch", "mixed_source"])
@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, 200),  # few images: epochs are added
        ({"min_steps": 800}, 800),
        ({"epochs": 3}, 0),  # epochs set by the user are kept
        ({"epochs": 3, "min_steps": 50}, 50),
    ],
    ids=str,
)
def test_few_images_get_steps_enough_unless_epochs_are_named(tiny, name, given, steps) -> None:
    own = {"source_images": 12} if name == "mixed_source" else {}
    adapter = cellda.adapters.create(name, **given, **own)
    call, _, view = spied(tiny, adapter)
    images, epochs = len(call["examples"]), call["settings"].epochs
    assert images == 18 + own.get("source_images", 0)
    assert call["examples"].stain_jitter == adapter.stain_jitter == 1.0
    an_epoch = len(Batches(Mix((images,)), adapter.batch_size, 0))
    assert epochs == max(adapter.epochs, -(-steps // an_epoch))
    assert len(view.support) == OFFER.labelled
    assert adapter.image_passes(OFFER) == epochs * images
    rest = {key: value for key, value in call["settings"].model_dump().items() if key != "epochs"}
    assert rest == {key: value for key, value in adapter.model_dump().items() if key != "epochs"}


def test_from_scratch_is_full_from_another_start() -> None:
    full, scratch = (cellda.adapters.create(name) for name in ("full", "from_scratch"))
    assert full.model_dump() == scratch.model_dump()
    assert search_space(type(full)) == search_space(type(scratch))
    assert (full.start, scratch.start) == (Start.SOURCE, Start.PRETRAINED)


@pytest.mark.parametrize("bn", ["frozen", "train"])
def test_full_moves_the_encoders_statistics_only_if_told_to(tiny, bn) -> None:
    adapter = cellda.adapters.create("full", epochs=1, bn=bn)
    before, after = state(tiny.model(adapter)), state(tiny.adapted(adapter))
    for part, moves in (("encoder.", bn == "train"), ("head.", True)):
        keys = [key for key in before if key.startswith(part) and "running" in key]
        assert keys
        assert all(torch.equal(before[key], after[key]) != moves for key in keys)


def test_head_only_trains_the_head_and_nothing_else(tiny) -> None:
    adapter = small("head_only")
    before, after = state(tiny.model(adapter)), state(tiny.adapted(adapter))
    frozen = [key for key in before if not key.startswith("head.")]
    assert any(key.startswith("encoder.") for key in frozen)
    assert any(key.startswith("embedding.") for key in frozen)
    assert all(torch.equal(before[key], after[key]) for key in frozen)
    weights = [key for key in before if key.startswith("head.") and key.endswith("weight")]
    assert weights
    assert all(not torch.equal(before[key], after[key]) for key in weights)


def test_head_only_learns_from_the_embeddings_of_the_evaluated_model(tiny) -> None:
    call, model, view = spied(tiny, small("head_only"))
    assert call["module"] is model.head
    with torch.no_grad():
        wanted = model.eval().embed(model.normalized(view.support.raw(range(18))))
    torch.testing.assert_close(call["examples"].features, wanted, atol=1e-6, rtol=1e-5)
    assert torch.equal(call["examples"].labels, view.support.labels)


# ---------------------------------------------------------------------------------------------- mixed_source


def mixed(sources, wanted: int, seed: int = 0):
    """The sets that mixed_source trains on, the support first."""
    spy = Spy()
    support = brightness_set(per_class=3)
    adapter = MixedSource(source_images=wanted)
    adapter.adapt(torch.nn.Identity(), TargetView(support), AdaptContext(spy, seed, tuple(sources)))
    sets = spy.calls[0]["examples"].sets
    assert sets[0] is support
    return sets[1:]


def test_mixed_source_draws_the_wanted_number_in_equal_parts() -> None:
    sources = [brightness_set(per_class=12, seed=1), brightness_set(per_class=15, seed=2)]
    drawn = mixed(sources, 100)
    assert sum(map(len, drawn)) == 100
    cells = Counter((i, label) for i, part in enumerate(drawn) for label in part.labels.tolist())
    assert len(cells) == 12
    assert set(cells.values()) == {8, 9}
    for part, source in zip(drawn, sources, strict=True):
        assert len(set(part.rows.tolist())) == len(part)  # no image twice
        assert torch.equal(part.labels, source.labels[part.rows])
        assert part.normalizer is source.normalizer
        assert part.degrade == source.degrade


def test_mixed_source_makes_up_for_classes_that_run_out() -> None:
    scarce = brightness_set(per_class=12).subset([0, 1, *range(12, 72)])  # two of class 0
    (drawn,) = mixed([scarce], 42)
    assert torch.bincount(drawn.labels).tolist() == [2, 8, 8, 8, 8, 8]


def test_mixed_source_takes_a_source_without_a_class_and_can_leave_one_out() -> None:
    sources = [brightness_set(per_class=5, classes=1), brightness_set(per_class=5, classes=6)]
    drawn = mixed(sources, 7)
    assert [torch.bincount(part.labels, minlength=6).tolist() for part in drawn] == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
    ]
    assert [len(part) for part in mixed(sources, 1)] == [1]


def test_mixed_source_draws_by_seed() -> None:
    sources = [brightness_set(per_class=12)]
    first, again, other = (mixed(sources, 30, seed)[0].rows.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_mixed_source_refuses_to_draw_more_than_there_is_before_any_training(tmp_path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"the sources hold 36; set adapter.source_images to at most 36"
    ):
        prepared(recipe(adapter="mixed_source"), tmp_path)
    with pytest.raises(ConfigurationError, match="at most 72"):
        mixed([brightness_set(per_class=12)], 100)
    assert not list(tmp_path.iterdir())


def test_mixed_source_keeps_the_normalizer_of_each_part(tmp_path, monkeypatch) -> None:
    seen = []
    fit = Trainer.fit

    def watched(self, module, examples, *given, **options):
        seen.append([type(part.normalizer) for part in examples.sets])
        return fit(self, module, examples, *given, **options)

    monkeypatch.setattr(Trainer, "fit", watched)
    chosen = recipe(adapter=cellda.adapters.described(small("mixed_source")), target_normalizer="identity")
    chosen.run(target(), store=tmp_path, progress=False)
    assert seen == [[Reinhard], [Identity, Reinhard]]
