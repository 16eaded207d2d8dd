"""Axes of the setting: what goes together among the words of a topic."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.discover.settings import LEAST_WORDS, SETTINGS, setting_axes
from clarify.discover.vocabulary import topics, vocabulary
from clarify.errors import FeatureError

WORDS = ("sea", "lake", "river", "coast", "forest", "trees", "wood", "park", "sky", "hall")


def planted(count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images of two classes between water and land: of the words the first four are water, four land."""
    rng = np.random.default_rng(0)
    water, subject, rest = np.eye(8)[0], np.eye(8)[1], np.eye(8)[2:]
    labels = np.repeat([0, 1], count)
    wet = rng.normal(size=2 * count)
    images = (
        np.outer(wet, water) + np.outer(3.0 * labels, subject) + 0.1 * rng.normal(size=(2 * count, 6)) @ rest
    )
    sides = np.array([1, 1, 1, 1, -1, -1, -1, -1, 0, 0])
    texts = np.outer(sides, water) + 0.5 * subject + 0.01 * rng.normal(size=(10, 8))
    unit = lambda rows: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)  # noqa: E731
    return unit(images), labels, unit(texts), wet


def test_the_first_axis_of_a_topic_is_what_its_words_differ_in() -> None:
    images, labels, texts, wet = planted()
    axes, places = setting_axes(images, labels, {"places": (WORDS, texts)})
    assert places.shape == (600, 2)
    ends = {axes[0].high[0] in WORDS[:4], axes[0].low[0] in WORDS[4:8]}
    turned = {axes[0].low[0] in WORDS[:4], axes[0].high[0] in WORDS[4:8]}
    assert ends == {True} or turned == {True}
    within = [abs(np.corrcoef(places[labels == k, 0], wet[labels == k])[0, 1]) for k in (0, 1)]
    assert min(within) > 0.8
    assert axes[0].end(high=True) == ", ".join(axes[0].high)


def test_an_axis_is_the_same_whatever_the_order_of_the_images() -> None:
    images, labels, texts, _ = planted()
    order = np.random.default_rng(1).permutation(len(labels))
    _, places = setting_axes(images, labels, {"places": (WORDS, texts)})
    _, moved = setting_axes(images[order], labels[order], {"places": (WORDS, texts)})
    assert np.allclose(moved, places[order], atol=1e-4)


def test_a_topic_of_which_few_words_are_known_has_no_axis() -> None:
    images, labels, texts, _ = planted()
    few = LEAST_WORDS - 1
    axes, places = setting_axes(images, labels, {"places": (WORDS[:few], texts[:few])})
    assert axes == ()
    assert places.shape == (600, 0)


def test_embeddings_of_another_width_are_refused() -> None:
    images, labels, texts, _ = planted()
    with pytest.raises(FeatureError, match="embed both with one encoder"):
        setting_axes(images, labels, {"places": (WORDS, texts[:, :4])})


def test_the_topics_of_the_setting_are_topics_of_the_vocabulary() -> None:
    assert set(SETTINGS) <= set(topics())
    assert sum(len(words) for words in topics().values()) == len(vocabulary())
    assert "forest" in topics()["places"]
    assert "duck" not in {word for name in SETTINGS for word in topics()[name]}
