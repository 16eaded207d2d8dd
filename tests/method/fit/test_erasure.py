"""Erasure: what is taken out is gone, by definition and by an independent formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import sqrtm

from clarify.errors import FeatureError, GroupError
from clarify.method.fit.erasure import Concept, Erasure, leace, mean_difference, regression, text
from clarify.method.fit.head import Standardisation
from clarify.method.fit.objectives import Erm
from clarify.method.fit.training import fit_head, sweep
from clarify.method.groups.groups import annotated_groups
from clarify.method.groups.metrics import evaluate

Birds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
CLASSES = ("landbird", "waterbird")


def planted(seed: int = 0, count: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features whose place is easier to see than their class, labels, and the place."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    place = np.where(rng.random(count) < 0.95, labels, 1 - labels)
    features = rng.normal(size=(count, 12))
    features[:, 0] += 1.2 * (2 * labels - 1)
    features[:, 1] += 4.0 * (2 * place - 1)
    features[:, 2] += 2.0 * (2 * place - 1)
    return features.astype(np.float32), labels, place


def concepts(labels: np.ndarray, similarity: np.ndarray) -> list[Concept]:
    return [
        Concept(name=name, rows=labels == k, similarity=similarity, threshold=0.5)
        for k, name in enumerate(CLASSES)
    ]


@pytest.fixture
def birds() -> Birds:
    features, labels, place = planted()
    noisy = place + np.random.default_rng(1).normal(size=len(place), scale=0.2)
    return features, labels, place, noisy


def test_after_the_mean_difference_the_halves_have_one_mean(birds: Birds) -> None:
    features, labels, _, similarity = birds
    z = Standardisation.fit(features).apply(features)
    one = concepts(labels, similarity)[:1]
    found = mean_difference(z, one)
    assert found.rank == 1
    rest = found.apply(z)
    having, lacking = ((labels == 0) & (similarity > 0.5)), ((labels == 0) & (similarity <= 0.5))
    assert np.abs(z[having].mean(axis=0) - z[lacking].mean(axis=0)).max() > 0.5
    np.testing.assert_allclose(rest[having].mean(axis=0), rest[lacking].mean(axis=0), atol=1e-12)


def test_after_the_regression_no_slope_is_left(birds: Birds) -> None:
    features, labels, _, similarity = birds
    z = Standardisation.fit(features).apply(features)
    rest = regression(z, concepts(labels, similarity)[:1]).apply(z)
    rows = labels == 0
    centred = similarity[rows] - similarity[rows].mean()
    assert np.abs(centred @ rest[rows]).max() < 1e-9
    assert np.abs(centred @ z[rows]).max() > 1


def test_leace_is_the_papers_projection_within_a_class(birds: Birds) -> None:
    features, labels, _, similarity = birds
    z = Standardisation.fit(features).apply(features)
    found = leace(z, concepts(labels, similarity)[:1])
    of_class = z[labels == 0]
    half = (similarity[labels == 0] > 0.5).astype(float)
    centred = of_class - of_class.mean(axis=0)
    covariance = centred.T @ centred / len(centred)
    covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    cross = (centred.T @ (half - half.mean()) / len(centred))[:, None]
    whitening = np.linalg.inv(np.real(sqrtm(covariance)))
    onto = whitening @ cross
    projector = onto @ np.linalg.pinv(onto)
    expected = np.eye(len(covariance)) - np.linalg.inv(whitening) @ projector @ whitening
    got = np.eye(len(covariance)) - found.directions @ found.duals.T
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_a_text_is_gone_from_the_unit_features() -> None:
    features, _, _ = planted()
    standardisation = Standardisation.fit(features)
    embedding = np.random.default_rng(2).normal(size=12)
    rest = text(embedding, standardisation).apply(standardisation.apply(features))
    unit = rest * standardisation.scale + standardisation.mean
    along = unit @ (embedding / np.linalg.norm(embedding))
    np.testing.assert_allclose(along, along[0], atol=1e-6)  # the same for all: it tells nothing


def test_a_text_of_another_width_is_refused() -> None:
    features, _, _ = planted()
    with pytest.raises(FeatureError, match="width 7, the features 12"):
        text(np.ones(7), Standardisation.fit(features))


def test_one_concept_in_two_words_is_one_direction(birds: Birds) -> None:
    features, labels, _, similarity = birds
    z = Standardisation.fit(features).apply(features)
    water, _ = concepts(labels, similarity)
    _, land = concepts(labels, 1 - similarity)
    assert mean_difference(z, [water, land]).rank == 1
    other = Concept(name="noise", rows=labels == 1, similarity=features[:, 5], threshold=0.0)
    assert mean_difference(z, [water, other]).rank == 2


@pytest.mark.parametrize("estimate", [mean_difference, regression, leace])
def test_what_is_erased_cannot_be_leaned_on(estimate: Callable[..., Erasure], birds: Birds) -> None:
    features, labels, place, similarity = birds
    truth = annotated_groups(labels, CLASSES, np.array(["land", "water"])[place], "place")
    z = Standardisation.fit(features).apply(features)
    plain = fit_head(features, labels, CLASSES, Erm(), 0.01).head
    erased = fit_head(
        features, labels, CLASSES, Erm(), 0.01, erasure=estimate(z, concepts(labels, similarity))
    ).head
    before, after = (
        evaluate(head.predict(features), labels, CLASSES, groups=truth).worst_group
        for head in (plain, erased)
    )
    assert before is not None
    assert after is not None
    assert after > before + 0.2


def test_a_head_on_erased_features_takes_raw_ones(birds: Birds) -> None:
    features, labels, _, similarity = birds
    standardisation = Standardisation.fit(features)
    z = standardisation.apply(features)
    erasure = leace(z, concepts(labels, similarity))
    (fit,) = sweep(features, labels, CLASSES, Erm(), (0.1,), erasure=erasure)
    changed = features + 3.0
    fixed_cut = erasure.apply(standardisation.apply(changed)) @ fit.head.weight.T.astype(np.float64)
    np.testing.assert_allclose(fit.head.logits(changed), fixed_cut + fit.head.bias, atol=1e-5)


def test_an_empty_half_and_images_all_alike_are_refused(birds: Birds) -> None:
    features, labels, _, similarity = birds
    z = Standardisation.fit(features).apply(features)
    far = [Concept(name="landbird: water", rows=labels == 0, similarity=similarity, threshold=9.0)]
    with pytest.raises(GroupError, match="landbird: water: no image is on the side 'with'"):
        mean_difference(z, far)
    flat = np.zeros(len(labels))
    alike = [Concept(name="landbird: water", rows=labels == 0, similarity=flat, threshold=0.0)]
    with pytest.raises(GroupError, match="all alike"):
        regression(z, alike)
