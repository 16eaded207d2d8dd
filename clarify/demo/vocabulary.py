"""The words the small CLIP is taught, each with the attribute values it is true for.

A word is true of a scene when the scene's value of the word's attribute is among the word's
values, so every word has a rendered truth; the list itself is in ``wordlist``. The attribute
``bird`` is the kind of bird: songbird, duck, unclear or none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clarify.demo.scenes import BACKGROUNDS, COLOURS, POSITIONS, SIZES, STYLES, TIMES, WEATHERS, Scene
from clarify.demo.subjects import SUBJECTS
from clarify.demo.wordlist import WORD_LISTS

SONGBIRD_BELOW, DUCK_ABOVE = 0.45, 0.55
"""A bird's dial below the first is a songbird, above the second a duck, between them unclear."""

VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "subject": tuple(SUBJECTS),
        "bird": ("songbird", "duck", "unclear", "none"),
        "colour": tuple(COLOURS),
        "background": BACKGROUNDS,
        "background_colour": ("", *COLOURS),
        "time": TIMES,
        "weather": WEATHERS,
        "style": STYLES,
        "count": ("1", "2", "3"),
        "position": POSITIONS,
        "size": SIZES,
    }
)
"""Every attribute a caption can speak of, and its values in the order of their codes."""

_TEMPLATE_WORDS = """
a an the of in on at with and is are by it this that there here some something image picture view
scene showing shows see seen can we against under during from its to side has background
colour coloured color weather time sky made as behind place kind style size
"""
FUNCTION_WORDS = frozenset(_TEMPLATE_WORDS.split())
"""Words of the templates, taught in every caption but with no truth of their own."""

_UNCHANGED = """
fish cod trout salmon goldfish wildfowl waterfowl fauna poultry plumage transport sailing geometry love
"""
IRREGULAR_PLURALS: Mapping[str, str] = MappingProxyType(
    {"mouse": "mice", "goose": "geese", "wolf": "wolves", **{word: word for word in _UNCHANGED.split()}}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a word says: a scene's ``attribute`` is one of ``values``; ``role`` in a sentence."""

    attribute: str
    values: frozenset[str]
    role: str

    def holds(self, facts: Mapping[str, str]) -> bool:
        """Return whether the word is true of a scene with these facts."""
        return facts[self.attribute] in self.values


def facts_of(scene: Scene) -> dict[str, str]:
    """Return a scene's value of every attribute of :data:`VALUES`."""
    kind = "none"
    if scene.subject == "bird":
        kind = "unclear"
        if scene.dial < SONGBIRD_BELOW:
            kind = "songbird"
        elif scene.dial > DUCK_ABOVE:
            kind = "duck"
    return {name: kind if name == "bird" else str(getattr(scene, name)) for name in VALUES}


def _read(text: str) -> list[tuple[str, frozenset[str], list[str]]]:
    """Return (attribute, values, words) of every line of a word list."""
    found: list[tuple[str, frozenset[str], list[str]]] = []
    for line in text.strip().splitlines():
        if "|" in line:
            attribute, values, words = (part.strip() for part in line.split("|"))
            found.append((attribute, frozenset(values.split()), words.split()))
        else:
            found[-1][2].extend(line.split())
    return found


def _words() -> dict[str, Truth]:
    table: dict[str, Truth] = {}
    for role, text in WORD_LISTS.items():
        for attribute, values, words in _read(text):
            for word in words:
                # a word listed twice keeps its first meaning
                table.setdefault(word, Truth(attribute=attribute, values=values, role=role))
    return table


WORDS: Mapping[str, Truth] = MappingProxyType(_words())
"""Every taught word with its truth."""


def plural(word: str) -> str:
    """Return the plural that captions use for a noun."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


@functools.cache
def taught_words() -> frozenset[str]:
    """Return every word that training captions use: words, plurals of nouns, function words.

    Compounds are listed as a whole and by their parts ("close-up", "close", "up"), since a
    phrase is read part by part.
    """
    plurals = {plural(word) for word, truth in WORDS.items() if truth.role == "noun"}
    whole = set(WORDS) | plurals | FUNCTION_WORDS
    return frozenset(whole | {part for word in whole for part in word.split("-")})


def unknown_words(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase that were never taught, in order, lower-cased, once each.

    Case does not matter. Digits and punctuation are ignored; the operators AND, OR and NOT of
    compound phrases are not words of the picture and are ignored too.
    """
    text = re.sub(r"\b(AND|OR|NOT)\b", " ", phrase).lower()
    found = re.findall(r"[^\W\d_]+", text)
    return tuple(dict.fromkeys(word for word in found if word not in taught_words()))
