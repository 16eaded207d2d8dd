"""An image encoder as a folder of its own: what a served model takes along.

``encoder.json`` says how to build the network and prepare pictures, ``encoder.safetensors`` holds
the weights of its image half. Nothing is fetched when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clarify.embed.deferred import Deferred, loaded
from clarify.embed.identity import EncoderIdentity, ImageEncoder
from clarify.embed.image_model import ImageModel, NetworkConfig, file_digest
from clarify.embed.preprocessing import Preprocessing
from clarify.errors import InputError

__all__ = ["FILES", "can_pack", "pack", "unpack"]

SCHEMA_VERSION = 1
FILES = DESCRIPTION, WEIGHTS = "encoder.json", "encoder.safetensors"


def can_pack(encoder: ImageEncoder) -> bool:
    """Whether there is a network to pack; of an imported encoder only what it made is known."""
    return isinstance(encoder, ImageModel | Deferred)


def pack(encoder: ImageEncoder, folder: Path) -> None:
    """Write an encoder into a folder that is there.

    Raises
    ------
    InputError
        If it has no network, because its features were imported.
    """
    encoder = loaded(encoder)
    if not isinstance(encoder, ImageModel):
        raise InputError(
            f"encoder {encoder.name} cannot be taken along: its features were imported, and no "
            "network is known that makes them"
        )
    from safetensors.torch import save_model

    save_model(encoder.tower, str(folder / WEIGHTS))
    described = {
        "schema_version": SCHEMA_VERSION,
        "name": encoder.name,
        "domain": encoder.domain,
        "unit": encoder.unit,
        "identity": encoder.identity.to_dict(),
        "preprocessing": encoder.preprocessing.to_dict(),
        "kind": encoder.recipe.kind,
        "config": dict(encoder.recipe.config),
        "sha256": file_digest(folder / WEIGHTS),
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1), encoding="utf-8")


def unpack(folder: Path, *, device: str = "cpu") -> ImageEncoder:
    """Read the encoder that `pack` wrote; its identity is the one it had then.

    Raises
    ------
    InputError
        If the folder was written by another version of Clarify, or its files are damaged.
    """
    from safetensors.torch import load_model

    described = _described(folder)
    if described.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{folder / DESCRIPTION}: schema_version is {described.get('schema_version')!r}; this "
            f"Clarify reads {SCHEMA_VERSION}"
        )
    tower, forward = _builder(described["kind"])(described["config"], device)
    load_model(tower, str(folder / WEIGHTS), device=device)
    return ImageModel(
        name=described["name"],
        identity=EncoderIdentity.from_dict(described["identity"]),
        domain=described["domain"],
        preprocessing=Preprocessing.from_dict(described["preprocessing"]),
        tower=tower,
        forward=forward,
        recipe=NetworkConfig(kind=described["kind"], config=described["config"]),
        device=device,
        unit=bool(described.get("unit", True)),
    )


def _described(folder: Path) -> dict[str, Any]:
    """Read what the folder says, and check that its weights are the ones meant."""
    try:
        described: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        seen = file_digest(folder / WEIGHTS)
        if seen != described["sha256"]:
            raise ValueError(f"{WEIGHTS} has SHA-256 {seen[:12]}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the packed encoder in {folder} is damaged ({error!s}); register the model again"
        ) from None
    return described


def _builder(kind: str) -> Callable[[Mapping[str, Any], str], tuple[Any, Any]]:
    if kind == "timm":
        from clarify.embed.timm_models import build_timm

        return build_timm
    from clarify.embed.open_clip_models import build_image_half

    return build_image_half
