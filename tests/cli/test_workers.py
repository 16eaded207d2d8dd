"""`--workers`: an option of every command that reaches the work, and the dashboard."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clarify.face import project as step
from tests.conftest import DATA_SET, run_clarify


@pytest.mark.parametrize(("given", "expected"), [(("--workers", "3"), 3), ((), 2)])
def test_so_many_threads_decode_images_as_are_asked_for(
    given: tuple[str, ...], expected: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def embedded(*_: object, workers: int, **__: object) -> None:
        seen.append(workers)
        raise KeyboardInterrupt  # nothing more is asked of it

    monkeypatch.setattr(step, "embed", embedded)
    assert run_clarify("embed", DATA_SET, *given, home=home).status == 1
    assert seen == [expected]


def test_the_dashboard_works_with_as_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(os, "execv", lambda *_: None)
    assert run_clarify("serve", "--workers", "3", home=tmp_path).status == 0
    assert os.environ["CLARIFY_WORKERS"] == "3"


def test_less_than_one_is_refused(tmp_path: Path) -> None:
    assert (
        "workers is 0; legal is 1 or more" in run_clarify("doctor", "--workers", "0", home=tmp_path).refusal
    )
    assert run_clarify("doctor", "--workers", "many", home=tmp_path).status == 2


@pytest.mark.parametrize("given", ["team", "/team/", "a/team"])
def test_a_proxys_prefix_reaches_streamlit(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    assert run_clarify("serve", "--base-path", given, home=tmp_path).status == 0
    assert started[0][-2:] == ["--server.baseUrlPath", given.strip("/")]


@pytest.mark.parametrize("given", ["..", "a b", "https://x", "a//b", "x" * 5000 + "!"])
def test_a_prefix_that_is_none_is_refused(given: str, tmp_path: Path) -> None:
    assert "--base-path" in run_clarify("serve", "--base-path", given, home=tmp_path).err
    assert run_clarify("serve", "--base-path", given, home=tmp_path).status == 1
