"""What the gate said, as it stays with a version of the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clarify.errors import InputError, shown

__all__ = ["Reason", "Verdict"]


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
    """All checks; passed when each of them is.

    Parameters
    ----------
    overruled : str
        Why a lead let it be champion although it did not pass; empty otherwise.
    """

    reasons: tuple[Reason, ...]
    overruled: str = ""

    @property
    def passed(self) -> bool:
        """Whether every check passes."""
        return all(reason.passed for reason in self.reasons)

    @property
    def stands(self) -> bool:
        """Whether the model may be champion."""
        return self.passed or bool(self.overruled)

    @property
    def failed(self) -> str:
        """What does not pass, in one line."""
        return "; ".join(each.text for each in self.reasons if not each.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "passed": self.passed,
            "overruled": self.overruled,
            "reasons": [dataclasses.asdict(reason) for reason in self.reasons],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` wrote."""
        try:
            return cls(
                reasons=tuple(Reason(**each) for each in values["reasons"]),
                overruled=values.get("overruled", ""),
            )
        except (KeyError, TypeError):
            raise InputError(f"verdict {shown(values)} is not one that Clarify wrote") from None
