"""The grammar of phrases: what a person may write, and what it means.

A phrase is one *atom* ("in the forest") or several, joined by upper-case ``AND``, ``OR`` and
``NOT`` and parentheses, where NOT binds tightest and OR loosest. Lower-case words never join:
"bird and tree" is one atom, embedded as it stands. An atom that begins ``mentioned:`` is not embedded:
it asks whether a caption of the image has its words (see `mentions`).
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from clarify.errors import PhraseError, is_name, shown
from clarify.method.phrases.mentions import MENTIONED, asked_words

__all__ = ["MOST_CHARACTERS", "MOST_PARTS", "And", "Atom", "Node", "Not", "Or", "Phrase", "parse_phrase"]

MOST_CHARACTERS = 200
MOST_PARTS = 8
MOST_NESTED = 8
SHORTER = "say it in a few words, such as 'in the forest'"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """Words that are embedded together, or that captions are to mention."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """What an image must not have."""

    part: Node


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All parts at once."""

    parts: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """At least one part."""

    parts: tuple[Node, ...]


Node: TypeAlias = Atom | Not | And | Or


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A phrase that was understood; made by `parse_phrase`.

    Parameters
    ----------
    text : str
        The canonical form: single spaces, only the parentheses that are needed. Parsing it gives
        an equal phrase.
    expression : Atom, Not, And or Or
        Its meaning.
    """

    text: str
    expression: Node

    @property
    def atoms(self) -> tuple[str, ...]:
        """The different atoms, in the order in which they first appear."""
        return tuple(dict.fromkeys(_atoms(self.expression)))

    @property
    def embedded(self) -> tuple[str, ...]:
        """Those atoms that images are compared with."""
        return tuple(atom for atom in self.atoms if not asked_words(atom))

    @property
    def mentions(self) -> tuple[str, ...]:
        """Those atoms that ask what an image's captions mention."""
        return tuple(atom for atom in self.atoms if asked_words(atom))

    @property
    def is_compound(self) -> bool:
        """Whether there is more to it than one plain atom."""
        return not isinstance(self.expression, Atom)


def parse_phrase(text: str) -> Phrase:
    """Understand a phrase.

    Parameters
    ----------
    text : str
        What a person wrote: Latin letters, at most 200 characters and 8 parts.

    Returns
    -------
    Phrase

    Raises
    ------
    PhraseError
        For an empty or too long phrase, control characters, no letters, another script, more than
        8 parts, or joining words and parentheses that do not fit.

    Examples
    --------
    >>> phrase = parse_phrase("at night AND (in a  forest OR NOT water)")
    >>> phrase.text
    'at night AND (in a forest OR NOT water)'
    >>> phrase.atoms
    ('at night', 'in a forest', 'water')
    """
    if not isinstance(text, str):
        raise PhraseError(f"phrase: {shown(text)} is not a text; {SHORTER}")
    _refuse_long(text)
    clean = unicodedata.normalize("NFKC", text).strip()
    if not clean:
        raise PhraseError(f"phrase: it is empty; {SHORTER}")
    _refuse_characters(clean)
    parser = _Parser(clean)
    expression = parser.whole()
    count = sum(1 for _ in _atoms(expression))
    if count > MOST_PARTS:
        raise PhraseError(
            f"phrase {shown(clean)}: has {count} parts; at most {MOST_PARTS} are legal, "
            "so describe it in several phrases"
        )
    canonical = _written(expression)
    _refuse_long(canonical)
    return Phrase(text=canonical, expression=expression)


def _atoms(node: Node) -> Iterator[str]:
    if isinstance(node, Atom):
        yield node.text
        return
    for part in (node.part,) if isinstance(node, Not) else node.parts:
        yield from _atoms(part)


def _written(node: Node) -> str:
    if isinstance(node, Atom):
        return node.text
    if isinstance(node, Not):
        inner = _written(node.part)
        return f"NOT ({inner})" if isinstance(node.part, And | Or) else f"NOT {inner}"
    if isinstance(node, Or):
        return " OR ".join(_written(part) for part in node.parts)
    return " AND ".join(
        f"({_written(part)})" if isinstance(part, Or) else _written(part) for part in node.parts
    )


def _refuse_long(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise PhraseError(
            f"phrase {shown(text[:40])}: has {len(text)} characters; "
            f"at most {MOST_CHARACTERS} are legal, so {SHORTER}"
        )


def _refuse_characters(text: str) -> None:
    for place, character in enumerate(text, start=1):
        category = unicodedata.category(character)
        control = category.startswith("C") or category in ("Zl", "Zp")
        if control or not is_name(f"a{character}"):
            raise PhraseError(
                f"phrase {shown(text)}: character {place} is the {'control' if control else 'invisible'} "
                f"character U+{ord(character):04X}; write it on one line, in plain letters"
            )
        if category.startswith("L") and not unicodedata.name(character, "").startswith("LATIN"):
            raise PhraseError(
                f"phrase {shown(text)}: character {place}, {character!r}, is not a Latin letter; "
                "the encoder knows English, so write the phrase in English"
            )


class _Parser:
    """Recursive descent: or_ of and_ of not_ of atoms and parentheses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: Sequence[str] = re.findall(r"[()]|[^\s()]+", text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._or()
        if self._seen() is not None:
            raise self._wrong(f"{self._seen()!r} does not fit there")
        return node

    def _or(self) -> Node:
        parts = [self._and()]
        while self._took("OR"):
            parts.append(self._and())
        flat = [leaf for part in parts for leaf in (part.parts if isinstance(part, Or) else [part])]
        return flat[0] if len(flat) == 1 else Or(parts=tuple(flat))

    def _and(self) -> Node:
        parts = [self._not()]
        while self._took("AND"):
            parts.append(self._not())
        flat = [leaf for part in parts for leaf in (part.parts if isinstance(part, And) else [part])]
        return flat[0] if len(flat) == 1 else And(parts=tuple(flat))

    def _not(self) -> Node:
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise self._wrong(f"is nested more than {MOST_NESTED} deep")
        if self._took("NOT"):
            node: Node = Not(part=self._not())
        elif self._took("("):
            node = self._or()
            if not self._took(")"):
                raise self._wrong("a closing parenthesis is missing")
        else:
            node = self._atom()
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        words: list[str] = []
        while (token := self._seen()) is not None and token not in ("AND", "OR", "NOT", "(", ")"):
            words.append(token)
            self._next += 1
        if not words:
            seen = self._seen()
            where = "at its end" if seen is None else f"before {seen!r}"
            raise self._wrong(f"words are missing {where}")
        atom = " ".join(words)
        asks = atom[: len(MENTIONED)].lower() == MENTIONED
        said = atom[len(MENTIONED) :].strip() if asks else atom
        if not any(character.isalpha() for character in said):
            raise PhraseError(f"phrase {shown(self._text)}: {shown(said)} has no letters; {SHORTER}")
        return Atom(text=f"{MENTIONED} {said}" if asks else atom)

    def _seen(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _took(self, token: str) -> bool:
        if self._seen() != token:
            return False
        self._next += 1
        return True

    def _wrong(self, what: str) -> PhraseError:
        return PhraseError(
            f"phrase {shown(self._text)}: {what}; "
            "legal is for example 'in the forest AND NOT (at night OR in fog)'"
        )
