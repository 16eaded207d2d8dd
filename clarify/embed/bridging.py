"""How a bridge is learned: from a network's own class names, or from captions of some images.

From class names (after Norouzi et al. 2014, "Zero-shot learning by convex combination of semantic
embeddings", arXiv 1312.5650): an image lies at the sum over classes of its centred log-probability times
the embedding of the class's name. Both are linear in the features of the layer before, so that is one
matrix. Departs: log-probabilities less their mean, of all classes, where the paper takes the
probabilities of the best few. Offsets of the layer are left out: features are of unit length here.

From captions: ridge regression from standardised features to the captions' embeddings less their mean.
The penalty is chosen on captioned images that are held out, and on such the quality is measured.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.bridge import BRIDGE_TEMPLATE, WORD, Bridge, Quality, Terms, words_of
from clarify.errors import InputError
from clarify.method.arrays import generator
from clarify.method.phrases.similarity import normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_IMAGES", "Captioned", "bridge_from_captions", "bridge_from_names", "check_enough"]

PENALTIES = (2e2, 6e2, 2e3, 6e3, 2e4, 6e4, 2e5)
FOLDS = 5
LEAST_IMAGES = 100
"""Captioned images: with fewer a held-out fifth says nothing."""

LEAST_CAPTIONS = 10
"""That hold a word, for its AUC to mean something."""

NEAREST = 10
SMALLEST_SPREAD = 1e-3
"""Of a feature that never changes, as a part of the widest one's."""

Encode = Callable[[Sequence[str]], "NDArray[np.float32]"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captioned:
    """Captions of images.

    Parameters
    ----------
    features : (N, D) float32
        Of the captioned images.
    texts : tuple of M str
    image : (M,) int64
        Whose caption each is, in [0, N); each image has one at least.
    """

    features: NDArray[np.float32]
    texts: tuple[str, ...]
    image: NDArray[np.int64]


def bridge_from_names(
    classifier: NDArray[np.float32],
    names: Sequence[str],
    encode: Encode,
    *,
    network: Mapping[str, Any],
    text: Mapping[str, str],
) -> Bridge:
    """Learn a bridge from what a network's last layer is about; no image is needed.

    Parameters
    ----------
    classifier : (K, D) float32
        The layer's weights.
    names : sequence of K str
        Of its classes, synonyms behind commas.
    encode : callable
        Of P texts, (P, E) float32 of unit length.
    network, text
        As `Bridge`.
    """
    raw = encode([BRIDGE_TEMPLATE.replace("{}", name) for name in names])
    centre = raw.mean(axis=0)
    placed = raw - centre
    matrix = (classifier - classifier.mean(axis=0)).T @ placed
    words = tuple(" ".join(word.lower() for word in WORD.findall(name)) for name in names)
    return Bridge(
        matrix=matrix,
        offset=np.zeros_like(centre),
        centre=centre,
        way="names",
        network=network,
        text=text,
        terms=Terms(
            words=words,
            embeddings=normalised(placed),
            auc=np.full(len(words), np.nan, np.float32),
            counts=np.ones(len(words), np.int32),
        ),
    )


def bridge_from_captions(
    found: Captioned,
    encode: Encode,
    *,
    network: Mapping[str, Any],
    text: Mapping[str, str],
    captions: Mapping[str, Any],
) -> Bridge:
    """Learn a bridge from captions of some images, and measure it on images held out.

    Parameters
    ----------
    encode : callable
        Of P texts, (P, E) float32 of unit length.
    network, text, captions
        As `Bridge`.

    Raises
    ------
    InputError
        For fewer captioned images than `LEAST_IMAGES`.
    """
    count = len(found.features)
    check_enough(count)
    raw = encode(found.texts)
    centre = raw.mean(axis=0)
    told = raw - centre
    fold = generator(0, "folds of captions").permutation(count) % FOLDS
    parts = []
    for number in range(FOLDS):
        ridge, out = _Ridge.of(found, told, fold != number), fold == number
        parts.append((out, ridge, ridge.turned(found.features[out])))

    def held_out(penalty: float) -> NDArray[np.float32]:
        """Return where each image lies by a matrix that was learned without it, shape (N, E)."""
        lies = np.empty((count, told.shape[1]), np.float32)
        for out, ridge, turned in parts:
            lies[out] = normalised(turned @ ridge.shrunken(penalty))
        return lies

    own = normalised(_sums(found, told))
    penalty = max(PENALTIES, key=lambda each: float((held_out(each) * own).sum(axis=1).mean()))
    lies = held_out(penalty)
    terms = _terms(found, lies, encode, centre)
    matrix, offset = _Ridge.of(found, told, np.ones(count, dtype=np.bool_)).matrix(penalty)
    return Bridge(
        matrix=matrix,
        offset=offset,
        centre=centre,
        way="captions",
        network=network,
        text=text,
        terms=terms,
        quality=_quality(found, lies, normalised(told), fold, terms),
        captions=captions,
        penalty=penalty,
    )


def check_enough(images: int) -> None:
    """Refuse too few captioned images: InputError with the number that would do."""
    if images < LEAST_IMAGES:
        raise InputError(f"captions of {images} images; {LEAST_IMAGES} would do")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ridge:
    """Ridge regression from standardised features to sentences, for any penalty at once."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    values: NDArray[np.float32]
    vectors: NDArray[np.float32]
    target: NDArray[np.float32]

    @classmethod
    def of(cls, found: Captioned, told: NDArray[np.float32], rows: NDArray[np.bool_]) -> _Ridge:
        import scipy.linalg

        features = found.features[rows].astype(np.float32)
        counts = np.bincount(found.image, minlength=len(rows))[rows].astype(np.float32)
        spread = features.std(axis=0)
        least = SMALLEST_SPREAD * max(float(spread.max()), float(np.finfo(np.float32).tiny))
        spread = np.maximum(spread, np.float32(least))
        mean = features.mean(axis=0)
        scaled = (features - mean) / spread
        # Single precision will do: the smallest penalty is far above its rounding of the largest value.
        gram = (scaled * counts[:, None]).T @ scaled
        values, vectors = scipy.linalg.eigh(gram, overwrite_a=True, driver="evd")
        target = vectors.T @ (scaled.T @ _sums(found, told)[rows])
        return cls(mean=mean, spread=spread, values=np.maximum(values, 0), vectors=vectors, target=target)

    def turned(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features (N, D) along the axes in which a penalty shrinks each by itself."""
        scaled = (features - self.mean) / self.spread
        return np.asarray(scaled @ self.vectors, dtype=np.float32)

    def shrunken(self, penalty: float) -> NDArray[np.float32]:
        """Return the slopes (D, E) along these axes."""
        slopes: NDArray[np.float32] = self.target / (self.values + np.float32(penalty))[:, None]
        return slopes

    def matrix(self, penalty: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the matrix (D, E) for features as they are, and the offset (E,)."""
        slope = (self.vectors @ self.shrunken(penalty)) / self.spread[:, None]
        return slope, -self.mean @ slope


def _sums(found: Captioned, told: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of each image's captions, shape (N, E)."""
    sums = np.zeros((len(found.features), told.shape[1]), np.float32)
    np.add.at(sums, found.image, told)
    return sums


def _terms(found: Captioned, lies: NDArray[np.float32], encode: Encode, centre: NDArray[np.float32]) -> Terms:
    """Measure of each word that stands in enough captions how well images that have it are told."""
    holding: dict[str, list[int]] = collections.defaultdict(list)
    for image, text in zip(found.image.tolist(), found.texts, strict=True):
        for word in words_of(text):
            holding[word].append(image)
    enough = {
        word: images
        for word, images in sorted(holding.items())
        if len(images) >= LEAST_CAPTIONS and len(set(images)) < len(lies)
    }
    words = tuple(enough)
    if not words:
        return Terms(
            words=(),
            embeddings=np.empty((0, len(centre)), np.float32),
            auc=np.empty(0, np.float32),
            counts=np.empty(0, np.int32),
        )
    has = np.zeros((len(lies), len(words)), dtype=np.bool_)
    for column, images in enumerate(enough.values()):
        has[images, column] = True
    embeddings = normalised(encode([BRIDGE_TEMPLATE.replace("{}", word) for word in words]) - centre)
    return Terms(
        words=words,
        embeddings=embeddings,
        auc=_auc(lies @ embeddings.T, has).astype(np.float32),
        counts=np.array([len(images) for images in enough.values()], np.int32),
    )


def _auc(similarity: NDArray[np.float32], has: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each column the chance that an image that has it is the more similar of two."""
    import scipy.stats

    ranks = scipy.stats.rankdata(similarity, axis=0)
    n_with = has.sum(axis=0)
    above = (ranks * has).sum(axis=0) - n_with * (n_with + 1) / 2
    return np.asarray(above / (n_with * (len(has) - n_with)))


def _quality(
    found: Captioned,
    lies: NDArray[np.float32],
    told: NDArray[np.float32],
    fold: NDArray[np.int64],
    terms: Terms,
) -> Quality:
    caption_hits, image_hits = [], []
    for number in range(FOLDS):
        images = np.flatnonzero(fold == number)
        captions = np.flatnonzero(fold[found.image] == number)
        similarity = lies[images] @ told[captions].T
        own = images[:, None] == found.image[captions][None, :]
        by_image = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
        by_caption = np.argsort(-similarity, axis=0, kind="stable")[:NEAREST]
        caption_hits.append(np.take_along_axis(own, by_image, axis=1).any(axis=1))
        image_hits.append(np.take_along_axis(own, by_caption, axis=0).any(axis=0))
    return Quality(
        images=len(lies),
        among=len(lies) // FOLDS,
        caption_recall=float(np.concatenate(caption_hits).mean()),
        image_recall=float(np.concatenate(image_hits).mean()),
        words=len(terms.words),
        told=int(terms.told.sum()),
    )
