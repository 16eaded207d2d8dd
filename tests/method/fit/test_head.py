"""The head: standardisation, logits from raw features, and the arrays it is stored as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler, normalize

from clarify.errors import FeatureError, GroupError, InputError
from clarify.method import arrays
from clarify.method.fit.head import Head, Standardisation


def some_head(width: int = 5, classes: int = 3, seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return Head(
        weight=rng.normal(size=(classes, width)),
        bias=rng.normal(size=classes),
        mean=rng.normal(size=width) / 10,
        scale=rng.uniform(0.1, 1.0, size=width),
        class_names=tuple(f"class {k}" for k in range(classes)),
    )


def features(count: int = 40, width: int = 5, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, width)) + 0.5).astype(np.float32)


def test_standardisation_is_that_of_scikit_learn() -> None:
    x = features(200)
    expected = StandardScaler().fit_transform(normalize(x.astype(np.float64)))
    np.testing.assert_allclose(Standardisation.fit(x).apply(x), expected, atol=2e-6)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, head = features(97), some_head()
    whole, logits = Standardisation.fit(x).apply(x), head.logits(x)
    monkeypatch.setattr(arrays, "CHUNK_NUMBERS", 35)
    np.testing.assert_allclose(Standardisation.fit(x).apply(x), whole, atol=1e-6)
    np.testing.assert_allclose(head.logits(x), logits, atol=1e-12)
    np.testing.assert_array_equal(head.predict(x), logits.argmax(axis=1))


def test_a_feature_that_does_not_vary_is_no_division_by_zero() -> None:
    x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=np.float32)
    x = np.column_stack((x, np.ones(4, dtype=np.float32)))
    fitted = Standardisation.fit(x)
    assert fitted.scale[2] == 1.0
    np.testing.assert_allclose(fitted.apply(x)[:, 2], 0.0, atol=1e-7)


def test_logits_by_hand() -> None:
    head = Head(
        weight=np.array([[1.0, 0.0], [0.0, 2.0]]),
        bias=np.array([0.5, -0.5]),
        mean=np.array([0.1, 0.0]),
        scale=np.array([0.5, 2.0]),
        class_names=("a", "b"),
    )
    # (3, 4) has length 5: (0.6, 0.8); standardised (1.0, 0.4).
    logits = head.logits(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(logits, [[1.5, 0.3]], rtol=1e-6)
    chance = 1 / (1 + np.exp(-1.2))
    np.testing.assert_allclose(head.probabilities([[3.0, 4.0]]), [[chance, 1 - chance]], rtol=1e-6)
    assert head.predict([[3.0, 4.0]]).tolist() == [0]


@given(st.floats(1e-3, 1e3))
def test_scaling_an_embedding_changes_nothing(factor: float) -> None:
    head, x = some_head(), features().astype(np.float64)
    np.testing.assert_allclose(head.logits(factor * x), head.logits(x), atol=1e-9)


def test_probabilities_add_up_even_for_huge_logits() -> None:
    head = some_head()
    loud = Head.from_arrays(head.to_arrays() | {"weight": head.weight * 1e5}, head.class_names)
    probabilities = loud.probabilities(features())
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_stored_arrays_make_the_same_head() -> None:
    head = some_head()
    arrays = head.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}
    again = Head.from_arrays(arrays, head.class_names)
    np.testing.assert_array_equal(again.logits(features()), head.logits(features()))


def test_a_float16_memory_map_is_read_as_its_numbers(tmp_path: Path) -> None:
    x = features().astype(np.float16)
    np.save(tmp_path / "features.npy", x)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    head = some_head()
    np.testing.assert_array_equal(head.logits(mapped), head.logits(x.astype(np.float64)))


def test_arrays_of_a_head_cannot_be_written_to() -> None:
    head = some_head()
    with pytest.raises(ValueError, match="read-only"):
        head.weight[0, 0] = 1.0


def test_the_caller_keeps_the_arrays_handed_in() -> None:
    bias = np.zeros(3, dtype=np.float32)
    head = Head.from_arrays(some_head().to_arrays() | {"bias": bias}, some_head().class_names)
    bias[0] = 9.0
    assert head.bias[0] == 0.0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_row_without_a_direction_is_named(value: float) -> None:
    x = features()
    x[17] = value
    with pytest.raises(FeatureError, match="row 17 is"):
        some_head().predict(x)
    with pytest.raises(FeatureError, match="row 17 is"):
        Standardisation.fit(x)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("bias", np.zeros(2), r"bias has shape \(2,\)"),
        ("mean", np.zeros(4), r"mean has shape \(4,\)"),
        ("weight", np.zeros(3), r"weight has shape \(3,\)"),
        ("scale", np.zeros(5), "scale has entries of 0"),
        ("bias", np.full(3, np.nan), "bias holds NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Head.from_arrays(some_head().to_arrays() | {name: array}, some_head().class_names)


def test_other_arrays_other_widths_and_class_names_twice_are_refused() -> None:
    head = some_head()
    with pytest.raises(InputError, match="are legal"):
        Head.from_arrays({"weight": head.weight}, head.class_names)
    with pytest.raises(FeatureError, match=r"\(N, 5\)"):
        head.predict(features(width=6))
    with pytest.raises(FeatureError, match="int64"):
        head.predict(np.ones((2, 5), dtype=np.int64))
    with pytest.raises(FeatureError, match="no rows"):
        Standardisation.fit(np.empty((0, 5)))
    with pytest.raises(GroupError, match="given twice"):
        Head.from_arrays(head.to_arrays(), ("a", "b", "a"))
