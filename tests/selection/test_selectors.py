"""Selectors: what each measures, that query labels reach the oracle alone, and that the oracle is marked."""

from collections import Counter
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from test_workflow import relabelled

from cellda.adapters.base import AdaptContext, TargetView
from cellda.errors import ConfigurationError
from cellda.evaluation.predictions import probabilities
from cellda.experiment.result import RunResult
from cellda.experiment.run import Run
from cellda.experiment.stages import _selector
from cellda.experiment.study import Study
from cellda.runtime.store import Store
from cellda.selection.selectors import (
    POOL_MEASURES,
    SourceVal,
    certainty,
    mutual_information,
    soft_neighbourhood_density,
)
from cellda.training.loop import Trainer
from cellda.training.settings import SelectorName
from tiny import brightness_set, prepared, recipe, target

HONEST = sorted(set(get_args(SelectorName)) - {"oracle"})
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
    monkeypatch.setattr("cellda.selection.selectors._CHUNK", 7)
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
    found = SourceVal(Told({id(small): right, id(large): half}), [small, large]).scores(None)
    assert list(found) == [pytest.approx(0.75)]


def test_source_validation_trains_on_no_cell_that_it_measures_on(tmp_path) -> None:
    mixture = {"name": "mixed_source", "epochs": 1, "source_images": 6}
    case = prepared(recipe(adapter=mixture, search={"selector": "source_val"}), tmp_path)
    normalizer = recipe().normalizer.build()
    whole = case.source_sets(normalizer)
    view = TargetView(case.support(normalizer))
    make, context = _selector(case, view, AdaptContext(Trainer("cpu"), 0, whole))
    held = make(None)._held_out
    for images, measured, trained in zip(whole, held, context.source, strict=True):
        rows = [set(part.rows.tolist()) for part in (images, measured, trained)]
        assert rows[1]
        assert rows[2] == rows[0] - rows[1]


@pytest.mark.parametrize("selector", HONEST)
def test_no_selector_but_the_oracle_knows_query_labels(tmp_path, monkeypatch, selector) -> None:
    chosen = recipe(adapter=HEAD, search={"trials": 3, "selector": selector})
    plain = chosen.run(target(), store=tmp_path / "plain", progress=False)
    aim, draw = relabelled(chosen.few_shot, chosen.protocol)
    monkeypatch.setattr("cellda.experiment.run.draw_support", lambda *_: draw)
    permuted = chosen.run(aim, store=tmp_path / "permuted", progress=False)
    assert (plain.predictions["label"] != permuted.predictions["label"]).mean() > 0.5
    assert np.array_equal(probabilities(plain.predictions), probabilities(permuted.predictions))
    assert plain.record.adapter == permuted.record.adapter
    assert [t.score for t in plain.trials] == [t.score for t in permuted.trials]
    assert len(plain.trials) == (0 if selector == "fixed" else 3)
    assert plain.record.selector == (None if selector == "fixed" else selector)
    assert plain.record.oracle is False
    assert plain.record.pool == ("query" if selector in POOL_MEASURES else None)
    assert plain.labels_used == 18


def test_the_oracle_chooses_by_the_query_and_says_so(tmp_path) -> None:
    chosen = recipe(adapter=HEAD, search={"trials": 4, "selector": "oracle"})
    aim = target(per_class=9)  # six query cells of each class: enough for a balanced accuracy
    study = Study({"head_only+oracle": chosen}, [aim], oracle=True)
    study.run(store=tmp_path, progress=False)
    (record,) = study.records(store=tmp_path)
    assert (record.condition, record.oracle, record.selector) == ("head_only+oracle", True, "oracle")
    (case,) = (case for _, case in study.runs(None, Store(tmp_path)))
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
        Study({"head_only+oracle": chosen}, [target()]).run(store=tmp_path, progress=False)
    with pytest.raises(ConfigurationError, match=r"ends in '\+oracle'.*rename 'head_only'"):
        Study({"head_only": chosen}, [target()], oracle=True).run(store=tmp_path, progress=False)
    honest = recipe(adapter=HEAD)
    with pytest.raises(ConfigurationError, match=r"ends in '\+oracle'"):
        Study({"mine+oracle": honest}, [target()]).run(store=tmp_path, progress=False)


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
    case = Run.prepare(chosen, target(), None, Store(tmp_path))
    chosen.run(case.target, store=tmp_path, progress=False)
    # The support in the search and in the adaptation, the pool once.
    assert embedded == {18: 2, len(case.pool_rows): 1}
