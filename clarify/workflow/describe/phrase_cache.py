"""A vocabulary's phrases, of which each is embedded once, and asked once whether the encoder knows it.

``<home>/features/phrases/<encoder digest>.npz`` holds ``phrases`` and their ``embeddings`` in one
file, so the two cannot come apart; ``<encoder digest>.json`` says of each phrase whether the encoder knows
its words, which a bridge asks its text model. Both are caches: one that cannot be read is made again.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clarify.data.files import write_atomically, writing
from clarify.data.parallel import Progress
from clarify.discover.vocabulary import plain_phrases
from clarify.embed.encoders import Encoder
from clarify.embed.imported import ImportedEncoder
from clarify.errors import FeatureError
from clarify.method.phrases.similarity import normalised
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.project import Workspace

__all__ = ["embedded", "known_phrases", "phrase_embeddings"]

AT_ONCE = 512
"""Phrases embedded between two writes: what is lost at most where somebody interrupts."""


def known_phrases(project: DataSet, texts: Iterable[str]) -> tuple[str, ...]:
    """Return those texts that are plain phrases, of words that an encoder knows; a bank knows its own."""
    plain, encoder = plain_phrases(texts), project.encoder
    if isinstance(encoder, ImportedEncoder) and encoder.live is None:
        bank = {phrase.casefold() for phrase in encoder.bank.phrases}
        return tuple(phrase for phrase in plain if phrase.casefold() in bank)
    path = (
        _folder(project.home) / f"{encoder.identity.digest}.json" if isinstance(project, Workspace) else None
    )
    knows = {} if path is None else _read_known(path)
    new = [phrase for phrase in plain if phrase not in knows]
    if new:
        knows |= {each: not words for each, words in zip(new, encoder.unknown_words(new), strict=True)}
        if path is not None:
            _write(path, json.dumps(knows, ensure_ascii=False).encode())
    return tuple(phrase for phrase in plain if knows[phrase])


def embedded(project: DataSet, phrases: Sequence[str]) -> NDArray[np.float32]:
    """Return the embeddings (P, D) of different phrases, of unit length; kept where there is a home."""
    if isinstance(project, Workspace):
        return phrase_embeddings(project.home, project.encoder, phrases)
    return normalised(project.encoder.encode_phrases(phrases))


def phrase_embeddings(
    home: Path,
    encoder: Encoder,
    phrases: Sequence[str],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> NDArray[np.float32]:
    """Return the embeddings (P, D) of P different phrases, rows of unit length.

    Parameters
    ----------
    home : Path
        Keeps what was embedded; of an imported encoder's bank nothing needs to be.
    phrases : sequence of P str
    progress : callable, optional
        Called after each part that is embedded; those embedded before count as done.

    Raises
    ------
    PhraseError
        If the encoder cannot embed one.
    StoreError
        If the home cannot be written.
    """
    tell = progress or _nobody
    if isinstance(encoder, ImportedEncoder):
        return _by_bank(home, encoder, phrases, tell)
    path = _folder(home) / f"{encoder.identity.digest}.npz"
    known = _read(path, encoder.width)
    missing = [phrase for phrase in phrases if phrase not in known]
    done = len(phrases) - len(missing)
    tell(Progress(done=done, total=len(phrases), bad=0))
    for start in range(0, len(missing), AT_ONCE):
        part = missing[start : start + AT_ONCE]
        known.update(zip(part, normalised(encoder.encode_phrases(part)), strict=True))
        content = io.BytesIO()
        np.savez(content, phrases=np.array(list(known)), embeddings=np.stack(list(known.values())))
        _write(path, content.getbuffer())
        done += len(part)
        tell(Progress(done=done, total=len(phrases), bad=0))
    return np.stack([known[phrase] for phrase in phrases])


def _by_bank(
    home: Path, encoder: ImportedEncoder, phrases: Sequence[str], tell: Callable[[Progress], None]
) -> NDArray[np.float32]:
    """Look phrases up; those outside the bank are embedded, and kept, by the live encoder."""
    bank = {phrase.casefold() for phrase in encoder.bank.phrases}
    outside = [phrase for phrase in phrases if phrase.casefold() not in bank]
    if encoder.live is None or not outside:
        tell(Progress(done=len(phrases), total=len(phrases), bad=0))
        return normalised(encoder.encode_phrases(phrases))
    live = phrase_embeddings(home, encoder.live, outside, progress=tell)
    rows = dict(zip(outside, live, strict=True))
    inside = [phrase for phrase in phrases if phrase not in rows]
    if inside:
        rows |= zip(inside, normalised(encoder.encode_phrases(inside)), strict=True)
    return np.stack([rows[phrase] for phrase in phrases])


def _nobody(progress: Progress) -> None:
    """Tell nobody."""


def _read(path: Path, width: int) -> dict[str, NDArray[np.float32]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            phrases, embeddings = kept["phrases"], kept["embeddings"]
        rows = normalised(embeddings)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, FeatureError):
        return {}
    if rows.shape != (len(phrases), width):
        return {}
    return dict(zip(phrases.tolist(), rows, strict=True))


def _read_known(path: Path) -> dict[str, bool]:
    try:
        found = json.loads(path.read_bytes())
        return {str(phrase): bool(known) for phrase, known in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _folder(home: Path) -> Path:
    return home / "features" / "phrases"


def _write(path: Path, content: bytes | memoryview) -> None:
    with writing(path.parent, hint="phrases embedded so far are kept; give the command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [content])
