"""Where a training stands: weights, optimiser, running values; kept as a checkpoint, and restored.

Nothing else is remembered from one step to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from clarify.method.fit.minibatch import follow_means

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch.optim import Optimizer

    from clarify.finetune.checkpoints import Checkpoints
    from clarify.finetune.schedule import Schedule
    from clarify.finetune.task import Task

__all__ = ["State"]

EMA = 0.999
PACE = 0.05
"""How much of the running losses comes from the last step."""


class State:
    """Where a training stands.

    Parameters
    ----------
    module : torch.nn.Module
        On its device; it trains in place.
    """

    def __init__(self, module: torch.nn.Module, task: Task, schedule: Schedule) -> None:
        self.module, self.task, self.schedule = module, task, schedule
        self.parameters = self._free()
        self.optimiser = self._optimiser()
        self.average = self._copy() if schedule.averaged else {}
        self.step, self.epoch, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.running: NDArray[np.float64] = np.full(len(task.group_names), np.nan)
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch, self.best_score = 0, -np.inf

    def note(self, losses: NDArray[np.float64], groups: NDArray[np.int64]) -> None:
        """Take note of a step's losses (B,), of groups (B,)."""
        follow_means(self.running, losses, groups, pace=PACE)

    def losses(self) -> dict[str, float]:
        """Return the running mean loss of each group that was seen."""
        known = zip(self.task.group_names, self.running.tolist(), strict=True)
        return {name: value for name, value in known if np.isfinite(value)}

    def follow(self) -> None:
        """Let the running mean of the weights follow them."""
        if not self.average:
            return
        import torch

        pace = max(1 - EMA, 1 / (self.step + 2))  # at first it is the mean of all there were
        with torch.no_grad():
            for name, each in self.module.state_dict().items():
                if each.is_floating_point():
                    self.average[name].lerp_(each, pace)
                else:
                    self.average[name].copy_(each)

    @contextmanager
    def evaluated(self) -> Iterator[torch.nn.Module]:
        """Lend the network with the weights that count, in evaluation."""
        own = self._copy() if self.average else {}
        if own:
            self.module.load_state_dict(self.average)
        self.module.eval()
        try:
            yield self.module
        finally:
            if own:
                self.module.load_state_dict(own)

    def offer(self, score: float) -> None:
        """Remember the weights of this epoch if none scored as high."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            source = self.average or self.module.state_dict()
            self.best = {name: each.detach().cpu().clone() for name, each in source.items()}

    def settle(self) -> None:
        """Leave the network with the weights that count, on the CPU, all of it free again."""
        if not self.best:
            self.best_epoch = self.epoch
        weights = self.best or self.average
        if weights:
            self.module.load_state_dict(weights)
        self.module.eval()
        self.module.to("cpu")
        for each in self.module.parameters():
            each.requires_grad_(True)

    def keep(self, checkpoints: Checkpoints) -> None:
        """Write it down."""
        import torch

        optimiser = self.optimiser.state_dict()["state"]
        tensors = {f"weights/{name}": each for name, each in self.module.state_dict().items()}
        tensors |= {
            f"optimiser/{number}/{key}": value
            for number, of in optimiser.items()
            for key, value in of.items()
        }
        tensors |= {f"average/{name}": each for name, each in self.average.items()}
        tensors |= {f"best/{name}": each for name, each in self.best.items()}
        tensors["objective"] = torch.from_numpy(np.array(self.task.objective.state))
        tensors["running"] = torch.from_numpy(self.running.copy())
        values = {
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score if np.isfinite(self.best_score) else None,
        }
        checkpoints.write({name: each.detach().cpu() for name, each in tensors.items()}, values)

    def restore(self, checkpoints: Checkpoints) -> None:
        """Go to where it was written down last; nowhere if it never was."""
        found = checkpoints.read()
        if found is None:
            return
        tensors, values = found
        self.module.load_state_dict(_part(tensors, "weights/"))
        self._restore_optimiser(_part(tensors, "optimiser/"))
        if self.average:
            device = next(iter(self.average.values())).device
            kept = _part(tensors, "average/")
            self.average = {name: each.to(device) for name, each in kept.items()}
        self.best = _part(tensors, "best/")
        self.task.objective.state = tensors["objective"].numpy().copy()
        self.running = tensors["running"].numpy().copy()
        self.step, self.epoch, self.seconds = values["step"], values["epoch"], values["seconds"]
        self.history = values["history"]
        self.best_epoch = values["best_epoch"]
        self.best_score = -np.inf if values["best_score"] is None else values["best_score"]

    def _restore_optimiser(self, kept: Mapping[str, torch.Tensor]) -> None:
        state = self.optimiser.state_dict()
        state["state"] = {}
        for name, value in kept.items():
            number, _, key = name.partition("/")
            state["state"].setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict(state)

    def _free(self) -> list[torch.nn.Parameter]:
        chosen = None if self.task.trainable is None else set(self.task.trainable)
        for name, each in self.module.named_parameters():
            each.requires_grad_(chosen is None or name in chosen)
        return [each for each in self.module.parameters() if each.requires_grad]

    def _optimiser(self) -> Optimizer:
        import torch

        thick = [each for each in self.parameters if each.ndim > 1]
        thin = [each for each in self.parameters if each.ndim <= 1]
        groups = [
            {"params": thick, "weight_decay": self.schedule.weight_decay},
            {"params": thin, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=self.schedule.rate)

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: each.detach().clone() for name, each in self.module.state_dict().items()}


def _part(tensors: Mapping[str, torch.Tensor], beginning: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(beginning): each for name, each in tensors.items() if name.startswith(beginning)
    }
