"""The gate: a rule as a value that says whether a retrained model may be champion, and why.

It looks at the validation split and at described groups only; annotated groups never decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from clarify.errors import InputError, shown

__all__ = ["Gate", "GateHalf", "Reason", "Verdict"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateHalf:
    """One described group on validation, before and after.

    Parameters
    ----------
    count : int
        Images, 0 or more.
    base_correct, now_correct : int
        Of these predicted right by the base model and by the retrained one.
    control_correct : int
        Of these predicted right by the control: retrained without the phrases, each class a group.
    label : int
        Its class.
    """

    name: str
    count: int
    base_correct: int
    now_correct: int
    control_correct: int
    label: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One check of the gate: whether it passes, in words, what was seen and what is asked."""

    name: str
    passed: bool
    text: str
    seen: float
    limit: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks; passed when each of them is."""

    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passes."""
        return all(reason.passed for reason in self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"passed": self.passed, "reasons": [dataclasses.asdict(reason) for reason in self.reasons]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` wrote."""
        try:
            return cls(reasons=tuple(Reason(**each) for each in values["reasons"]))
        except (KeyError, TypeError):
            raise InputError(f"verdict {shown(values)} is not one that Clarify wrote") from None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a retrained model must show on validation, against its base model.

    The limits are judgements, and these are the reasons. Ten points are two standard errors of an
    accuracy over a hundred images, the size of a small described group, and well under what a good
    phrase brings (arXiv 2402.03715 reports 17 points on average). Half as much may be lost on the
    average as must be won on the worst group. Under 20 images one image is worth more than five
    points, so half of the gain could be one image. The worst group before and the worst group
    after may be two: a correction that moves the errors elsewhere has gained nothing. Retraining
    with any phrase also balances the classes, which alone can lift every half, so a phrase must
    bring half of what is asked beyond a control that was retrained with the classes as groups. And
    a phrase must part what was wrong from what was right: of drawn phrases that have nothing to do
    with the errors some pass all else by luck (docs/evidence.md).

    Parameters
    ----------
    min_gain : float
        By how much the worst described group must be better, as a fraction.
    min_gain_by_phrases : float
        By how much the worst described group must be better than the control's, as a fraction.
    max_loss : float
        By how much the average may be lower, as a fraction.
    min_images : int
        How many images the worst described group must hold, before and after, to be believed.
    min_score : float
        How far the phrases of each described class must part its right from its wrong images: the
        error score of the cut, and of several phrases the total variation over their cells.
    """

    min_gain: float = 0.10
    min_gain_by_phrases: float = 0.05
    max_loss: float = 0.05
    min_images: int = 20
    min_score: float = 0.20

    def __post_init__(self) -> None:
        shares = (self.min_gain, self.min_gain_by_phrases, self.max_loss, self.min_score)
        if not (all(0 <= share <= 1 for share in shares) and self.min_images >= 1):
            raise InputError(f"gate {self}: shares in 0 to 1, at least 1 image are legal")

    def judge(self, halves: Sequence[GateHalf], *, base_average: float, now_average: float) -> Verdict:
        """Compare a retrained model with its base on validation.

        Parameters
        ----------
        halves : sequence of GateHalf
            The described groups; an empty one cannot be the worst.
        base_average, now_average : float
            Accuracy on all validation images, fractions.

        Raises
        ------
        InputError
            Without a described group that has images.
        """
        filled = [half for half in halves if half.count]
        if not filled:
            raise InputError("gate: no described group has images on validation; describe first")
        before = min(filled, key=lambda half: half.base_correct / half.count)
        after = min(filled, key=lambda half: half.now_correct / half.count)
        control = min(half.control_correct / half.count for half in filled)
        was, now = before.base_correct / before.count, after.now_correct / after.count
        gain, loss, images = now - was, base_average - now_average, min(before.count, after.count)
        score, of = min(_scores(filled), default=(1.0, ""))
        return Verdict(
            reasons=(
                Reason(
                    name="gain",
                    passed=gain >= self.min_gain,
                    text=f"worst described group {was:.1%} before ({before.name}), {now:.1%} now "
                    f"({after.name}): {100 * gain:+.1f} points, at least "
                    f"{100 * self.min_gain:+.1f} asked",
                    seen=gain,
                    limit=self.min_gain,
                ),
                Reason(
                    name="gain_by_phrases",
                    passed=now - control >= self.min_gain_by_phrases,
                    text=f"retrained by classes alone it would be {control:.1%}: the phrases bring "
                    f"{100 * (now - control):+.1f} points, at least "
                    f"{100 * self.min_gain_by_phrases:+.1f} asked",
                    seen=now - control,
                    limit=self.min_gain_by_phrases,
                ),
                Reason(
                    name="loss",
                    passed=loss <= self.max_loss,
                    text=f"average {base_average:.1%} before, {now_average:.1%} now: "
                    f"{-100 * loss:+.1f} points, at most {100 * self.max_loss:.1f} down allowed",
                    seen=loss,
                    limit=self.max_loss,
                ),
                Reason(
                    name="images",
                    passed=images >= self.min_images,
                    text=f"{images} images in the smaller of these groups, at least {self.min_images} asked",
                    seen=float(images),
                    limit=float(self.min_images),
                ),
                Reason(
                    name="score",
                    passed=score >= self.min_score,
                    text=f"the phrases part right from wrong images by {score:.2f}"
                    f"{of and f' in {of}'}, at least {self.min_score:.2f} asked",
                    seen=score,
                    limit=self.min_score,
                ),
            )
        )


def _scores(halves: Sequence[GateHalf]) -> list[tuple[float, str]]:
    """Return how far the cells of each described class part right from wrong images, with its name.

    A class without right or without wrong images, or of one cell, says nothing.
    """
    found = []
    for label in dict.fromkeys(half.label for half in halves):
        cells = [half for half in halves if half.label == label]
        right = sum(half.base_correct for half in cells)
        wrong = sum(half.count for half in cells) - right
        if len(cells) > 1 and right and wrong:
            parted = sum(
                abs(half.base_correct / right - (half.count - half.base_correct) / wrong) for half in cells
            )
            found.append((parted / 2, cells[0].name.partition(" · ")[0]))
    return found
