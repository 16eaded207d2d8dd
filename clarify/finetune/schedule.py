"""What is chosen of a training, and the rate of learning at each of its steps."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any

from clarify.errors import InputError

__all__ = ["PRECISIONS", "Schedule"]

PRECISIONS = ("auto", "fp32", "bf16")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a network is trained: AdamW, a rate that rises and then falls along a cosine.

    Parameters
    ----------
    epochs : int
        Times through as many images as there are, 0 to 1,000.
    batch_size : int
        Images of a step, over all processes.
    rate : float
        The highest rate of learning.
    weight_decay : float
        On weights of two or more dimensions, decoupled.
    warm_up : float
        Share of the steps in which the rate rises, in [0, 1).
    seed : int
        Of batches, variations and what a network draws.
    precision : {"auto", "fp32", "bf16"}
        bf16 computes most of a step in 16 bits; auto does so where there is a GPU.
    compiled : bool
        Whether torch compiles the network first.
    averaged : bool
        Whether the model is a running mean of the weights (EMA).
    patience : int
        Epochs without a better validation score after which it ends; 0 never ends it early.
    least_crop : float
        The smallest share of a picture's area that a variation shows, in (0, 1].

    Raises
    ------
    InputError
        For a value that is not legal.
    """

    epochs: int = 20
    batch_size: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05
    seed: int = 0
    precision: str = "auto"
    compiled: bool = False
    averaged: bool = False
    patience: int = 0
    least_crop: float = 0.5

    def __post_init__(self) -> None:
        legal = {
            "epochs": (0 <= self.epochs <= 1000, "0 to 1000"),
            "batch_size": (1 <= self.batch_size <= 65536, "1 to 65536"),
            "rate": (math.isfinite(self.rate) and 0 < self.rate <= 10, "above 0, up to 10"),
            "weight_decay": (0 <= self.weight_decay <= 1, "0 to 1"),
            "warm_up": (0 <= self.warm_up < 1, "0 to below 1"),
            "seed": (0 <= self.seed < 2**31, "0 or more"),
            "precision": (self.precision in PRECISIONS, ", ".join(PRECISIONS)),
            "patience": (0 <= self.patience <= 1000, "0 to 1000"),
            "least_crop": (0 < self.least_crop <= 1, "above 0, up to 1"),
        }
        for name, (is_legal, what) in legal.items():
            if not is_legal:
                raise InputError(f"{name} is {getattr(self, name)!r}; legal is {what}")

    def rate_at(self, step: int, steps: int) -> float:
        """Return the rate of a step, counted from 0, of so many."""
        rising = round(self.warm_up * steps)
        if step < rising:
            return self.rate * (step + 1) / (rising + 1)
        done = (step - rising) / max(1, steps - rising)
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * done))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """Return 12 hexadecimal digits of all of it."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
