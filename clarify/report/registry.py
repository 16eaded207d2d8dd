"""The registry's results, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify.workflow.decide.champions import Event, Standing

__all__ = ["event_text", "history", "rolled_back"]


def rolled_back(name: str, event: Event) -> str:
    """Tell what a roll back came to."""
    return f"rolled back: {name} version {event.to_version} is the champion again"


def history(found: Standing) -> str:
    """Tell every change of the champion, newest first."""
    now = found.champion
    first = f"{found.model_name}: " + (f"version {now.version} is champion" if now else "no champion")
    lines = [f"  {_when(each)}  {event_text(each)}" for each in found.events]
    return "\n".join([first, *lines])


def event_text(event: Event) -> str:
    """Tell one event in one line."""
    what = "rolled back to" if event.action == "rollback" else "promoted"
    before = f" after version {event.from_version}" if event.from_version else ""
    note = f": {event.note}" if event.note else ""
    undone = "" if event.done else " (but it never became champion)"
    return f"{event.by} {what} version {event.to_version}{before}{undone}{note}"


def _when(event: Event) -> str:
    return datetime.fromtimestamp(event.at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
