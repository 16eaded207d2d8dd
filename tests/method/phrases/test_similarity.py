"""Similarity: lengths, scales, chunks and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import FeatureError
from clarify.method import arrays
from clarify.method.phrases.similarity import normalised, similarities


def drawn(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_a_similarity_is_the_cosine() -> None:
    images = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]], np.float32)
    assert similarities(images, [5.0, 0.0]).tolist() == pytest.approx([0.6, 0.0, -1.0])


def test_rows_are_scaled_to_length_one_in_single_precision() -> None:
    rows = normalised(drawn(50, 16) * 7)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
    assert normalised(np.array([[3.0, 4.0]])).tolist() == [pytest.approx([0.6, 0.8])]


@given(st.integers(-60, 60), st.integers(-60, 60))
def test_scaling_embeddings_changes_nothing(of_images: int, of_text: int) -> None:
    images, text = drawn(20, 8), drawn(1, 8, 1)[0]
    scaled = similarities(images * np.float32(2.0**of_images), text * np.float32(2.0**of_text))
    assert np.array_equal(scaled, similarities(images, text))


@given(st.floats(1e-3, 1e3))
def test_any_scale_changes_nothing_but_the_last_digits(scale: float) -> None:
    images, text = drawn(20, 8).astype(np.float64), drawn(1, 8, 1)[0]
    assert similarities(images * scale, text) == pytest.approx(similarities(images, text), abs=1e-14)


def test_a_row_does_not_depend_on_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    images, text = drawn(1000, 96), drawn(1, 96, 1)[0]
    whole = similarities(images, text)
    rows = np.random.default_rng(0).permutation(1000)[:333]
    assert np.array_equal(similarities(images[rows], text), whole[rows])
    monkeypatch.setattr(arrays, "CHUNK_NUMBERS", 7 * 96)
    assert np.array_equal(similarities(images, text), whole)


def test_identical_directions_never_exceed_one() -> None:
    images = drawn(500, 33)
    for image in images[:50]:
        assert np.abs(similarities(images, image)).max() <= 1.0


def test_a_half_precision_memory_map_is_read(tmp_path) -> None:
    images = drawn(30, 8).astype(np.float16)
    np.save(tmp_path / "features.npy", images)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    text = drawn(1, 8, 1)[0]
    assert np.array_equal(similarities(mapped, text), similarities(images.astype(np.float64), text))


@pytest.mark.parametrize(
    ("bad", "seen"), [(0.0, "all zeros"), (np.nan, "NaN or infinite"), (np.inf, "NaN or infinite")]
)
def test_a_row_without_direction_is_named(bad: float, seen: str) -> None:
    images = drawn(5000, 4)
    images[4321] = bad
    with pytest.raises(FeatureError, match=f"row 4321 is {seen}"):
        normalised(images)
    with pytest.raises(FeatureError, match=f"row 4321 is {seen}"):
        similarities(images, np.ones(4))


def test_text_of_another_width_or_without_direction_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"shape \(3,\).*use the encoder"):
        similarities(drawn(2, 4), np.ones(3))
    with pytest.raises(FeatureError, match="text embedding: it is zero"):
        similarities(drawn(2, 4), np.zeros(4))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((2, 3), dtype=np.int64), np.ones((2, 0))])
def test_what_is_not_a_table_of_floats_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="embeddings"):
        normalised(bad)


def test_many_images_are_shared_among_threads_and_no_digit_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images, text = rng.normal(size=(1_001, 32)).astype(np.float16), rng.normal(size=32)
    alone = similarities(images, text)
    monkeypatch.setattr("clarify.method.phrases.similarity.LEAST_A_THREAD", 1_000)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert similarities(images, text).tobytes() == alone.tobytes()
    images[900] = 0
    with pytest.raises(FeatureError, match="row 900 is all zeros"):
        similarities(images, text)
