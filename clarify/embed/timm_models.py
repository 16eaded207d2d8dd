"""Image classifiers of timm as encoders: their pooled features, for the base model's last layer.

Named by ``timm:MODEL`` (weights of the hub, as in ``timm:resnet50.a1_in1k``) or
``timm:MODEL:PATH``, a file of weights saved from that model, or a folder that holds one. The layer
that classifies is left out: Clarify fits its own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.embed.hub import cached_weights, hub_cache, probe_hub
from clarify.embed.identity import EncoderIdentity, ImageEncoder
from clarify.embed.image_model import ImageModel, Recipe, file_digest, output_width, quiet
from clarify.embed.preprocessing import Preprocessing
from clarify.errors import InputError, NotFoundError, nearest, shown

if TYPE_CHECKING:
    import torch

__all__ = ["build_timm", "load_timm"]

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
WEIGHT_ENDINGS = (".safetensors", ".bin", ".pth", ".pt")


def load_timm(spec: str, rest: str, *, cache_dir: Path | None, device: str) -> ImageEncoder:
    """Load ``timm:MODEL[:PATH]``; `rest` is what follows ``timm:``.

    Raises
    ------
    InputError
        If the name is malformed, or the weights do not fit the model.
    NotFoundError
        If there is no such model or file, or the weights are neither cached nor reachable.
    """
    model_name, _, path = rest.partition(":")
    _check_model(spec, model_name)
    weights = _given(spec, path) if path else _from_hub(spec, model_name, cache_dir)
    config = {"model": model_name, **_evaluation(model_name)}
    try:
        with quiet():
            network, _ = build_timm(config, device)
            _fill(network, weights)
    except Exception as error:  # whatever a foreign file provokes is told in one line
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"backbone {spec}: {weights} cannot be loaded as weights of {model_name} ({why}); give "
            "a .safetensors file saved from that model"
        ) from None
    preprocessing = Preprocessing.from_timm(config)
    return ImageModel(
        name=spec,
        identity=EncoderIdentity(
            architecture=f"timm:{model_name}",
            weights=file_digest(weights),
            preprocessing=preprocessing.describe(),
            template="",
        ),
        width=output_width(network, preprocessing, device),
        domain="",
        preprocessing=preprocessing,
        tower=network,
        forward=network,
        recipe=Recipe(kind="timm", config=config),
        device=device,
    )


def build_timm(config: Mapping[str, Any], device: str) -> tuple[Any, Any]:
    """Build a network of a `Recipe` without weights; returns it, and itself as its forward."""
    import timm

    network = timm.create_model(config["model"], pretrained=False, num_classes=0)
    network = network.to(device).eval()
    return network, network


def _check_model(spec: str, model_name: str) -> None:
    import timm

    architecture, _, tag = model_name.partition(".")
    known = _architectures()
    if architecture not in known:
        raise NotFoundError(
            f"backbone {spec}: timm has no model {shown(architecture)}; "
            f"{nearest(architecture, known)}"
        )
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise NotFoundError(
            f"backbone {spec}: timm has no weights {shown(tag)} of {architecture}; "
            f"{nearest(tag, tags)}"
        )


@functools.cache
def _architectures() -> tuple[str, ...]:
    import timm

    return tuple(timm.list_models())


def _evaluation(model_name: str) -> dict[str, Any]:
    """Return how timm prepares pictures for this model, fit for JSON."""
    from timm.data.config import resolve_data_config

    found = resolve_data_config(  # type: ignore[no-untyped-call]
        pretrained_cfg=_pretrained(model_name)
    )
    return {key: list(each) if isinstance(each, tuple) else each for key, each in found.items()}


def _pretrained(model_name: str) -> dict[str, Any]:
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(model_name)
    return {} if found is None else dataclasses.asdict(found)


def _given(spec: str, path: str) -> Path:
    place = Path(path).expanduser()
    if place.is_dir():
        found = [each for end in WEIGHT_ENDINGS for each in sorted(place.glob(f"*{end}"))]
        if not found:
            raise NotFoundError(
                f"backbone {spec}: folder {place} holds no file of weights "
                f"({', '.join(WEIGHT_ENDINGS)})"
            )
        return found[0]
    if not place.is_file():
        raise NotFoundError(
            f"backbone {spec}: there is no file {place}; give the path of a .safetensors file"
        )
    return place


def _from_hub(spec: str, model_name: str, cache_dir: Path | None) -> Path:
    repository = str(_pretrained(model_name).get("hf_hub_id") or "")
    if not repository:
        raise NotFoundError(
            f"backbone {spec}: timm has no weights of {model_name} on the hub; give the path of a "
            f"file: timm:{model_name}:/weights/model.safetensors"
        )
    cache = None if cache_dir is None else str(cache_dir)
    cached = cached_weights(f"{repository}/", cache, HUB_FILES)
    if cached is not None:
        return cached
    try:
        probe_hub()
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, HUB_FILES[0], cache_dir=cache))
    except Exception as error:  # no network, no room, a proxy ...: the way out is the same
        why = " ".join(str(error).split())[:80] or type(error).__name__
        raise NotFoundError(
            f"backbone {spec}: its weights ({repository}) are not in the cache "
            f"{cache_dir or hub_cache()} and the hub cannot be reached ({why}); fetch "
            f"{HUB_FILES[0]} of it on another machine, copy it here and give the backbone "
            f"timm:{model_name}:/folder/{HUB_FILES[0]}"
        ) from None


def _fill(network: torch.nn.Module, weights: Path) -> None:
    """Load all weights but those of the layer that classifies."""
    from timm.models import load_state_dict

    state = load_state_dict(str(weights), use_ema=True, weights_only=True)
    classifier = network.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr,operator]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    kept = {
        key: value
        for key, value in state.items()
        if not any(key.startswith(f"{head}.") for head in heads)
    }
    missing, unexpected = network.load_state_dict(kept, strict=False)
    wrong = [f"{key} is missing" for key in missing] + [f"{key} is unknown" for key in unexpected]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(f"{wrong[0]}{more}")
