"""Bridges: a network that knows photographs, an encoder of sentences, and one matrix between them.

With it phrases are compared with photographs without a CLIP: an image's features times the matrix lie
where sentences lie. How the matrix is learned is in `bridging`; here is what it is, how it is kept, and
the encoder that it makes. ``<folder>/<label>/`` holds ``bridge.json`` and ``bridge.safetensors``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import write_atomically, writing
from clarify.embed.identity import EncoderIdentity, ImageEncoder
from clarify.embed.sentences import SentenceEncoder, find_sentences
from clarify.errors import FeatureError, NotFoundError, nearest
from clarify.method.phrases.mentions import LITTLE_WORDS
from clarify.method.phrases.similarity import normalised

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "BRIDGE_TEMPLATE",
    "FILES",
    "Bridge",
    "BridgeEncoder",
    "Quality",
    "Terms",
    "open_bridge",
    "read_bridge",
    "words_of",
    "write_bridge",
]

SCHEMA_VERSION = 1
FILES = WEIGHTS, DESCRIPTION = "bridge.safetensors", "bridge.json"
"""The last says that the other is whole."""

BRIDGE_TEMPLATE = "a photo of {}"
TOLD_FROM = 0.7
"""A word is told from this AUC for "is in the caption"."""

NEAR = 0.5
"""A word that was never measured stands for the nearest one that was, from this similarity."""

MOST_KNOWN = 10_000
"""Phrases whose embeddings are kept at hand: each is needed for several splits."""

SHORT_TEXT = 100
"""Characters that no text model is too short for."""

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text that say something, lower case, each once."""
    found = dict.fromkeys(word.lower() for word in WORD.findall(text))
    return [word for word in found if word not in LITTLE_WORDS]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What the bridge was measured on: words of captions, or names of classes.

    Parameters
    ----------
    words : tuple of V str
        Lower case.
    embeddings : (V, E) float32
        In the template, less the centre, of unit length.
    auc : (V,) float32
        How well each is told apart in [0, 1], .5 is chance; NaN where nothing could measure it: a class
        name is then taken to be told.
    counts : (V,) int32
        Captions that hold it, or 1.
    """

    words: tuple[str, ...]
    embeddings: NDArray[np.float32]
    auc: NDArray[np.float32]
    counts: NDArray[np.int32]

    @property
    def told(self) -> NDArray[np.bool_]:
        """Which of them the bridge can tell, shape (V,)."""
        return np.isnan(self.auc) | (self.auc >= TOLD_FROM)

    def rows(self) -> list[dict[str, Any]]:
        """Return ``word, captions, auc`` of each; None where nothing could measure it."""
        return [
            {"word": word, "captions": int(count), "auc": None if np.isnan(auc) else round(float(auc), 3)}
            for word, count, auc in zip(self.words, self.counts, self.auc, strict=True)
        ]

    def unknown(
        self, phrases: Sequence[str], embedded: Callable[[Sequence[str]], NDArray[np.float32]]
    ) -> list[tuple[str, ...]]:
        """Return for each phrase the words that the bridge cannot tell; see `NEAR`."""
        asked = [words_of(phrase) for phrase in phrases]
        told = {word: bool(tells) for word, tells in zip(self.words, self.told, strict=True)}
        told |= {part: True for word in self.words if told[word] for part in word.split() if part not in told}
        new = [word for word in dict.fromkeys(itertools.chain(*asked)) if word not in told]
        if new and len(self.words):
            near = embedded(new) @ self.embeddings.T
            tells = self.told[near.argmax(axis=1)] & (near.max(axis=1) >= NEAR)
            told |= zip(new, tells.tolist(), strict=True)
        return [tuple(word for word in words if not told.get(word, False)) for words in asked]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a bridge joins images and captions that it was not learned from.

    Parameters
    ----------
    images : int
        Captioned images; each was held out once.
    among : int
        Images at a time that were held out.
    caption_recall, image_recall : float
        Part of the images with a caption of their own among the 10 nearest captions, and of the captions
        with their image among the 10 nearest images; by chance about 10 / `among`.
    words, told : int
        Words that stand in at least ten captions, and how many of them have an AUC of .7 or more.
    """

    images: int
    among: int
    caption_recall: float
    image_recall: float
    words: int
    told: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bridge:
    """One matrix from a network's features to where sentences lie.

    Parameters
    ----------
    matrix : (D, E) float32
    offset : (E,) float32
        Added behind it.
    centre : (E,) float32
        Taken off the embeddings of phrases.
    way : {"names", "captions"}
        What it was learned from.
    network, text : mapping
        Whose features it takes (``spec`` and the identity's values), and whose sentences (``name``,
        ``spec``, ``sha256``).
    terms : Terms
    quality : Quality or None
        None where there were no captions to measure by.
    captions : mapping
        ``sha256``, ``captions`` and the images by split; empty for names.
    penalty : float or None
        Of the ridge regression.
    """

    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]
    centre: NDArray[np.float32]
    way: str
    network: Mapping[str, Any]
    text: Mapping[str, str]
    terms: Terms
    quality: Quality | None = None
    captions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    penalty: float | None = None

    @functools.cached_property
    def identity(self) -> EncoderIdentity:
        """What embeddings by it depend on: network, text model, captions, way, penalty, matrix."""
        network = EncoderIdentity.from_dict(self.network["identity"])
        made_of = [network.image_digest, self.text["sha256"], self.way, self.captions, self.penalty]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        for array in (self.matrix, self.offset, self.centre):
            digest.update(np.ascontiguousarray(array).data)
        return EncoderIdentity(
            architecture=f"bridge from {network.architecture} by {self.way}",
            weights=digest.hexdigest(),
            preprocessing=network.preprocessing,
            template=BRIDGE_TEMPLATE,
        )

    def of_features(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return where images with these features (N, D) lie, shape (N, E), of unit length.

        Raises
        ------
        FeatureError
            If they are of another width.
        """
        if features.shape[1] != len(self.matrix):
            raise FeatureError(
                f"features of width {features.shape[1]}; this bridge takes {len(self.matrix)}, of "
                f"{self.network['spec']}"
            )
        return normalised(np.asarray(features, dtype=np.float32) @ self.matrix + self.offset)

    def describe(self) -> dict[str, Any]:
        """Return all that is known of it, its numbers left out, fit for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "way": self.way,
            "network": dict(self.network),
            "text": dict(self.text),
            "template": BRIDGE_TEMPLATE,
            "penalty": self.penalty,
            "captions": dict(self.captions),
            "quality": None if self.quality is None else dataclasses.asdict(self.quality),
            "identity": self.identity.to_dict(),
        }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BridgeEncoder:
    """An `Encoder` made of a bridge; network and text model are loaded when they are needed.

    Parameters
    ----------
    name : str
        ``bridge:LABEL``.
    network : ImageEncoder
        Whose features the bridge takes.
    """

    name: str
    bridge: Bridge
    network: ImageEncoder
    _known: dict[str, NDArray[np.float32]] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def sentences(self) -> SentenceEncoder:
        """The text model.

        Raises
        ------
        NotFoundError
            If it is not here.
        FeatureError
            If it is another than the one that the bridge was learned with.
        """
        found, meant = find_sentences(self.bridge.text["spec"]), self.bridge.text["sha256"]
        if found.digest != meant:
            raise FeatureError(
                f"encoder {self.name}: text model {found.name} is another ({found.digest[:12]}) than the "
                f"bridge was learned with ({meant[:12]}); put that one back, or learn it anew: clarify bridge"
            )
        return found

    @property
    def identity(self) -> EncoderIdentity:
        """What the embeddings depend on."""
        return self.bridge.identity

    @property
    def width(self) -> int:
        """Length E of an embedding."""
        return len(self.bridge.centre)

    @property
    def unit(self) -> bool:
        """Embeddings are of unit length."""
        return True

    @property
    def domain(self) -> str:
        """Nothing is known of its limits but what `unknown_words` tells."""
        return ""

    def preprocess(self, image: Image) -> torch.Tensor:
        """Return the network's input for an RGB picture, shape (3, H, W) float32."""
        return self.network.preprocess(image)

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Embed inputs of shape (B, 3, H, W); returns (B, E) float32 of unit length."""
        return self.bridge.of_features(self.network.encode_images(batch))

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Put P phrases into the template and embed them; returns (P, E) float32, unit length.

        Raises
        ------
        PhraseError
            If one is longer than the text model reads.
        """
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        known = {phrase: self._known[phrase] for phrase in phrases if phrase in self._known}
        known |= zip(new, self._embedded(new), strict=True)
        if len(self._known) + len(new) > MOST_KNOWN:
            self._known.clear()
        self._known.update(known)
        return np.array([known[each] for each in phrases], np.float32).reshape(-1, self.width)

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each phrase the words that the bridge cannot tell, or was never measured near."""
        return self.bridge.terms.unknown(phrases, self.encode_phrases)

    def _embedded(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        texts = [BRIDGE_TEMPLATE.replace("{}", phrase) for phrase in phrases]
        for phrase, text in zip(phrases, texts, strict=True):
            if len(text) > SHORT_TEXT:
                self.sentences.check_length(phrase, text)
        if not texts:
            return np.empty((0, self.width), np.float32)
        return normalised(self.sentences.encode(texts) - self.bridge.centre)


def write_bridge(folder: Path, label: str, bridge: Bridge) -> None:
    """Keep a bridge; one of the same label is replaced."""
    from safetensors.numpy import save

    terms = bridge.terms
    tensors = {
        "matrix": bridge.matrix,
        "offset": bridge.offset,
        "centre": bridge.centre,
        "terms": terms.embeddings,
        "auc": terms.auc,
        "counts": terms.counts,
    }
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    described = {
        **bridge.describe(),
        "terms": list(terms.words),
        "file_sha256": hashlib.sha256(content).hexdigest(),
    }
    place = folder / label
    with writing(place, hint="then give the same command again"):
        place.mkdir(parents=True, exist_ok=True)
        # The description last: without it there is no bridge.
        (place / DESCRIPTION).unlink(missing_ok=True)
        write_atomically(place / WEIGHTS, [content])
        write_atomically(place / DESCRIPTION, [json.dumps(described, ensure_ascii=False, indent=1).encode()])


def open_bridge(
    folder: Path | None, label: str, *, load_network: Callable[[Mapping[str, Any]], ImageEncoder]
) -> BridgeEncoder:
    """Open ``bridge:LABEL`` of a data set.

    Parameters
    ----------
    folder : Path or None
        Of the data set's own encoders.
    load_network : callable
        Gives the network of a bridge by what the bridge says of it.

    Raises
    ------
    NotFoundError
        If there is none of that label.
    FeatureError
        If its files are damaged.
    """
    known = [each.parent.name for each in sorted(folder.glob(f"*/{DESCRIPTION}"))] if folder else []
    if folder is None or label not in known:
        raise NotFoundError(
            f"encoder bridge:{label}: the data set has no bridge of that label; {nearest(label, known)}; "
            "run: clarify bridge"
        )
    bridge = read_bridge(folder / label)
    return BridgeEncoder(name=f"bridge:{label}", bridge=bridge, network=load_network(bridge.network))


def read_bridge(place: Path) -> Bridge:
    """Read what `write_bridge` put into a folder; FeatureError if it is damaged."""
    from safetensors.numpy import load

    try:
        described = json.loads((place / DESCRIPTION).read_bytes())
        if described.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {described.get('schema_version')!r}")
        content = (place / WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != described["file_sha256"]:
            raise ValueError("its numbers are others than those that were written")
        tensors = load(content)
        found = Bridge(
            matrix=tensors["matrix"],
            offset=tensors["offset"],
            centre=tensors["centre"],
            way=described["way"],
            network=described["network"],
            text=described["text"],
            terms=Terms(
                words=tuple(described["terms"]),
                embeddings=tensors["terms"],
                auc=tensors["auc"],
                counts=tensors["counts"],
            ),
            quality=None if described["quality"] is None else Quality(**described["quality"]),
            captions=described["captions"],
            penalty=described["penalty"],
        )
        if found.identity.to_dict() != described["identity"]:
            raise ValueError("its parts are others than those that were written")
    except Exception as error:  # safetensors has errors of its own
        raise FeatureError(
            f"the bridge in {place} is damaged ({error}); learn it again: clarify bridge "
            f"{place.parent.name} --label {place.name}"
        ) from None
    return found
