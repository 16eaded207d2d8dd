"""Several processes that train one network: started by torchrun, each with a part of every batch.

The engine is torch's own (`torch.distributed`, DistributedDataParallel); here is what the steps
need of it beside: who is who, losses brought together, and one process that speaks for all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError, one_line

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Processes", "joined"]


class Processes:
    """The processes of a training, as one of them sees them.

    Parameters
    ----------
    rank, count : int
        Which of them this is, and how many there are.
    device : str
        Where this one computes.
    """

    def __init__(self, rank: int = 0, count: int = 1, device: str = "cpu") -> None:
        self.rank, self.count, self.device = rank, count, device

    @property
    def is_first(self) -> bool:
        """Whether this one speaks for all: it reports, evaluates and records."""
        return self.rank == 0

    def part(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this one's part of a batch; InputError if the batch cannot be dealt out evenly."""
        if len(rows) % self.count:
            raise InputError(
                f"a batch of {len(rows)} images cannot be dealt out to {self.count} processes; "
                f"choose a batch size that gives a multiple of {self.count}"
            )
        each = len(rows) // self.count
        return rows[self.rank * each : (self.rank + 1) * each]

    def together(self, values: torch.Tensor) -> torch.Tensor:
        """Return the vectors of all processes, one after the other, in the order of the batch."""
        if self.count == 1:
            return values
        import torch
        from torch import distributed

        parts = [torch.empty_like(values) for _ in range(self.count)]
        distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def agreed(self, value: bool) -> bool:
        """Return the first one's answer to all."""
        if self.count == 1:
            return value
        import torch
        from torch import distributed

        told = torch.tensor([int(value)], device=self.device)
        distributed.broadcast(told, 0)
        return bool(told.item())

    def wrapped(self, module: torch.nn.Module) -> torch.nn.Module:
        """Return a network that averages the slopes of all processes."""
        if self.count == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        devices = None if self.device == "cpu" else [self.device]
        return DistributedDataParallel(module, device_ids=devices)


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started; alone without it.

    Raises
    ------
    InputError
        If the others cannot be joined.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device="cuda" if has_gpu else "cpu")
        return
    from torch import distributed

    place = int(os.environ.get("LOCAL_RANK", "0"))
    if has_gpu:
        torch.cuda.set_device(place)
    try:
        distributed.init_process_group("nccl" if has_gpu else "gloo")
    except Exception as error:  # a port that is taken, a variable that is missing ...
        raise InputError(
            f"the {count} processes cannot be joined ({one_line(error)}); start them by torchrun"
        ) from None
    try:
        device = f"cuda:{place}" if has_gpu else "cpu"
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
