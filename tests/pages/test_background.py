"""Work beside the pages: once, seen by all, ended with the process."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from clarify.errors import InputError
from clarify.ui.server.background import Background, Job


def test_work_is_done_once_for_everybody() -> None:
    background, calls = Background(), []

    def work(job: Job) -> int:
        calls.append(job)
        return 7

    jobs = [background.once("key", work) for _ in range(5)]
    assert [job.result(10) for job in jobs] == [7] * 5
    assert len(calls) == 1


def test_whoever_asks_is_told_how_far_it_is_and_then_what_went_wrong() -> None:
    goes_on = threading.Event()

    def work(job: Job) -> None:
        job.say("half way")
        started.set()
        goes_on.wait(10)
        raise InputError("it cannot be done")

    started = threading.Event()
    job = Background().once("key", work)
    assert started.wait(10)
    assert job.said == "half way"
    assert not job.done
    with pytest.raises(TimeoutError, match="half way"):
        job.result(0.01)
    goes_on.set()
    with pytest.raises(InputError, match="it cannot be done"):
        job.result(10)


def test_work_that_failed_is_done_anew_once_it_is_forgotten() -> None:
    background = Background()
    answers = iter([1, 2])
    assert background.once("key", lambda job: next(answers)).result(10) == 1
    background.forget("key")
    assert background.once("key", lambda job: next(answers)).result(10) == 2


def test_no_more_than_so_many_results_are_kept() -> None:
    background = Background(most=2)
    answers = iter(range(10))
    for key in ("a", "b", "c"):
        background.once(key, lambda job: next(answers)).result(10)
    assert background.once("c", lambda job: next(answers)).result(10) == 2
    assert background.once("a", lambda job: next(answers)).result(10) == 3


def test_work_under_way_ends_with_the_process() -> None:
    code = (
        "import time\n"
        "from clarify.ui.server.background import Background\n"
        "def work(job):\n"
        "    try:\n"
        "        while True:\n"
        "            job.say('on and on'); time.sleep(0.01)\n"
        "    finally:\n"
        "        print('ended')\n"
        "Background().once('key', work)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "ended\n"
    assert done.stderr == ""
