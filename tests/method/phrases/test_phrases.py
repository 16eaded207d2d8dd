"""Phrases: what may be written, what it means, and how it is scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import ClarifyError, FeatureError, InputError, PhraseError
from clarify.method.phrases.grammar import And, Atom, Not, Or
from clarify.method.phrases.phrases import Calibration, calibrate, parse_phrase, phrase_scores

words = st.sampled_from(["bird", "in the forest", "at night", "water and trees", "red"])
atoms = words.map(lambda text: Atom(text=text))
nodes = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda part: f"NOT ({part})" if isinstance(part, str) else f"NOT {part.text}"),
        st.tuples(inner, inner).map(
            lambda pair: " AND ".join(f"({p})" if isinstance(p, str) else p.text for p in pair)
        ),
        st.tuples(inner, inner).map(
            lambda pair: " OR ".join(f"({p})" if isinstance(p, str) else p.text for p in pair)
        ),
    ),
    max_leaves=6,
).map(lambda node: node if isinstance(node, str) else node.text)


def refusal(text: str) -> str:
    """Return why a text is no phrase, or nothing where it is one."""
    try:
        parse_phrase(text)
    except PhraseError as error:
        return str(error)
    return ""


def test_plain_words_are_one_atom() -> None:
    phrase = parse_phrase("  a Bird  and\u00a0tree not far ")
    assert phrase.text == "a Bird and tree not far"
    assert phrase.atoms == ("a Bird and tree not far",)
    assert not phrase.is_compound


def test_not_binds_tighter_than_and_which_binds_tighter_than_or() -> None:
    a, b, c = Atom(text="a"), Atom(text="b"), Atom(text="c")
    assert parse_phrase("a OR b AND NOT c").expression == Or(parts=(a, And(parts=(b, Not(part=c)))))
    assert parse_phrase("(a OR b) AND c").expression == And(parts=(Or(parts=(a, b)), c))
    assert parse_phrase("NOT (a AND b)").expression == Not(part=And(parts=(a, b)))


def test_a_negation_alone_is_compound_and_atoms_are_listed_once() -> None:
    assert parse_phrase("NOT water").is_compound
    assert parse_phrase("water AND (red OR water)").atoms == ("water", "red")


def test_needless_parentheses_and_spaces_vanish() -> None:
    assert parse_phrase("((a)  AND (b AND(c)))").text == "a AND b AND c"
    assert parse_phrase("(  forest )") == parse_phrase("forest")


@given(nodes)
def test_the_canonical_text_means_the_same(text: str) -> None:
    reason = refusal(text)
    if reason:
        assert "nested" in reason  # deeper than people may
    else:
        phrase = parse_phrase(text)
        assert parse_phrase(phrase.text) == phrase


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("x" * 10_000, "10000 characters"),
        ("x" * 201, "201 characters"),
        ("bird\x00", "control character U\\+0000"),
        ("bird\ntree", "control character U\\+000A"),
        ("bird\u202etree", "control character U\\+202E"),
        ("123", "no letters"),
        ("bird AND 7", "'7' has no letters"),
        ("🐦🐦", "no letters"),
        ("птица", "not a Latin letter"),
        ("鳥", "not a Latin letter"),
        ("a OR b OR c OR d OR e OR f OR g OR h OR i", "has 9 parts"),
        ("a AND", "words are missing at its end"),
        ("OR a", "words are missing before 'OR'"),
        ("a AND OR b", "words are missing before 'OR'"),
        ("NOT", "words are missing"),
        ("(a AND b", "closing parenthesis"),
        ("a)", "'\\)' does not fit"),
        ("a (b)", "'\\(' does not fit"),
        ("a NOT b", "'NOT' does not fit"),
        ("()", "words are missing"),
        ("(" * 90 + "a" + ")" * 90, "nested"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(PhraseError, match=message) as caught:
        parse_phrase(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_limits_themselves_are_legal() -> None:
    assert len(parse_phrase("x" * 200).text) == 200
    assert len(parse_phrase("a OR b OR c OR d OR e OR f OR g OR h").atoms) == 8
    assert parse_phrase("café").text == "café"


@settings(max_examples=300)
@given(st.text(alphabet="ab ()ANDORT\n\té你0", max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    reason = refusal(text)
    assert "\n" not in reason
    assert reason or parse_phrase(text).text


# Calibration


def two_humps(share: float, n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    has = rng.random(n) < share
    return np.where(has, rng.normal(0.26, 0.01, n), rng.normal(0.20, 0.01, n)), has


@pytest.mark.parametrize("share", [0.5, 0.2, 0.03, 0.9])
def test_two_humps_are_parted_whatever_their_shares(share: float) -> None:
    similarity, has = two_humps(share)
    found = calibrate(similarity)
    assert 0.21 < found.threshold < 0.25
    assert np.mean((found.log_odds(similarity) > 0) == has) > 0.99


def test_log_odds_are_those_of_the_mixture() -> None:
    # Equal shares, means 0.20 and 0.26, deviation 0.01: cut 0.23, scale 0.0001 / 0.06.
    found = calibrate(two_humps(0.5, n=4000)[0])
    assert found.threshold == pytest.approx(0.23, abs=0.001)
    assert found.scale == pytest.approx(0.0001 / 0.06, rel=0.1)
    assert found.log_odds([found.threshold, found.threshold + found.scale]) == pytest.approx([0.0, 1.0])


def test_what_is_rare_needs_a_higher_similarity() -> None:
    # Means 0.20 and 0.24, deviation 0.01, 5 % have it: cut 0.22 + 0.0025 log 19.
    rng = np.random.default_rng(0)
    similarity = np.where(rng.random(4000) < 0.05, rng.normal(0.24, 0.01, 4000), rng.normal(0.20, 0.01, 4000))
    assert calibrate(similarity).threshold == pytest.approx(0.2274, abs=0.001)


def test_one_hump_is_cut_at_its_mean() -> None:
    similarity = np.random.default_rng(0).normal(0.2, 0.03, 3000)
    found = calibrate(similarity)
    assert found.threshold == pytest.approx(0.2, abs=0.005)
    assert found.scale == pytest.approx(0.03, rel=0.05)


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40).filter(lambda v: min(v) < max(v)))
def test_log_odds_always_rise_with_similarity(values: list[float]) -> None:
    found = calibrate(values)
    assert found.scale > 0
    odds = found.log_odds(np.sort(values))
    assert (np.diff(odds) >= 0).all()
    assert odds[-1] > odds[0]


@settings(max_examples=20)
@given(st.floats(0.01, 100), st.floats(-10, 10))
def test_units_and_origin_of_similarity_do_not_matter(unit: float, origin: float) -> None:
    similarity, _ = two_humps(0.3, n=300)
    moved = calibrate(similarity * unit + origin).log_odds(similarity * unit + origin)
    assert moved == pytest.approx(calibrate(similarity).log_odds(similarity), rel=1e-4, abs=1e-4)


def test_calibration_does_not_depend_on_the_order_of_images() -> None:
    similarity, _ = two_humps(0.3)
    shuffled = np.random.default_rng(1).permutation(similarity)
    assert calibrate(shuffled) == calibrate(similarity)


def test_many_images_are_calibrated_as_few() -> None:
    assert calibrate(two_humps(0.3, n=50_000)[0]).threshold == pytest.approx(
        calibrate(two_humps(0.3, n=4000)[0]).threshold, abs=0.001
    )


@pytest.mark.parametrize("values", [[], [0.2], [0.2, 0.2]])
def test_equal_similarities_cannot_be_calibrated(values: list[float]) -> None:
    with pytest.raises(FeatureError, match="are all equal"):
        calibrate(values)


def test_an_impossible_calibration_is_refused() -> None:
    with pytest.raises(InputError, match="scale is 0"):
        Calibration(threshold=0.0, scale=0)
    with pytest.raises(InputError, match="threshold is nan"):
        Calibration(threshold=float("nan"), scale=1.0)
    with pytest.raises(InputError, match="threshold and scale"):
        Calibration.from_dict({"threshold": 1.0})


# Scores

UNIT = Calibration(threshold=0.0, scale=1.0)
SIMILARITY = {"a": [1.0, -2.0, 0.5], "b": [3.0, 1.0, -4.0]}


def test_a_plain_phrase_scores_its_similarity_unchanged() -> None:
    assert phrase_scores(parse_phrase("a"), SIMILARITY, {}).tolist() == SIMILARITY["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a AND b", [1.0, -2.0, -4.0]),
        ("a OR b", [3.0, 1.0, 0.5]),
        ("NOT a", [-1.0, 2.0, -0.5]),
        ("NOT (a AND b)", [-1.0, 2.0, 4.0]),
        ("NOT a OR NOT b", [-1.0, 2.0, 4.0]),
        ("a AND NOT a", [-1.0, -2.0, -0.5]),
    ],
)
def test_joining_words_are_minimum_maximum_and_change_of_sign(text: str, expected: list[float]) -> None:
    scores = phrase_scores(parse_phrase(text), SIMILARITY, {"a": UNIT, "b": UNIT})
    assert scores.tolist() == expected


def test_atoms_are_compared_in_their_own_units() -> None:
    # In raw similarity b would never be the lower one.
    calibrations = {"a": UNIT, "b": Calibration(threshold=10.0, scale=2.0)}
    scores = phrase_scores(parse_phrase("a AND b"), {"a": [1.0], "b": [11.0]}, calibrations)
    assert scores.tolist() == [0.5]


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=10))
def test_a_conjunction_is_never_above_its_parts(pairs: list[tuple[float, float]]) -> None:
    similarity = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    both = phrase_scores(parse_phrase("a AND b"), similarity, {"a": UNIT, "b": UNIT})
    either = phrase_scores(parse_phrase("a OR b"), similarity, {"a": UNIT, "b": UNIT})
    for part in similarity.values():
        assert (both <= np.array(part)).all()
        assert (either >= np.array(part)).all()


@pytest.mark.parametrize(
    ("similarity", "calibrations", "message"),
    [
        ({"a": [1.0]}, {"a": UNIT, "b": UNIT}, "no similarities to 'b'"),
        ({"a": [1.0], "b": [1.0]}, {"a": UNIT}, "'b' is not calibrated"),
        ({"a": [1.0], "b": [1.0, 2.0]}, {"a": UNIT, "b": UNIT}, "different lengths"),
        ({"a": [1.0], "b": [np.nan]}, {"a": UNIT, "b": UNIT}, "similarities to 'b': entry 0"),
    ],
)
def test_a_score_needs_every_part(
    similarity: dict[str, list[float]], calibrations: dict[str, Calibration], message: str
) -> None:
    with pytest.raises(ClarifyError, match=message):
        phrase_scores(parse_phrase("a AND b"), similarity, calibrations)
