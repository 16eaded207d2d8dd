"""A bridge on real photographs: how long it takes to learn, and from a phrase to its similarities.

Features of Waterbirds by EfficientNet-lite0 and two captions of each of 1,199 validation images, from
`shared/data` beside the project; the text model of the extra photos. Without one of them there are no
figures. Phrases are compared with 5,000 images, the bridge's embeddings of them being there.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.measurement import Measurement
from benchmarks.real_waterbirds import FEATURES, NETWORK, at_hand
from clarify.embed.bridge import Bridge, BridgeEncoder
from clarify.embed.bridging import Captioned, bridge_from_captions, bridge_from_names
from clarify.embed.encoders import ImageEncoder, load_backbone
from clarify.embed.sentences import SentenceEncoder, find_sentences
from clarify.embed.timm_models import classifier
from clarify.method.phrases.similarity import similarities

COMPARED = 5_000
LEARNED_S, COLD_MS, WARM_MS = 20.0, 40.0, 5.0
PHRASES = ("water", "sea", "forest", "bamboo", "a bird on a beach", "grass", "a lake with reeds", "night")

_Result = TypeVar("_Result")


def measure() -> list[Measurement]:
    """Return seconds of learning, and milliseconds from a phrase to similarities."""
    if not at_hand():
        print(f"bridge: needs {FEATURES.name} and the extra photos", file=sys.stderr)
        return []
    with np.load(FEATURES, allow_pickle=False) as arrays:
        features = arrays["features"].astype(np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)  # as `clarify embed` keeps them
        captioned = arrays["captioned"]
        texts = (*arrays["captions_short"].tolist(), *arrays["captions_long"].tolist())
    sentences = find_sentences()
    sentences.encode(["one"])  # loads the model: once in a process
    found = Captioned(
        features=features[captioned],
        texts=texts,
        image=np.tile(np.arange(len(captioned)), 2).astype(np.int64),
    )
    network = load_backbone(f"timm:{NETWORK}")
    bridge, learning = _learned(found, network, sentences)
    return [*learning, *_phrases(bridge, network, features[:COMPARED])]


class _Timed:
    """A text model that counts its seconds, so that they can be told apart."""

    def __init__(self, sentences: SentenceEncoder) -> None:
        self._sentences, self.seconds = sentences, 0.0

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found, seconds = timed(lambda: self._sentences.encode(texts))
        self.seconds += seconds
        return found


def timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def _learned(
    found: Captioned, network: ImageEncoder, sentences: SentenceEncoder
) -> tuple[Bridge, list[Measurement]]:
    """Learn from captions and from class names; the encoding of texts is told apart."""
    weight, names = classifier(network.name)
    described = {
        "spec": network.name,
        "identity": network.identity.to_dict(),
        "width": network.width,
        "unit": network.unit,
    }
    text = {"name": sentences.name, "spec": "", "sha256": sentences.digest}
    encode = _Timed(sentences)
    bridge, whole = timed(
        lambda: bridge_from_captions(found, encode, network=described, text=text, captions={})
    )
    learning = whole - encode.seconds
    encode_names = _Timed(sentences)
    _, by_names = timed(lambda: bridge_from_names(weight, names, encode_names, network=described, text=text))
    return bridge, [
        Measurement(name=f"texts of {len(found.texts):,} captions", figure=encode.seconds, unit="s"),
        Measurement(
            name=f"a bridge of {len(found.texts):,} captions, texts apart",
            figure=learning,
            unit="s",
            target=LEARNED_S,
            holds=learning < LEARNED_S,
        ),
        Measurement(name="texts of 1,000 class names", figure=encode_names.seconds, unit="s"),
        Measurement(
            name="a bridge of class names, texts apart", figure=by_names - encode_names.seconds, unit="s"
        ),
    ]


def _phrases(bridge: Bridge, network: ImageEncoder, features: NDArray[np.float32]) -> list[Measurement]:
    """Time phrases that were never asked before, then the same again."""
    images = bridge.of_features(features)
    encoder = BridgeEncoder(name="bridge:captions", bridge=bridge, network=network)

    def milliseconds(phrase: str) -> float:
        return 1e3 * timed(lambda: similarities(images, encoder.encode_phrases([phrase])[0]))[1]

    milliseconds("anything")  # the encoder finds its text model
    cold, warm = (statistics.median(milliseconds(phrase) for phrase in PHRASES) for _ in range(2))
    what = f"a phrase to its similarities, {len(images):,} images"
    return [
        Measurement(name=f"{what}, cold", figure=cold, unit="ms", target=COLD_MS, holds=cold < COLD_MS),
        Measurement(name=f"{what}, warm", figure=warm, unit="ms", target=WARM_MS, holds=warm < WARM_MS),
    ]
