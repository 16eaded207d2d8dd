"""What the gate looks at: what became of the judged images, by described groups and by searched subgroups.

Recorded with each retraining, so that a gate with other limits can judge it again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from clarify.errors import InputError
from clarify.method.decisions.paired import Paired

__all__ = ["GateEvidence", "GateGroup", "GateSubgroup", "by_class"]

SCHEMA_VERSION = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateGroup:
    """One group of the retraining: a cell of a described class, or a whole class.

    Parameters
    ----------
    class_name : str
        Its class.
    described : bool
        Whether its class is described.
    now_correct : int
        Of its judged images predicted right by the retrained model.
    over_base, over_control : Paired
        The retrained model on its judged images against the base, and against the control: retrained in the
        same way without the phrases, each class a group.
    """

    name: str
    class_name: str
    described: bool
    now_correct: int
    over_base: Paired
    over_control: Paired

    @property
    def count(self) -> int:
        """Judged images of it, 0 or more."""
        return self.over_base.count

    @property
    def base_correct(self) -> int:
        """Of these predicted right by the base model."""
        return self.now_correct - self.over_base.better + self.over_base.worse

    @property
    def control_correct(self) -> int:
        """Of these predicted right by the control."""
        return self.now_correct - self.over_control.better + self.over_control.worse


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateSubgroup:
    """Images of a class that a search brought up, with what became of them against the base."""

    name: str
    changed: Paired


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """What the gate looks at.

    Parameters
    ----------
    groups : tuple of GateGroup
    subgroups : tuple of GateSubgroup
        All that were looked at: each is a test that is corrected for.
    validation, train : int
        Judged images of either split; training images are judged where validation has few of a described
        half, by models that were not fitted to them.
    divided : tuple of str
        The described classes of which those validation images only are judged that were set aside when their
        phrases were chosen; others are too small to be divided.
    """

    groups: tuple[GateGroup, ...]
    subgroups: tuple[GateSubgroup, ...]
    validation: int
    train: int
    divided: tuple[str, ...] = ()

    @property
    def not_corrected(self) -> str:
        """What is to be told of described classes that the phrases change nothing for; empty of none."""
        described = by_class([each for each in self.groups if each.described])
        same = [
            name
            for name, groups in described.items()
            if not any(each.over_control.better or each.over_control.worse for each in groups)
        ]
        if not same:
            return ""
        return f"not corrected: {', '.join(same)}; without the phrases the same judged images are right"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GateEvidence:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            For what another version wrote.
        """
        try:
            if values["schema_version"] != SCHEMA_VERSION:
                raise KeyError("schema_version")
            return cls(
                groups=tuple(
                    GateGroup(
                        **{
                            **each,
                            "over_base": Paired(**each["over_base"]),
                            "over_control": Paired(**each["over_control"]),
                        }
                    )
                    for each in values["groups"]
                ),
                subgroups=tuple(
                    GateSubgroup(name=each["name"], changed=Paired(**each["changed"]))
                    for each in values["subgroups"]
                ),
                validation=values["validation"],
                train=values["train"],
                divided=tuple(values.get("divided", ())),
            )
        except (KeyError, TypeError):
            raise InputError(
                "what the gate looks at was recorded by another version of Clarify; retrain the model, then "
                "ask the gate again"
            ) from None


def by_class(groups: Sequence[GateGroup]) -> dict[str, list[GateGroup]]:
    """Return groups by the name of their class, in order."""
    found: dict[str, list[GateGroup]] = {}
    for each in groups:
        found.setdefault(each.class_name, []).append(each)
    return found
