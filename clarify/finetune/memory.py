"""What a step will need of memory, seen on two images, and the largest batch that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.data.sizes import free_bytes
from clarify.errors import TrainingError

if TYPE_CHECKING:
    import torch

__all__ = ["available_bytes", "refuse_too_large"]

SHARE = 0.9
"""Of what is free; the rest is for pictures on their way, and for others."""

WORKSPACE = 1.5
"""A step needs so much more than what it keeps for the way back, for what it lets go of."""


def available_bytes(device: str) -> int:
    """Return how much memory is free for a training.

    On a machine it is what the system and the container allow, whichever is less.
    """
    if device != "cpu":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return free_bytes()


def refuse_too_large(
    module: torch.nn.Module, size: int, batch: int, *, copies: int, available: int, device: str = "cpu"
) -> None:
    """Refuse a batch that memory will not do for.

    Parameters
    ----------
    module : torch.nn.Module
        On its device.
    size : int
        Side of its input in pixels.
    batch : int
        Images of a step in this process.
    copies : int
        How many copies of the weights a training keeps: slopes, the optimiser's values ...
    available : int
        Free bytes.

    Raises
    ------
    TrainingError
        Says what is needed, what is free, and the batch size that would do.
    """
    fixed = copies * sum(each.numel() * each.element_size() for each in module.parameters())
    an_image = WORKSPACE * _kept_for_the_way_back(module, size, device) / 2
    free = SHARE * available
    if fixed + batch * an_image <= free:
        return
    fits = int((free - fixed) // an_image)
    advice = (
        f"a batch size of {fits} would do"
        if fits >= 1
        else ("not even one image fits: choose a smaller --image-size or model")
    )
    raise TrainingError(
        f"memory will not do for {batch} images of {size} x {size} in a step: about "
        f"{_gib(fixed + batch * an_image)} are needed, {_gib(available)} are free; {advice}"
    )


def _kept_for_the_way_back(module: torch.nn.Module, size: int, device: str) -> int:
    """Return the bytes that two images leave behind on their way through a network."""
    import torch

    seen: dict[int, int] = {}

    def packed(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    was_training = module.training
    state = {name: each.clone() for name, each in module.named_buffers()}
    module.train()
    own = {each.untyped_storage().data_ptr() for each in module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(packed, lambda tensor: tensor):
        module(torch.zeros(2, 3, size, size, device=device))
    module.train(was_training)
    with torch.no_grad():
        for name, each in module.named_buffers():
            each.copy_(state[name])
    return sum(size for place, size in seen.items() if place not in own)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**28 else f"{size / 2**20:.0f} MiB"
