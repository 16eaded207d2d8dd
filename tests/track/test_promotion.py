"""The gate: a rule as a value, its verdict with reasons."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import InputError
from clarify.track.promotion import Gate, GateHalf, Verdict


def half(name: str = "landbird · with water", **numbers: int) -> GateHalf:
    usual = {"count": 100, "base_correct": 40, "now_correct": 70, "control_correct": 0, "label": 0}
    return GateHalf(name=name, **{**usual, **numbers})


def judged(*halves: GateHalf, base: float = 0.9, now: float = 0.88, gate: Gate | None = None):
    return (gate or Gate()).judge(halves, base_average=base, now_average=now)


def failed(verdict: Verdict) -> list[str]:
    return [reason.name for reason in verdict.reasons if not reason.passed]


def test_a_correction_that_helps_the_worst_group_and_costs_little_passes() -> None:
    verdict = judged(half(), half("landbird · without water", base_correct=95, now_correct=93))
    assert verdict.passed
    assert failed(verdict) == []


def test_too_small_a_gain_is_refused_with_the_numbers() -> None:
    verdict = judged(half(now_correct=49))
    assert failed(verdict) == ["gain"]
    assert "40.0% before (landbird · with water), 49.0% now" in verdict.reasons[0].text
    assert "+9.0 points" in verdict.reasons[0].text


def test_a_gain_of_just_the_limit_passes() -> None:
    assert judged(half(base_correct=25, now_correct=50), gate=Gate(min_gain=0.25)).passed


def test_a_gain_that_balancing_the_classes_brings_alone_is_refused() -> None:
    """A wrong phrase: +30 points on the worst half, of which the control has 26."""
    verdict = judged(half(control_correct=66))
    assert failed(verdict) == ["gain_by_phrases"]
    assert "by classes alone it would be 66.0%" in verdict.reasons[1].text
    assert judged(half(control_correct=64)).passed


def test_a_phrase_that_does_not_part_right_from_wrong_is_refused() -> None:
    other = half("landbird · without water", base_correct=55)
    verdict = judged(half(base_correct=45), other)
    assert failed(verdict) == ["score"]
    # right: 45 and 55 of 100, wrong: 55 and 45 of 100
    assert "part right from wrong images by 0.10 in landbird" in verdict.reasons[-1].text
    assert judged(half(base_correct=45), other, gate=Gate(min_score=0.05)).passed


def test_the_class_whose_phrases_part_worst_decides() -> None:
    # landbird: 20 and 80 of 100 right, 80 and 20 wrong: 0.60; waterbird: 48 and 52, 52 and 48: 0.04.
    parted = [half("landbird · with water", base_correct=20), half("landbird · without", base_correct=80)]
    mixed = [
        half(f"waterbird · {name}", label=1, base_correct=right)
        for name, right in (("with fog", 48), ("without", 52))
    ]
    verdict = judged(*parted, *mixed)
    assert failed(verdict) == ["score"]
    assert "by 0.04 in waterbird" in verdict.reasons[-1].text
    assert judged(*parted).passed


def test_a_class_that_nobody_described_or_without_wrong_images_has_no_score() -> None:
    whole = half("waterbird", label=1, base_correct=50)
    perfect = [
        half(f"songbird · {name}", label=2, base_correct=100, now_correct=100)
        for name in ("with water", "without water")
    ]
    assert judged(half(base_correct=20), whole, *perfect).passed


def test_too_great_a_loss_of_average_is_refused() -> None:
    assert failed(judged(half(), base=0.90, now=0.84)) == ["loss"]
    assert failed(judged(half(), base=0.75, now=0.50, gate=Gate(max_loss=0.25))) == []


def test_a_rise_of_the_average_is_no_loss() -> None:
    verdict = judged(half(), base=0.6, now=0.8)
    assert verdict.passed
    assert verdict.reasons[2].seen == pytest.approx(-0.2)


def test_a_worst_group_of_few_images_is_not_believed() -> None:
    assert failed(judged(half(count=19, base_correct=2, now_correct=12))) == ["images"]
    assert failed(judged(half(count=20, base_correct=2, now_correct=12))) == []


def test_errors_that_only_move_to_another_group_are_no_gain() -> None:
    verdict = judged(half(), half("other", base_correct=90, now_correct=45))
    assert failed(verdict) == ["gain"]
    assert "45.0% now (other)" in verdict.reasons[0].text


def test_the_control_is_taken_at_its_own_worst_group() -> None:
    # Worst now: 70 of 100, with water. The control's worst: 60 of 100, without it, though it has 68
    # of 100 with water, 76 of 100 a third group, and (68 + 60 + 76) / 300 = 68 % of all.
    verdict = judged(
        half(control_correct=68),
        half("landbird · without water", base_correct=95, now_correct=80, control_correct=60),
        half("waterbird", label=1, base_correct=90, now_correct=90, control_correct=76),
    )
    assert verdict.passed
    assert (verdict.reasons[1].name, verdict.reasons[1].seen) == ("gain_by_phrases", pytest.approx(0.10))
    assert "by classes alone it would be 60.0%" in verdict.reasons[1].text


def test_both_worst_groups_must_be_large_enough_the_one_before_and_the_one_now() -> None:
    # Worst before: 2 of 15 = 13 % against 60 of 100; worst now: 70 of 100 against 14 of 15 = 93 %.
    small = half(count=15, base_correct=2, now_correct=14)
    large = half("landbird · without water", base_correct=60, now_correct=70)
    verdict = judged(small, large)
    assert failed(verdict) == ["images"]
    assert verdict.reasons[3].seen == 15
    # Worst before: 40 of 100; worst now: 11 of 19 = 58 % against 70 of 100.
    small = half("landbird · without water", count=19, base_correct=18, now_correct=11)
    verdict = judged(half(), small)
    assert failed(verdict) == ["images"]
    assert verdict.reasons[3].seen == 19


def test_a_group_without_images_is_never_the_worst() -> None:
    empty = half("empty", count=0, base_correct=0, now_correct=0)
    assert judged(half(), empty) == judged(half())


def test_without_any_described_image_there_is_nothing_to_judge() -> None:
    with pytest.raises(InputError, match="describe first"):
        judged(half(count=0, base_correct=0, now_correct=0))


@pytest.mark.parametrize("wrong", [{"min_gain": -0.1}, {"max_loss": 1.5}, {"min_images": 0}])
def test_a_gate_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="legal"):
        Gate(**wrong)  # type: ignore[arg-type]


def test_a_verdict_comes_back_from_json() -> None:
    verdict = judged(half(now_correct=42))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_a_text_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(InputError, match="not one that Clarify wrote"):
        Verdict.from_dict({"reasons": [{"name": "gain"}]})


@given(
    st.lists(
        st.integers(1, 50).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))),
        min_size=1,
        max_size=5,
    )
)
def test_passing_means_that_the_group_that_was_worst_gained_as_much(
    counts: list[tuple[int, int, int]],
) -> None:
    halves = [half(str(k), count=n, base_correct=a, now_correct=b) for k, (n, a, b) in enumerate(counts)]
    if judged(*halves).passed:
        worst = min(halves, key=lambda each: each.base_correct / each.count)
        gain = (worst.now_correct - worst.base_correct) / worst.count
        assert gain >= Gate().min_gain - 1e-12
