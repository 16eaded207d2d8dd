"""The steps of a training, from its last checkpoint to its end.

A step is a function of the weights, the seed and its number: batches, variations and whatever a
network draws depend on nothing else. So a training that is killed at any moment goes on, on the
same machine, to the same weights bit for bit; and several processes, each with its part of the
batches, go where one would go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.errors import TrainingError
from clarify.finetune.memory import available_bytes, refuse_too_large
from clarify.method.arrays import generator

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch.optim import Optimizer

    from clarify.embed.networks import Network
    from clarify.finetune.batches import Batches
    from clarify.finetune.checkpoints import Checkpoints
    from clarify.finetune.pictures import Pictures
    from clarify.finetune.processes import Processes
    from clarify.finetune.schedule import Schedule
    from clarify.method.minibatch import BatchObjective

__all__ = ["Fitted", "Progress", "Task", "predictions", "train"]

CLIP = 1.0
"""Slopes longer than this are shortened to it."""

EMA = 0.999
PACE = 0.05
"""How much of the running losses that are reported comes from the last step."""

REPORT_S = 0.5
AT_ONCE = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What a network is trained on.

    Parameters
    ----------
    pictures : Pictures
        Of the training images, N of them.
    labels : (N,) int64
    groups : (N,) int64
        In [0, G).
    group_names : tuple of G str
    batches : Batches
    objective : BatchObjective
    trainable : sequence of str, or None
        Names of the parameters that change; None changes all.
    validation : Pictures
    score : callable
        From predictions (M,) of the validation images to named figures in [0, 1]; the first of
        them chooses the weights, where a `Schedule` has patience.
    validation_count : int
        M.
    """

    pictures: Pictures
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...]
    batches: Batches
    objective: BatchObjective
    trainable: Sequence[str] | None
    validation: Pictures
    score: Callable[[NDArray[np.int64]], Mapping[str, float]]
    validation_count: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is.

    Parameters
    ----------
    step, steps : int
    epoch : int
        Epochs done.
    losses : mapping of group to float
        Running mean cross-entropy in nats.
    figures : mapping of str to float
        What the last evaluation on validation came to; empty before the first.
    images_a_second : float
    seconds_left : float
        If it goes on like this to the last step.
    """

    step: int
    steps: int
    epoch: int
    losses: Mapping[str, float]
    figures: Mapping[str, float]
    images_a_second: float
    seconds_left: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a training came to; the network holds the weights.

    Parameters
    ----------
    steps : int
        Taken, over all attempts.
    best_epoch : int
        Whose weights these are.
    history : tuple of mapping
        One an epoch: ``epoch, loss/<group>, ...`` and the figures on validation.
    seconds : float
        Of steps and evaluations, over all attempts.
    waiting_share : float
        Of a step's time that it waited for pictures, in this attempt.
    touched : int
        Parameters that changed.
    """

    steps: int
    best_epoch: int
    history: tuple[Mapping[str, float], ...]
    seconds: float
    waiting_share: float
    touched: int


def train(
    network: Network,
    task: Task,
    schedule: Schedule,
    *,
    checkpoints: Checkpoints | None,
    processes: Processes,
    every_s: float = 300.0,
    progress: Callable[[Progress], None] | None = None,
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
    processes : Processes
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
        progress: Callable[[Progress], None] | None,
    ) -> None:
        import torch

        self.task, self.schedule, self.processes = task, schedule, processes
        self.checkpoints, self.progress = checkpoints, progress
        self.device = processes.device
        self.bf16 = schedule.precision == "bf16" or (
            schedule.precision == "auto" and self.device != "cpu"
        )
        self.module = network.module.to(self.device)
        self.module.to(memory_format=torch.channels_last)
        self.size = network.preprocessing.size
        self.parameters = self._free()
        self.optimiser = self._optimiser()
        self.average = self._copy() if schedule.averaged else {}
        self.steps = schedule.epochs * task.batches.steps_an_epoch
        self.step, self.seconds, self.epoch = 0, 0.0, 0
        self.history: list[dict[str, float]] = []
        self.running: NDArray[np.float64] = np.full(len(task.group_names), np.nan)
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch, self.best_score = 0, -np.inf
        self.waited = self.worked = 0.0
        self._said = 0.0

    # --- where it stands ------------------------------------------------------------------

    def _free(self) -> list[torch.nn.Parameter]:
        chosen = None if self.task.trainable is None else set(self.task.trainable)
        for name, each in self.module.named_parameters():
            each.requires_grad_(chosen is None or name in chosen)
        return [each for each in self.module.parameters() if each.requires_grad]

    def _optimiser(self) -> Optimizer:
        import torch

        thick = [each for each in self.parameters if each.ndim > 1]
        thin = [each for each in self.parameters if each.ndim <= 1]
        groups = [{"params": thick, "weight_decay": self.schedule.weight_decay},
                  {"params": thin, "weight_decay": 0.0}]  # fmt: skip
        return torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=self.schedule.rate
        )

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: each.detach().clone() for name, each in self.module.state_dict().items()}

    def _restore(self) -> None:
        found = None if self.checkpoints is None else self.checkpoints.read()
        if found is None:
            return
        tensors, values = found
        self.module.load_state_dict(_part(tensors, "weights/"))
        self._restore_optimiser(tensors)
        if self.average:
            self.average = {name: each.to(self.device)
                            for name, each in _part(tensors, "average/").items()}  # fmt: skip
        self.best = _part(tensors, "best/")
        self.task.objective.state = tensors["objective"].numpy().copy()
        self.running = tensors["running"].numpy().copy()
        self.step, self.epoch, self.seconds = values["step"], values["epoch"], values["seconds"]
        self.history = values["history"]
        self.best_epoch = values["best_epoch"]
        self.best_score = -np.inf if values["best_score"] is None else values["best_score"]

    def _restore_optimiser(self, tensors: Mapping[str, torch.Tensor]) -> None:
        state = self.optimiser.state_dict()
        kept = _part(tensors, "optimiser/")
        state["state"] = {}
        for name, value in kept.items():
            number, _, key = name.partition("/")
            state["state"].setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict(state)

    def _keep(self) -> None:
        if self.checkpoints is None or not self.processes.is_first:
            return
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
        self.checkpoints.write(
            {name: each.detach().cpu() for name, each in tensors.items()}, values
        )

    # --- the way --------------------------------------------------------------------------

    def go_on(self, every_s: float) -> None:
        """Take the steps that are left."""
        self._restore()
        self._check_memory()
        module = self._ready()
        per_epoch = self.task.batches.steps_an_epoch
        kept = time.monotonic()
        prepared = self._prepare(self.step) if self.step < self.steps else None
        while self.step < self.steps and not self._is_over():
            began = time.monotonic()
            rows, pictures = prepared  # type: ignore[misc]
            inputs = pictures.result()
            self.waited += time.monotonic() - began
            if self.step + 1 < self.steps:
                prepared = self._prepare(self.step + 1)
            self._step(module, rows, inputs)
            self.step += 1
            if self.step % per_epoch == 0:
                self._end_epoch()
            self.worked += time.monotonic() - began
            self.seconds += time.monotonic() - began
            self._tell()
            if self.step % per_epoch == 0 or time.monotonic() - kept > every_s:
                self._keep()
                kept = time.monotonic()
        self._settle()

    def _check_memory(self) -> None:
        # Weights, slopes, two values of the optimiser; what is kept beside them.
        copies = 4 + bool(self.average) + bool(self.schedule.patience)
        refuse_too_large(
            self.module, self.size, self.task.batches.size // self.processes.count, copies=copies,
            available=available_bytes(self.device), device=self.device,
        )  # fmt: skip

    def _ready(self) -> torch.nn.Module:
        import torch

        module = self.processes.wrapped(self.module)
        return torch.compile(module) if self.schedule.compiled else module  # type: ignore[return-value]

    def _prepare(self, step: int) -> tuple[NDArray[np.int64], Any]:
        rows = self.task.batches.rows(step)
        own = self.processes.part(rows)
        return rows, self.task.pictures.varied(own.tolist(), self.schedule.seed, step)

    def _step(self, module: torch.nn.Module, rows: NDArray[np.int64], inputs: torch.Tensor) -> None:
        import torch

        own = self.processes.part(rows)
        seed = generator(self.schedule.seed, f"step {self.step} of {self.processes.rank}")
        torch.manual_seed(int(seed.integers(2**62)))
        rate = self.schedule.rate_at(self.step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._train_mode()
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        labels = torch.from_numpy(self.task.labels[own]).to(self.device)
        with self._precision():
            logits = module(inputs)
        losses = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        weights = self._weights(rows, self.processes.together(losses.detach()))
        mine = self.processes.part(np.arange(len(rows)))
        scaled = torch.from_numpy(weights[mine] * self.processes.count).to(losses)
        (losses * scaled).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._follow()

    def _weights(self, rows: NDArray[np.int64], losses: torch.Tensor) -> NDArray[np.float64]:
        values = losses.double().cpu().numpy()
        groups = self.task.groups[rows]
        bad = ~np.isfinite(values)
        if bad.any():
            raise self._no_number(groups[bad])
        counts = np.bincount(groups, minlength=len(self.running))
        means = np.bincount(groups, values, minlength=len(self.running)) / np.maximum(counts, 1)
        seen = counts > 0
        fresh = seen & np.isnan(self.running)
        self.running[fresh] = means[fresh]
        self.running[seen] += PACE * (means[seen] - self.running[seen])
        return self.task.objective.weights(values, groups)

    def _no_number(self, groups: NDArray[np.int64]) -> TrainingError:
        name = self.task.group_names[int(np.bincount(groups).argmax())]
        kept = ""
        if self.checkpoints is not None:
            kept = f"; what was kept last is whole ({self.checkpoints.folder})"
        return TrainingError(
            f"step {self.step + 1} of {self.steps}: the loss is no number any more, in group "
            f"{name!r}{kept}; train with a smaller --rate, or look at the images of the group"
        )

    def _follow(self) -> None:
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

    # --- evaluation -----------------------------------------------------------------------

    def _end_epoch(self) -> None:
        self.epoch += 1
        figures: dict[str, float] = {}
        if self.processes.is_first:
            with self._evaluated() as module:
                figures = dict(self.task.score(self._predictions(module)))
        losses = {f"loss/{name}": float(value) for name, value in self._losses().items()}
        self.history.append({"epoch": self.epoch, "step": self.step, **losses, **figures})
        if not self.schedule.patience or not self.processes.is_first:
            return
        score = next(iter(figures.values()))
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            source = self.average or self.module.state_dict()
            self.best = {name: each.detach().cpu().clone() for name, each in source.items()}

    @contextlib.contextmanager
    def _evaluated(self) -> Iterator[torch.nn.Module]:
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

    def _predictions(self, module: torch.nn.Module) -> NDArray[np.int64]:
        count = self.task.validation_count
        return _predicted(module, self.task.validation, count, self.device, self._precision())

    def _is_over(self) -> bool:
        """Whether it has had patience for long enough."""
        patience = self.schedule.patience
        over = bool(patience) and self.epoch - self.best_epoch >= patience and self.epoch > 0
        return self.processes.agreed(over) if patience else False

    def _settle(self) -> None:
        """Leave the network with the weights that count."""
        if self.best:
            self.module.load_state_dict(self.best)
        elif self.average:
            self.module.load_state_dict(self.average)
            self.best_epoch = self.epoch
        else:
            self.best_epoch = self.epoch
        self.module.eval()
        self.module.to("cpu")
        for each in self.module.parameters():
            each.requires_grad_(True)

    # --- what is told ---------------------------------------------------------------------

    def _losses(self) -> dict[str, float]:
        known = zip(self.task.group_names, self.running.tolist(), strict=True)
        return {name: value for name, value in known if np.isfinite(value)}

    def _tell(self) -> None:
        if self.progress is None or not self.processes.is_first:
            return
        is_epoch = self.step % self.task.batches.steps_an_epoch == 0
        if not is_epoch and time.monotonic() - self._said < REPORT_S:
            return
        self._said = time.monotonic()
        each = self.seconds / max(1, self.step)
        last = self.history[-1] if self.history else {}
        self.progress(
            Progress(
                step=self.step,
                steps=self.steps,
                epoch=self.epoch,
                losses=self._losses(),
                figures={name: value for name, value in last.items()
                         if name not in ("epoch", "step") and not name.startswith("loss/")},
                images_a_second=self.task.batches.size / each if each else 0.0,
                seconds_left=each * (self.steps - self.step),
            )
        )  # fmt: skip

    def fitted(self) -> Fitted:
        """Return what it came to."""
        return Fitted(
            steps=self.step,
            best_epoch=self.best_epoch,
            history=tuple(self.history),
            seconds=self.seconds,
            waiting_share=self.waited / self.worked if self.worked else 0.0,
            touched=sum(each.numel() for each in self.parameters),
        )


def predictions(network: Network, pictures: Pictures, count: int) -> NDArray[np.int64]:
    """Return what a network takes each of some images for, (count,)."""
    network.module.eval()
    return _predicted(network.module, pictures, count, "cpu", contextlib.nullcontext())


def _predicted(
    module: torch.nn.Module,
    pictures: Pictures,
    count: int,
    device: str,
    precision: contextlib.AbstractContextManager[Any],
) -> NDArray[np.int64]:
    import torch

    parts = [list(range(start, min(start + AT_ONCE, count))) for start in range(0, count, AT_ONCE)]
    found = []
    ahead = pictures.plain(parts[0])
    with torch.inference_mode(), precision:
        for number in range(len(parts)):
            inputs = ahead.result()
            if number + 1 < len(parts):
                ahead = pictures.plain(parts[number + 1])
            moved = inputs.to(device, memory_format=torch.channels_last)
            found.append(module(moved).argmax(dim=1).cpu().numpy())
    return np.concatenate(found).astype(np.int64)


def _part(tensors: Mapping[str, torch.Tensor], beginning: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(beginning): each
        for name, each in tensors.items()
        if name.startswith(beginning)
    }


def _memory_trouble(error: Exception, schedule: Schedule) -> TrainingError | None:
    """Say in one line that memory ran out in the middle of a step; None for other errors."""
    if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
        return None
    half = max(1, schedule.batch_size // 2)
    return TrainingError(
        f"memory ran out in a step of {schedule.batch_size} images; give --batch-size {half}, and "
        "it goes on from what was kept last"
    )
