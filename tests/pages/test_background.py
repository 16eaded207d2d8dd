"""Work beside the pages: once, seen by all, ended with the server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types

import pytest

from clarify.errors import InputError
from clarify.ui.server import app
from clarify.ui.server.background import Background, Say


def test_work_is_done_once_for_everybody() -> None:
    background, calls = Background(), []

    def do(say: Say) -> int:
        calls.append(say)
        return 7

    works = [background.once("key", do) for _ in range(5)]
    assert [work.future.result(10) for work in works] == [7] * 5
    assert len(calls) == 1


def test_whoever_asks_is_told_how_far_it_is_and_then_what_went_wrong() -> None:
    started, goes_on = threading.Event(), threading.Event()

    def do(say: Say) -> None:
        say("half way")
        started.set()
        goes_on.wait(10)
        raise InputError("it cannot be done")

    work = Background().once("key", do)
    assert started.wait(10)
    assert work.said == "half way"
    assert not work.future.done()
    goes_on.set()
    with pytest.raises(InputError, match="it cannot be done"):
        work.future.result(10)


def test_work_that_failed_is_done_anew_once_it_is_forgotten() -> None:
    background = Background()
    answers = iter([1, 2])
    assert background.once("key", lambda say: next(answers)).future.result(10) == 1
    background.forget("key")
    assert background.once("key", lambda say: next(answers)).future.result(10) == 2


def test_no_more_than_so_many_results_are_kept() -> None:
    background = Background(most=2)
    answers = iter(range(10))
    for key in ("a", "b", "c"):
        background.once(key, lambda say: next(answers)).future.result(10)
    assert background.once("c", lambda say: next(answers)).future.result(10) == 2
    assert background.once("a", lambda say: next(answers)).future.result(10) == 3


def test_work_under_way_ends_at_its_next_word_and_the_process_with_it() -> None:
    code = (
        "import time\n"
        "from clarify.ui.server.background import Background\n"
        "def do(say):\n"
        "    try:\n"
        "        while True:\n"
        "            say('on and on'); time.sleep(0.01)\n"
        "    finally:\n"
        "        time.sleep(0.2); print('ended')\n"
        "background = Background()\n"
        "work = background.once('key', do)\n"
        "while not work.said: time.sleep(0.01)\n"
        "background.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "ended\n"
    assert done.stderr == ""


def test_the_server_stops_what_is_under_way_and_records_what_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    background, closed = Background(), []
    desks = types.SimpleNamespace(close=lambda: closed.append(True))
    monkeypatch.setattr(app, "shared", lambda: types.SimpleNamespace(background=background, desks=desks))
    monkeypatch.setattr(app, "warm_up", lambda: None)

    def on_and_on(say: Say) -> None:
        while True:
            say("on and on")

    async def serve() -> None:
        async with app.lifespan(None):
            while not background.once("key", on_and_on).said:
                await asyncio.sleep(0.01)

    asyncio.run(serve())
    assert background.once("key", on_and_on).future.exception(10) is not None
    assert closed == [True]
