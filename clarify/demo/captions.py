"""Captions of rendered scenes, and exactly which scenes each caption is true of.

A caption makes one claim for each attribute it speaks of: the scene's value is among the
values of the word used. Claims are kept as bit masks over the values, so that the truth of
every caption for every scene of a batch is one array operation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clarify.demo.scenes import Scene
from clarify.demo.vocabulary import VALUES, WORDS, facts_of, plural

ATTRIBUTES: tuple[str, ...] = tuple(VALUES)
EVERYTHING = (1 << 16) - 1
"""The mask of an attribute a caption says nothing about."""

EVALUATION_TEMPLATE = "an image of a {}"
"""Never used in training: held out to measure, and the template people's phrases are put in."""

TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "the {}",
    "some {}",
    "a picture of a {}",
    "a picture of {}",
    "the picture shows a {}",
    "a picture with {} in it",
    "something {}",
    "this is a {}",
    "it is {}",
    "there is a {} here",
    "we see a {}",
    "an image with a {}",
    "an image showing {}",
    "this image has a {} in it",
    "a {} scene",
    "a view of a {}",
    "can we see a {} in this image",
    "a {} is in the picture",
    "{} in the image",
    "a {} image",
)
_SINGLE_WEIGHTS: Mapping[str, float] = {
    "subject": 0.22,
    "bird": 0.14,
    "colour": 0.18,
    "background": 0.27,
    "time": 0.08,
    "weather": 0.09,
    "style": 0.07,
    "count": 0.05,
    "position": 0.05,
    "size": 0.05,
}


def code_of(scene: Scene) -> NDArray[np.uint8]:
    """Return the scene's values as codes (len(ATTRIBUTES),), the places in ``VALUES``."""
    facts = facts_of(scene)
    return np.array([VALUES[a].index(facts[a]) for a in ATTRIBUTES], dtype=np.uint8)


def mask_of(attribute: str, values: frozenset[str]) -> int:
    """Return the bit mask of some values of an attribute."""
    return sum(1 << VALUES[attribute].index(value) for value in values)


def truth(claims: NDArray[np.int64], codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which captions are true of which scenes.

    Parameters
    ----------
    claims
        Masks (C, A) int64 of the captions, ``EVERYTHING`` where one says nothing.
    codes
        Codes (S, A) uint8 of the scenes.

    Returns
    -------
    bool (C, S)
    """
    holds = (claims[:, None, :] >> codes[None, :, :].astype(np.int64)) & 1
    return np.asarray(holds.all(axis=2), dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A taught word ready for use: its text and the mask of the values it is true for."""

    text: str
    mask: int


def _by_value() -> dict[str, tuple[tuple[Word, ...], ...]]:
    """Return for each attribute and value code the words that are true of it."""
    table: dict[str, tuple[tuple[Word, ...], ...]] = {}
    for attribute, values in VALUES.items():
        source = "colour" if attribute == "background_colour" else attribute
        found = [
            (Word(text=word, mask=mask_of(attribute, claim.values)), claim.values)
            for word, claim in WORDS.items()
            if claim.attribute == source
        ]
        table[attribute] = tuple(
            tuple(word for word, true_for in found if value in true_for) for value in values
        )
    return table


class Captioner:
    """Writes a fresh caption of a scene each time; all chance comes from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words = _by_value()
        self._at = {attribute: k for k, attribute in enumerate(ATTRIBUTES)}

    def caption(self, code: NDArray[np.uint8]) -> tuple[str, list[int]]:
        """Return a caption true of the scene with this code, and its claims (A masks)."""
        claims = [EVERYTHING] * len(ATTRIBUTES)
        text = self._single(code, claims) if self._random.random() < 0.5 else self._sentence(code, claims)
        if text.startswith(EVALUATION_TEMPLATE.replace("{}", "")):
            text = text.replace("an image of", "a view of", 1)
        return text, claims

    def _word(self, attribute: str, code: NDArray[np.uint8], claims: list[int]) -> str:
        """Return a word true of the scene and note its claim; "" when there is none."""
        k = self._at[attribute]
        words = self._words[attribute][int(code[k])]
        if not words:
            return ""
        word = words[int(self._random.random() * len(words))]
        claims[k] &= word.mask
        return word.text

    def _single(self, code: NDArray[np.uint8], claims: list[int]) -> str:
        chance = self._random
        word = ""
        while not word:
            attribute = chance.choices(*_SINGLES)[0]
            word = self._word(attribute, code, claims)
        if attribute in ("subject", "bird") and int(code[self._at["count"]]) > 0:
            word = plural(word) if chance.random() < 0.7 else word
        return TEMPLATES[int(chance.random() * len(TEMPLATES))].format(word)

    def _noun(self, code: NDArray[np.uint8], claims: list[int]) -> str:
        """Return a noun phrase for the subject with some of count, size and colour."""
        chance = self._random
        several = int(code[self._at["count"]]) > 0
        noun = ""
        if chance.random() < 0.45:
            noun = self._word("bird", code, claims)
        noun = noun or self._word("subject", code, claims)
        parts = []
        counted = chance.random() < 0.18
        if counted:
            parts.append(self._word("count", code, claims))
        if chance.random() < 0.22:
            parts.append(self._word("size", code, claims))
        if chance.random() < 0.5:
            parts.append(self._word("colour", code, claims))
        parts.append(plural(noun) if several and chance.random() < 0.8 else noun)
        article = "" if counted or several else chance.choice(("a ", "a ", "the ", ""))
        return article + " ".join(parts)

    def _place(self, code: NDArray[np.uint8], claims: list[int]) -> str:
        """Return where the scene is: a place, or the colour behind the subject."""
        chance = self._random
        if int(code[self._at["background_colour"]]) and chance.random() < 0.7:
            colour = self._word("background_colour", code, claims)
            behind = chance.choice(("background", "backdrop"))
            return f"{chance.choice(('on a', 'against a', 'with a'))} {colour} {behind}"
        place = self._word("background", code, claims)
        before = chance.choice(("in the", "in a", "on the", "at the", "by the", "with a", "in"))
        return f"{before} {place}"

    def _sentence(self, code: NDArray[np.uint8], claims: list[int]) -> str:
        chance = self._random
        tails = []
        if chance.random() < 0.55:
            tails.append(self._place(code, claims))
        for attribute, share, before in _TAILS:
            if chance.random() < share:
                word = self._word(attribute, code, claims)
                if word:
                    tails.append(f"{chance.choice(before)} {word}")
        if len(tails) > 1 and chance.random() < 0.3:
            chance.shuffle(tails)
        head = self._noun(code, claims) if not tails or chance.random() < 0.85 else ""
        style = ""
        if chance.random() < 0.2:
            style = self._word("style", code, claims) + chance.choice((" of ", " picture of ", " "))
        else:
            style = chance.choice(("", "", "", "a picture of ", "this is ", "an image showing "))
        return f"{style}{head} {' '.join(tails)}".strip().lower()


_SINGLES = (list(_SINGLE_WEIGHTS), list(_SINGLE_WEIGHTS.values()))
_TAILS = (
    ("time", 0.24, ("at", "in the", "at the", "during", "by")),
    ("weather", 0.22, ("in the", "in", "with", "in a", "under")),
    ("position", 0.12, ("on the", "at the", "to the")),
)
