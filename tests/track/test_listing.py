"""Listings that are asked for at every click: what others did is seen, and little is asked."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from clarify.errors import AwayError
from clarify.track import listing
from clarify.track.listing import Listings
from clarify.track.mlflow import TrackingStore
from clarify.track.run import write_once
from clarify.track.runs import BaseRun, DescriptionRun, ModelRun, Run
from tests.track.conftest import phrase_tried


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, store: TrackingStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        for name in ("runs", "runs_since"):
            monkeypatch.setattr(store, name, self._counted(name, getattr(store, name)))

    def _counted(self, name: str, call):  # type: ignore[no-untyped-def]
        def counted(*args, **kwargs):  # type: ignore[no-untyped-def]
            self.asked.append(name)
            return call(*args, **kwargs)

        return counted


@pytest.fixture
def listings(store: TrackingStore, monkeypatch: pytest.MonkeyPatch) -> Listings:
    monkeypatch.setattr(listing, "FRESH_S", 0.0)
    return Listings(store, "birds")


def phrases(listings: Listings) -> list[str]:
    return [run.phrase for run in listings.runs(DescriptionRun)]


def settle() -> None:
    """Let the store's files be older than what a clock on disk can tell apart."""
    time.sleep(0.12)


def test_what_another_process_wrote_is_seen_newest_first(listings: Listings, home: Path) -> None:
    assert phrases(listings) == ["water"]
    TrackingStore(home).log(phrase_tried("lake"))
    assert phrases(listings) == ["lake", "water"]
    assert [run.kind for run in listings.runs(BaseRun)] == ["base"]


def test_nothing_is_asked_while_nobody_writes(
    listings: Listings, store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (BaseRun, DescriptionRun, ModelRun):
        listings.runs(kind)
    settle()
    counting = Counting(store, monkeypatch)
    listings.runs(DescriptionRun)  # how the files look is not known yet
    for _ in range(5):
        listings.runs(DescriptionRun)
        listings.runs(BaseRun)
    assert counting.asked == ["runs_since"]
    store.log(phrase_tried("lake"))
    assert phrases(listings)[0] == "lake"
    assert counting.asked == ["runs_since"] * 2


def test_within_seconds_nothing_is_asked_at_all(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = Listings(store, "birds")
    listings.runs(DescriptionRun)
    counting = Counting(store, monkeypatch)
    store.log(phrase_tried("lake"))
    assert phrases(listings) == ["water"]
    assert counting.asked == []
    listings.refresh()
    assert phrases(listings) == ["lake", "water"]


def test_what_another_process_takes_back_is_seen_without_reading_everything(
    listings: Listings, store: TrackingStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = listings.runs(DescriptionRun)
    store.log(phrase_tried("lake"))
    settle()
    assert len(listings.runs(DescriptionRun)) == 2
    monkeypatch.setattr(listing, "OVERLAP_MS", 0)  # nor is it seen because it is young
    counting = Counting(store, monkeypatch)
    TrackingStore(home).retag(run.id, "kept", "false")
    assert [run.kept for run in listings.runs(DescriptionRun)] == [True, False]
    assert counting.asked == ["runs_since"]


def test_what_began_long_ago_and_was_written_now_is_seen(
    listings: Listings, store: TrackingStore, home: Path
) -> None:
    assert phrases(listings) == ["water"]
    other = TrackingStore(home)
    hour = int(time.time() * 1000) - 3_600_000
    write_once(other.client, other.backend, phrase_tried("lake"), "late", at=hour, first=True)
    assert phrases(listings) == ["water", "lake"]


def test_what_was_deleted_is_gone_when_everything_is_read_anew_and_what_came_meanwhile_stays(
    listings: Listings, store: TrackingStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = listings.runs(DescriptionRun)
    store.client.delete_run(run.id)
    read = store.runs

    def slowly(*asked: Any) -> Any:
        found = read(*asked)
        TrackingStore(home).log(phrase_tried("lake"))
        listings.refresh()
        return found

    monkeypatch.setattr(store, "runs", slowly)
    listings.reread()
    assert phrases(listings) == ["lake"]


def test_of_many_who_come_at_once_one_asks_and_the_others_go_on(
    listings: Listings, store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert phrases(listings) == ["water"]
    asking, answered = threading.Event(), threading.Event()
    asked = []

    def slowly(data_set: str, since: int) -> list[Run]:
        asked.append(since)
        asking.set()
        answered.wait(30)
        return []

    monkeypatch.setattr(store, "runs_since", slowly)
    first = threading.Thread(target=phrases, args=(listings,))
    first.start()
    assert asking.wait(30)
    assert [phrases(listings) for _ in range(5)] == [["water"]] * 5
    answered.set()
    first.join()
    assert len(asked) == 1


def test_reading_anew_is_due_once_a_minute_for_one_asker(
    listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not listings.is_due()
    listings.runs(BaseRun)
    assert not listings.is_due()
    monkeypatch.setattr(listing, "WHOLE_S", 0.2)
    monkeypatch.setattr(listing, "WHOLE_SHARE", 1.0)
    listings.reread()
    time.sleep(0.5)
    assert listings.is_due()
    assert not listings.is_due()  # until that one has done it
    monkeypatch.setattr(listing, "WHOLE_SHARE", 1e-6)
    listings.reread()
    time.sleep(0.5)
    assert not listings.is_due()  # it would take more than its share of the time


def test_what_waits_in_the_outbox_is_listed_and_once_delivered_not_twice(
    listings: Listings, store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert phrases(listings) == ["water"]

    def away(seconds: float) -> None:
        raise AwayError("away")

    with monkeypatch.context() as patch:
        patch.setattr(store.backend, "reach", away)
        assert store.log(phrase_tried("lake")).startswith("waiting-")
    settle()
    assert phrases(listings) == ["lake", "water"]
    assert store.deliver() == 1
    settle()
    assert phrases(listings) == ["lake", "water"]
    assert not listings.runs(DescriptionRun)[0].id.startswith("waiting-")


def test_while_the_store_is_away_what_was_seen_last_is_shown(
    listings: Listings, store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert phrases(listings) == ["water"]

    def away(data_set: str, since: int) -> list[object]:
        raise AwayError("away")

    monkeypatch.setattr(store, "runs_since", away)
    assert phrases(listings) == ["water"]
