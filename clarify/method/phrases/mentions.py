"""What captions mention: whole words, one after the other, in upper or lower case.

Ours; the paper compares phrases with images alone. A phrase part ``mentioned: water`` asks what somebody
wrote under an image, and needs no encoder: its score is 1 where a caption has the words, else 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LITTLE_WORDS", "MENTIONED", "asked_words", "folded_words", "mentioned"]

MENTIONED = "mentioned:"
"""How a part of a phrase begins that asks captions."""

_LITTLE_WORDS = """
a an the of in on at with and or not without is are by it its this that there some something from to near
under over behind beside between into onto for as has have very
"""
LITTLE_WORDS = frozenset(_LITTLE_WORDS.split())
"""Words that say nothing of a picture by themselves."""

WORD = re.compile(r"[^\W_]+")


def folded_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in order, case folded: "Palm-tree." has palm and tree."""
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def asked_words(atom: str) -> str:
    """Return what captions are to mention by an atom; empty where images are compared with it."""
    return atom.removeprefix(MENTIONED).strip() if atom.startswith(MENTIONED) else ""


def mentioned(atom: str, captions: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return 1 where a caption has all words of an atom, one after the other, else 0.

    Parameters
    ----------
    atom : str
        ``mentioned: WORDS``.
    captions : sequence of N sequences of str
        Of each image; one of several is enough.

    Returns
    -------
    ndarray of float64, (N,)
    """
    asked = _spaced(asked_words(atom))
    found = [any(asked in _spaced(caption) for caption in of_image) for of_image in captions]
    return np.array(found, dtype=np.float64)


def _spaced(text: str) -> str:
    return f" {' '.join(folded_words(text))} "
