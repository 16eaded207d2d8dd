"""Convolutional networks made quicker for embedding, to the same numbers but for rounding.

In evaluation a batch norm behind a convolution multiplies and adds constants: both go into the
convolution's weights. What is left is laid out channels last, which is how a CPU convolves fastest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

    Forward = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["folded"]

APART = 1e-5
"""How far a feature may move, as a part of the largest: a fiftieth of what float16 rounds that by."""

AT_ONCE = 16
"""Pictures in one pass: what lies between two layers of more of them leaves a CPU's caches."""


def folded(forward: Forward, side: int) -> Forward:
    """Return a forward that gives what `forward` does, quicker where the network lets it be.

    The network stays as it is: a copy is folded, which shares all weights but those of the
    convolutions. It is taken only if it embeds a picture of noise as the network does.

    Parameters
    ----------
    forward : callable
        A module on the CPU in evaluation mode, or a method of one; from inputs (B, 3, side, side)
        to embeddings (B, D).
    """
    import torch

    owner = getattr(forward, "__self__", forward)
    if not isinstance(owner, torch.nn.Module):
        return forward
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        meant, pairs = _watched(owner, forward, noise)
    if not pairs:
        return forward
    copied = _copied(owner, {name for pair in pairs for name in pair})
    for conv, norm in pairs:
        _fold(copied, conv, norm)
    quick = cast("Forward", copied if forward is owner else getattr(copied, forward.__name__))
    with torch.inference_mode():
        apart = (quick(noise) - meant).abs().max()
    if not apart <= APART * meant.abs().max():
        return forward
    return lambda inputs: torch.cat([quick(part) for part in torch.split(inputs, AT_ONCE)])


def _watched(
    owner: torch.nn.Module, forward: Forward, inputs: torch.Tensor
) -> tuple[torch.Tensor, list[tuple[str, str]]]:
    """Return what the network gives, and the names of each convolution and the batch norm that it feeds.

    The order in which modules are listed says nothing of that: what goes from one to the other does.
    """
    import torch

    convolutions: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    passed: list[torch.Tensor] = []  # held, so that none takes another's place in memory
    runs: dict[str, int] = {}

    def look(name: str) -> Callable[..., None]:
        def seen(module: torch.nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            runs[name] = runs.get(name, 0) + 1
            if _is_plain(module):
                passed.append(output)
                convolutions[id(output)] = name
            elif id(inputs[0]) in convolutions:
                pairs.append((convolutions[id(inputs[0])], name))

        return seen

    watched = [
        module.register_forward_hook(look(name))
        for name, module in owner.named_modules()
        if _is_plain(module) or isinstance(module, torch.nn.BatchNorm2d)
    ]
    try:
        found = forward(inputs)
    finally:
        for each in watched:
            each.remove()
    return found, [pair for pair in pairs if all(runs[name] == 1 for name in pair)]


def _is_plain(module: torch.nn.Module) -> bool:
    """Whether it convolves by its weights as they are: some standardise them at every call."""
    import torch

    return type(module) is torch.nn.Conv2d or type(module).__name__ == "Conv2dSame"


def _copied(owner: torch.nn.Module, own: set[str]) -> torch.nn.Module:
    """Return a copy that shares all tensors but those of the modules of these names."""
    shared = [each for name, module in owner.named_modules() if name not in own for each in _tensors(module)]
    return copy.deepcopy(owner, {id(each): each for each in shared})


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _fold(network: torch.nn.Module, conv: str, norm: str) -> None:
    """Put a batch norm into the convolution before it; its activation, if it has one, stays."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    convolution: Any = network.get_submodule(conv)
    batch_norm: Any = network.get_submodule(norm)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        batch_norm.running_mean,
        batch_norm.running_var,
        batch_norm.eps,
        batch_norm.weight,
        batch_norm.bias,
    )
    convolution.to(memory_format=torch.channels_last)
    network.set_submodule(norm, getattr(batch_norm, "act", torch.nn.Identity()))
