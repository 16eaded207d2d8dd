"""A training under way, as MLflow shows it: metrics with steps, until the finished run takes over.

What is seen of it is not listed by Clarify, and missing some of it is no harm: the finished run,
written whole under the same delivery, has all of it, and replaces it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from clarify.errors import StoreError
from clarify.track.record import metric_keys
from clarify.track.run import begin, log_step

if TYPE_CHECKING:
    from clarify.track.mlflow import TrackingStore
    from clarify.track.record import RunContext

__all__ = ["LiveRun"]


class LiveRun:
    """One training under way.

    Parameters
    ----------
    delivery : str
        That of the finished run.
    """

    def __init__(
        self, tracking: TrackingStore, context: RunContext, kind: str, name: str, delivery: str
    ) -> None:
        self._tracking, self._name, self._delivery = tracking, name, delivery
        self._tags = context.tags(kind)  # type: ignore[arg-type]
        self._run = ""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show some metrics at a step; a store that is away shows none."""
        with contextlib.suppress(StoreError):
            if not self._run:
                self._run = self._tracking.ask(
                    lambda client: begin(
                        client, self._tracking.backend, self._tags, self._name, self._delivery
                    )
                )
            metrics = metric_keys("training", values)
            self._tracking.ask(lambda client: log_step(client, self._run, step, metrics))
