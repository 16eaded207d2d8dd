"""Image classifiers of timm as encoders: their pooled features, for the base model's last layer.

Named by ``timm:MODEL`` (weights of an installed package or of the hub, as in
``timm:resnet50.a1_in1k``) or ``timm:MODEL:PATH``, a file of weights saved from that model, or a
folder that holds one. The layer that classifies is left out: Clarify fits its own; a bridge to
words reads it (`classifier`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.hub import cached_weights, hub_cache, probe_hub
from clarify.embed.identity import EncoderIdentity, ImageEncoder
from clarify.embed.image_model import ImageModel, NetworkConfig, file_digest, quiet
from clarify.embed.packages import NETWORKS, in_order
from clarify.embed.preprocessing import Preprocessing
from clarify.embed.wrapped import unwrapped
from clarify.errors import ClarifyError, InputError, NotFoundError, nearest, one_line, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = [
    "build_timm",
    "check_model",
    "classifier",
    "evaluation_config",
    "given_weights",
    "hub_weights",
    "load_timm",
    "read_weights",
]

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
WEIGHT_ENDINGS = (".safetensors", ".bin", ".pth", ".pt")


def load_timm(spec: str, rest: str, *, device: str) -> ImageEncoder:
    """Load ``timm:MODEL[:PATH]``; `rest` is what follows ``timm:``.

    Raises
    ------
    InputError
        If the name is malformed, or the weights do not fit the model.
    NotFoundError
        If there is no such model or file, or the weights are neither cached nor reachable.
    """
    what = f"backbone {spec}"
    model_name, weights = _found(what, rest)
    config = {"model": model_name, **evaluation_config(model_name)}
    try:
        with quiet():
            network, _ = build_timm(config, device)
            _fill(network, weights)
    except ClarifyError:
        raise
    except Exception as error:  # whatever a foreign file provokes is told in one line
        raise InputError(
            f"backbone {spec}: {weights} cannot be loaded as weights of {model_name} "
            f"({one_line(error, 200)}); give a .safetensors file saved from that model"
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
        preprocessing=preprocessing,
        tower=network,
        forward=network,
        recipe=NetworkConfig(kind="timm", config=config),
        device=device,
    )


def classifier(spec: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the last layer of ``timm:MODEL[:PATH]``, and what its outputs are called.

    Returns
    -------
    weight : (K, D) float32
        Its offsets are left out.
    names : tuple of K str
        Of ImageNet-1k, with their synonyms: ``"tench, Tinca tinca"``.

    Raises
    ------
    InputError
        If the network is another kind of model, or its classes are not those of ImageNet-1k.
    NotFoundError
        As `load_timm`.
    """
    from timm.data.imagenet_info import ImageNetInfo

    kind, _, rest = spec.partition(":")
    if kind != "timm":
        raise InputError(f"network {shown(spec)} has no class names; timm:MODEL is legal, or give captions")
    model_name, path = _found(f"network {spec}", rest)
    info: Any = ImageNetInfo("imagenet-1k")
    network, _ = build_timm({"model": model_name, **evaluation_config(model_name)}, "cpu", classes=1000)
    layer = str(network.pretrained_cfg.get("classifier") or "")
    weight = read_weights(path, network)[0].get(f"{layer}.weight")
    if weight is None or weight.ndim != 2 or len(weight) != info.num_classes():
        raise InputError(
            f"network {spec}: its last layer is not one of the {info.num_classes():,} classes of ImageNet, "
            "and nothing else says what its outputs are called; give captions"
        )
    names = tuple(str(info.index_to_description(number)) for number in range(len(weight)))
    return np.asarray(weight.float().numpy(), dtype=np.float32), names


def _found(what: str, rest: str) -> tuple[str, Path]:
    """Return the model that ``MODEL[:PATH]`` names, and its file of weights."""
    model_name, _, path = rest.partition(":")
    check_model(what, model_name)
    return model_name, given_weights(what, path) if path else hub_weights(what, model_name)


def build_timm(config: Mapping[str, Any], device: str, *, classes: int = 0) -> tuple[Any, Any]:
    """Build a network of a `NetworkConfig` without weights; returns it, and itself as its forward.

    Without classes it ends before the layer that classifies.
    """
    import timm

    # Some are made for one size of picture, and have to be told of another.
    own = _pretrained(config["model"])
    side = {"img_size": config["input_size"][-1]} if own.get("fixed_input_size") else {}
    network = timm.create_model(config["model"], pretrained=False, num_classes=classes, **side)
    network = network.to(device).eval()
    return network, network


def check_model(what: str, model_name: str) -> None:
    """Refuse a model, or weights of it, that timm does not know.

    Raises
    ------
    NotFoundError
        Tells the nearest.
    """
    import timm

    architecture, _, tag = model_name.partition(".")
    known = _architectures()
    if architecture not in known:
        raise NotFoundError(
            f"{what}: timm has no model {shown(architecture)}; {nearest(architecture, known)}"
        )
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise NotFoundError(
            f"{what}: timm has no weights {shown(tag)} of {architecture}; {nearest(tag, tags)}"
        )


@functools.cache
def _architectures() -> tuple[str, ...]:
    import timm

    return tuple(timm.list_models())


def evaluation_config(model_name: str) -> dict[str, Any]:
    """Return how timm prepares pictures for this model, fit for JSON."""
    from timm.data.config import resolve_data_config

    found = resolve_data_config(pretrained_cfg=_pretrained(model_name))  # type: ignore[no-untyped-call]
    return {key: list(each) if isinstance(each, tuple) else each for key, each in found.items()}


def _pretrained(model_name: str) -> dict[str, Any]:
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(model_name)
    return {} if found is None else dataclasses.asdict(found)


def given_weights(what: str, path: str) -> Path:
    """Return the file of weights that a path names, or that lies in the folder that it names.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = [each for end in WEIGHT_ENDINGS for each in sorted(place.glob(f"*{end}"))]
        if not found:
            raise NotFoundError(
                f"{what}: folder {place} holds no file of weights ({', '.join(WEIGHT_ENDINGS)})"
            )
        return found[0]
    if not place.is_file():
        raise NotFoundError(f"{what}: there is no file {place}; give the path of a .safetensors file")
    return place


def hub_weights(what: str, model_name: str) -> Path:
    """Return a model's own weights: of the hub's cache, of an installed package, or fetched.

    Raises
    ------
    NotFoundError
        If there are none, or they are neither cached nor within reach.
    """
    repository = str(_pretrained(model_name).get("hf_hub_id") or "")
    package = NETWORKS.get(model_name)
    if repository and (cached := cached_weights(f"{repository}/", HUB_FILES)) is not None:
        return cached
    if package is not None and (carried := package.weights()) is not None:
        return carried
    if not repository:
        raise NotFoundError(
            f"{what}: timm has no weights of {model_name} on the hub; give the path of a "
            f"file: timm:{model_name}:/weights/model.safetensors"
        )
    try:
        probe_hub()
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, HUB_FILES[0]))
    except Exception as error:  # no network, no room, a proxy ...: the way out is the same
        raise NotFoundError(
            f"{what}: its weights ({repository}) are not in the cache {hub_cache()} and the hub "
            f"cannot be reached ({one_line(error, 80)}); fetch "
            f"{HUB_FILES[0]} of it on another machine, copy it here and give the backbone "
            f"timm:{model_name}:/folder/{HUB_FILES[0]}"
        ) from None


def read_weights(weights: Path, network: torch.nn.Module) -> tuple[dict[str, torch.Tensor], str]:
    """Read a file of weights, by the network's names, without running anything that is in it.

    Returns them, and what a trainer wrapped them in, for people: see `unwrapped`.
    """
    from timm.models import load_state_dict

    names = network.state_dict()
    state = in_order(load_state_dict(str(weights), use_ema=True, weights_only=True), names, weights)
    return unwrapped(state, names, weights)


def _fill(network: torch.nn.Module, weights: Path) -> None:
    """Load all weights but those of the layer that classifies."""
    state, _ = read_weights(weights, network)
    classifier = network.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr,operator]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    kept = {
        key: value for key, value in state.items() if not any(key.startswith(f"{head}.") for head in heads)
    }
    missing, unexpected = network.load_state_dict(kept, strict=False)
    wrong = [f"{key} is missing" for key in missing] + [f"{key} is unknown" for key in unexpected]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(f"{wrong[0]}{more}")
