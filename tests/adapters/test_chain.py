"""Chained adapters, and the unlabelled pool."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import cellda.adapters
from cellda import CellClassifier, Recipe
from cellda.adapters import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
from cellda.adapters.chain import Chain
from cellda.data.few_shot import draw_support, split_query
from cellda.errors import CelldaError, ConfigurationError
from cellda.models.timm_names import encoder_structure
from cellda.plugins.settings import tunable
from tiny import CLASSES, brightness_set, prepared, recipe, target


class Recorder(Adapter):
    """Records its inputs on the model."""

    effects = frozenset({Effect.ENCODER})
    needs = frozenset({Need.UNLABELLED})
    add: float = tunable(1.0, low=0.0, high=4.0)

    def adapt(self, model: CellClassifier, target: TargetView, context: AdaptContext) -> CellClassifier:
        model.recorded = [*getattr(model, "recorded", []), (self.name, target, context)]
        return model

    def image_passes(self, offer: Offer) -> int:
        return offer.unlabelled


class RecorderOfLabels(Recorder):
    """Records its inputs, labels and source included."""

    needs = frozenset({Need.LABELS, Need.SOURCE})

    def check(self, offer: Offer) -> None:
        if offer.missing:
            raise ConfigurationError(f"recorder_of_labels misses {offer.missing[0]}.")

    def image_passes(self, offer: Offer) -> int:
        return 2 * offer.labelled


@pytest.fixture(autouse=True)
def registered():
    """The two are adapters in these tests alone."""
    with cellda.adapters.registry.scratch():
        cellda.adapters.register("recorder")(Recorder)
        cellda.adapters.register("recorder_of_labels")(RecorderOfLabels)
        yield


STEPS = ({"name": "recorder", "add": 2.0}, "recorder_of_labels")
OFFER = Offer((2, 3, 0, 0, 0, 0), 40, 7, CLASSES, (), encoder_structure("test_efficientnet"))


def test_the_steps_see_the_model_in_turn_and_only_what_each_declared() -> None:
    chain = cellda.adapters.build(STEPS)
    support, pool, source = (
        brightness_set(),
        replace(brightness_set(seed=1), known_labels=None),
        brightness_set(seed=2),
    )
    model = CellClassifier(recipe().backbone, recipe().normalizer)
    found = chain.adapt(model, TargetView(support, pool), AdaptContext(None, 0, (source,))).recorded
    assert [name for name, *_ in found] == ["recorder", "recorder_of_labels"]
    (_, first, one), (_, second, other) = found
    assert first.support.known_labels is None
    assert first.unlabelled is pool
    assert one.source == ()
    assert second.support is support
    assert second.unlabelled is None
    assert other.source == (source,)


def test_a_chain_needs_costs_and_refuses_what_its_steps_do() -> None:
    chain = cellda.adapters.build(STEPS)
    assert chain.name == "recorder+recorder_of_labels"
    assert chain.needs == frozenset(Need)
    assert chain.start is Start.SOURCE
    assert chain.image_passes(OFFER) == 40 + 2 * 5
    chain.check(OFFER)
    with pytest.raises(ConfigurationError, match="misses monocyte"):
        chain.check(replace(OFFER, missing=("monocyte",)))


def test_a_search_names_the_values_of_each_step() -> None:
    chain = cellda.adapters.build(STEPS)
    assert chain.searched() == {"recorder.add": 2.0, "recorder_of_labels.add": 1.0}
    assert set(chain.search_space()) == set(chain.searched())
    tuned = chain.tuned({"recorder_of_labels.add": 3.5})
    assert tuned.searched() == {"recorder.add": 2.0, "recorder_of_labels.add": 3.5}


def test_a_recipe_with_a_chain_survives_yaml_and_edits() -> None:
    chosen = Recipe(adapter=STEPS)
    assert isinstance(chosen.adapter, Chain)
    again = Recipe.from_yaml(chosen.to_yaml())
    assert again == chosen
    assert again.digest == chosen.digest
    assert again.adapter.searched()["recorder.add"] == 2.0
    assert chosen.digest != Recipe(adapter=STEPS[::-1]).digest
    assert chosen.with_(seed=3).adapter == chosen.adapter
    assert Recipe(adapter=["none"]).adapter == Recipe(adapter="none").adapter
    assert Recipe(adapter="head_only+full") == Recipe(adapter=("head_only", "full"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("full", "full"), "two or more different adapters.*full, full"),
        ((), "got none"),
        (
            ("head_only", "from_scratch"),
            "'from_scratch' starts from the backbone's own weights.*put it first",
        ),
        (("full", "adabn"), "'adabn'.*'full'.*changes the encoder; put 'adabn' first"),
        (("adabn", "tent"), "'adabn' and 'tent' both start.*use one of the two"),
        ("full+adabn", "put 'adabn' first"),
        ("full+lpft", "no adapter 'lpft'; did you mean 'lp_ft'"),
        (("full", "ncm", "tent"), "'tent'.*'full', which"),
        (
            ("label_propagation", "full"),
            "'full' changes the model.*'label_propagation'.*stores.*'full' before",
        ),
        (("lame", "tta", "head_only"), "'head_only' changes the model.*'lame'.*stores"),
        (("prior_correction", "t3a"), "'t3a' changes the model.*'prior_correction'.*stores"),
        (("head_only", "ncm"), "'ncm' replaces the head.*'head_only' made.*would be lost"),
        (("full", "head_only", "tta", "logistic"), "'logistic' replaces the head.*'head_only' made"),
        (("lame", "label_propagation"), "'label_propagation' replaces the head.*put 'lame' after"),
        (("tip_cache", "t3a"), "'t3a' changes the model.*'tip_cache'.*stores"),
        (("label_propagation", "lp_ft"), "'lp_ft' changes the model.*'label_propagation'.*stores"),
        (("tta", "full"), "'full' changes the encoder, and after 'tta'.*several views.*'full' before 'tta'"),
        (("head_only", "ful"), "no adapter 'ful'"),
        (("head_only", {"name": "full", "rate": 1}), "rate"),
        (3, "give the name of an adapter"),
    ],
    ids=str,
)
def test_chains_that_cannot_work_are_refused(given, said) -> None:
    with pytest.raises(CelldaError, match=f"(?s){said}"):
        Recipe(adapter=given)


@pytest.mark.parametrize(
    "given",
    [
        ("head_only", "adabn", "full"),
        ("none", "adabn"),
        ("full", "label_propagation", "tta"),
        ("tta", "head_only", "t3a"),
        ("label_propagation", "lame", "prior_correction"),
        ("head_only", "full", "ncm"),
        ("ncm", "head_only"),
        ("head_only", "tip_cache"),
    ],
    ids=str,
)
def test_chains_of_what_leaves_alone_what_those_before_built_on_are_taken(given) -> None:
    assert Recipe(adapter=given).adapter.name == "+".join(given)


def test_a_chain_runs_as_one_adapter_and_its_record_says_so(tmp_path) -> None:
    chosen = recipe(adapter=["head_only", {"name": "full", "epochs": 1}], search={"trials": 1, "folds": 2})
    result = chosen.run(target(), store=tmp_path)
    assert result.record.condition == "head_only+full"
    assert [step["name"] for step in result.record.adapter] == ["head_only", "full"]
    assert result.record.trials[0].values["full.lr"] == 3e-4
    alone = recipe(adapter={"name": "full", "epochs": 1}).run(target(), store=tmp_path)
    assert not np.allclose(alone.predictions["p_monocyte"], result.predictions["p_monocyte"])


# ---------------------------------------------------------------------------------------------- the pool


def test_the_pool_is_what_is_predicted_or_disjoint_from_it_by_groups(tmp_path) -> None:
    transductive = prepared(recipe(adapter="recorder"), tmp_path)
    assert transductive.pool_rows == transductive.scored == transductive.draw.query
    inductive = prepared(recipe(adapter="recorder", pool="disjoint"), tmp_path)
    pool, scored = set(inductive.pool_rows), set(inductive.scored)
    assert pool | scored == set(inductive.draw.query)
    assert not pool & scored
    groups = np.asarray(inductive.draw.groups)
    assert not set(groups[list(pool)]) & set(groups[list(scored)])
    normalizer = recipe().normalizer.build()
    assert inductive.pool(normalizer).known_labels is None
    assert torch.equal(inductive.pool(normalizer).rows, torch.tensor(inductive.pool_rows))
    assert inductive.offer.unlabelled == len(pool)


@pytest.mark.parametrize("draw", range(4))
def test_the_halves_are_of_like_size_and_depend_on_no_label(draw) -> None:
    dataset = target(per_class=20)
    drawn = draw_support(dataset, 18, draw)
    pool, scored = split_query(drawn)
    assert abs(len(pool) - len(scored)) <= 0.35 * len(drawn.query)
    assert split_query(drawn) == (pool, scored)
    with pytest.raises(ConfigurationError, match="single group"):
        split_query(replace(drawn, groups=("one",) * len(drawn.groups)))


def test_a_run_on_a_disjoint_pool_predicts_the_other_half_and_says_so(tmp_path) -> None:
    chosen = recipe(pool="disjoint")
    case = prepared(chosen, tmp_path)
    result = chosen.run(target(), store=tmp_path)
    assert len(result.predictions) == len(case.scored) < len(case.draw.query)
    assert result.record.pool == "disjoint"  # `full` sees no pool, but is measured where others do not look
