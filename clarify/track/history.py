"""The history of a model's champions: one run for each promotion and roll back, never changed.

Events are numbered, so that clocks that differ cannot reorder them. An event is written before the
alias moves: what was done is in the history even if the process died in between. Whether it came
to be is then told by what came after it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from clarify.errors import InputError
from clarify.track.artifacts import json_artifact
from clarify.track.record import RunRecord
from clarify.track.runs import PromotionRun

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from clarify.track.mlflow import TrackingStore
    from clarify.track.record import RunContext
    from clarify.track.verdict import Verdict

__all__ = ["LONGEST_NOTE", "Event", "check_note", "event_record", "events_of", "promoted_last"]

Action = Literal["promotion", "rollback"]
KIND: Literal["promotion"] = "promotion"
LONGEST_NOTE = 2000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of the champion.

    Parameters
    ----------
    number : int
        From 1, in the order they were made.
    from_version, to_version : str
        Versions of the registered model; `from_version` is empty where there was no champion.
    run_id : str
        The retraining that made `to_version`.
    by, note : str
        Who did it, and why.
    at : int
        Milliseconds since 1970.
    done : bool
        Whether the alias moved. False where the process died before, or the alias was moved by
        something else than Clarify since.
    """

    number: int
    action: Action
    from_version: str
    to_version: str
    run_id: str
    by: str
    note: str
    at: int
    done: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)


def check_note(note: str) -> None:
    """Raise InputError for a note that is longer than is kept."""
    if len(note) > LONGEST_NOTE:
        raise InputError(f"the note has {len(note)} characters; legal is at most {LONGEST_NOTE}")


def events_of(store: TrackingStore, data_set: str, model_name: str, now: str) -> tuple[Event, ...]:
    """Return the history of a model, newest first.

    Parameters
    ----------
    now : str
        The version that is champion; empty if there is none.

    Raises
    ------
    AwayError
        If the store is away and was never asked for it.
    """
    runs = [run for run in store.runs(data_set, PromotionRun) if run.model == model_name]
    return _settled([_event(run) for run in runs], now)


def event_record(context: RunContext, event: Event, *, model_name: str, verdict: Verdict) -> RunRecord:
    """Return the record of an event; `context` says who, and on which data set."""
    what = "rolled back to" if event.action == "rollback" else "promoted"
    return RunRecord(
        kind=KIND,
        name=f"{what} version {event.to_version}",
        params={
            "model": model_name,
            "number": event.number,
            "action": event.action,
            "from_version": event.from_version,
            "to_version": event.to_version,
            "note": event.note,
        },
        metrics={},
        tags=context.tags(KIND, parent=event.run_id),
        artifacts=(json_artifact("verdict.json", verdict.to_dict()),),
        dataset=context.dataset,
    )


def promoted_last(changes: Iterable[Event | PromotionRun], versions: Collection[str]) -> str:
    """Return the version of those that are there which was made champion last; empty if none was."""
    there = [each for each in changes if each.to_version in versions]
    return max(there, key=lambda each: each.number).to_version if there else ""


def _event(run: PromotionRun) -> Event:
    return Event(
        number=run.number,
        action=run.action,
        from_version=run.from_version,
        to_version=run.to_version,
        run_id=run.parent,
        by=run.by,
        note=run.note,
        at=run.started,
    )


def _settled(events: Sequence[Event], now: str) -> tuple[Event, ...]:
    """Order events newest first, and tell by what came after whether each was done."""
    found: list[Event] = []
    after = now
    for event in sorted(events, key=lambda each: (each.number, each.at), reverse=True):
        found.append(dataclasses.replace(event, done=event.to_version == after))
        after = event.from_version
    return tuple(found)
