"""An encoder of which only what it made is known: image features, and a bank of phrases.

``<folder>/<label>/`` holds ``encoder.json``, ``phrases.json`` and ``phrases.npy``; the image
features lie in the feature store like any others. Phrases outside the bank are embedded by a live
encoder where one was attached, and refused otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from clarify.data.files import write_atomically, writing
from clarify.embed.identity import Encoder, EncoderIdentity
from clarify.embed.shards import npy_parts
from clarify.errors import FeatureError, InputError, NotFoundError, PhraseError, nearest, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["LABEL", "Bank", "ImportedEncoder", "imported_folder", "open_imported", "write_imported"]

SCHEMA_VERSION = 1
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DESCRIPTION, PHRASES, EMBEDDINGS = "encoder.json", "phrases.json", "phrases.npy"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """P phrases, each once whatever its case, with their embeddings (P, D) float32 of unit length."""

    phrases: tuple[str, ...]
    embeddings: NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportedEncoder:
    """An `Encoder` that knows the phrases of a bank.

    Parameters
    ----------
    name : str
        ``imported:LABEL``.
    identity : EncoderIdentity
        Its ``weights`` are the hash of the imported features and bank.
    width : int
        Length D of an embedding.
    live : Encoder or None
        Embeds phrases outside the bank.
    """

    name: str
    identity: EncoderIdentity
    width: int
    bank: Bank
    live: Encoder | None
    unit: bool = True  # imported features are brought to unit length
    domain: str = ""  # nothing is known of its limits

    def preprocess(self, image: Image) -> torch.Tensor:
        """Refuse: only the features that were imported are known."""
        self._refuse()

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Refuse: only the features that were imported are known."""
        self._refuse()

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Look up P phrases, or embed them live; returns (P, D) float32 of unit length.

        Raises
        ------
        PhraseError
            If one is not in the bank and no live encoder is attached; tells the nearest.
        """
        number = {phrase.casefold(): row for row, phrase in enumerate(self.bank.phrases)}
        found = np.empty((len(phrases), self.width), dtype=np.float32)
        for row, phrase in enumerate(phrases):
            key = " ".join(phrase.split()).casefold()
            if key in number:
                found[row] = self.bank.embeddings[number[key]]
            elif self.live is not None:
                found[row] = self.live.encode_phrases([phrase])[0]
            else:
                self._refuse_phrase(phrase)
        return found

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return no word: phrases that are not known are refused."""
        return [() for _ in phrases]

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"encoder {self.name} cannot embed images: only the features that were imported are "
            "known; import features of these images: clarify features import"
        )

    def _refuse_phrase(self, phrase: str) -> NoReturn:
        if not self.bank.phrases:
            raise PhraseError(
                f"phrase {shown(phrase)}: no phrases were imported for {self.name}; import a bank "
                "(--bank) or attach a live encoder (--text-encoder): clarify features import"
            )
        raise PhraseError(
            f"phrase {shown(phrase)} is not among the {len(self.bank.phrases):,} phrases of "
            f"{self.name}; {nearest(phrase, self.bank.phrases)}; or attach a live encoder "
            "(--text-encoder): clarify features import"
        )


def imported_folder(home: Path, data_set: str) -> Path:
    """Return where the encoders lie that were imported for a data set."""
    return Path(home) / "encoders" / data_set


def write_imported(
    folder: Path, label: str, *, identity: EncoderIdentity, bank: Bank, width: int, text_encoder: str
) -> None:
    """Write an imported encoder; what an import of the same label left is replaced.

    Parameters
    ----------
    folder : Path
        Of the data set's imported encoders.
    text_encoder : str
        The live encoder's name; empty for none.
    """
    place = folder / label
    described = {
        "schema_version": SCHEMA_VERSION,
        "identity": identity.to_dict(),
        "width": width,
        "text_encoder": text_encoder,
    }
    with writing(place, hint="then give the same command again"):
        place.mkdir(parents=True, exist_ok=True)
        # The description last: without it there is no encoder.
        (place / DESCRIPTION).unlink(missing_ok=True)
        write_atomically(place / EMBEDDINGS, npy_parts(bank.embeddings))
        phrases = json.dumps(bank.phrases, ensure_ascii=False)
        write_atomically(place / PHRASES, [phrases.encode()])
        write_atomically(place / DESCRIPTION, [json.dumps(described, indent=1).encode()])


def open_imported(folder: Path | None, label: str, *, load_live: Callable[..., Encoder]) -> ImportedEncoder:
    """Open ``imported:LABEL`` of a data set.

    Parameters
    ----------
    folder : Path or None
        Of the data set's imported encoders.
    load_live : callable
        Loads the text encoder that was attached, by its name and ``template``.

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
            f"encoder imported:{label}: nothing of that label was imported for the data set; "
            f"{nearest(label, known)}; run: clarify features import"
        )
    place = folder / label
    try:
        described = json.loads((place / DESCRIPTION).read_bytes())
        phrases = tuple(json.loads((place / PHRASES).read_bytes()))
        embeddings = np.load(place / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        width, live = int(described["width"]), str(described["text_encoder"])
        if embeddings.shape != (len(phrases), width):
            raise ValueError(f"{len(phrases)} phrases, embeddings of shape {embeddings.shape}")
        identity = EncoderIdentity.from_dict(described["identity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"the imported encoder in {place} is damaged ({error}); import it again: clarify features import"
        ) from None
    return ImportedEncoder(
        name=f"imported:{label}",
        identity=identity,
        width=width,
        bank=Bank(phrases=phrases, embeddings=embeddings),
        live=_fitting(load_live(live, template=identity.template), live, width) if live else None,
    )


def _fitting(encoder: Encoder, spec: str, width: int) -> Encoder:
    if encoder.width != width:
        raise FeatureError(
            f"text encoder {spec} gives embeddings of length {encoder.width}, the imported "
            f"features have {width}; attach the encoder that made them"
        )
    return encoder
