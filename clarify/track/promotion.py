"""The gate: a rule as a value that says whether a retrained model may be champion, and why.

It looks at images that no compared model was fitted to, by described groups and by what a search found;
annotated groups never decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from clarify.errors import InputError, nearest, shown
from clarify.method.decisions.paired import Paired, mean_change, surely_worse
from clarify.track.gate_evidence import GateEvidence, GateGroup, GateSubgroup, by_class
from clarify.track.verdict import Reason, Verdict

__all__ = ["Gate"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a retrained model must show, and what it may cost.

    Described halves must have become better beyond chance, against the base and against the control:
    retraining with any phrase also balances the classes, which alone can lift every half. And nobody may
    pay for it: no class, and no subgroup that a search along the axes of the setting brings up. The latter
    alone keeps out phrases that explain errors and yet make the model lean harder on what it should not
    (``python -m benchmarks decisions``: what was measured, and why the limits are these).

    Parameters
    ----------
    confidence : float
        Of every bound and of the search, all its tests together, one-sided.
    max_class_loss : float
        By how much the accuracy of a class may be lower, as a fraction.
    max_subgroup_loss : float
        By how much that of a subgroup, or of a described half, may surely be lower, as a fraction: the lower
        bound of its fall. With a hundred images of it, a fall of about ten points.

    Raises
    ------
    InputError
        For limits that are no shares, or contradict each other.
    """

    confidence: float = 0.95
    max_class_loss: float = 0.02
    max_subgroup_loss: float = 0.05

    @classmethod
    def of_limits(cls, limits: Mapping[str, object]) -> Gate:
        """Return the gate with some limits given by name, as in ``clarify.toml``.

        Raises
        ------
        InputError
            For an unknown name, or a limit that is not legal.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in limits:
            if name not in known:
                raise InputError(f"gate: unknown limit {shown(name)}; {nearest(name, known)}")
        return cls(**limits)  # type: ignore[arg-type]  # checked on construction

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, least = getattr(self, field.name), 0.5 if field.name == "confidence" else 0
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1:
                raise InputError(
                    f"gate: {field.name} is {shown(value)}; a number from {least} to under 1 is legal"
                )
        if self.max_subgroup_loss < self.max_class_loss:
            raise InputError(
                f"gate: max_subgroup_loss {self.max_subgroup_loss} is under max_class_loss "
                f"{self.max_class_loss}; a class is a subgroup of itself, so at least as much is legal"
            )

    def judge(self, seen: GateEvidence) -> Verdict:
        """Judge a retrained model.

        Raises
        ------
        InputError
            Without a described class.
        """
        described = by_class([each for each in seen.groups if each.described])
        if not described:
            raise InputError("gate: no class is described; describe first")
        return Verdict(
            reasons=(
                self._corrected(described, seen.not_corrected),
                *self._gains(described),
                self._classes([each for each in seen.groups if not each.described]),
                self._subgroups([*_cells(seen.groups), *seen.subgroups]),
            )
        )

    def against_champion(self, version: str, parts: Mapping[str, Paired]) -> Reason:
        """Compare with the champion of the day: no part of the images may be surely worse.

        Parameters
        ----------
        version : str
            The champion's.
        parts : mapping of name to Paired
            All images, every class, and the halves of both models' descriptions.
        """
        limit = self.max_class_loss
        filled = {name: pair for name, pair in parts.items() if pair.count}
        sure = {
            name: pair
            for name, pair in filled.items()
            if pair.change < -limit and pair.p_worse * len(filled) <= 1 - self.confidence
        }
        every = next(iter(filled.values()))
        name, pair = min((sure or filled).items(), key=lambda each: each[1].change)
        return Reason(
            name="champion",
            passed=not sure,
            text=f"against version {version}, the champion: {every.count:,} validation images "
            f"{100 * every.change:+.1f} points; {'worse' if sure else 'least'}: {name} "
            f"{100 * pair.change:+.1f} ({pair.count:,} images); surely at most {100 * limit:.1f} down",
            seen=-pair.change,
            limit=limit,
        )

    def _corrected(self, described: Mapping[str, Sequence[GateGroup]], unchanged: str) -> Reason:
        whole = [name for name, groups in described.items() if _worse_half(groups) is None]
        told = (
            f"not corrected: {', '.join(whole)}; its descriptions part none of the judged images"
            if whole
            else f"every described class is parted: {', '.join(described)}"
            + (f"; but {unchanged}" if unchanged else "")
        )
        return Reason(name="corrected", passed=not whole, text=told, seen=float(len(whole)), limit=0.0)

    def _gains(self, described: Mapping[str, Sequence[GateGroup]]) -> list[Reason]:
        halves = [half for groups in described.values() if (half := _worse_half(groups)) is not None]
        if not halves:
            return []
        found = []
        for name, against, pairs, correct in (
            ("gain", "before", [each.over_base for each in halves], [each.base_correct for each in halves]),
            (
                "gain_by_phrases",
                "retrained by classes alone",
                [each.over_control for each in halves],
                [each.control_correct for each in halves],
            ),
        ):
            gain = mean_change(pairs, confidence=self.confidence)
            told = "; ".join(
                f"{half.name} {was / half.count:.1%} {against}, {half.now_correct / half.count:.1%} now "
                f"({half.count:,} images)"
                for half, was in zip(halves, correct, strict=True)
            )
            mean = "" if len(halves) == 1 else "on average "
            found.append(
                Reason(
                    name=name,
                    passed=gain.lower > 0,
                    text=f"{told}: {mean}{100 * gain.estimate:+.1f} points, more than "
                    f"{100 * gain.lower:+.1f} for {100 * self.confidence:.3g} % sure; above 0 asked",
                    seen=gain.lower,
                    limit=0.0,
                )
            )
        return found

    def _classes(self, others: Sequence[GateGroup]) -> Reason:
        limit = self.max_class_loss
        lost = [each for each in others if each.over_base.change < -limit]
        sure = [each for each in lost if each.over_base.p_worse * len(others) <= 1 - self.confidence]
        least = min(others, key=lambda each: each.over_base.change, default=None)
        shown_class = min(sure, key=lambda each: each.over_base.change, default=least)
        told = (
            "every class is described"
            if shown_class is None
            else f"{'of' if not sure else 'worse:'} {len(sure) or len(others):,} other "
            f"class{'es' if (len(sure) or len(others)) > 1 else ''}, {shown_class.name} "
            f"{100 * shown_class.over_base.change:+.1f} points; surely at most {100 * limit:.1f} down allowed"
        )
        seen = 0.0 if shown_class is None else -shown_class.over_base.change
        return Reason(name="classes", passed=not sure, text=told, seen=seen, limit=limit)

    def _subgroups(self, subgroups: Sequence[GateSubgroup]) -> Reason:
        limit = self.max_subgroup_loss
        if not subgroups:
            return Reason(
                name="subgroups",
                passed=True,
                text="no subgroup was looked for: too few judged images, or no words of settings are known",
                seen=0.0,
                limit=limit,
            )
        each_alone = 1 - (1 - self.confidence) / len(subgroups)
        falls = [(surely_worse(each.changed, confidence=each_alone), each) for each in subgroups]
        fall, worst = max(falls, key=lambda each: each[0])
        told = (
            f"{worst.name} {100 * worst.changed.change:+.1f} points ({worst.changed.count:,} images), surely "
            f"{100 * max(fall, 0.0):.1f} down; at most {100 * limit:.1f} allowed"
        )
        return Reason(
            name="subgroups",
            passed=fall <= limit,
            text=f"of {len(subgroups):,} subgroups that were looked at: {told}",
            seen=fall,
            limit=limit,
        )


def _cells(groups: Sequence[GateGroup]) -> list[GateSubgroup]:
    return [GateSubgroup(name=each.name, changed=each.over_base) for each in groups if each.described]


def _worse_half(groups: Sequence[GateGroup]) -> GateGroup | None:
    """Return the cell of a class that the base model gets wrong most; None where nothing is parted."""
    filled = [each for each in groups if each.count]
    return min(filled, key=lambda each: each.base_correct / each.count) if len(filled) > 1 else None
