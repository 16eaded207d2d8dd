"""Slices that are phrases: of a vocabulary, of captions, and several that fail together."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.halves import ImagesOfClass
from clarify.discover.mentions import caption_words
from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages
from clarify.discover.suggest import Suggestion, suggest
from clarify.discover.vocabulary import without_names, without_words
from clarify.errors import InputError
from clarify.method.phrases.mentions import MENTIONED

__all__ = ["b2t", "sliceline", "words_by_rate", "words_by_score"]

KEYWORDS, LONGEST, ALIKE = 20, 3, 0.9
"""YAKE's settings in B2T: keywords of so many words at most, and when two are one."""

COLUMNS = 20
"""Phrases of the table that SliceLine searches: those of the highest error scores that split unlike."""

ALPHA, DEPTH, SUPPORT = 0.6, 4, 10
"""The paper's: what the error counts against the size, parts joined at most, images at least."""


def words_by_score(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the phrases with the highest exact error scores in each class (`clarify.discover.suggest`)."""
    return [
        _phrase_slice(each.said, [_sided(bank, each)], label)
        for label, own in images.by_class()
        for each in _suggested(own, bank, label, most=most, seed=seed)
    ]


def b2t(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return keywords of the captions of wrong images that these are more like than the right ones are.

    Source: Kim et al. 2024, "Discovering and Mitigating Visual Biases through Keyword Explanation" (B2T,
    arXiv 2301.11104): YAKE on the joined captions, score the difference of the mean similarities, kept if
    above 0. On images an image belongs to it by its similarity with the keyword, so other images need no
    captions.
    """
    yake = _package("yake", "b2t")
    found = []
    for label, own in images.by_class():
        told = " ".join(
            text for texts, right in zip(own.captions, own.right, strict=True) if not right for text in texts
        )
        if not told:
            continue
        extractor = yake.KeywordExtractor(lan="en", n=LONGEST, dedupLim=ALIKE, top=KEYWORDS)
        phrases, embeddings = _new(bank, [text for text, _ in extractor.extract_keywords(told)])
        likened = own.embeddings @ embeddings.T
        gaps = likened[~own.right].mean(axis=0) - likened[own.right].mean(axis=0)
        order = [k for k in np.argsort(-gaps, kind="stable").tolist() if gaps[k] > 0][:most]
        found += [_keyword(phrases[k], embeddings[k], label) for k in order]
    return found


def words_by_rate(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the words that captions of wrong images have more often than those of right ones.

    The plain difference of rates, which is the error score of what captions mention; beside `b2t`, of whose
    keywords it asks neither rarity nor place in the text. Ours.
    """
    found = []
    for label, own in images.by_class():
        captioned = np.array([bool(texts) for texts in own.captions])
        right = own.right[captioned]
        if not captioned.any() or right.all() or not right.any():
            continue
        words = caption_words([texts for texts in own.captions if texts], bank.classes)
        gaps = words.has[:, ~right].mean(axis=1) - words.has[:, right].mean(axis=1)
        by_gap = [words.phrases[k] for k in np.argsort(-gaps, kind="stable") if gaps[k] > 0][: 4 * most]
        phrases, embeddings = _new(bank, [each.removeprefix(MENTIONED).strip() for each in by_gap])
        found += [_keyword(*each, label) for each in list(zip(phrases, embeddings, strict=True))[:most]]
    return found


def sliceline(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return phrases that fail together in each class, such as "water AND night".

    Source: Sagadeeva and Boehm 2021, "SliceLine" (SIGMOD), by its package: conjunctions with the highest
    ``a (error / mean error - 1) - (1 - a) (N / size - 1)``. The table has a column a phrase, 1 where an image
    is on the side of the errors by the phrase's best cut.
    """
    finder = _package("sliceline.slicefinder", "sliceline").Slicefinder
    found = []
    for label, own in images.by_class():
        items = _suggested(own, bank, label, most=COLUMNS, seed=seed)
        if not items:
            continue
        sides = [_sided(bank, each) for each in items]
        table = np.array([_beyond(side, own) > 0 for side in sides], dtype=np.int64).T
        searched = finder(alpha=ALPHA, k=most, max_l=DEPTH, min_sup=SUPPORT, verbose=False)
        searched.fit(table, (~own.right).astype(np.float64))
        for row in searched.top_slices_[:most]:
            parts = [(k, bool(value)) for k, value in enumerate(row) if value is not None]
            phrase = " AND ".join(_said(items[k], has) for k, has in parts)
            found.append(_phrase_slice(phrase, [_turned(sides[k], has) for k, has in parts], label))
    return found


_Side = tuple[NDArray[np.float64], float]
"""A phrase's embedding and cut, both with a sign: above is the side of the errors."""


def _suggested(
    own: SlicedImages, bank: PhraseBank, label: int, *, most: int, seed: int
) -> Sequence[Suggestion]:
    kept = set(without_names(bank.phrases, bank.classes[label], bank.classes))
    rows = [number for number, phrase in enumerate(bank.phrases) if phrase in kept]
    if not rows:
        return ()
    images = ImagesOfClass(embeddings=own.embeddings, right=own.right)
    phrases = [bank.phrases[row] for row in rows]
    return suggest(phrases, bank.embeddings[rows], images, most=most, seed=seed).items


def _sided(bank: PhraseBank, each: Suggestion) -> _Side:
    sign = 1.0 if each.score.wrong_is_above else -1.0
    embedding = bank.embeddings[bank.phrases.index(each.phrase)].astype(np.float64)
    return sign * embedding, sign * each.score.threshold


def _beyond(side: _Side, images: SlicedImages) -> NDArray[np.float64]:
    return np.asarray(images.embeddings @ side[0] - side[1])


def _alike(sides: Sequence[_Side], images: SlicedImages) -> NDArray[np.float64]:
    """Return by how much images are beyond the cuts of all of several phrases: the least of them."""
    return np.asarray(np.min([_beyond(side, images) for side in sides], axis=0))


def _phrase_slice(phrase: str, sides: Sequence[_Side], label: int) -> ImageSlice:
    return ImageSlice(name=phrase, score=functools.partial(_alike, sides), label=label, phrase=phrase)


def _turned(side: _Side, has: bool) -> _Side:
    return side if has else (-side[0], -side[1])


def _said(each: Suggestion, has: bool) -> str:
    return each.phrase if has == each.score.wrong_is_above else f"NOT {each.phrase}"


def _new(bank: PhraseBank, texts: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    return bank.embed(without_words(dict.fromkeys(each.lower() for each in texts), bank.classes))


def _keyword(phrase: str, embedding: NDArray[np.float32], label: int) -> ImageSlice:
    return _phrase_slice(phrase, [(embedding.astype(np.float64), 0.0)], label)


def _package(module: str, method: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InputError(
            f"method {method} needs the package {module.split('.')[0]}, which is not installed; "
            "pip install 'clarify[discovery]', or take another method"
        ) from None
