"""The gate: a rule as a value, its verdict with reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clarify.errors import InputError
from clarify.method.decisions.paired import Paired
from clarify.track.gate_evidence import GateEvidence, GateGroup, GateSubgroup
from clarify.track.promotion import Gate
from clarify.track.verdict import Verdict

SAME = Paired(count=100, better=0, worse=0)


def group(name: str = "landbird · with water", **values: Any) -> GateGroup:
    """A hundred images of the worse half: 40 right before, 70 now, 45 by the control."""
    usual: dict[str, Any] = {
        "class_name": name.partition(" · ")[0],
        "described": " · " in name,
        "now_correct": 70,
        "over_base": Paired(count=100, better=32, worse=2),
        "over_control": Paired(count=100, better=27, worse=2),
    }
    return GateGroup(name=name, **{**usual, **values})


def other(name: str = "landbird · without water", **values: Any) -> GateGroup:
    """The better half, which stays as it is."""
    usual = {"now_correct": 95, "over_base": SAME, "over_control": SAME}
    return group(name, **{**usual, **values})


def test_what_a_group_came_to_before_and_by_the_control_follows_from_the_pairs() -> None:
    found = group()
    assert (found.count, found.base_correct, found.control_correct) == (100, 40, 45)


def judged(*groups: GateGroup, subgroups: tuple[GateSubgroup, ...] = (), gate: Gate | None = None) -> Verdict:
    evidence = GateEvidence(groups=groups, subgroups=subgroups, validation=300, train=0)
    return (gate or Gate()).judge(evidence)


def failed(verdict: Verdict) -> list[str]:
    return [reason.name for reason in verdict.reasons if not reason.passed]


def text_of(verdict: Verdict, name: str) -> str:
    (found,) = (reason.text for reason in verdict.reasons if reason.name == name)
    return found


def test_a_correction_that_helps_the_worse_half_and_harms_nobody_passes() -> None:
    verdict = judged(group(), other(), group("waterbird", over_base=SAME))
    assert failed(verdict) == []
    assert verdict.passed
    assert verdict.stands
    said = text_of(verdict, "gain")
    assert "landbird · with water 40.0% before, 70.0% now (100 images)" in said
    # 32 better and 2 worse of 100, with one each added: .2941 - 1.645 * 6 / 102 = .1974
    assert "+30.0 points, more than +19.7 for 95 % sure" in said


def test_a_gain_that_may_be_luck_is_refused() -> None:
    lucky = group(over_base=Paired(count=100, better=4, worse=0), now_correct=44)
    assert failed(judged(lucky, other())) == ["gain"]
    sure = group(over_base=Paired(count=100, better=5, worse=0), now_correct=45)
    assert failed(judged(sure, other())) == []


def test_a_gain_that_balancing_the_classes_brings_alone_is_refused() -> None:
    balanced = group(over_control=Paired(count=100, better=3, worse=2))
    verdict = judged(balanced, other())
    assert failed(verdict) == ["gain_by_phrases"]
    assert "69.0% retrained by classes alone, 70.0% now" in text_of(verdict, "gain_by_phrases")


def test_the_worse_half_is_the_one_that_the_base_gets_wrong_more_and_it_alone_must_gain() -> None:
    """The named half does not gain here; the one that was right 95 of 100 times does."""
    worse = group(now_correct=40, over_base=SAME, over_control=SAME)
    better = other(now_correct=100, over_base=Paired(count=100, better=5, worse=0))
    assert failed(judged(worse, better)) == ["gain", "gain_by_phrases"]


def test_described_classes_count_alike_however_many_images_they_have() -> None:
    """-2 points of a thousand and +30 of a hundred are +14 on average, not -0.2 of all."""
    large = group(
        "waterbird · with fog",
        now_correct=880,
        over_base=Paired(count=1000, better=0, worse=20),
        over_control=Paired(count=1000, better=0, worse=20),
    )
    rest = other("waterbird · without fog")
    verdict = judged(group(), other(), large, rest)
    assert failed(verdict) == []
    assert "on average +14.0 points" in text_of(verdict, "gain")


def test_a_class_that_its_description_does_not_part_is_told_as_not_corrected() -> None:
    whole = group("waterbird", described=True)
    verdict = judged(group(), other(), whole)
    assert failed(verdict) == ["corrected"]
    assert "not corrected: waterbird" in text_of(verdict, "corrected")
    empty = other("waterbird · with fog", now_correct=0, over_base=Paired(count=0, better=0, worse=0))
    assert "corrected" in failed(judged(group(), other(), empty, group("waterbird · without fog")))


def test_a_class_for_which_the_phrases_change_nothing_is_told_as_not_corrected() -> None:
    moved = other("waterbird · without fog", over_control=Paired(count=100, better=1, worse=1))
    still = other("waterbird · with fog", over_base=Paired(count=100, better=20, worse=0))
    told = "but not corrected: waterbird; without the phrases the same judged images are right"
    same = judged(group(), other(), still, other("waterbird · without fog"), group("gull", over_control=SAME))
    assert text_of(same, "corrected").endswith(told)
    assert failed(same) == []  # it is parted, and on average the classes gained
    assert "not corrected" not in text_of(judged(group(), other(), still, moved), "corrected")


def test_another_class_that_is_surely_worse_is_refused() -> None:
    lost = group("waterbird", over_base=Paired(count=100, better=0, worse=6))
    verdict = judged(group(), other(), lost)
    assert failed(verdict) == ["classes"]
    assert "waterbird -6.0 points" in text_of(verdict, "classes")
    # Five worse by chance have 1 in 32; corrected for four classes that is not sure.
    less = group("waterbird", over_base=Paired(count=100, better=0, worse=5))
    same = [group(name, over_base=SAME) for name in ("gull", "duck", "swan")]
    assert failed(judged(group(), other(), less, *same)) == []
    # Sure, but under two points.
    large = group("waterbird", over_base=Paired(count=1000, better=0, worse=19))
    assert failed(judged(group(), other(), large)) == []


def test_a_subgroup_that_surely_falls_is_refused_and_named() -> None:
    paying = GateSubgroup(name="landbird · towards sea", changed=Paired(count=100, better=0, worse=30))
    verdict = judged(group(), other(), subgroups=(paying,))
    assert failed(verdict) == ["subgroups"]
    assert "landbird · towards sea -30.0 points (100 images)" in text_of(verdict, "subgroups")
    few = GateSubgroup(name="landbird · towards sea", changed=Paired(count=20, better=0, worse=3))
    assert failed(judged(group(), other(), subgroups=(few,))) == []
    assert failed(judged(group(), other(), subgroups=(paying,), gate=Gate(max_subgroup_loss=0.3))) == []


def test_the_more_subgroups_are_looked_at_the_surer_each_must_be() -> None:
    falls = GateSubgroup(name="landbird · towards sea", changed=Paired(count=100, better=0, worse=16))
    none = GateSubgroup(name="landbird · towards forest", changed=SAME)
    assert failed(judged(group(), other(), subgroups=(falls,))) == ["subgroups"]
    assert failed(judged(group(), other(), subgroups=(falls, *[none] * 200))) == []


def test_a_described_half_that_surely_falls_is_a_subgroup() -> None:
    moved = other(now_correct=45, over_base=Paired(count=100, better=0, worse=50))
    verdict = judged(group(), moved)
    assert failed(verdict) == ["subgroups"]
    assert "landbird · without water -50.0 points" in text_of(verdict, "subgroups")


def test_the_champion_is_compared_in_every_part() -> None:
    every = Paired(count=300, better=9, worse=3)
    parts = {"all validation images": every, "landbird": SAME}
    fine = Gate().against_champion("3", parts)
    assert fine.passed
    assert "version 3, the champion: 300 validation images +2.0 points" in fine.text
    worse = Paired(count=50, better=0, worse=10)
    refused = Gate().against_champion(
        "3", {**parts, "landbird · with water": worse, "empty": Paired(count=0, better=0, worse=0)}
    )
    assert not refused.passed
    assert "worse: landbird · with water -20.0" in refused.text


def test_without_a_described_class_there_is_nothing_to_judge() -> None:
    with pytest.raises(InputError, match="describe first"):
        judged(group("landbird"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 0.2},
        {"max_class_loss": -0.1},
        {"max_subgroup_loss": 1.5},
        {"max_class_loss": "much"},
        {"max_class_loss": True},
        {"max_class_loss": float("nan")},
        {"max_class_loss": 0.2, "max_subgroup_loss": 0.1},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="legal"):
        Gate.of_limits(wrong)


def test_an_unknown_limit_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="nearest: max_class_loss"):
        Gate.of_limits({"max_class_los": 0.1})


def test_evidence_and_verdict_come_back_from_json() -> None:
    evidence = GateEvidence(
        groups=(group(), other()),
        subgroups=(GateSubgroup(name="landbird · towards sea", changed=SAME),),
        validation=300,
        train=1200,
    )
    assert GateEvidence.from_dict(json.loads(json.dumps(evidence.to_dict()))) == evidence
    verdict = Gate().judge(evidence)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_evidence_of_another_version_asks_for_another_retraining() -> None:
    with pytest.raises(InputError, match="retrain the model"):
        GateEvidence.from_dict({})


def test_a_text_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(InputError, match="not one that Clarify wrote"):
        Verdict.from_dict({"reasons": [{"name": "gain"}]})
