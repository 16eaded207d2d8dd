"""What was survived: writers killed at any moment, malformed inputs, and bombs.

A process that records descriptions is killed again and again, every other time while another one holds the
database, so that it writes to the outbox. What it said was kept is then counted in the store. The malformed
inputs are those of `tests/malformed`, each in a home of its own.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.measurement import Measurement

ROOT = Path(__file__).resolve().parents[1]
KILLS = 20
LEAST = 400
"""Malformed inputs that are tried, at least."""

DATA_SET = "birds"

WRITES = """
import itertools, sys
from pathlib import Path
from clarify.track.mlflow import TrackingStore
from tests.track.conftest import phrase_tried

store = TrackingStore(Path(sys.argv[1]), patience=0.2)
for number in itertools.count():
    phrase = f"{sys.argv[2]} {number}"
    store.log(phrase_tried(phrase))
    print(phrase, flush=True)  # acknowledged
"""


def measure() -> list[Measurement]:
    """Return what was tried, and what was lost by it."""
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        found = _killed_writers(Path(folder) / "home")
        return found + _malformed(Path(folder))


def _killed_writers(home: Path) -> list[Measurement]:
    from clarify.track.mlflow import TrackingStore
    from clarify.track.runs import DescriptionRun
    from tests.track.conftest import phrase_tried

    TrackingStore(home).open()
    acknowledged: list[str] = []
    for number in range(KILLS):
        acknowledged += _killed(home, number)
    store = TrackingStore(home)
    acknowledged.append("after all of them")
    store.log(phrase_tried(acknowledged[-1]))  # as the next command: delivers, and ends what was left
    listed = Counter(run.phrase for run in store.runs(DATA_SET, DescriptionRun))
    client = store.client
    experiments = [each.experiment_id for each in client.search_experiments()]
    running = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    return [
        Measurement(name="writers killed at any moment", figure=KILLS, unit="kills"),
        Measurement(name="descriptions that they said were kept", figure=len(acknowledged), unit="runs"),
        _none("of these lost", sum(phrase not in listed for phrase in acknowledged)),
        _none("doubled", sum(count > 1 for count in listed.values())),
        _none("left RUNNING for ever", len(running)),
        _none(
            "left in the outbox, or damaged there", len(store.outbox.names()) + len(store.outbox.damaged())
        ),
    ]


def _killed(home: Path, number: int) -> list[str]:
    """Kill a writer some time after it began; returns what it said was kept."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(home), f"writer {number}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    first = writer.stdout.readline()
    with _holding(home) if number % 2 else contextlib.nullcontext():
        time.sleep(random.Random(number).uniform(0.0, 1.5))
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
    # A line that was cut short was not said.
    return [each.strip() for each in (first + rest).splitlines(keepends=True) if each.endswith("\n")]


@contextlib.contextmanager
def _holding(home: Path) -> Iterator[None]:
    """Hold the database, as another process that writes."""
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db", timeout=30)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.rollback()


def _malformed(folder: Path) -> list[Measurement]:
    """Run the corpus of malformed inputs, and the tables and arrays that unpack to far more; count."""
    report = folder / "malformed.xml"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/malformed",
            "tests/data/test_sizes.py",
            f"--junitxml={report}",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    inputs = [case for case in cases if "one_clear_line" in case.get("name", "")]
    bombs = [case for case in cases if "bomb" in case.get("name", "")]
    return [
        Measurement(
            name="malformed inputs",
            figure=len(inputs),
            unit="inputs",
            target=LEAST,
            holds=len(inputs) >= LEAST,
        ),
        _none("of these not refused in one line, or that left something", sum(c in failed for c in inputs)),
        Measurement(name="bombs, of pixels, rows and bytes", figure=len(bombs), unit="inputs"),
        _none("of these that were opened", sum(case in failed for case in bombs)),
    ]


def _none(name: str, figure: int) -> Measurement:
    return Measurement(name=name, figure=figure, unit="", target=0, holds=figure == 0)
