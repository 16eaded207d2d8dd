"""What a network is trained on, how far it is, and what it came to: plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clarify.finetune.batches import Batches
    from clarify.finetune.pictures import Pictures
    from clarify.method.fit.minibatch import BatchObjective

__all__ = ["Fitted", "Task", "TrainingProgress"]


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
    trainable : sequence of str, or None
        Names of the parameters that change; None changes all.
    validation_count : int
        M.
    score : callable
        From predictions (M,) of the validation images to named figures in [0, 1]; the first of
        them chooses the weights, where a `Schedule` has patience.
    """

    pictures: Pictures
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...]
    batches: Batches
    objective: BatchObjective
    trainable: Sequence[str] | None
    validation: Pictures
    validation_count: int
    score: Callable[[NDArray[np.int64]], Mapping[str, float]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training is.

    Parameters
    ----------
    epoch : int
        Epochs done.
    losses : mapping of group to float
        Running mean cross-entropy in nats.
    figures : mapping of str to float
        What the last evaluation on validation came to; empty before the first.
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
        One an epoch: ``epoch, step, loss/<group>, ...`` and the figures on validation.
    seconds : float
        Of steps and evaluations, over all attempts.
    touched : int
        Parameters that changed.
    """

    steps: int
    best_epoch: int
    history: tuple[Mapping[str, float], ...]
    seconds: float
    touched: int
