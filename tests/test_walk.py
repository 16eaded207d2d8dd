"""The README's walk, command by command: photographs and predictions in, a served model out."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.photographs import write_photographs

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_COMMANDS = 10


def walk() -> list[str]:
    """Return the commands of the walk, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    block = next(each for each in blocks if "data import folder photos" in each)
    return [line.partition(" # ")[0].strip() for line in block.strip().splitlines()]


def environment() -> dict[str, str]:
    beside = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}


def test_the_walk_begins_with_the_installation_and_has_at_most_ten_commands() -> None:
    commands = walk()
    assert commands[0] == "pip install -e ."
    assert commands[0] in README.partition("## ")[2]  # the same as under "Try it"
    assert commands[-1].startswith("MLFLOW_TRACKING_URI=")
    assert len(commands) <= MOST_COMMANDS


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
def test_the_walk_leads_from_photographs_and_a_csv_to_a_served_corrected_model(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    _, *commands, serve = walk()
    told = {}
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)
        told[command] = done.stdout
    assert "is now the champion" in told[commands[-1]]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pictures = sorted((tmp_path / "photos" / "test").rglob("*.jpg"))[::30]
    predicted = subprocess.run(
        ["clarify", "predict", "birds", *map(str, pictures), "--json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    with served(serve, tmp_path, port) as address:
        answers = ask(address, pictures)
    rows = json.loads(predicted.stdout)["images"]
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


def network_walk() -> list[str]:
    """Return the commands that train and correct a network."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    block = next(each for each in blocks if "--model timm:" in each)
    return [line.partition(" # ")[0].strip() for line in block.strip().splitlines()]


def test_the_walk_of_a_network_has_at_most_six_commands() -> None:
    assert len(network_walk()) <= 6


@pytest.mark.slow
def test_the_walk_of_a_network_leads_to_a_corrected_one(tmp_path: Path) -> None:
    for command in network_walk():
        tiny = command.replace("timm:resnet10t", "timm:test_resnet")
        tiny = tiny.replace("--epochs 8", "--epochs 1")
        done = subprocess.run(
            tiny, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)
    assert "worst" in done.stdout
