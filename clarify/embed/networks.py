"""Classifiers of timm as they are trained: a body that embeds images, and a last layer on it.

Cut between the two, a trained network is like any other model here: its body is a backbone, its
last layer a head that takes features as they are. What Clarify does with heads (correct, compare,
register, serve) it does with networks.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.identity import EncoderIdentity
from clarify.embed.image_model import ImageModel, NetworkConfig, quiet
from clarify.embed.packages import origin
from clarify.embed.preprocessing import Preprocessing
from clarify.embed.timm_models import (
    build_timm,
    check_model,
    evaluation_config,
    given_weights,
    hub_weights,
    read_weights,
)
from clarify.errors import ClarifyError, InputError, nearest, one_line, shown
from clarify.method.fit.head import Head

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Network", "network_of", "new_network"]

PRETRAINED = ("pretrained", "hub")
"""In place of a file: the weights that a model is known by, wherever they are; once called by the hub."""

AT_RANDOM = "at random"

LARGEST_SIDE = 1024

WIDE = 2.0
"""Times the usual spread of a layer at random, from which it is narrowed to that."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A timm classifier.

    Parameters
    ----------
    config : mapping
        How to build it again, fit for JSON: timm's name of it, and how it takes pictures.
    class_names : tuple of K str
        What its outputs stand for.
    preprocessing : Preprocessing
        In evaluation.
    module : torch.nn.Module
        With its last layer; one `torch.nn.Linear` of K outputs.
    began : str
        Where its first weights are from, for records.
    notes : tuple of str
        For people: what of the weights was not used.
    """

    config: Mapping[str, Any]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    module: torch.nn.Module
    began: str = AT_RANDOM
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return how it is named: ``timm:MODEL``."""
        return f"timm:{self.config['model']}"

    @property
    def layer(self) -> torch.nn.Linear:
        """Return the last layer."""
        found: torch.nn.Linear = self.module.get_classifier()  # type: ignore[operator]
        return found

    def layers(self) -> list[list[str]]:
        """Return the names of its parameters layer by layer, the last layer first.

        What a layer is timm says, as it does for rates of learning that differ by depth.
        """
        from timm.models import group_parameters

        matcher = self.module.group_matcher(coarse=True)  # type: ignore[operator]
        layer_of = group_parameters(self.module, matcher, reverse=True)
        found: dict[int, list[str]] = {}
        for name, _ in self.module.named_parameters():
            found.setdefault(int(layer_of[name]), []).append(name)
        return [found[number] for number in sorted(found, reverse=True)]

    def head(self) -> Head:
        """Return the last layer as a head."""
        layer = self.layer
        weight = layer.weight.detach().float().cpu().numpy()
        bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().cpu().numpy()
        return Head.of_layer(weight, bias, self.class_names)

    def body(self, *, device: str = "cpu") -> ImageModel:
        """Return a copy of all but the last layer, as what embeds images."""
        state = {name: value.detach().cpu() for name, value in self.module.state_dict().items()}
        tower, forward = build_timm(self.config, device)
        needed = set(tower.state_dict())
        tower.load_state_dict({name: value for name, value in state.items() if name in needed})
        return ImageModel(
            name=f"{self.name}, trained here",
            identity=EncoderIdentity(
                architecture=f"network:{self.config['model']}",
                weights=content_digest(tower.state_dict()),
                preprocessing=self.preprocessing.describe(),
                template="",
            ),
            preprocessing=self.preprocessing,
            tower=tower,
            forward=forward,
            recipe=NetworkConfig(kind="timm", config=self.config),
            device=device,
            unit=False,
        )


def new_network(
    model: str,
    class_names: Sequence[str],
    *,
    weights: str = "",
    weight_classes: Sequence[str] = (),
    size: int | None = None,
    seed: int = 0,
    as_it_is: bool = False,
) -> Network:
    """Make a classifier for some classes.

    Parameters
    ----------
    model : str
        ``timm:MODEL``.
    class_names : sequence of K str
    weights : str
        A file (.safetensors, or .pth of weights alone), or ``pretrained``: those of the hub's cache,
        of an installed package, or of the hub; empty begins at random.
    weight_classes : sequence of str
        What the outputs of the weights stand for, in order: those of `class_names` are picked out
        of them. Without, a last layer of K outputs is taken to have them in that order, and one of
        another number is made anew.
    size : int, optional
        Side of its input in pixels; the model's own unless given.
    seed : int
        Of what begins at random.
    as_it_is : bool
        Refuse weights whose last layer would have to be made anew.

    Raises
    ------
    InputError
        If a value is malformed, or the weights do not fit.
    NotFoundError
        If there is no such model or file, or its pretrained weights cannot be had.
    """
    kind, _, name = model.partition(":")
    if kind != "timm" or not name:
        raise InputError(f"model {shown(model)}; legal is timm:MODEL, as in timm:resnet18")
    check_model(f"model {model}", name)
    names, config = tuple(class_names), _config(name, size)
    module = _build(model, config, len(names), seed)
    notes: tuple[str, ...] = ()
    began = AT_RANDOM
    if weights:
        what = f"model {model}"
        path = hub_weights(what, name) if weights in PRETRAINED else given_weights(what, weights)
        began = origin(path)
        notes = _fill(model, module, path, names, weight_classes, as_it_is=as_it_is)
    elif as_it_is:
        raise InputError(f"model {model} without weights knows nothing: give --weights, or let it be trained")
    preprocessing = Preprocessing.from_timm(config)
    return Network(
        config=config, class_names=names, preprocessing=preprocessing, module=module, began=began, notes=notes
    )


def network_of(body: ImageModel, head: Head) -> Network:
    """Put a body and a head that takes its features as they are together again.

    Raises
    ------
    InputError
        If the head takes other features, or the body is not a trained network's.
    """
    if head.unit or body.unit or body.recipe.kind != "timm":
        raise InputError(
            f"{body.name} with this head is no network that could be trained on: its last layer "
            "was fitted by itself; give a model of which the whole was trained"
        )
    import torch

    config = dict(body.recipe.config)
    module = _build(body.name, config, len(head.class_names), seed=0)
    module.load_state_dict(body.tower.state_dict(), strict=False)
    layer: Any = module.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(head.weight)))
        layer.bias.copy_(torch.from_numpy(np.array(head.bias)))
    return Network(
        config=config,
        class_names=head.class_names,
        preprocessing=body.preprocessing,
        module=module,
        began=body.name,
    )


def content_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of named weights, 64 hexadecimal digits."""
    found = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.numpy().tobytes())
    return found.hexdigest()


def _config(name: str, size: int | None) -> dict[str, Any]:
    config = {"model": name, **evaluation_config(name)}
    if size is not None:
        if not 16 <= size <= LARGEST_SIDE:
            raise InputError(f"image size is {size}; 16 to {LARGEST_SIDE} pixels are legal")
        config["input_size"] = [3, size, size]
    return config


def _build(model: str, config: Mapping[str, Any], classes: int, seed: int) -> torch.nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        try:
            module, _ = build_timm(config, "cpu", classes=classes)
            with torch.inference_mode():
                module(torch.zeros(1, *config["input_size"]))
        except Exception as error:  # whatever a size provokes that an architecture cannot take
            raise InputError(
                f"model {model} cannot be built for {classes} classes and {config['input_size'][-1]} "
                f"pixels ({one_line(error)}); choose another --image-size or model"
            ) from None
    if not isinstance(module.get_classifier(), torch.nn.Linear):
        raise InputError(
            f"model {model} does not end in one linear layer, which corrections need; choose "
            "another, such as timm:resnet18"
        )
    found: torch.nn.Module = module
    return found


def _fill(
    model: str,
    module: torch.nn.Module,
    path: Path,
    class_names: tuple[str, ...],
    weight_classes: Sequence[str],
    *,
    as_it_is: bool,
) -> tuple[str, ...]:
    """Load weights into a network; returns what of them was not used."""
    state, wrapping = _read(model, path, module)
    last = module.get_classifier()  # type: ignore[operator]
    layer = next(name for name, each in module.named_modules() if each is last)
    known = module.state_dict()
    notes = [f"{path.name}: the weights under {wrapping} were taken"] if wrapping else []
    weight = state.get(f"{layer}.weight")
    picked = _picked(model, path, weight, class_names, weight_classes)
    if picked is not None:
        for part in ("weight", "bias"):
            if f"{layer}.{part}" in state:
                state[f"{layer}.{part}"] = state[f"{layer}.{part}"][picked]
    elif weight is None or len(weight) != len(class_names):
        seen = "no last layer" if weight is None else f"{len(weight)} classes"
        seen += f" under {wrapping}" if wrapping else ""
        if as_it_is:
            raise InputError(
                f"{path} has {seen}, the data set {len(class_names)}; tell what its outputs are by "
                "--classes FILE (a class a line, in its order), or let it be trained"
            )
        notes.append(f"{path.name} has {seen}: the last layer begins at random")
        state = {name: value for name, value in state.items() if not name.startswith(f"{layer}.")}
        state |= _narrowed({name: known[name] for name in known if name.startswith(f"{layer}.")})
    wrong = [f"{name} is missing" for name in known if name not in state]
    wrong += [f"{name} is unknown" for name in state if name not in known]
    wrong += [
        f"{name} has shape {tuple(state[name].shape)}, not {tuple(known[name].shape)}"
        for name in known
        if name in state and state[name].shape != known[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(
            f"{path} does not hold weights of {model} ({wrong[0]}{more}); name the model that they "
            "were saved from"
        )
    module.load_state_dict(state)
    return tuple(notes)


def _narrowed(layer: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a layer at random, no wider than torch begins one.

    timm begins EfficientNets' by the number of classes alone: of two classes the loss is then 6 where
    .7 is chance, and the first steps spoil what the weights know.
    """
    usual = {name: (3 * each.shape[1]) ** -0.5 for name, each in layer.items() if each.ndim == 2}
    wide = {name: float(layer[name].std()) / usual[name] for name in usual}
    return {name: each / wide[name] if wide.get(name, 0) > WIDE else each for name, each in layer.items()}


def _read(model: str, path: Path, module: torch.nn.Module) -> tuple[dict[str, torch.Tensor], str]:
    try:
        with quiet():
            return read_weights(path, module)
    except ClarifyError:
        raise
    except Exception as error:  # a foreign file may provoke anything; none of it is run
        raise InputError(
            f"{path} cannot be read as weights of {model} without running what is pickled in it "
            f"({one_line(error)}); save the weights alone as .safetensors"
        ) from None


def _picked(
    model: str,
    path: Path,
    weight: torch.Tensor | None,
    class_names: tuple[str, ...],
    weight_classes: Sequence[str],
) -> NDArray[np.int64] | None:
    """Return which outputs of the weights are those of the classes; None if nobody said."""
    if not weight_classes:
        return None
    count = 0 if weight is None else len(weight)
    if len(weight_classes) != count:
        raise InputError(
            f"{len(weight_classes)} classes are listed, {path} has {count} outputs; list what each "
            "of them is, in order"
        )
    place = {name: number for number, name in enumerate(weight_classes)}
    for name in class_names:
        if name not in place:
            raise InputError(
                f"class {shown(name)} is none of the {len(weight_classes)} of {model}; "
                f"{nearest(name, weight_classes)}"
            )
    return np.array([place[name] for name in class_names], dtype=np.int64)
