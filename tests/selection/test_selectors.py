"""Selectors: what each measures, that query labels reach the oracle alone, and that the oracle is marked."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

import cellda.adapters
from cellda.adapters.base import AdaptContext, Adapter, TargetView
from cellda.adapters.mixed_source import MixedSource
from cellda.data.image_set import ImageSet
from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import probabilities
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.experiment.study import Study
from cellda.models.classifier import CellClassifier
from cellda.selection import selectors
from cellda.selection.selectors.base import Evidence, Selector, Use
from cellda.selection.selectors.entropy import Entropy
from cellda.selection.selectors.info_max import InfoMax
from cellda.selection.selectors.snd import SoftNeighbourhoodDensity
from cellda.selection.selectors.source_val import SourceVal
from cellda.training.loop import Trainer
from tiny import brightness_set, prepared, quiet, recipe, relabelled, target

BUILT_IN = selectors.names()
HONEST = sorted(set(BUILT_IN) - {"oracle"})
certainty = Entropy().measure
mutual_information = InfoMax().measure
soft_neighbourhood_density = SoftNeighbourhoodDensity().measure
HEAD = {"name": "head_only", "epochs": 3}


def predicted(rows: int = 40, sharpness: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows)
    return (sharpness * torch.randn(rows, 6, generator=generator)).softmax(1)


def test_pool_measures_are_those_of_their_papers() -> None:
    p = predicted().double().numpy()
    single, together = scipy_entropy(p, axis=1).mean(), scipy_entropy(p.mean(0))
    assert certainty(torch.tensor(p)) == pytest.approx(-single)
    assert mutual_information(torch.tensor(p)) == pytest.approx(together - single)
    # Saito et al. 2021, equations 2 and 3, image by image.
    f = p / np.linalg.norm(p, axis=1, keepdims=True)
    densities = []
    for i in range(len(f)):
        similar = np.array([np.exp(f[i] @ f[j] / 0.05) for j in range(len(f)) if j != i])
        densities.append(scipy_entropy(similar / similar.sum()))
    assert soft_neighbourhood_density(torch.tensor(p)) == pytest.approx(np.mean(densities))


def test_density_does_not_depend_on_how_rows_are_shared_out(monkeypatch) -> None:
    p = predicted(33)
    whole = soft_neighbourhood_density(p)
    monkeypatch.setattr("cellda.selection.selectors.snd._CHUNK", 7)
    assert soft_neighbourhood_density(p) == pytest.approx(whole)
    assert soft_neighbourhood_density(p[:1]) == 0.0


def test_more_is_better_in_every_pool_measure() -> None:
    sure = torch.eye(6).repeat(5, 1)
    vague, one_class = torch.full((30, 6), 1 / 6), torch.eye(6)[[0] * 30]
    assert certainty(sure) == 0.0 > certainty(vague) == pytest.approx(-np.log(6))
    assert mutual_information(sure) == pytest.approx(np.log(6))
    assert mutual_information(vague) == pytest.approx(0) == pytest.approx(mutual_information(one_class))
    # Each of five equal predictions has the four others, and no further one, around it.
    assert soft_neighbourhood_density(sure) == pytest.approx(np.log(4), abs=1e-3)
    assert soft_neighbourhood_density(one_class) == pytest.approx(np.log(29))


class Told:
    """Candidates that predict what they are told, and remember what they were given."""

    def __init__(self, answers: dict[int, torch.Tensor]) -> None:
        self.answers = answers

    def probabilities(self, candidate, train, images, rows):
        assert train is None
        return self.answers[id(images)][list(rows)]


def test_source_validation_is_the_mean_accuracy_of_the_sources() -> None:
    small, large = brightness_set(per_class=1), brightness_set(per_class=4)
    right = torch.eye(6)[small.labels]
    half = torch.eye(6)[torch.where(torch.arange(24) % 2 == 0, large.labels, (large.labels + 1) % 6)]
    told = Told({id(small): right, id(large): half})
    found = SourceVal().scores(None, Evidence(told, {Use.HELD_OUT_SOURCE: (small, large)}))
    assert list(found) == [pytest.approx(0.75)]


@pytest.fixture
def witness() -> Iterator[Callable[[Use], list[Evidence]]]:
    """Registers a selector that uses one kind of evidence, under `witness`; what it is given is in the list."""

    def made(use: Use) -> list[Evidence]:
        given: list[Evidence] = []

        @selectors.register("witness")
        class Witness(Selector):
            uses = frozenset({use})

            def scores(self, candidate: Adapter, evidence: Evidence) -> Iterator[float]:
                given.append(evidence)
                image = EVIDENCE[use](evidence)
                evidence.candidates.probabilities(candidate, None, image, range(len(image)))
                yield 1.0

        return given

    with selectors.registry.scratch(), cellda.adapters.registry.scratch():
        yield made


EVIDENCE: dict[Use, Callable[[Evidence], ImageSet]] = {
    Use.SUPPORT_LABELS: lambda evidence: evidence.support,
    Use.HELD_OUT_SOURCE: lambda evidence: evidence.held_out[0],
    Use.POOL: lambda evidence: evidence.pool,
    Use.QUERY_LABELS: lambda evidence: evidence.truth,
}
"""How each kind of evidence is read."""


@pytest.mark.parametrize("use", Use)
def test_a_selector_receives_what_it_declares_and_nothing_else(tmp_path, witness, use) -> None:
    given = witness(use)
    chosen = recipe(adapter=HEAD, search={"trials": 2, "selector": "witness"})
    study = Study(
        {f"mine{'+oracle' * (use is Use.QUERY_LABELS)}": chosen},
        [target()],
        oracle=True,
        workspace=quiet(tmp_path),
    )
    predictions = study.run()
    (record,) = study.records()
    assert len(given) == 2
    for evidence in given:
        for other, read in EVIDENCE.items():
            if other is use:
                assert len(read(evidence))
            else:
                with pytest.raises(ConfigurationError, match=rf"declare Use\.{other.name} in `uses`"):
                    read(evidence)
        assert bool(evidence.folds) == (use is Use.SUPPORT_LABELS)
    images = EVIDENCE[use](given[0])
    assert (images.known_labels is None) == (use is Use.POOL)
    assert record.selector == "witness"
    assert record.oracle == (use is Use.QUERY_LABELS)
    assert record.pool == ("query" if use is Use.POOL else None)
    assert record.labels_used == 18 + record.oracle * len(predictions)


def test_the_code_of_a_selector_is_part_of_the_run(tmp_path) -> None:
    searches = {
        name: prepared(recipe(adapter=HEAD, search={"selector": name}), tmp_path).search
        for name in ("entropy", "snd")
    }
    assert searches["entropy"].code != searches["snd"].code


def test_held_out_cells_are_not_trained_on(tmp_path, witness) -> None:
    trained: list[tuple[ImageSet, ...]] = []

    class Watched(MixedSource):
        def adapt(self, model, target: TargetView, context: AdaptContext) -> CellClassifier:
            trained.append(context.source)
            return super().adapt(model, target, context)

    cellda.adapters.register("watched")(Watched)
    given = witness(Use.HELD_OUT_SOURCE)
    mixture = {"name": "watched", "epochs": 1, "source_images": 6}
    chosen = recipe(adapter=mixture, search={"trials": 1, "selector": "witness"})
    chosen.run(target(), store=tmp_path, progress=False)
    in_search, at_last = trained
    for whole, held, kept in zip(at_last, given[0].held_out, in_search, strict=True):
        rows = [set(part.rows.tolist()) for part in (whole, held, kept)]
        assert rows[1]
        assert rows[2] == rows[0] - rows[1]


def test_an_unknown_selector_is_refused_with_the_near_names() -> None:
    with pytest.raises(ConfigurationError, match=r"no selector 'support-cv'; did you mean 'support_cv'"):
        recipe(search={"selector": "support-cv"})


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_selector_says_what_it_uses(name) -> None:
    uses = selectors.get(name).uses
    assert uses <= set(Use)
    assert (not uses) == (name == "fixed")
    assert (Use.QUERY_LABELS in uses) == (name == "oracle")


@pytest.mark.parametrize("selector", HONEST)
def test_no_selector_but_the_oracle_knows_query_labels(tmp_path, monkeypatch, selector) -> None:
    chosen = recipe(adapter=HEAD, search={"trials": 3, "selector": selector})
    plain = chosen.run(target(), store=tmp_path / "plain", progress=False)
    aim, draw = relabelled(chosen.few_shot, chosen.protocol)
    monkeypatch.setattr("cellda.experiment.workspace.draw_support", lambda *_: draw)
    permuted = chosen.run(aim, store=tmp_path / "permuted", progress=False)
    assert (plain.predictions["label"] != permuted.predictions["label"]).mean() > 0.5
    assert np.array_equal(probabilities(plain.predictions), probabilities(permuted.predictions))
    assert plain.record.adapter == permuted.record.adapter
    assert [t.score for t in plain.trials] == [t.score for t in permuted.trials]
    assert len(plain.trials) == (0 if selector == "fixed" else 3)
    assert plain.record.selector == (None if selector == "fixed" else selector)
    assert plain.record.oracle is False
    assert plain.record.pool == ("query" if Use.POOL in selectors.get(selector).uses else None)
    assert plain.labels_used == 18


def test_the_oracle_chooses_by_the_query_and_says_so(tmp_path) -> None:
    chosen = recipe(adapter=HEAD, search={"trials": 4, "selector": "oracle"})
    aim = target(per_class=9)  # six query cells of each class: enough for a balanced accuracy
    study = Study({"head_only+oracle": chosen}, [aim], oracle=True, workspace=quiet(tmp_path))
    study.run()
    (record,) = study.records()
    assert (record.condition, record.oracle, record.selector) == ("head_only+oracle", True, "oracle")
    (case,) = (case for _, case in study.runs())
    result = RunResult(case.finished())
    assert result.record.condition.endswith("+oracle")
    assert result.labels_used == 18 + len(result.predictions)
    # What it scores is what is measured in the end.
    best = max(trial.score for trial in result.trials)
    assert best == pytest.approx(result.metrics.balanced_accuracy.value)


def test_the_oracle_is_refused_unless_a_study_asks_for_it(tmp_path) -> None:
    chosen = recipe(adapter=HEAD, search={"trials": 2, "selector": "oracle"})
    with pytest.raises(ConfigurationError, match=r"upper bound.*Study\(\.\.\., oracle=True\)"):
        chosen.run(target(), store=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match="chooses by query labels"):
        Study({"head_only+oracle": chosen}, [target()], workspace=quiet(tmp_path)).run()
    with pytest.raises(ConfigurationError, match=r"must end in '\+oracle'.*rename 'head_only'"):
        Study({"head_only": chosen}, [target()], oracle=True, workspace=quiet(tmp_path)).run()
    honest = recipe(adapter=HEAD)
    with pytest.raises(ConfigurationError, match=r"must end in '\+oracle'"):
        Study({"mine+oracle": honest}, [target()], workspace=quiet(tmp_path)).run()


def test_source_validation_needs_held_out_cells(tmp_path) -> None:
    chosen = recipe(adapter=HEAD, search={"selector": "source_val"}, training={"epochs": 1, "holdout": 0})
    with pytest.raises(ConfigurationError, match=r"training\.holdout=0 holds none out"):
        prepared(chosen, tmp_path)


def test_a_selector_without_labels_needs_no_folds(tmp_path) -> None:
    few = {"adapter": HEAD, "few_shot": {"n": 6}}
    with pytest.raises(ConfigurationError, match="search=None"):
        prepared(recipe(**few, search={"folds": 3}), tmp_path)
    case = prepared(recipe(**few, search={"folds": 3, "selector": "snd"}), tmp_path)
    assert case.labels_used == 6
    assert prepared(recipe(adapter="none", search={"selector": "snd"}), tmp_path).search is None


def test_images_are_embedded_once_for_all_trials(tmp_path, monkeypatch) -> None:
    embedded: Counter = Counter()
    embeddings = Trainer.embeddings

    def counted(self, model, images, *given):
        embedded[len(images)] += 1
        return embeddings(self, model, images, *given)

    monkeypatch.setattr(Trainer, "embeddings", counted)
    chosen = recipe(adapter=HEAD, search={"trials": 3, "selector": "info_max"})
    case = Run.prepare(chosen, target(), quiet(tmp_path))
    chosen.run(case.target, store=tmp_path, progress=False)
    seen = Counter(
        {28: 2, 8: 1, 18: 1, 24: 1}
    )  # source and target cells, for what the two kept models have seen
    # The support in the search and in the adaptation, the pool once.
    assert embedded == seen + Counter({18: 2, len(case.pool_rows): 1})
