"""The vocabulary: visual words and short phrases, one a line, in ``words/<topic>.txt``.

Written for this project: what may be seen in a picture, and how the picture was taken.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from clarify.errors import InputError, NotFoundError, PhraseError, shown
from clarify.method.phrases.grammar import parse_phrase

__all__ = [
    "MOST_PHRASES",
    "plain_phrases",
    "read_vocabulary",
    "topics",
    "vocabulary",
    "without_names",
    "without_words",
]

MOST_PHRASES = 50_000
"""Phrases that a list of one's own may have."""

MOST_BYTES = 16_000_000
ARTICLES = {"a", "an", "the"}


@functools.cache
def topics() -> Mapping[str, tuple[str, ...]]:
    """Return Clarify's own phrases by topic, in order: lower case, each once."""
    words = resources.files("clarify.discover").joinpath("words").iterdir()
    files = sorted((each for each in words if each.name.endswith(".txt")), key=lambda each: each.name)
    return MappingProxyType(
        {each.name.removesuffix(".txt"): tuple(each.read_text("utf-8").splitlines()) for each in files}
    )


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """Return Clarify's own phrases, topic by topic."""
    return tuple(phrase for phrases in topics().values() for phrase in phrases)


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Read a list of one's own: UTF-8, one phrase a line; empty lines and repeats are passed over.

    Raises
    ------
    NotFoundError
        If there is no such file.
    PhraseError
        For a line that is no plain phrase (says which).
    InputError
        If it is no UTF-8 text, has no phrase, or more than `MOST_PHRASES`.
    """
    if not path.is_file():
        raise NotFoundError(f"vocabulary {path}: there is no such file; one phrase a line is legal")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            f"vocabulary {path}: has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are "
            "legal, so give a shorter list"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"vocabulary {path}: byte {error.start} is not UTF-8; save it as UTF-8 text"
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            phrase = _plain(line, f"vocabulary {path}, line {number}")
            found.setdefault(phrase.casefold(), phrase)
    if not 0 < len(found) <= MOST_PHRASES:
        raise InputError(
            f"vocabulary {path}: has {len(found):,} phrases; 1 to {MOST_PHRASES:,} are legal, one a line"
        )
    return tuple(found.values())


def plain_phrases(texts: Iterable[str]) -> tuple[str, ...]:
    """Return those texts that are plain phrases, spelt as `parse_phrase` does."""
    found = []
    for text in texts:
        try:
            found.append(_plain(text, "phrase"))
        except PhraseError:
            continue
    return tuple(found)


def without_names(phrases: Iterable[str], class_name: str, classes: Iterable[str]) -> tuple[str, ...]:
    """Leave out the phrases that only name a class: its errors are not explained by what it is, or is not.

    Of the class itself these are the name and its endings: for ``great white shark, man-eater`` so are
    "shark", "a white shark", "sharks" and "man eaters", but not "white", which says more than the name. Of
    the other classes they are whole names. A name may be written in one word or in several.
    """
    named = {
        "".join(words[start:])
        for name in _names(class_name)
        for words in [_words(name)]
        for start in range(len(words))
    }
    named |= {"".join(_words(name)) for each in classes for name in _names(each)}
    return tuple(phrase for phrase in phrases if "".join(_words(phrase)) not in named)


def _names(class_name: str) -> list[str]:
    return re.split(r"[,;/|]", class_name)


def without_words(phrases: Iterable[str], classes: Iterable[str]) -> tuple[str, ...]:
    """Leave out the phrases whose words are all words of classes' names, in singular or plural."""
    named = {word for name in classes for word in _words(name)}
    return tuple(phrase for phrase in phrases if not named.issuperset(_words(phrase)))


@functools.lru_cache(maxsize=MOST_PHRASES)
def _plain(text: str, where: str) -> str:
    try:
        phrase = parse_phrase(text)
    except PhraseError as error:
        raise PhraseError(f"{where}: {str(error).removeprefix('phrase').lstrip(': ')}") from None
    if phrase.mentions:
        raise PhraseError(
            f"{where}: {shown(phrase.text)} asks captions; phrases that images are like are searched"
        )
    if phrase.is_compound:
        raise PhraseError(
            f"{where}: {shown(phrase.text)} is joined by AND, OR or NOT; plain phrases are "
            "searched, so give its parts on lines of their own"
        )
    return phrase.text


def _words(text: str) -> list[str]:
    """Return the words of a name or phrase for comparison: lower case, singular, no article."""
    words = re.findall(r"[^\W_]+", text.casefold())
    kept = words[1:] if words and words[0] in ARTICLES else words
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in kept]
