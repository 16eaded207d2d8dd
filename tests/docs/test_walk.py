"""The walks of the documentation, command by command, as they stand there."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DATA_SET, Done, run_clarify
from tests.docs.tables import DOCS, commands
from tests.photographs import write_photographs
from tests.real import needs_photographs, needs_weights, write_published

MOST_COMMANDS = 10
README = DOCS.parent / "README.md"


def walk() -> list[str]:
    """Return the commands from photographs to a served model."""
    return commands("how-to/own-images.md")


def environment() -> dict[str, str]:
    beside = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}


def test_the_walk_begins_with_the_installation_and_has_at_most_ten_commands() -> None:
    steps = walk()
    assert steps[0] == "pip install -e '.[photos]'"
    assert commands("index.md")[0] == "pip install -e ."
    assert "pip install -e . && clarify demo" in README.read_text(encoding="utf-8")
    assert steps[-1].startswith("MLFLOW_TRACKING_URI=")
    assert commands("how-to/serving.md") == steps[-1:]
    assert len(steps) <= MOST_COMMANDS


def taken(command: str) -> Done:
    """Take a step of a walk in this process, where libraries are loaded once for all."""
    program, *arguments = shlex.split(command)
    assert program == "clarify"
    return run_clarify(*arguments)


def test_the_program_of_the_walks_is_installed() -> None:
    done = subprocess.run(["clarify", "--version"], env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "clarify")


@contextlib.contextmanager
def served(command: str, folder: Path, port: int) -> Iterator[str]:
    """Run the last command until it answers; yields its address."""
    with open(folder / "served.log", "wb") as log:
        process = subprocess.Popen(
            command.replace("5001", str(port)),
            shell=True,
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/ping", timeout=2).close()
                    break
                assert process.poll() is None, (folder / "served.log").read_text()
                time.sleep(0.5)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


@pytest.mark.slow
def test_the_walk_leads_from_photographs_and_a_csv_to_a_served_corrected_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photographs(tmp_path)
    # They are drawn: what knows real ones is tested in tests/workflow/test_photographs.py.
    monkeypatch.setenv("CLARIFY_ENCODER", "small-clip")
    monkeypatch.chdir(tmp_path)
    _, *steps, serve = walk()
    for command in steps:
        done = taken(command)
        assert done.status == 0, (command, done.err)
    assert "is now the champion" in done.out
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pictures = sorted((tmp_path / "photos" / "test").rglob("*.jpg"))[::30]
    rows = run_clarify("predict", "birds", *map(str, pictures), "--json").result["images"]
    with served(serve, tmp_path, port) as address:
        answers = ask(address, pictures)
    assert [row["label"] for row in answers] == [row["label"] for row in rows]
    right = [row["label"] == path.parent.name for row, path in zip(answers, pictures, strict=True)]
    assert sum(right) >= 0.8 * len(right)


def ask(address: str, pictures: list[Path]) -> list[dict[str, object]]:
    images = [[base64.b64encode(path.read_bytes()).decode()] for path in pictures]
    body = json.dumps({"dataframe_split": {"columns": ["image"], "data": images}}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, object]] = json.loads(answer.read())["predictions"]
    return found


def photograph_walk() -> list[str]:
    """Return the commands from Waterbirds' folder to a corrected model."""
    return commands("how-to/photographs.md")


def test_the_walk_of_photographs_has_at_most_eight_commands_and_is_the_readmes() -> None:
    readme = [line.partition(" # ")[0].strip() for line in README.read_text("utf-8").splitlines()]
    assert all(step in readme for step in photograph_walk())
    assert len(photograph_walk()) <= 8


@pytest.mark.slow
@needs_photographs
@needs_weights
def test_the_walk_of_photographs_leads_to_a_corrected_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, data, *steps = photograph_walk()
    write_published(tmp_path / data.split()[4])
    told = {}
    for command in (data, *steps):
        done = taken(command)
        # So few photographs may not be enough for the gate.
        assert done.status == 0 or (command == steps[-1] and done.status == 1), done.err
        told[command] = done.out
    assert "embedded by bridge:names" in told[steps[0]]
    base, corrected = (float(told[step].split()[-4]) for step in (steps[1], steps[-2]))
    assert corrected > base
    assert "retrained by classes alone" in told[steps[-1]]


def network_walk() -> list[str]:
    """Return the commands that train and correct a network."""
    return commands("how-to/own-network.md")


def test_the_walk_of_a_network_has_at_most_six_commands() -> None:
    assert len(network_walk()) <= 6


@pytest.mark.slow
def test_the_walk_of_a_network_leads_to_a_corrected_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clarify.workflow.shows import demo

    monkeypatch.chdir(tmp_path)
    fewer = {
        name: dataclasses.replace(
            each, groups=tuple(dataclasses.replace(group, count=group.count // 6) for group in each.groups)
        )
        for name, each in demo.DATASETS.items()
    }
    monkeypatch.setattr(demo, "DATASETS", fewer)  # a sixth of the images that the page's reader draws
    for command in network_walk():
        tiny = command.replace("timm:resnet10t", "timm:test_resnet")
        tiny = tiny.replace("--epochs 8", "--epochs 3")
        done = taken(tiny)
        assert done.status == 0, (command, done.err)
    assert "worst" in done.out


def of_clarify(page: str, name: str) -> list[list[str]]:
    """Return the arguments of a page's commands of Clarify on the data set `name`, for the tiny one."""
    found = []
    for command in commands(page):
        program, *arguments = shlex.split(command.partition(" > ")[0])
        if program == "clarify" and arguments[0] != "serve" and arguments[:2] != ["data", "draw"]:
            found.append([each.replace(name, DATA_SET) for each in arguments])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "name"), [("tutorial.md", "rendered-waterbirds"), ("how-to/ci.md", "birds")]
)
def test_the_steps_of_a_page_lead_to_a_champion(
    page: str, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    for arguments in of_clarify(page, name):
        done = run_clarify(*arguments)
        assert done.status == 0, (arguments, done.err)
    champion = run_clarify("history", DATA_SET, "--json").result["champion"]
    assert champion == "1"


@pytest.mark.slow
def test_a_data_set_is_handed_on(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = of_clarify("how-to/hand-on.md", "birds")
    # What is collected is tested in tests/workflow/collect.
    export, forms, weights, bundle, take, onnx = (each for each in steps if each[0] in ("export", "import"))
    for arguments in (export, forms, weights, bundle):
        done = run_clarify(*arguments, home=home)
        assert done.status == 0, done.err
    taken = run_clarify(*[each.replace("/data/other", str(tmp_path / "other")) for each in take])
    assert taken.status == 0, taken.err
    assert onnx[0] == "export"  # run by tests of the export
