"""A stand-in for an encoder of sentences: the same words, the same direction; no weights, no package."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.data.manifest import open_manifest
from clarify.embed.sentences import SentenceEncoder
from tests.conftest import DATA_SET, run_clarify

WIDTH = 24


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words(SentenceEncoder):
    """The sum of a direction a word."""

    name: str = "words 1.0"
    folder: Path = Path("words")
    digest: str = "ab" * 32

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        found = np.array([sum(direction(word) for word in text.split()) for text in texts])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    @property
    def width(self) -> int:
        return WIDTH

    def check_length(self, phrase: str, text: str) -> None:
        pass


def direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(size=WIDTH)


def use_words(patch: pytest.MonkeyPatch, digest: str = "ab" * 32) -> None:
    """Let every bridge be learned and used with it, in this process."""
    for module in ("clarify.embed.bridge", "clarify.workflow.home.bridges"):
        patch.setattr(f"{module}.find_sentences", lambda spec="": Words(digest=digest))


def learn_bridge(home: Path, folder: Path, *options: str) -> dict[str, object]:
    """Learn ``bridge:captions`` of the tiny birds from what is known of them; returns its JSON."""
    rows = open_manifest(home, DATA_SET).rows("validation")
    captions = [
        f"a {label} on the {place}" for label, place in zip(rows["label"], rows["place"], strict=True)
    ]
    pl.DataFrame({"id": rows["id"], "caption": captions}).write_csv(folder / "captions.csv")
    network = () if "--network" in options else ("--network", "small-clip")
    done = run_clarify(
        "bridge",
        DATA_SET,
        "--captions",
        str(folder / "captions.csv"),
        *network,
        *options,
        "--json",
        home=home,
    )
    assert done.status == 0, done.err
    return done.result
