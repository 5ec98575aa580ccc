"""The search inside the support set: its folds, its trials, and that it goes on where it stopped."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score
from torch import nn

from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, TargetView
from cellda.adapters.head_only import HeadOnly
from cellda.errors import CelldaError, ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError
from cellda.plugins.settings import search_space, tunable
from cellda.runtime.device import DevicePlan
from cellda.runtime.storage.pieces import Pieces
from cellda.selection.folds import balanced_accuracy, support_folds
from cellda.selection.judge import Judge
from cellda.selection.search import search
from cellda.selection.settings import Search
from cellda.selection.trials import Batches
from cellda.training.loop import Trainer
from tiny import brightness_set, recipe

# ---------------------------------------------------------------------------------------------- folds


@st.composite
def supports(draw):
    """Labels and groups of a support set; groups may hold cells of several classes."""
    counts = draw(st.lists(st.integers(0, 7), min_size=1, max_size=5))
    labels = np.repeat(np.arange(len(counts)), counts)
    number = draw(st.integers(1, 12))
    groups = [f"g{draw(st.integers(0, number))}" for _ in labels]
    return labels, groups


@settings(max_examples=60)
@given(supports(), st.integers(2, 4), st.integers(0, 99))
def test_folds_keep_groups_together_and_rare_classes_in_training(support, folds, seed) -> None:
    labels, groups = support
    try:
        found = support_folds(labels, groups, folds, seed)
    except ConfigurationError:
        return
    counts = np.bincount(labels)
    rare = {int(i) for i in np.flatnonzero(counts[labels] < folds)}
    held_so_far: set[int] = set()
    for train, held in found:
        assert held
        assert len(train) >= 2
        assert sorted([*train, *held]) == list(range(len(labels)))
        assert not {groups[i] for i in train} & {groups[i] for i in held}
        assert rare <= set(train)
        assert not held_so_far & set(held)
        held_so_far |= set(held)
    assert len(found) <= folds


def test_every_image_of_common_classes_is_held_out_once() -> None:
    labels = np.repeat([0, 1, 2], [6, 9, 2])
    folds = support_folds(labels, [str(i) for i in range(17)], 3, seed=0)
    held = sorted(i for _, part in folds for i in part)
    assert held == list(range(15))  # the two of class 2 are always in training
    for train, part in folds:
        assert np.bincount(labels[part], minlength=3).tolist() == [2, 3, 0]
        assert sorted([*train, *part]) == list(range(17))


def test_folds_are_seeded() -> None:
    labels, groups = np.repeat([0, 1], 9), [str(i) for i in range(18)]
    assert support_folds(labels, groups, 3, 1) == support_folds(labels, groups, 3, 1)
    assert support_folds(labels, groups, 3, 1) != support_folds(labels, groups, 3, 2)


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        ([0, 1, 2], "abc"),  # no class with three images
        ([0, 0, 0, 1, 1, 1], "aaabbb"),  # fewer groups than folds
        ([0, 0, 0, 1], "aaba"),  # a rare cell beside the others
    ],
)
def test_what_cannot_be_split_is_refused_with_the_remedy(labels, groups) -> None:
    with pytest.raises(ConfigurationError, match="search=None"):
        support_folds(np.array(labels), list(groups), 3, 0)


def test_a_fold_that_leaves_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="search=None"):
        support_folds(np.array([0, 0]), ["a", "b"], 2, 0)


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_there_are() -> None:
    truth, found = np.array([0, 0, 0, 2, 2, 5]), np.array([0, 1, 0, 2, 3, 4])
    wanted = recall_score(truth, found, labels=[0, 2, 5], average="macro")
    assert balanced_accuracy(truth, found) == pytest.approx(wanted)


# ---------------------------------------------------------------------------------------------- search


class Threshold(CellClassifier):
    """Says class 1 where an image is brighter than a threshold."""

    def __init__(self, threshold: float) -> None:
        nn.Module.__init__(self)  # there is no network in it
        self.threshold = threshold


class Thresholds(Adapter):
    """A method with one continuous, one whole and one chosen value; only the first matters."""

    name = "thresholds"
    effects: ClassVar[frozenset[Effect]] = frozenset()
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
    seen: ClassVar[list[tuple[float, tuple[int, ...]]]] = []
    """(threshold, rows of the support it was given) of every call."""

    threshold: float = tunable(0.05, low=0.0, high=1.0)
    whole: int = tunable(3, low=1, high=8, log=True)
    kind: str = tunable("a", choices=("a", "b"))

    def adapt(self, model, target: TargetView, context: AdaptContext):
        self.seen.append((self.threshold, tuple(target.support.rows.tolist())))
        return Threshold(self.threshold)

    def image_passes(self, offer) -> int:
        return 0


class Untrained(nn.Identity):
    """A model that rules out no class."""

    present = None


class Brightness:
    """A trainer that needs no network, and remembers whose images it was shown."""

    def __init__(self) -> None:
        self.shown: set[int] = set()

    def probabilities(self, model, images):
        self.shown |= set(images.rows.tolist())
        brightness = images.raw(range(len(images))).float().mean((1, 2, 3)) / 255
        return torch.stack([brightness <= model.threshold, brightness > model.threshold], 1).float()


ROWS = tuple(range(3, 21))


@pytest.fixture
def view() -> TargetView:
    Thresholds.seen.clear()
    # Classes of brightness 0.06 and 0.19: a threshold between 0.12 and 0.14 is sure to part them.
    whole = brightness_set(per_class=12, classes=2)
    return TargetView(whole.subset(list(ROWS)))


def run(view, folder, adapter=None, trials=8, folds=3, seed=0, batch=4, trainer=None):
    context = AdaptContext(trainer or Brightness(), seed)
    asked = Search(trials=trials, folds=folds, batch=batch)
    return search(Judge(adapter or Thresholds(), Untrained, view, context, asked), Pieces(folder))


def without_time(trials):
    return [{name: value for name, value in trial.items() if name != "seconds"} for trial in trials]


def test_the_first_trial_is_the_adapters_own_values(view, tmp_path) -> None:
    own = Thresholds(threshold=0.7, whole=5, kind="b")
    first = run(view, tmp_path, own, trials=3).trials[0]
    assert first["number"] == 0
    assert first["values"] == {"threshold": 0.7, "whole": 5, "kind": "b"}
    assert first["score"] == pytest.approx(0.5)  # everything is called dark


def test_own_values_outside_the_ranges_are_tried_all_the_same(view, tmp_path) -> None:
    own = Thresholds(threshold=-0.5, whole=20, kind="c")
    found = run(view, tmp_path, own, trials=6)
    assert found.trials[0]["values"] == {"threshold": -0.5, "whole": 20, "kind": "c"}
    assert len(found.trials) == 6


def test_the_best_values_are_found_within_the_ranges_and_all_trials_recorded(view, tmp_path) -> None:
    found = run(view, tmp_path, trials=25)
    assert found.adapter.threshold == pytest.approx(0.13, abs=0.08)
    assert isinstance(found.adapter, Thresholds)
    assert [trial["number"] for trial in found.trials] == list(range(25))
    best = max(trial["score"] for trial in found.trials if trial["state"] == "complete")
    assert best > 0.9
    assert len({trial["values"]["threshold"] for trial in found.trials}) == 25  # none is tried twice
    space = search_space(Thresholds)
    for trial in found.trials:
        assert trial["state"] in {"complete", "pruned"}
        assert trial["seconds"] >= 0
        values = trial["values"]
        assert set(values) == set(space)
        assert 0 <= values["threshold"] <= 1
        assert values["whole"] in range(1, 9)
        assert values["kind"] in {"a", "b"}


def test_the_score_is_the_mean_balanced_accuracy_over_the_folds(view, tmp_path) -> None:
    own = Thresholds(threshold=0.06)
    trial = run(view, tmp_path, own, trials=1, seed=4).trials[0]
    labels = view.support.labels.numpy()
    brightness = view.support.raw(range(18)).float().mean((1, 2, 3)).numpy() / 255
    scores = []
    for _, held in support_folds(labels, view.support.groups, 3, 4):
        truth, found = labels[held], (brightness[held] > 0.06).astype(int)
        scores.append(np.mean([(found[truth == c] == c).mean() for c in np.unique(truth)]))
    assert trial["score"] == pytest.approx(np.mean(scores))


def test_poor_trials_are_stopped_after_a_fold(view, tmp_path) -> None:
    found = run(view, tmp_path, Thresholds(threshold=0.13), trials=20)
    states = [trial["state"] for trial in found.trials]
    calls = [threshold for threshold, _ in Thresholds.seen]
    assert "pruned" in states
    for trial in found.trials:
        made = calls.count(trial["values"]["threshold"])
        assert made == 3 if trial["state"] == "complete" else made in (1, 2)
    assert found.adapter.threshold == pytest.approx(0.13, abs=0.08)


def trained() -> list[int]:
    """How often each trial was trained."""
    thresholds = [threshold for threshold, _ in Thresholds.seen]
    return [thresholds.count(one) for one in dict.fromkeys(thresholds)]


def scripted(monkeypatch, *script: tuple[float, ...]) -> None:
    """The scores of the trials, fold by fold."""
    monkeypatch.setattr(
        "cellda.selection.selectors.support_cv.balanced_accuracy",
        lambda truth, found: script[len(trained()) - 1][trained()[-1] - 1],
    )


def test_trials_race_against_the_best_finished_one_fold_by_fold(view, tmp_path, monkeypatch) -> None:
    scripted(monkeypatch, (0.9, 0.9, 0.9), (0.95, 0.5), (0.8,), (0.9, 1.0, 0.9), (0.92, 0.9))
    found = run(view, tmp_path, trials=5, batch=1)
    # .95 went on, but .95 and .5 are behind .9 and .9; .8 is behind at once; .9 keeps up and wins; .92 and .9 are then
    # behind .9 and 1.
    assert trained() == [3, 2, 1, 3, 2]
    assert [trial["state"] for trial in found.trials] == [
        "complete",
        "pruned",
        "pruned",
        "complete",
        "pruned",
    ]
    assert found.adapter.threshold == found.trials[3]["values"]["threshold"]


def test_trials_race_against_those_of_earlier_batches_only(view, tmp_path, monkeypatch) -> None:
    # .2 is far behind .9, but of the same batch; .95 and .8 are behind .9 and .9, and nobody races against .95.
    scripted(monkeypatch, (0.9, 0.9, 0.9), (0.2, 0.2, 0.2), (0.95, 0.8), (0.94, 0.94, 0.94), (0.91,))
    found = run(view, tmp_path, trials=5, batch=2)
    assert trained() == [3, 3, 2, 3, 1]
    assert [trial["state"][0] for trial in found.trials] == ["c", "c", "p", "c", "p"]
    assert found.adapter.threshold == found.trials[3]["values"]["threshold"]


def test_a_seed_decides_the_search(view, tmp_path) -> None:
    one, same, other = (run(view, tmp_path / str(i), seed=s) for i, s in enumerate((1, 1, 2)))
    assert without_time(one.trials) == without_time(same.trials)
    assert one.adapter == same.adapter
    assert without_time(one.trials) != without_time(other.trials)


class Impatient(Thresholds):
    """Interrupted in its first call of trial number `stop`."""

    stop: ClassVar[int] = 10**6

    def adapt(self, model, target, context):
        if len({threshold for threshold, _ in self.seen}) > self.stop:
            raise KeyboardInterrupt
        return super().adapt(model, target, context)


@pytest.mark.parametrize("stop", [0, 1, 6])
def test_an_interrupted_search_goes_on_to_the_very_same_trials(view, tmp_path, monkeypatch, stop) -> None:
    whole = run(view, tmp_path / "whole", Impatient(), trials=12)
    Thresholds.seen.clear()
    monkeypatch.setattr(Impatient, "stop", stop)
    with pytest.raises(KeyboardInterrupt):
        run(view, tmp_path / "parted", Impatient(), trials=12)
    monkeypatch.setattr(Impatient, "stop", 10**6)
    Thresholds.seen.clear()
    resumed = run(view, tmp_path / "parted", Impatient(), trials=12)
    assert resumed.adapter == whole.adapter

    def what(trials):
        return [(trial["state"], trial["score"], trial["values"]) for trial in trials]

    assert what(resumed.trials) == what(whole.trials)
    # What was done before the interruption was not done again.
    fresh = {threshold for threshold, _ in Thresholds.seen}
    done = [t["values"]["threshold"] for t in whole.trials][: max(stop - 1, 0)]
    assert not fresh & set(done)


class Killed(BaseException):
    """What no handler sees: the process is gone."""


class Mortal(Thresholds):
    """Dies in its call number `deaths[0]`, the next process in its call `deaths[1]`, and so on."""

    deaths: ClassVar[list[int]] = []

    def adapt(self, model, target, context):
        if self.deaths and len(self.seen) == self.deaths[0]:
            raise Killed
        return super().adapt(model, target, context)


def values_of(found):
    return [(trial["number"], trial["state"], trial["score"], trial["values"]) for trial in found.trials]


def run_killed(view, folder, deaths, **options):
    """Start a search again and again until it is done; it dies at these calls, counted anew in each process."""
    Mortal.deaths[:] = deaths
    Thresholds.seen.clear()
    while True:
        Thresholds.seen.clear()
        try:
            found = run(view, folder, Mortal(), **options)
            Mortal.deaths.clear()
            return found
        except Killed:
            del Mortal.deaths[0]
            folder.mkdir(exist_ok=True)
            if len(Mortal.deaths) % 2:  # half a file, as a kill in the middle of a write leaves it
                (folder / ".trial-0001.7.partial").write_bytes(b'79eae38b2ba4aaaf {"values":{"thre')


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_search_chooses_what_an_undisturbed_one_does(view, tmp_path, seed) -> None:
    deaths = np.random.default_rng(seed).integers(0, 12, 8).tolist()
    whole = run(view, tmp_path / "whole", Thresholds(), trials=12)
    killed = run_killed(view, tmp_path / "killed", deaths, trials=12)
    assert killed.adapter.searched() == whole.adapter.searched()
    assert values_of(killed) == values_of(whole)


def test_a_search_that_is_killed_at_every_call_is_the_same(view, tmp_path) -> None:
    Thresholds.seen.clear()
    whole = run(view, tmp_path / "whole", Thresholds(), trials=10)
    calls = len(Thresholds.seen)
    for death in range(calls):
        killed = run_killed(view, tmp_path / f"{death}", [death], trials=10)
        assert values_of(killed) == values_of(whole), f"killed at call {death} of {calls}"


SIZES = st.integers(1, 6)


def of_any(size: int, trials: int) -> tuple[TargetView, Search]:
    return TargetView(brightness_set(per_class=12, classes=2).subset(list(ROWS))), Search(
        trials=trials, batch=size
    )


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(1, 9), st.lists(st.integers(0, 12), max_size=6))
def test_a_search_that_is_killed_anywhere_in_a_batch_is_the_same(size, trials, deaths) -> None:
    view, _ = of_any(size, trials)
    with TemporaryDirectory() as name:
        whole = run(view, Path(name) / "whole", Thresholds(), trials=trials, batch=size)
        killed = run_killed(view, Path(name) / "killed", [*deaths], trials=trials, batch=size)
    assert values_of(killed) == values_of(whole)
    assert killed.adapter == Mortal(**whole.adapter.searched())


@settings(max_examples=25, deadline=None)
@given(SIZES, st.data())
def test_trials_in_any_order_by_any_process_are_the_same(size, data) -> None:
    """As workers make them: none knows what another one has in memory."""
    view, asked = of_any(size, trials=9)
    order = data.draw(st.permutations(range(9)))
    with TemporaryDirectory() as name:
        whole = run(view, Path(name) / "whole", trials=9, batch=size)
        for number in order:
            judge = Judge(Thresholds(), Untrained, view, AdaptContext(Brightness(), 0), asked)
            Batches(judge, Pieces(Path(name) / "parted")).one(number)
        Thresholds.seen.clear()
        parted = run(view, Path(name) / "parted", trials=9, batch=size)
    assert values_of(parted) == values_of(whole)
    assert parted.trials[0]["seconds"] > 0
    assert Thresholds.seen == []  # nothing was made again


def test_the_values_of_a_batch_do_not_depend_on_its_scores(view, tmp_path, monkeypatch) -> None:
    """But those of the next one do."""
    good = run(view, tmp_path / "good", trials=16, batch=8)
    monkeypatch.setattr("cellda.selection.selectors.support_cv.balanced_accuracy", lambda *_: 0.5)
    bad = run(view, tmp_path / "bad", trials=16, batch=8)
    tried = [[trial["values"] for trial in found.trials] for found in (good, bad)]
    assert tried[0][:8] == tried[1][:8]
    assert tried[0][8:] != tried[1][8:]


@pytest.mark.parametrize("fault", ["cut", "flipped", "removed", "emptied"])
def test_a_damaged_trial_is_not_believed(view, tmp_path, capsys, fault) -> None:
    whole = run(view, tmp_path / "whole", trials=8)
    folder = tmp_path / "damaged"
    Mortal.deaths[:] = [14]
    Thresholds.seen.clear()
    with pytest.raises(Killed):
        run(view, folder, Mortal(), trials=8)
    damaged = folder / "trial-0001"
    content = bytearray(damaged.read_bytes())
    if fault == "flipped":
        content[content.index(b'"scores":[0.') + 12] ^= 1  # a digit of a score: still a number
    damaged.write_bytes({"cut": content[: len(content) // 2], "emptied": b""}.get(fault, bytes(content)))
    if fault == "removed":
        damaged.unlink()
    Mortal.deaths.clear()
    capsys.readouterr()
    found = run(view, folder, Mortal(), trials=8)
    assert values_of(found) == values_of(whole)
    if fault == "flipped":
        assert "trial-0001 is damaged" in capsys.readouterr().err.replace("\n", "")


def test_nothing_but_support_images_is_touched(view, tmp_path) -> None:
    trainer = Brightness()
    run(view, tmp_path, trainer=trainer)
    assert trainer.shown == set(ROWS)
    for _, rows in Thresholds.seen:
        assert set(rows) < set(ROWS)


def test_a_method_without_labels_does_not_get_them_in_the_search_either(view, tmp_path) -> None:
    class Blind(Thresholds):
        needs: ClassVar[frozenset[Need]] = frozenset()

        def adapt(self, model, target, context):
            with pytest.raises(ConfigurationError, match="no labels"):
                _ = target.support.labels
            return super().adapt(model, target, context)

    assert len(run(view, tmp_path, Blind(), trials=2).trials) == 2


def test_an_unlabelled_pool_is_handed_through(view, tmp_path) -> None:
    pool = replace(brightness_set(), known_labels=None)

    class Pooled(Thresholds):
        needs = frozenset({Need.LABELS, Need.UNLABELLED})

        def adapt(self, model, target, context):
            assert target.unlabelled is pool
            return super().adapt(model, target, context)

    run(TargetView(view.support, pool), tmp_path, Pooled(), trials=1)


def test_a_trial_that_diverges_is_dropped_and_the_search_goes_on(view, tmp_path) -> None:
    class Touchy(Thresholds):
        def adapt(self, model, target, context):
            if self.threshold > 0.5:
                raise DivergedError("the loss is no longer finite")
            return super().adapt(model, target, context)

    found = run(view, tmp_path / "some", Touchy(threshold=0.6), trials=10)
    assert len(found.trials) == 10
    assert found.trials[0]["state"] == "pruned"
    assert found.trials[0]["score"] is None
    assert found.adapter.threshold <= 0.5

    class Hopeless(Thresholds):
        def adapt(self, model, target, context):
            raise DivergedError("the loss is no longer finite")

    with pytest.raises(CelldaError, match=r"None of the 3 trials of the search for 'thresholds'"):
        run(view, tmp_path / "none", Hopeless(), trials=3)


def test_other_errors_of_a_method_are_not_swallowed(view, tmp_path) -> None:
    class Broken(Thresholds):
        def adapt(self, model, target, context):
            raise ConfigurationError("this cannot work")

    with pytest.raises(ConfigurationError, match="this cannot work"):
        run(view, tmp_path, Broken())


class AsImages(Adapter):
    """Hands its images to `head_only`, whose values it has."""

    name = "as_images"
    effects: ClassVar[frozenset[Effect]] = HeadOnly.effects
    needs: ClassVar[frozenset[Need]] = HeadOnly.needs

    lr: float = tunable(1e-2, low=1e-5, high=1e-1, log=True)

    def adapt(self, model, target: TargetView, context: AdaptContext):
        return HeadOnly(epochs=30, batch_size=8, lr=self.lr).adapt(model, target, context)

    def image_passes(self, offer) -> int:
        return offer.labelled


class AsFeatures(HeadOnly):
    """`head_only` with one value to search for."""

    name = "as_features"

    epochs: int = 30
    batch_size: int = 8
    lr: float = tunable(1e-2, low=1e-5, high=1e-1, log=True)


def test_heads_are_searched_on_shared_embeddings_with_the_scores_of_images(view, tmp_path) -> None:
    """What is embedded once for all trials gives the very same trials as embedding in each."""
    made = recipe()
    with torch.random.fork_rng():
        torch.manual_seed(2)  # with 0, all scores are those of chance on some processors
        model = CellClassifier(made.backbone, made.normalizer)
    images = brightness_set(per_class=6, classes=3).subset(range(18))
    # One image at a time: how a convolution rounds may depend on the size of its batch, on some processors.
    trainer, asked = Trainer("cpu", DevicePlan(inference_batch=1)), Search(trials=4, folds=3)
    found = {}
    for adapter in (AsImages(), AsFeatures()):
        context = AdaptContext(trainer, 0)
        judge = Judge(adapter, lambda: deepcopy(model), TargetView(images), context, asked)
        result = search(judge, Pieces(tmp_path / adapter.name))
        found[adapter.name] = without_time(result.trials)
    assert found["as_features"] == found["as_images"]
    assert len({trial["score"] for trial in found["as_images"]}) > 1


class Quiet(HeadOnly):
    """A method on embeddings that does more than fit the head."""

    name = "quiet"
    calls: ClassVar[list[int]] = []

    def adapt(self, model, target: TargetView, context: AdaptContext):
        self.calls.append(len(target.support))
        return super().adapt(model, target, context)


def test_a_method_with_its_own_way_of_adapting_is_searched_by_it(tmp_path) -> None:
    made = recipe()
    model = CellClassifier(made.backbone, made.normalizer)
    images = brightness_set(per_class=6, classes=3).subset(range(18))
    context = AdaptContext(Trainer("cpu"), 0)
    asked = Search(trials=1, folds=3)
    search(
        Judge(Quiet(epochs=1), lambda: deepcopy(model), TargetView(images), context, asked), Pieces(tmp_path)
    )
    assert Quiet.calls == [12, 12, 12]
