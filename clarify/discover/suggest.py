"""Suggestions: the phrases of a vocabulary that explain a class's errors best.

Every phrase gets its exact error score. Three things keep luck from being taken for an
explanation: the p-value is corrected for as many tries as the search counts as; a phrase is
confirmed on images that had no part in its choice, set aside where the class is large enough; and phrases
that split the class alike are told as one. (The paper has no suggestions; its reviewers asked for them
beside people's own phrases.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.discover.halves import BestCut, Half, SearchedImages, can_be_halved, halvings, scores_in_parts
from clarify.discover.luck import effective_tries
from clarify.errors import InputError
from clarify.method.arrays import bool_vector
from clarify.method.phrases.error_score import ErrorScore
from clarify.method.phrases.evidence import Evidence, evidence_of

__all__ = ["HALVINGS", "SAME_SPLIT", "Gain", "Suggestion", "Suggestions", "nothing", "suggest"]

HALVINGS = 5

SAME_SPLIT = 0.6
"""Two phrases say the same where the images on the side of the errors by both are at least this
share of those by either (Jaccard)."""

NEARLY = 0.8
"""Of phrases that split a class alike, those with so much of the best one's score may stand for all."""

LOOKED_AT = 10
"""So many of the best phrases are compared for each that is suggested, more where they all split
the class alike, but at most `MOST_LOOKED_AT`."""

MOST_LOOKED_AT = 600


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What retraining with a phrase brings: on the images set aside, of a small class on all.

    Parameters
    ----------
    classes : float
        Change, in [-1, 1], of the mean accuracy of the classes: in it none is bought with another.
    average : float
        Change of the accuracy of all images.
    half_before, half_after : float
        Accuracy of the class's half that is worse before.
    """

    classes: float
    average: float
    half_before: float
    half_after: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A phrase that the machine suggests for one class: of those that split it alike the plainest.

    Parameters
    ----------
    evidence : Evidence
        Its score on the images that were searched, which flatter it; p-value corrected for all phrases
        searched; and what it comes to on the images set aside, or cross-fitted, as of a person's phrase.
    also : tuple of str
        Phrases that split the class alike with errors on the same side, best first.
    opposite : tuple of str
        Phrases that split it alike with errors on the other side: what the wrong images lack
        where they have `phrase`, or the reverse.
    gain : Gain or None
        What retraining with it brings; None where nobody tried.
    copies : bool
        Whether it ranks the class's images as the model's own decision does: it says again that they are
        wrong, not why.
    """

    phrase: str
    evidence: Evidence
    also: tuple[str, ...]
    opposite: tuple[str, ...]
    gain: Gain | None = None
    copies: bool = False

    @property
    def order(self) -> tuple[bool, float, float]:
        """What suggestions are sorted by: no copies first, then by gain, then by error score."""
        return self.copies, -(self.gain.classes if self.gain else -1.0), -self.score.value

    @property
    def said(self) -> str:
        """The phrase so that it says what the wrong images have."""
        return self.phrase if self.score.wrong_is_above else f"NOT {self.phrase}"

    @property
    def score(self) -> ErrorScore:
        """Its score on the images that were searched."""
        return self.evidence.score

    def to_dict(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "phrase": self.phrase,
            "error_score": self.score.value,
            "wrong_is_above": self.score.wrong_is_above,
            "threshold": self.score.threshold,
            "n_correct": self.score.n_correct,
            "n_wrong": self.score.n_wrong,
            "interval_low": self.evidence.interval[0],
            "interval_high": self.evidence.interval[1],
            "p_corrected": self.evidence.p_corrected,
            "held_out": self.evidence.held_out,
            "confirmed": self.evidence.confirmed,
            "gain": None if self.gain is None else dataclasses.asdict(self.gain),
            "copies": self.copies,
            "also": list(self.also),
            "opposite": list(self.opposite),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """What a search through a vocabulary came to, for one class.

    Parameters
    ----------
    items : tuple of Suggestion
        Highest error score first.
    searched : int
        Phrases searched.
    tries : int
        Independent tries that this counts as for the phrases that are told: where images were set aside,
        those that were confirmed on them, else see `effective_tries`.
    held_out : float or None
        What the search's first phrase is worth, in [-1, 1]: the best phrase and cut of one half
        scored on the other, mean over the halves. No choice flatters it: 0 on average where
        nothing in the vocabulary explains the errors.
    n_right, n_wrong : int
        Images of the class.
    """

    items: tuple[Suggestion, ...]
    searched: int
    tries: int
    held_out: float | None
    n_right: int
    n_wrong: int

    def after(self, more: int) -> Suggestions:
        """Return the same, with p-values corrected for more tries."""
        items = (
            dataclasses.replace(
                each, evidence=dataclasses.replace(each.evidence, n_tried=each.evidence.n_tried + more)
            )
            for each in self.items
        )
        return dataclasses.replace(self, items=tuple(items))


def nothing(right: NDArray[np.bool_]) -> Suggestions:
    """Return what a search through no phrase comes to, on images of which `right` tells all."""
    n_right = int(right.sum())
    return Suggestions(
        items=(), searched=0, tries=0, held_out=None, n_right=n_right, n_wrong=len(right) - n_right
    )


def suggest(
    phrases: Sequence[str],
    embeddings: NDArray[np.float32],
    images: SearchedImages,
    *,
    most: int = 12,
    seed: int = 0,
    aside: NDArray[np.bool_] | None = None,
) -> Suggestions:
    """Search P phrases for those that explain the errors on one class.

    Parameters
    ----------
    phrases : sequence of P str
    embeddings : (P, D) float32
        Rows of unit length; of what captions mention, see `CaptionedImages`.
    most : int
        Suggestions wanted, 1 to 100.
    seed : int
        Of the halves; same seed, same suggestions.
    aside : (N,) bool, optional
        Images that are set aside: not searched, and what was found is confirmed on them.

    Returns
    -------
    Suggestions

    Raises
    ------
    NoScoreError
        Where the class has no right or no wrong image.
    InputError
        Where there is no phrase, or `most` is not legal.
    FeatureError
        For embeddings that do not fit, or are not finite.

    Notes
    -----
    Where no images are set aside, the same search is done on each of ten halves (five halvings, both ways),
    and its best phrase, at its cut of that half, is scored on the other half: the mean says what the search
    is worth.
    """
    if not phrases or len(phrases) != len(embeddings):
        raise InputError(
            f"suggestions: {len(phrases)} phrases with {len(embeddings)} embeddings; one or more, "
            "each with its own, are legal"
        )
    if not 1 <= most <= 100:
        raise InputError(f"suggestions: {most} were asked for; 1 to 100 are legal")
    right = images.right
    kept_back = np.zeros_like(right) if aside is None else bool_vector(aside, what="aside", length=len(right))
    seen = Half(chosen_on=~kept_back, checked_on=kept_back)
    cross_fits = not kept_back.any() and can_be_halved(right)
    halves = halvings(right, count=HALVINGS, seed=seed) if cross_fits else ()
    parts = np.stack([each.chosen_on for each in (seen, *halves)])
    scores = scores_in_parts(images, embeddings, parts)
    found = _search(embeddings, images, seen, scores[0], most)
    # What was chosen on other images is only then a try when it is confirmed on these.
    tries = len(found) if kept_back.any() else effective_tries(images, embeddings, seed=seed)
    items = list[Suggestion]()
    for cluster in found:
        shown = cluster.plainest(phrases)
        # As a person's own phrase is scored, so that the same figures are seen when it is tried.
        exact = images.exact(embeddings[shown])
        known = evidence_of(
            exact[~kept_back], right[~kept_back], exact[kept_back], right[kept_back], n_tried=tries, seed=0
        )
        items.append(_suggestion(cluster, shown, phrases, known))
    items.sort(key=lambda each: -each.score.value)
    return Suggestions(
        items=tuple(items),
        searched=len(phrases),
        tries=tries,
        held_out=_by_halves(images, embeddings, halves, scores[1:]) if halves else items[0].evidence.held_out,
        n_right=int(right.sum()),
        n_wrong=int((~right).sum()),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """Phrases that split the images alike, by number, the best first."""

    members: dict[int, BestCut]

    @property
    def leader(self) -> int:
        return next(iter(self.members))

    def plainest(self, phrases: Sequence[str]) -> int:
        """Return which phrase to show: one that says what wrong images have, in few words; then the best."""
        least = NEARLY * self.members[self.leader].score.value
        near = [number for number, each in self.members.items() if each.score.value >= least]
        return min(
            near,
            key=lambda number: (not self.members[number].score.wrong_is_above, len(phrases[number].split())),
        )


def _search(
    embeddings: NDArray[np.float32],
    images: SearchedImages,
    half: Half,
    scores: NDArray[np.float64],
    most: int,
) -> list[_Cluster]:
    """Return the best phrases on a half's images, those that split them alike together."""
    best = np.argsort(-scores, kind="stable")[:MOST_LOOKED_AT]
    among, clusters = half.chosen_on, list[_Cluster]()
    sides = np.empty((0, int(among.sum())), dtype=np.bool_)
    cosines = images.similarities(embeddings[best])
    for looked_at, (number, similarity) in enumerate(zip(best.tolist(), cosines, strict=True)):
        if len(clusters) == most and looked_at >= LOOKED_AT * most:
            break
        found = BestCut.best(similarity, images.right, among)
        side = found.side[among]
        alike = (sides & side).sum(axis=1) / np.maximum(1, (sides | side).sum(axis=1))  # Jaccard
        if len(alike) and alike.max() >= SAME_SPLIT:
            clusters[int(alike.argmax())].members[number] = found
        elif len(clusters) < most:
            clusters.append(_Cluster(members={number: found}))
            sides = np.concatenate((sides, side[None]))
    return clusters


def _suggestion(cluster: _Cluster, shown: int, phrases: Sequence[str], known: Evidence) -> Suggestion:
    others = {number: each for number, each in cluster.members.items() if number != shown}
    above = cluster.members[shown].score.wrong_is_above
    return Suggestion(
        phrase=phrases[shown],
        evidence=known,
        also=tuple(phrases[n] for n, each in others.items() if each.score.wrong_is_above == above),
        opposite=tuple(phrases[n] for n, each in others.items() if each.score.wrong_is_above != above),
    )


def _by_halves(
    images: SearchedImages,
    embeddings: NDArray[np.float32],
    halves: Sequence[Half],
    scores: NDArray[np.float64],
) -> float:
    """Return what the best phrase of each half is worth on the other, on average."""
    best = images.similarities(embeddings[scores.argmax(axis=1)])
    return float(
        np.mean(
            [
                BestCut.best(similarity, images.right, half.chosen_on).score_on(images.right, half.checked_on)
                for similarity, half in zip(best, halves, strict=True)
            ]
        )
    )
