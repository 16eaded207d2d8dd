"""Each discovery method against a hand-made case or an independent reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score
from sklearn.mixture import GaussianMixture

from clarify.discover.slices import spotlight as spotlights
from clarify.discover.slices.interface import ImageSlice, SlicedImages
from clarify.discover.slices.methods import DISCOVERY_METHODS, discovery_method
from clarify.discover.slices.mixtures import ErrorAwareMixture
from clarify.discover.slices.words import ALPHA, _beyond, _sided, _suggested
from clarify.errors import InputError, NotFoundError
from tests.discover.slices.made import CLASSES, DIRECTIONS, WIDTH, WORDS, bank, images_of, planted

WITHOUT_CAPTIONS = [name for name, each in DISCOVERY_METHODS.items() if not each.captions]


def found(name: str, images: SlicedImages, *, most: int = 5, seed: int = 0) -> list[ImageSlice]:
    return discovery_method(name).find(images, bank(), most=most, seed=seed)


@pytest.mark.parametrize("name", WITHOUT_CAPTIONS)
def test_a_planted_slice_is_found_on_images_that_had_no_part_in_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spotlights, "STEPS", 2_000)
    images, _ = planted()
    others, has = planted(seed=1)
    slices = found(name, images)
    assert slices
    for label in range(2):
        own = np.flatnonzero(others.labels == label)
        part = others.take(own)
        best = max(
            average_precision_score(has[own], each.score(part))
            for each in slices
            if each.label in (label, None)
        )
        # A quarter of the images are in it: chance is .25.
        assert best > (0.5 if name in {"barlow", "confusion-cells", "spotlight"} else 0.75), best


@pytest.mark.parametrize("name", list(DISCOVERY_METHODS))
def test_a_class_with_too_few_wrong_images_has_no_slices_and_the_same_seed_the_same_ones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spotlights, "STEPS", 50)
    images, _ = planted(count=300)
    twice = [[each.score(images) for each in found(name, images)] for _ in range(2)]
    assert all(np.array_equal(one, other) for one, other in zip(*twice, strict=True))
    few = images.take(np.concatenate((np.flatnonzero(images.right), np.flatnonzero(~images.right)[:2])))
    if name not in {"domino", "spotlight"}:  # they look at all classes at once
        assert found(name, few) == []


def test_confusion_cells_are_counted_by_hand() -> None:
    labels = np.repeat([0, 1, 2], 20)
    predicted = labels.copy()
    predicted[:7], predicted[7:9], predicted[20:25] = 2, 1, 0
    images = SlicedImages(
        features=np.zeros((60, 2)),
        embeddings=np.zeros((60, 2), dtype=np.float32),
        labels=labels,
        probabilities=np.eye(3)[predicted] * 0.8 + 0.2 / 3,
        captions=((),) * 60,
    )
    cells = discovery_method("confusion-cells").find(images, bank(classes=("a", "b", "c")), most=5, seed=0)
    assert [each.name for each in cells] == ["a taken for c", "a taken for b", "b taken for a"]
    assert np.flatnonzero(cells[0].score(images) > 0.5).tolist()[:7] == list(range(7))


def test_k_means_finds_the_two_blobs_of_wrong_images() -> None:
    rng = np.random.default_rng(0)
    blobs = np.array([[9.0, 0.0]] * 12 + [[0.0, 9.0]] * 8)
    wrong = blobs + 0.1 * rng.normal(size=blobs.shape)
    right = rng.normal(size=(30, 2))
    images = images_of(
        np.vstack((wrong, right)).astype(np.float32), np.zeros(50, dtype=np.int64), np.arange(50) >= 20
    )
    first, second = found("k-means", images, most=2)
    assert set(np.argsort(-first.score(images))[:12]) == set(range(12))
    assert set(np.argsort(-second.score(images))[:8]) == set(range(12, 20))


def test_dominos_mixture_is_scikit_learns_where_labels_count_nothing() -> None:
    rng = np.random.default_rng(3)
    z = np.vstack((rng.normal(size=(150, 3)), rng.normal(size=(100, 3)) * 0.5 + [3, 0, 1]))
    labels = np.eye(2)[rng.integers(0, 2, 250)]
    start = rng.dirichlet(np.ones(4), size=250)
    ours = ErrorAwareMixture.fit(z, labels, labels, start, (0.0, 0.0))
    first = ErrorAwareMixture.step(z, labels, labels, start, (0.0, 0.0))
    theirs = GaussianMixture(
        4,
        covariance_type="diag",
        weights_init=first.weights / first.weights.sum(),
        means_init=first.means,
        precisions_init=1 / first.variances,
    ).fit(z)
    assert theirs.converged_
    assert ours.means == pytest.approx(theirs.means_, abs=1e-6)
    assert ours.variances == pytest.approx(theirs.covariances_, abs=1e-6)
    logs = ours.logs(z, labels, labels)
    posterior = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
    assert posterior == pytest.approx(theirs.predict_proba(z), abs=1e-6)


def test_dominos_labels_and_predictions_are_weighed_as_the_paper_says() -> None:
    rng = np.random.default_rng(0)
    z, start = rng.normal(size=(40, 2)), rng.dirichlet(np.ones(3), size=40)
    labels, predictions = np.eye(2)[rng.integers(0, 2, 40)], rng.dirichlet(np.ones(2), size=40)
    with_them, without = (
        ErrorAwareMixture.step(z, labels, predictions, start, weights) for weights in ((2.0, 3.0), (0.0, 0.0))
    )
    shares = start.T @ labels / start.sum(axis=0)[:, None]
    predicted = start.T @ predictions / start.sum(axis=0)[:, None]
    added = with_them.logs(z, labels, predictions) - without.logs(z, labels, predictions)
    assert added == pytest.approx(2 * np.log(labels @ shares.T) + 3 * np.log(predictions @ predicted.T))


def test_the_spotlight_stands_where_a_search_of_the_plane_finds_the_highest_loss() -> None:
    rng = np.random.default_rng(1)
    spot = rng.random(400) < 0.1
    x = rng.normal(size=(400, 2)) + 5.0 * spot[:, None] * [1.0, 0.5]
    loss = np.where(spot, 2.0, 0.1) + 0.01 * rng.random(400)

    def lit(centre: np.ndarray, precision: float) -> float:
        weights = np.exp(-precision * np.square(x - centre).sum(axis=1) / 2)
        return float(weights @ loss / weights.sum()) if weights.sum() >= spotlights.SHARE * 400 else 0.0

    light = spotlights._brightest(x, loss)
    best = max(
        lit(np.array([a, b]), c)
        for a, b, c in itertools.product(np.linspace(-3, 8, 23), np.linspace(-3, 6, 19), (0.3, 1.0, 3.0, 9.0))
    )
    assert lit(light.centre, light.precision) >= 0.98 * best
    assert best > 1.9


def test_the_spotlights_slope_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    x, losses = rng.normal(size=(60, 3)).astype(np.float32), rng.random(60)
    squares, place = np.square(x).sum(axis=1), np.array([0.3, -0.2, 0.1, np.log(0.8)])
    for barrier in ((1.2, 50.0), (1.2, 0.06)):  # pressed against it, and free of it
        _, slope = spotlights._objective(x, squares, losses, place, barrier)
        steps = 1e-3 * np.eye(4)
        differences = [
            spotlights._objective(x, squares, losses, place + step, barrier)[0]
            - spotlights._objective(x, squares, losses, place - step, barrier)[0]
            for step in steps
        ]
        assert slope == pytest.approx(np.array(differences) / 2e-3, rel=1e-2, abs=1e-4)


def test_barlows_leaf_is_the_rule_that_was_planted() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 60)).astype(np.float32)
    wrong = (features[:, 11] > 0.8) & (features[:, 42] < 0.5)
    images = images_of(features, np.zeros(300, dtype=np.int64), ~wrong)
    (leaf,) = found("barlow", images, most=1)
    inside = leaf.score(images) == 1
    assert not (inside & ~wrong).any()
    assert inside[wrong].mean() > 0.95  # entropy takes another first cut than the rule
    assert leaf.name.startswith("leaf with 100 % wrong")


def test_the_direction_of_failure_is_the_planted_one() -> None:
    images, _ = planted()
    for each in found("failure-direction", images):
        steps = np.eye(WIDTH, dtype=np.float32)
        ones = np.zeros(WIDTH, dtype=np.int64)
        at = images_of(steps, ones, ones == 0)
        away = images_of(-steps, ones, ones == 0)
        direction = (each.score(at) - each.score(away)) / 2
        cosine = direction @ DIRECTIONS[0] / np.linalg.norm(direction)
        assert cosine > 0.7


def test_the_mixture_within_a_class_sees_probabilities_beside_the_components() -> None:
    images, _ = planted(count=1000)
    slices = found("facts", images, most=3)
    own = images.take(np.flatnonzero(images.labels == 0))
    first = slices[0].score(own)
    members = first > np.log(0.5)
    assert (~own.right)[members].mean() > 0.9  # errors and the rest are far apart by the probabilities
    pca = PCA(WIDTH).fit(own.embeddings)
    assert pca.n_components_ == WIDTH


def test_words_are_the_planted_one_and_say_what_wrong_images_have() -> None:
    images, has = planted()
    for each in found("words-by-score", images, most=1):
        assert each.phrase == "water"
        own = np.flatnonzero(images.labels == each.label)
        assert (
            np.array_equal(each.score(images.take(own)) > 0, has[own])
            or ((each.score(images.take(own)) > 0) == has[own]).mean() > 0.9
        )


def test_b2t_and_rates_find_the_word_of_wrong_images_captions() -> None:
    rng = np.random.default_rng(0)
    images, has = planted(count=400)
    texts = [
        [f"a {CLASSES[label]} {'swimming in water' if wet else 'lying in grass'}, {rng.choice(WORDS[4:])}"]
        for label, wet in zip(images.labels, has, strict=True)
    ]
    captioned = images_of(images.features, images.labels, images.right, captions=texts)
    by_rate = found("words-by-rate", captioned, most=1)
    assert [each.phrase for each in by_rate] == ["water", "water"]
    pytest.importorskip("yake")
    assert [each.phrase for each in found("b2t", captioned, most=1)] == ["water", "water"]
    assert found("b2t", images) == []
    assert found("words-by-rate", images) == []


def test_sliceline_finds_the_pair_that_a_search_of_all_pairs_finds() -> None:
    pytest.importorskip("sliceline")
    rng = np.random.default_rng(2)
    count = 800
    water, night = rng.random(count) < 0.4, rng.random(count) < 0.4
    right = rng.random(count) < np.where(water & night, 0.05, 0.97)
    features = rng.normal(size=(count, WIDTH)) * 0.7
    features += 6 * np.outer(water, DIRECTIONS[0]) + 6 * np.outer(night, DIRECTIONS[1])
    images = images_of(features.astype(np.float32), np.zeros(count, dtype=np.int64), right)
    first, *_ = found("sliceline", images)
    assert set(first.phrase.split(" AND ")) == {"water", "night"}

    items = _suggested(images, bank(), 0, most=20, seed=0)
    table = np.array([_beyond(_sided(bank(), each), images) > 0 for each in items])
    columns = np.vstack((table, ~table))
    wrong = (~right).astype(float)

    def worth(inside: np.ndarray) -> float:
        if inside.sum() < 10:
            return -np.inf
        return ALPHA * (wrong[inside].mean() / wrong.mean() - 1) - (1 - ALPHA) * (count / inside.sum() - 1)

    best = max(worth(columns[a] & columns[b]) for a, b in itertools.combinations(range(len(columns)), 2))
    assert worth(first.score(images) > 0) >= best - 1e-9


def test_a_missing_package_and_an_unknown_method_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sliceline", None)
    monkeypatch.setitem(sys.modules, "sliceline.slicefinder", None)
    images, _ = planted(count=200)
    with pytest.raises(InputError, match="method sliceline needs the package sliceline, which is not"):
        found("sliceline", images)
    with pytest.raises(NotFoundError, match="no discovery method is called 'dominoes'; nearest: domino"):
        discovery_method("dominoes")


def test_arrays_of_unlike_lengths_are_refused() -> None:
    images, _ = planted(count=20)
    with pytest.raises(InputError, match="arrays of"):
        SlicedImages(
            features=images.features[1:],
            embeddings=images.embeddings,
            labels=images.labels,
            probabilities=images.probabilities,
            captions=images.captions,
        )
