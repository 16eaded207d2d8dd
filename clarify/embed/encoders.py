"""Encoders by name: the door to what embeds images, and phrases.

An encoder of images and phrases is named ``small-clip`` (the one that Clarify brings along),
``open_clip:ARCHITECTURE:TAG_OR_PATH``, for example ``open_clip:RN50:openai``,
``open_clip:ViT-B-32:/models/open_clip_model.safetensors``, or a folder that holds
``open_clip_config.json`` and the weights; or ``imported:LABEL`` after `clarify features import`.
A backbone, whose features the base model's last layer stands on, may also be ``timm:MODEL`` or
``timm:MODEL:PATH``.
"""

from __future__ import annotations

from pathlib import Path

from clarify.embed.identity import DEFAULT_TEMPLATE, Encoder, EncoderIdentity, ImageEncoder, check_template
from clarify.errors import InputError, shown

__all__ = ["Encoder", "EncoderIdentity", "ImageEncoder", "load_backbone", "load_encoder"]

LEGAL = "small-clip, open_clip:ARCHITECTURE:TAG_OR_PATH, imported:LABEL"


def load_encoder(
    spec: str, *, imported: Path | None = None, template: str | None = None, device: str = "cpu"
) -> Encoder:
    """Load an encoder of images and phrases by its name.

    Parameters
    ----------
    spec : str
        ``small-clip``, ``open_clip:ARCHITECTURE:TAG_OR_PATH`` or ``imported:LABEL``.
    imported : Path, optional
        Folder of the encoders that were imported for the data set.
    template : str, optional
        Prompt with exactly one ``{}``; ``an image of a {}`` unless given. An imported encoder has
        its own.
    device : str
        ``cpu``, ``cuda`` ...

    Returns
    -------
    Encoder

    Raises
    ------
    InputError
        If the name or the template is malformed, or the weights do not fit the architecture.
    NotFoundError
        If there is no such architecture, tag, file or import, or the weights are neither cached
        nor reachable: the message says how to place them by hand.
    """
    template = DEFAULT_TEMPLATE if template is None else template
    check_template(template)
    kind, _, rest = spec.partition(":")
    if kind == "imported":
        from clarify.embed.imported import open_imported

        return open_imported(imported, rest, load_live=load_encoder)
    from clarify.embed.open_clip_models import SMALL_CLIP, load_open_clip, load_small_clip

    if spec == SMALL_CLIP:
        return load_small_clip(template=template, device=device)
    if kind == "open_clip":
        return load_open_clip(spec, rest, template=template, device=device)
    if kind == "timm":
        raise InputError(
            f"encoder {shown(spec)} embeds images only, and phrases need embedding as well: give "
            f"it as --backbone, and one of these as --encoder: {LEGAL}"
        )
    raise InputError(f"encoder {shown(spec)} is not known; legal are {LEGAL}, as in open_clip:RN50:openai")


def load_backbone(spec: str, *, imported: Path | None = None, device: str = "cpu") -> ImageEncoder:
    """Load what embeds images for the base model: ``timm:...``, or any name of `load_encoder`.

    Raises InputError, NotFoundError as `load_encoder`.
    """
    kind, _, rest = spec.partition(":")
    if kind == "timm":
        from clarify.embed.timm_models import load_timm

        return load_timm(spec, rest, device=device)
    return load_encoder(spec, imported=imported, device=device)
