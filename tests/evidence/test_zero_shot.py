"""Zero-shot: the largest cosine to the prompts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.errors import ClarifyError, FeatureError, GroupError
from clarify.evidence.baselines import zero_shot, zero_shot_with_attributes
from clarify.evidence.zero_shot import LOGIT_SCALE
from tests.evidence.test_baselines import NAMES


def test_zero_shot_is_the_largest_cosine_to_the_mean_of_unit_prompts() -> None:
    rng = np.random.default_rng(0)
    images = (5 * rng.normal(size=(50, 8))).astype(np.float32)
    prompts = [rng.normal(size=(count, 8)) * rng.exponential(size=(count, 1)) for count in (3, 1, 4)]
    head = zero_shot(prompts, ("a", "b", "c"))
    texts = np.stack([(p / np.linalg.norm(p, axis=1, keepdims=True)).mean(axis=0) for p in prompts])
    cosines = (images / np.linalg.norm(images, axis=1, keepdims=True)) @ (
        texts / np.linalg.norm(texts, axis=1, keepdims=True)
    ).T
    np.testing.assert_allclose(head.logits(images), LOGIT_SCALE * cosines, atol=2e-4)
    np.testing.assert_array_equal(head.predict(images), cosines.argmax(axis=1))


def test_prompts_that_name_the_attribute_cancel_it_out() -> None:
    classes, attributes = np.eye(4)[:2], np.eye(4)[2:]
    embeddings = np.array([[c + a for a in attributes] for c in classes])
    head = zero_shot_with_attributes(embeddings, NAMES)
    np.testing.assert_allclose(head.weight[:, 2], head.weight[:, 3])
    np.testing.assert_allclose(head.weight, zero_shot(list(embeddings), NAMES).weight)
    image = (0.1 * classes[1] + attributes[0])[None]
    assert head.predict(image).tolist() == [1]


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ([np.ones((1, 3))], GroupError, r"prompts of 1 classes for 2 names"),
        ([np.ones((1, 3)), np.ones((1, 4))], FeatureError, r"widths \[3, 4\]; one is legal"),
        ([np.ones((1, 3)), np.zeros((1, 3))], FeatureError, r"prompts of class 'waterbird'"),
        ([np.full((1, 3), np.nan), np.ones((1, 3))], FeatureError, r"prompts of class 'landbird'"),
        ([np.ones((1, 3)), np.array([[1.0, 0, 0], [-1.0, 0, 0]])], FeatureError, r"cancel out"),
        ([np.ones((1, 3)), np.ones((0, 3))], FeatureError, r"'waterbird'"),
    ],
)
def test_prompts_that_make_no_classifier_are_refused(
    prompts: list[np.ndarray], error: type[ClarifyError], message: str
) -> None:
    with pytest.raises(error, match=message):
        zero_shot(prompts, NAMES)


def test_attribute_prompts_of_another_shape_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"shape \(2, 3\); \(K, A, D\) is legal"):
        zero_shot_with_attributes(np.ones((2, 3)), NAMES)
