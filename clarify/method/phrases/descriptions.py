"""A kept description: a phrase with the cut that parts one class in two.

Source: arXiv 2402.03715, section 4; what a description holds, and that it is kept at all, is ours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import InputError, nearest, shown
from clarify.method.arrays import finite_vector
from clarify.method.phrases.phrases import Calibration, parse_phrase, phrase_scores

__all__ = ["SCHEMA_VERSION", "Description"]

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the model gets wrong in one class, in words, with the cut that was chosen.

    Parameters
    ----------
    data_set, class_name : str
        What it was found on.
    phrase : str
        The phrase in its canonical form (see `clarify.method.phrases.phrases`).
    template : str
        The prompt around it; holds exactly one ``{}``.
    encoder : str
        Digest of the encoder's identity; scores of another encoder do not fit the threshold.
    calibrations : mapping from atom to Calibration
        Needed to score a compound phrase; empty for a plain one.
    threshold : float
        Of the phrase's score: a similarity for a plain phrase, log-odds for a compound one.
    wrong_is_above : bool
        Whether the errors are where the score is above the threshold.
    author : str
        Who kept it.
    created_at : str
        When, in ISO 8601.
    note : str
        Anything else, for people.
    run : str
        The run that records it; empty before it is recorded.
    fixed_cut : bool
        Whether a retraining cuts at the threshold: a person put it there, or it explains the errors better
        than the concept's cut. Else the concept's is used (`in_force`).

    Raises
    ------
    InputError
        On construction, for an empty or unfit field; PhraseError for an unfit phrase.
    """

    data_set: str
    class_name: str
    phrase: str
    template: str
    encoder: str
    calibrations: Mapping[str, Calibration] = dataclasses.field(hash=False)
    threshold: float
    wrong_is_above: bool
    author: str
    created_at: str
    note: str = ""
    run: str = ""
    fixed_cut: bool = False

    def __post_init__(self) -> None:
        _check_texts(self)
        if not _is_number(self.threshold):
            raise InputError(
                f"description {shown(self.phrase)}: threshold is {shown(self.threshold)}; "
                "a finite number is legal"
            )
        if not isinstance(self.wrong_is_above, bool):
            raise InputError(
                f"description {shown(self.phrase)}: wrong_is_above is "
                f"{shown(self.wrong_is_above)}; true or false is legal"
            )
        if not isinstance(self.fixed_cut, bool):
            raise InputError(
                f"description {shown(self.phrase)}: fixed_cut is {shown(self.fixed_cut)}; a bool is legal"
            )
        parsed = parse_phrase(self.phrase)
        needed = set(parsed.atoms) if parsed.is_compound else set()
        if set(self.calibrations) != needed:
            raise InputError(
                f"description {shown(self.phrase)}: calibrations are of "
                f"{sorted(self.calibrations)}; of {sorted(needed)} is legal"
            )
        object.__setattr__(self, "phrase", parsed.text)
        object.__setattr__(self, "calibrations", dict(self.calibrations))

    def scores(self, atom_similarities: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Return the phrase's score (N,) of images, from the similarities (N,) to its atoms."""
        return phrase_scores(parse_phrase(self.phrase), atom_similarities, self.calibrations)

    def shown(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return scores (N,) as people see them, in the same order.

        A plain phrase's similarities are shown as they are; log-odds, which nobody reads, as the membership
        in [0, 1] that they stand for: how likely it is that the image has what the phrase says.
        """
        values = finite_vector(scores, what="scores")
        # tanh has no overflow, whatever the log-odds.
        return 0.5 + 0.5 * np.tanh(0.5 * values) if self.calibrations else values

    @property
    def shown_cut(self) -> float:
        """The threshold as people see it."""
        return float(self.shown([self.threshold])[0])

    def cut_of(self, shown: float) -> float:
        """Return the threshold that is shown so; see `shown`."""
        if not self.calibrations:
            return shown
        # Beyond, neighbouring numbers are the same membership.
        return float(2 * np.arctanh(np.clip(2 * shown - 1, -1 + 1e-15, 1 - 1e-15)))

    def with_half(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which images (N,) have what the phrase says: ``scores > threshold``.

        Raises
        ------
        FeatureError
            Where `scores` is not a vector of finite numbers.
        """
        return finite_vector(scores, what="scores") > self.threshold

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON, with ``schema_version``; without ``run`` where it is empty."""
        fields: dict[str, object] = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "run" or self.run
        }
        fields["calibrations"] = {
            atom: calibration.to_dict() for atom, calibration in self.calibrations.items()
        }
        return {"schema_version": SCHEMA_VERSION, **fields}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Description:
        """Return the description that `to_dict` wrote.

        Raises
        ------
        InputError
            For another schema version, an unknown or missing key, or an unfit value.
        """
        given = dict(values)
        version = given.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            raise InputError(
                f"description: schema_version is {shown(version)}; {SCHEMA_VERSION} is legal, "
                "so read it with the version of clarify that wrote it"
            )
        _check_keys(cls, given)
        calibrations = given.pop("calibrations")
        if not isinstance(calibrations, Mapping):
            raise InputError(f"description: calibrations is {shown(calibrations)}; a table by atom is legal")
        read = {str(atom): Calibration.from_dict(of) for atom, of in calibrations.items()}
        # Of one that was written before this was known, the cut stays what it was.
        given.setdefault("fixed_cut", True)
        return cls(calibrations=read, **given)  # type: ignore[arg-type]  # checked on construction


def _check_keys(cls: type[Description], given: Mapping[str, object]) -> None:
    fields = [field.name for field in dataclasses.fields(cls)]
    for key in given:
        if key not in fields:
            raise InputError(f"description: unknown key {shown(key)}; {nearest(key, fields)}")
    missing = [name for name in fields if name not in given and name not in ("note", "run", "fixed_cut")]
    if missing:
        raise InputError(
            f"description: {', '.join(missing)} missing; every key but note, run and fixed_cut is needed"
        )


def _check_texts(description: Description) -> None:
    for name in ("data_set", "class_name", "phrase", "template", "encoder", "author", "created_at"):
        value = getattr(description, name)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"description: {name} is {shown(value)}; a non-empty text is legal")
    for name in ("note", "run"):
        if not isinstance(getattr(description, name), str):
            raise InputError(f"description: {name} is {shown(getattr(description, name))}; a text is legal")
    if description.template.count("{}") != 1:
        raise InputError(
            f"description: template is {shown(description.template)}; "
            "exactly one {} is legal, where the phrase goes"
        )
    try:
        datetime.fromisoformat(description.created_at)
    except ValueError:
        raise InputError(
            f"description: created_at is {shown(description.created_at)}; "
            "ISO 8601 is legal, as 2024-05-01T12:00:00+00:00"
        ) from None


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
