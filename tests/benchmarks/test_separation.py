"""Maps and separation of laboratories and classes, against formulas written out and scikit-learn used directly."""

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.common.projection import tsne
from benchmarks.common.sampling import balanced_sample
from benchmarks.common.separation import class_silhouettes, domain_separation
from cellda.errors import ConfigurationError

LABS = ("a", "b", "c")


def cells(shift: float, smear: float = 0.0, smears: int = 10, each: int = 12):
    """Cells of three laboratories, each a mean of its own, each smear as well: features, laboratories, smears."""
    rng = np.random.default_rng(1)
    lab = np.repeat(np.arange(3), smears * each)
    group = np.repeat(np.arange(3 * smears), each)
    means, colours = rng.normal(size=(3, 20)), rng.normal(size=(3 * smears, 20))
    features = shift * means[lab] + smear * colours[group] + rng.normal(size=(len(lab), 20))
    return features.astype(np.float32), [LABS[i] for i in lab], [str(i % smears) for i in group]


def silhouettes(features, labels) -> np.ndarray:
    """(b - a) / max(a, b) of each cell, as Rousseeuw (1987) defines it."""
    distance, labels = cdist(features, features), np.asarray(labels)
    values = []
    for i, own in enumerate(labels):
        same = (labels == own) & (np.arange(len(labels)) != i)
        a = distance[i, same].mean()
        b = min(distance[i, labels == other].mean() for other in set(labels) - {own})
        values.append((b - a) / max(a, b))
    return np.array(values)


def test_laboratories_that_differ_are_recognised_and_others_are_not():
    far = domain_separation(*cells(shift=3.0))
    same = domain_separation(*cells(shift=0.0))
    assert far.accuracy > 0.98
    assert same.accuracy == pytest.approx(1 / 3, abs=0.08)
    assert far.chance == same.chance == pytest.approx(1 / 3)
    assert far.silhouette > 0.2 > 0.02 > same.silhouette


def test_smears_do_not_give_a_laboratory_away():
    """Nothing but the smear's own colour differs: who trains on half of a smear recognises its other half."""
    features, labs, smears = cells(shift=0.0, smear=3.0)
    leaky = cross_val_predict(KNeighborsClassifier(3), features, labs, cv=5)
    assert (leaky == np.array(labs)).mean() < 0.7  # folds in order hold whole smears together by chance
    shuffled = np.random.default_rng(0).permutation(len(labs))
    leaky = cross_val_predict(KNeighborsClassifier(3), features[shuffled], np.array(labs)[shuffled], cv=5)
    assert (leaky == np.array(labs)[shuffled]).mean() > 0.9
    assert domain_separation(features, labs, smears).accuracy < 0.55


def test_accuracy_agrees_with_another_linear_classifier_on_whole_smears():
    features, labs, smears = cells(shift=0.6)
    names = [f"{lab}{smear}" for lab, smear in zip(labs, smears, strict=True)]
    said = cross_val_predict(
        LinearDiscriminantAnalysis(), features, labs, groups=names, cv=LeaveOneGroupOut()
    )
    expected = np.mean([(said == np.array(labs))[np.array(labs) == lab].mean() for lab in LABS])
    assert domain_separation(features, labs, smears).accuracy == pytest.approx(expected, abs=0.04)
    assert 0.6 < expected < 0.95


def test_each_laboratory_counts_the_same():
    """Guessing the largest is no better than guessing."""
    features, labs, smears = cells(shift=0.0)
    kept = [
        i for i, (lab, smear) in enumerate(zip(labs, smears, strict=True)) if lab == "a" or int(smear) < 5
    ]
    found = domain_separation(features[kept], [labs[i] for i in kept], [smears[i] for i in kept])
    assert found.accuracy == pytest.approx(1 / 3, abs=0.08)


def test_silhouettes_follow_their_definition():
    features, labs, smears = cells(shift=1.0, smears=5, each=4)
    expected = silhouettes(features, labs)
    found = class_silhouettes(features, labs)
    assert found["mean"] == pytest.approx(expected.mean(), abs=1e-5)
    for lab in LABS:
        assert found[lab] == pytest.approx(expected[np.array(labs) == lab].mean(), abs=1e-5)
    assert domain_separation(features, labs, smears).silhouette == pytest.approx(expected.mean(), abs=1e-5)


def test_too_few_laboratories_groups_and_classes_are_refused():
    features, labs, smears = cells(shift=0.0)
    with pytest.raises(ConfigurationError, match="two or more datasets with at least 5 groups"):
        domain_separation(features[:120], labs[:120], smears[:120])
    coarse = ["one" if lab == "b" else smear for lab, smear in zip(labs, smears, strict=True)]
    with pytest.raises(ConfigurationError, match="and b with fewer"):
        domain_separation(features, labs, coarse)
    with pytest.raises(ConfigurationError, match="two or more classes"):
        class_silhouettes(features[:120], labs[:120])
    with pytest.raises(ConfigurationError, match="two or more classes"):
        class_silhouettes(features[:2], ["a", "b"])


def test_maps_keep_neighbours_and_repeat():
    features, labs, _ = cells(shift=3.0, smears=5, each=4)
    points = tsne(features, seed=1)
    assert points.shape == (60, 2)
    own = KNeighborsClassifier(5).fit(points, labs)
    assert (own.predict(points) == np.array(labs)).mean() > 0.95
    assert np.array_equal(points, tsne(features, seed=1))
    assert tsne(features[:5]).shape == (5, 2)
    with pytest.raises(ConfigurationError, match="at least 5 cells; there are 4"):
        tsne(features[:4])


def test_a_balanced_sample_takes_classes_in_turn():
    labels = ["neutrophil"] * 60 + ["basophil"] * 4 + ["monocyte"] * 20
    drawn = balanced_sample(labels, 30, seed=2)
    assert Counter(labels[i] for i in drawn) == {"neutrophil": 13, "monocyte": 13, "basophil": 4}
    assert drawn == sorted(set(drawn)) == balanced_sample(labels, 30, seed=2)
    assert drawn != balanced_sample(labels, 30, seed=3)
    assert balanced_sample(labels, 500) == list(range(84))
