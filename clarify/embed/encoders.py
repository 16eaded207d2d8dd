"""Encoders by name: the door to what embeds images, and phrases.

An encoder of images and phrases is named ``small-clip`` (the one that Clarify brings along),
``open_clip:ARCHITECTURE:TAG_OR_PATH``, for example ``open_clip:RN50:openai``,
``open_clip:ViT-B-32:/models/open_clip_model.safetensors``, or a folder that holds
``open_clip_config.json`` and the weights; ``imported:LABEL`` after `clarify features import`; or
``bridge:LABEL`` after `clarify bridge`.
A backbone, whose features the base model's last layer stands on, may also be ``timm:MODEL`` or
``timm:MODEL:PATH``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.embed.deferred import Deferred, check_same, loaded
from clarify.embed.identity import DEFAULT_TEMPLATE, Encoder, EncoderIdentity, ImageEncoder, check_template
from clarify.errors import InputError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Encoder",
    "EncoderIdentity",
    "ImageEncoder",
    "cached_clip",
    "load_backbone",
    "load_classifier",
    "load_encoder",
    "load_network",
    "loaded",
]

LEGAL = "small-clip, open_clip:ARCHITECTURE:TAG_OR_PATH, imported:LABEL, bridge:LABEL"


def load_encoder(
    spec: str,
    *,
    imported: Path | None = None,
    template: str | None = None,
    device: str = "cpu",
    of_run: Callable[[str], ImageEncoder] | None = None,
) -> Encoder:
    """Load an encoder of images and phrases by its name.

    Parameters
    ----------
    spec : str
        ``small-clip``, ``open_clip:ARCHITECTURE:TAG_OR_PATH``, ``imported:LABEL`` or ``bridge:LABEL``.
    imported : Path, optional
        Folder of the data set's own encoders: those that were imported, and its bridges.
    template : str, optional
        Prompt with exactly one ``{}``; ``an image of a {}`` unless given. An imported encoder and a
        bridge have their own.
    device : str
        ``cpu``, ``cuda`` ...
    of_run : callable, optional
        Gives the body of a network that was trained here, by its run: a bridge may stand on one.

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
    if kind == "bridge":
        from clarify.embed.bridge import open_bridge

        def network(described: Mapping[str, Any]) -> ImageEncoder:
            return load_network(str(described["spec"]), described, imported=imported, of_run=of_run)

        return open_bridge(imported, rest, load_network=network)
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


def load_network(
    spec: str,
    known: Mapping[str, Any],
    *,
    imported: Path | None,
    of_run: Callable[[str], ImageEncoder] | None = None,
) -> ImageEncoder:
    """Return the network of a bridge, to be loaded when pictures come.

    Parameters
    ----------
    spec : str
        ``timm:MODEL[:PATH]``, ``imported:LABEL``, or ``run:RUN`` for a network that was trained here.
    known : mapping
        Its ``identity``, ``width`` and whether its features are of ``unit`` length.
    """
    kind, _, rest = spec.partition(":")
    identity = EncoderIdentity.from_dict(known["identity"])
    if kind == "imported":
        found = load_backbone(spec, imported=imported)
        check_same(found, identity)
        return found

    def load() -> ImageEncoder:
        if kind != "run":
            return load_backbone(spec, imported=imported)
        if of_run is None:
            raise InputError(f"network {shown(spec)} is of a run, and no tracking store is at hand here")
        return of_run(rest)

    return Deferred(
        name=spec, identity=identity, width=int(known["width"]), unit=bool(known["unit"]), load=load
    )


def load_backbone(spec: str, *, imported: Path | None = None, device: str = "cpu") -> ImageEncoder:
    """Load what embeds images for the base model: ``timm:...``, or any name of `load_encoder`.

    Raises InputError, NotFoundError as `load_encoder`.
    """
    kind, _, rest = spec.partition(":")
    if kind == "timm":
        from clarify.embed.timm_models import load_timm

        return load_timm(spec, rest, device=device)
    return load_encoder(spec, imported=imported, device=device)


def load_classifier(spec: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the last layer of a network, shape (K, D), and its K class names; see `classifier`."""
    from clarify.embed.timm_models import classifier

    return classifier(spec)


def cached_clip() -> str:
    """Return the name of the first CLIP whose weights the hub's cache has; empty for none."""
    from clarify.embed.open_clip_weights import cached_clip

    return cached_clip()
