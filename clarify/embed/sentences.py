"""Encoders of sentences: what puts phrases and captions into one space, without any image.

A model of sentence-transformers, given by a folder, by its name on the hub, or by nothing: then it is
the one that the extra ``photos`` brings along.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.hub import probe_hub
from clarify.embed.image_model import file_digest, quiet
from clarify.embed.packages import EXTRA, SENTENCES
from clarify.errors import InputError, NotFoundError, PhraseError, one_line, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SentenceEncoder", "find_sentences"]

READ = ("*.json", "*.txt", "*.safetensors", "*.model")
"""The files that a model is made of; anything else in its folder is not read."""

AT_ONCE = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentenceEncoder:
    """A model of sentence-transformers, loaded when it is first needed.

    Parameters
    ----------
    name : str
        As it was given; of the package, its name and version.
    folder : Path
        Where its files are.
    digest : str
        SHA-256 of all files that are read, 64 hexadecimal digits.
    """

    name: str
    folder: Path
    digest: str

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed P texts; returns (P, E) float32 of unit length.

        A text longer than the model reads is embedded by its beginning: see `check_length`.
        """
        model = _loaded(self.folder)
        found = [np.empty((0, self.width), dtype=np.float32)]
        for start in range(0, len(texts), AT_ONCE):
            part = list(texts[start : start + AT_ONCE])
            found.append(model.encode(part, normalize_embeddings=True, show_progress_bar=False))
            if progress is not None:
                progress(start + len(part), len(texts))
        return np.concatenate(found).astype(np.float32, copy=False)

    @property
    def width(self) -> int:
        """Length E of an embedding."""
        return int(_loaded(self.folder).get_embedding_dimension())

    def check_length(self, phrase: str, text: str) -> None:
        """Refuse a phrase whose text is longer than the model reads.

        Raises
        ------
        PhraseError
            If its end would be ignored.
        """
        model = _loaded(self.folder)
        tokens, most = len(model.tokenizer(text)["input_ids"]), model.max_seq_length
        if most and tokens > most:
            raise PhraseError(
                f"phrase {shown(phrase)} is {tokens} tokens long with its template; text model {self.name} "
                f"reads {most}: shorten it"
            )


def find_sentences(spec: str = "") -> SentenceEncoder:
    """Find an encoder of sentences; its weights are loaded when they are needed.

    Parameters
    ----------
    spec : str
        A folder, a name on the hub such as ``sentence-transformers/all-mpnet-base-v2``, or nothing.

    Raises
    ------
    InputError
        If the package's files are others than those that are meant, or the folder holds no weights
        that can be read safely.
    NotFoundError
        If it is neither here nor within reach.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise NotFoundError(f"a text model needs sentence-transformers: {EXTRA}")
    if not spec:
        place = SENTENCES.place()
        if place is None:
            raise NotFoundError(
                f"no text model is installed: {EXTRA}, or name a folder of sentence-transformers with --text"
            )
        return SentenceEncoder(name=SENTENCES.name, folder=place, digest=_digest(place))
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        folder = _of_hub(spec)
    if not any(folder.rglob("*.safetensors")) or not (folder / "modules.json").is_file():
        raise InputError(
            f"text model {shown(spec)}: {folder} needs modules.json and weights as .safetensors, as "
            "SentenceTransformer.save_pretrained writes them"
        )
    return SentenceEncoder(name=spec, folder=folder.resolve(), digest=_digest(folder.resolve()))


def _of_hub(spec: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(spec, local_files_only=True, allow_patterns=list(READ)))
    except Exception:  # not cached, or no legal name: the hub says which
        pass
    try:
        probe_hub()
        return Path(snapshot_download(spec, allow_patterns=list(READ)))
    except Exception as error:  # no network, no such model ...: the way out is the same
        raise NotFoundError(
            f"text model {shown(spec)} is no folder, and not in the hub's cache, and the hub cannot be "
            f"reached ({one_line(error, 80)}); copy its folder here and give --text FOLDER, or {EXTRA}"
        ) from None


@functools.cache
def _digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the files that are read."""
    files = sorted({path for pattern in READ for path in folder.rglob(pattern)})
    named = [[str(path.relative_to(folder)), file_digest(path)] for path in files]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


@functools.cache
def _loaded(folder: Path) -> Any:
    """Load a model once; nothing of it is fetched, and no code of its folder is run."""
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # of loading; ours are drawn by the shells
        with quiet():
            return SentenceTransformer(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:  # whatever a foreign folder provokes is told in one line
        raise InputError(
            f"{folder} cannot be loaded as a text model ({one_line(error)}); give a folder that "
            "SentenceTransformer.save_pretrained wrote"
        ) from None
