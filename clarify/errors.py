"""Everything that a user can cause, as one tree of errors.

ClarifyError
├── InputError           something given is not legal: a value, a file, a setting
│   ├── PhraseError      a phrase that cannot be embedded or understood
│   ├── ManifestError    the TOML or the table of images of a data set
│   └── FeatureError     features that do not fit: shape, NaN, other manifest, other encoder
├── NotFoundError        a name that nothing has: class, data set, run, description, weights
├── NoScoreError         a class without right or without wrong images has no error score
├── GroupError           a group that is empty, or halves that nothing falls into
├── RefusedError         the gate does not let a model become champion
├── StoreError           the home or the tracking store: disk full, read-only, old, moved, locked
│   └── AwayError        the tracking store does not answer, or stays locked: later it may be fine
├── SolverError          the optimum was not reached to the stated tolerance
└── TrainingError        a network cannot be trained: memory, a loss that is no number

Messages are one line: what, where, the value seen, what is legal, the next step.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable

__all__ = [
    "AwayError",
    "ClarifyError",
    "FeatureError",
    "GroupError",
    "InputError",
    "ManifestError",
    "NoScoreError",
    "NotFoundError",
    "PhraseError",
    "RefusedError",
    "SolverError",
    "StoreError",
    "TrainingError",
    "few",
    "is_name",
    "named",
    "nearest",
    "one_spelling",
    "shown",
]

# What Python calls printable and nobody sees: Unicode's Default_Ignorable_Code_Point as far as these are
# letters or marks, and two symbols that are drawn as nothing.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]"
)


class ClarifyError(Exception):
    """Root of all errors that a user can cause; its text is one line for people."""


class InputError(ClarifyError):
    """Something that was given is not legal."""


class PhraseError(InputError):
    """A phrase that cannot be embedded or understood."""


class ManifestError(InputError):
    """A data set's TOML or table of images is not legal."""


class FeatureError(InputError):
    """Features do not fit the manifest, the encoder or one another."""


class NotFoundError(ClarifyError):
    """A name was given that nothing has."""


class NoScoreError(ClarifyError):
    """A class without right or without wrong images has no error score."""


class GroupError(ClarifyError):
    """A group is empty, or a description leaves one half empty."""


class RefusedError(ClarifyError):
    """What was asked for is not allowed: by the gate, or to this person."""


class StoreError(ClarifyError):
    """The home or the tracking store cannot be used as it is."""


class AwayError(StoreError):
    """The tracking store does not answer now, or stays locked; nothing is wrong with it."""


class SolverError(ClarifyError):
    """The solver did not reach its stated tolerance."""


class TrainingError(ClarifyError):
    """A network cannot be trained so, or not any further."""


def is_name(text: object, *, most: int = 100) -> bool:
    """Whether something may be a name, or a phrase: one line of 1 to `most` characters, all of them seen.

    With one that nobody sees, "Ada" could be another Ada.
    """
    return (
        isinstance(text, str)
        and bool(text.strip())
        and len(text) <= most
        and text.isprintable()
        and not INVISIBLE.search(text)
    )


def one_spelling(name: str) -> str:
    """Return the one spelling of names that look alike: composed letters, single blanks, none around it."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Say which known names are closest to `name`, as the end of a message.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        The legal names.
    most : int
        How many to suggest.

    Returns
    -------
    str
        ``"nearest: a, b"``, or ``"known: a, b, c"`` (the first ten) where nothing is close.
    """
    names = list(known)
    same = [each for each in names if each != name and one_spelling(each) == one_spelling(str(name))]
    if same:
        return f"nearest: {named(same[:1])}, which differs in blanks or its Unicode form only"
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), list(lowered), n=most, cutoff=0.5)
    if close:
        return "nearest: " + named(lowered[key] for key in close)
    return "known: " + (named(names) or "none")


def named(names: Iterable[str], *, most: int = 10) -> str:
    """List names for a message; one that could be misread, by blanks or a comma in it, is quoted."""
    every = list(names)
    told = [
        name if name == " ".join(name.split()) and "," not in name and name else repr(name)
        for name in every[:most]
    ]
    return ", ".join(told) + (f" and {len(every) - most} more" if len(every) > most else "")


def few(values: Collection[object]) -> str:
    """List the first five values, quoted, and how many more there are."""
    more = f" and {len(values) - 5:,} more" if len(values) > 5 else ""
    return ", ".join(shown(value) for value in list(values)[:5]) + more


def one_line(error: BaseException, most: int = 160) -> str:
    """Return what an error of somebody else's says, on one line of at most `most` characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def shown(value: object, *, most: int = 60) -> str:
    """Quote a value for a one-line message: escaped, and cut to `most` characters."""
    text = INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], repr(value))
    return text if len(text) <= most else f"{text[: most - 1]}… ({len(str(value))} characters)"
