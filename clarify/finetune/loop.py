"""The steps of a training, from its last checkpoint to its end.

A step is a function of the weights, the seed and its number: batches, variations and whatever a
network draws depend on nothing else. So a training that is killed at any moment goes on, on the
same machine, to the same weights bit for bit; and several processes, each with its part of the
batches, go where one would go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.errors import TrainingError
from clarify.finetune.evaluation import predictions
from clarify.finetune.memory import available_bytes, refuse_too_large
from clarify.finetune.state import State
from clarify.finetune.task import Fitted, Task, TrainingProgress
from clarify.method.arrays import generator

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.embed.networks import Network
    from clarify.finetune.checkpoints import Checkpoints
    from clarify.finetune.processes import Processes
    from clarify.finetune.schedule import Schedule

__all__ = ["train"]

CLIP = 1.0
"""Slopes longer than this are shortened to it."""

REPORT_S = 0.5


def train(
    network: Network,
    task: Task,
    schedule: Schedule,
    *,
    checkpoints: Checkpoints | None,
    processes: Processes,
    every_s: float = 300.0,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> Fitted:
    """Train a network in place.

    Parameters
    ----------
    network : Network
        Where it begins.
    task, schedule
        What is done.
    checkpoints : Checkpoints or None
        Where it goes on from, and is kept after every epoch.
    every_s : float
        Within a long epoch it is kept as often.
    progress : callable, optional
        Told now and then; what it raises ends the training, which the next attempt goes on with.

    Raises
    ------
    TrainingError
        If memory will not do, or a loss is no number.
    StoreError
        If a checkpoint cannot be written or read.
    """
    run = _Run(network, task, schedule, checkpoints, processes, progress)
    try:
        run.go_on(every_s)
    except Exception as error:
        raise (_memory_trouble(error, schedule) or error) from None
    return run.fitted()


class _Run:
    """One attempt at a training."""

    def __init__(
        self,
        network: Network,
        task: Task,
        schedule: Schedule,
        checkpoints: Checkpoints | None,
        processes: Processes,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        import torch

        self.task, self.schedule, self.processes = task, schedule, processes
        self.checkpoints, self.progress = checkpoints, progress
        self.device, self.size = processes.device, network.preprocessing.size
        self.bf16 = schedule.precision == "bf16" or (schedule.precision == "auto" and self.device != "cpu")
        self.module = network.module.to(self.device)
        self.module.to(memory_format=torch.channels_last)
        self.state = State(self.module, task, schedule)
        self.per_epoch = task.batches.steps_an_epoch
        self.steps = schedule.epochs * self.per_epoch
        self._said = 0.0

    # --- the way --------------------------------------------------------------------------

    def go_on(self, every_s: float) -> None:
        """Take the steps that are left."""
        state = self.state
        if self.checkpoints is not None:
            state.restore(self.checkpoints)
        self._check_memory()
        module, kept = self._ready(), time.monotonic()
        ahead = self._prepared(state.step)
        while state.step < self.steps and not self._is_over():
            began = time.monotonic()
            inputs = ahead.result()
            ahead = self._prepared(state.step + 1)
            self._step(module, self.task.batches.rows(state.step), inputs)
            state.step += 1
            if state.step % self.per_epoch == 0:
                self._end_epoch()
            state.seconds += time.monotonic() - began
            if state.step % self.per_epoch == 0 or time.monotonic() - kept > every_s:
                self._keep()
                kept = time.monotonic()
            self._tell()
        state.settle()

    def _check_memory(self) -> None:
        # Weights, slopes, two values of the optimiser; and what is kept beside them.
        copies = 4 + self.schedule.averaged + bool(self.schedule.patience)
        refuse_too_large(
            self.module,
            self.size,
            self.task.batches.size // self.processes.count,
            copies=copies,
            available=available_bytes(self.device),
            device=self.device,
        )

    def _ready(self) -> torch.nn.Module:
        import torch

        module = self.processes.wrapped(self.module)
        return torch.compile(module) if self.schedule.compiled else module  # type: ignore[return-value]

    def _prepared(self, step: int) -> Future[torch.Tensor]:
        """Have this process's part of a step's images prepared; none after the last step."""
        if step >= self.steps:
            return Future()
        own = self.processes.part(self.task.batches.rows(step))
        return self.task.pictures.varied(own.tolist(), self.schedule.seed, step)

    def _step(self, module: torch.nn.Module, rows: NDArray[np.int64], inputs: torch.Tensor) -> None:
        import torch

        step, optimiser = self.state.step, self.state.optimiser
        drawn = generator(self.schedule.seed, f"step {step} of {self.processes.rank}")
        torch.manual_seed(int(drawn.integers(2**62)))
        for group in optimiser.param_groups:
            group["lr"] = self.schedule.rate_at(step, self.steps)
        self._train_mode()
        labels = torch.from_numpy(self.task.labels[self.processes.part(rows)]).to(self.device)
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        with self._precision():
            logits = module(inputs)
        losses = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        weights = self._weights(rows, self.processes.together(losses.detach()))
        # What each process computes is averaged over them.
        mine = self.processes.part(np.arange(len(rows)))
        scaled = torch.from_numpy(weights[mine] * self.processes.count).to(losses)
        (losses * scaled).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.state.parameters, CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self.state.follow()

    def _weights(self, rows: NDArray[np.int64], losses: torch.Tensor) -> NDArray[np.float64]:
        values, groups = losses.double().cpu().numpy(), self.task.groups[rows]
        bad = ~np.isfinite(values)
        if bad.any():
            raise self._no_number(groups[bad])
        self.state.note(values, groups)
        return self.task.objective.weights(values, groups)

    def _no_number(self, groups: NDArray[np.int64]) -> TrainingError:
        name = self.task.group_names[int(np.bincount(groups).argmax())]
        kept = ""
        if self.checkpoints is not None:
            kept = f"; what was kept last is whole ({self.checkpoints.folder})"
        return TrainingError(
            f"step {self.state.step + 1} of {self.steps}: the loss is no number any more, in group "
            f"{name!r}{kept}; train with a smaller --rate, or look at the images of the group"
        )

    def _train_mode(self) -> None:
        """Let the parts train that have something to train; the others stay as they are."""
        self.module.train()
        if self.task.trainable is None:
            return
        for each in self.module.modules():
            own = list(each.parameters())
            if own and not any(parameter.requires_grad for parameter in own):
                each.eval()

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        kind = "cpu" if self.device == "cpu" else "cuda"
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bf16)

    def _end_epoch(self) -> None:
        """Look at validation, in the first process; remember the weights if they are the best."""
        state = self.state
        state.epoch += 1
        figures: dict[str, float] = {}
        if self.processes.is_first:
            with state.evaluated() as module:
                found = predictions(
                    module,
                    self.task.validation,
                    self.task.validation_count,
                    device=self.device,
                    precision=self._precision(),
                )
            figures = dict(self.task.score(found))
            if self.schedule.patience:
                state.offer(next(iter(figures.values())))
        losses = {f"loss/{name}": value for name, value in state.losses().items()}
        state.history.append({"epoch": state.epoch, "step": state.step, **losses, **figures})

    def _is_over(self) -> bool:
        """Whether it has had patience for long enough."""
        patience, state = self.schedule.patience, self.state
        if not patience:
            return False
        over = state.epoch > 0 and state.epoch - state.best_epoch >= patience
        return self.processes.agreed(over)

    def _keep(self) -> None:
        if self.checkpoints is not None and self.processes.is_first:
            self.state.keep(self.checkpoints)

    # --- what is told ---------------------------------------------------------------------

    def _tell(self) -> None:
        if self.progress is None or not self.processes.is_first:
            return
        state, now = self.state, time.monotonic()
        if state.step % self.per_epoch and now - self._said < REPORT_S:
            return
        self._said = now
        each = state.seconds / state.step
        last = state.history[-1] if state.history else {}
        self.progress(
            TrainingProgress(
                step=state.step,
                steps=self.steps,
                epoch=state.epoch,
                losses=state.losses(),
                figures={
                    name: value
                    for name, value in last.items()
                    if name not in ("epoch", "step") and not name.startswith("loss/")
                },
                images_a_second=self.task.batches.size / each,
                seconds_left=each * (self.steps - state.step),
            )
        )

    def fitted(self) -> Fitted:
        """Return what it came to."""
        state = self.state
        return Fitted(
            steps=state.step,
            best_epoch=state.best_epoch,
            history=tuple(state.history),
            seconds=state.seconds,
            touched=sum(each.numel() for each in state.parameters),
        )


def _memory_trouble(error: Exception, schedule: Schedule) -> TrainingError | None:
    """Say in one line that memory ran out in the middle of a step; None for other errors."""
    if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
        return None
    half = max(1, schedule.batch_size // 2)
    return TrainingError(
        f"memory ran out in a step of {schedule.batch_size} images; give --batch-size {half}, and "
        "it goes on from what was kept last"
    )
