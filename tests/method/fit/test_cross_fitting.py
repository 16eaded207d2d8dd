"""Training images predicted by heads that were not fitted to them."""

from __future__ import annotations

import numpy as np

from clarify.method.fit.correction import CROSS_FOLDS, Images, cross_fitted
from clarify.method.fit.objectives import Erm
from clarify.method.fit.training import fit_head
from clarify.method.groups.groups import described_groups

CLASSES = ("a", "b")
DECAY = 1e-3


def of_chance(seed: int, count: int = 200, width: int = 300) -> Images:
    """Images whose labels have nothing to do with their features: what is told was learned by heart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    features = rng.normal(size=(count, width)).astype(np.float32)
    return Images(features=features, labels=labels, groups=described_groups(labels, CLASSES, {}))


def test_no_image_is_told_by_a_head_that_learned_it_by_heart() -> None:
    images = of_chance(0)
    whole = fit_head(images.features, images.labels, CLASSES, Erm(), DECAY).head
    assert (whole.predict(images.features) == images.labels).mean() == 1.0
    found = cross_fitted(images, CLASSES, lambda _: Erm(), DECAY, start=whole)
    assert 0.35 < (found == images.labels).mean() < 0.65


def test_what_is_fitted_beside_is_known_by_every_head() -> None:
    images = of_chance(0)
    whole = fit_head(images.features, images.labels, CLASSES, Erm(), DECAY).head
    found = cross_fitted(images, CLASSES, lambda _: Erm(), DECAY, start=whole, beside=images)
    assert (found == images.labels).mean() == 1.0


def test_every_fold_is_fitted_by_the_objective_of_its_own_images() -> None:
    images, sizes = of_chance(1), []

    def objective(of: Images) -> Erm:
        sizes.append(len(of.labels))
        return Erm()

    whole = fit_head(images.features, images.labels, CLASSES, Erm(), DECAY).head
    cross_fitted(images, CLASSES, objective, DECAY, start=whole)
    assert len(sizes) == CROSS_FOLDS
    assert sum(len(images.labels) - size for size in sizes) == len(images.labels)
