"""Whether a run is in the tracking store yet."""

from __future__ import annotations

from clarify.track.mlflow import WAITING

__all__ = ["waits"]


def waits(run_id: str) -> bool:
    """Whether a run still waits in the outbox: `TrackingStore.log` found the store away."""
    return run_id.startswith(WAITING)
