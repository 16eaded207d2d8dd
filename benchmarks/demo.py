"""The main job: `clarify demo` from an empty home, again, and what it shows over five seeds."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement

SEEDS = range(5)


def measure() -> list[Measurement]:
    """Run the demo as a user would, once a seed, and once more."""
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        home = Path(folder) / "home"
        first, cold = _demo(home, 0)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        _, warm = _demo(home, 0)
        stories = [first, *(_demo(home, seed)[0] for seed in SEEDS[1:])]
    return [
        _below("demo from an empty home", cold, "s", 90),
        _below("demo, peak memory of the largest process", peak, "GiB", 3),
        _below("demo, second run", warm, "s", 25),
        _help(),
        *_shape(stories),
    ]


def _demo(home: Path, seed: int) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "clarify.cli",
            "demo",
            "--headless",
            "--json",
            "--seed",
            str(seed),
            "--home",
            str(home),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found, time.perf_counter() - started


def _help() -> Measurement:
    pairs = [(_seconds("-m", "clarify.cli", "--help"), _seconds("-c", "import torch")) for _ in range(5)]
    ratio = statistics.median(ours / torch for ours, torch in pairs)
    return Measurement(
        name="clarify --help, over import torch",
        figure=ratio,
        unit="ratio",
        target=0.25,
        holds=ratio < 0.25,
        ratio_to_peer=ratio,
    )


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - started


def _shape(stories: list[dict[str, Any]]) -> list[Measurement]:
    def column(model: str, metric: str) -> list[float]:
        return [100 * story[model]["test"][metric] for story in stories]

    found = [
        Measurement(name=f"{model}: {metric}, {what}", figure=of(column(model, metric)), unit="%")
        for model in ("base", "retrained", "oracle")
        for metric in ("average_accuracy", "adjusted_average_accuracy", "worst_group_accuracy")
        for what, of in (("mean", statistics.mean), ("deviation", statistics.stdev))
    ]
    misled = [100 * story["wrong_phrase"]["worst_group_accuracy"] for story in stories]
    scores = [each["error_score"] for story in stories for each in story["descriptions"]]
    wrong_scores = [story["wrong_phrase"]["error_score"] for story in stories]
    refused = sum(not story["wrong_phrase"]["verdict"]["passed"] for story in stories)
    promoted = sum(story["promotion"]["verdict"]["passed"] for story in stories)
    worst, adjusted = "worst_group_accuracy", "adjusted_average_accuracy"
    gain = _mean_difference(column("retrained", worst), column("base", worst))
    loss = _mean_difference(column("base", adjusted), column("retrained", adjusted))
    short = _mean_difference(column("oracle", worst), column("retrained", worst))
    return [
        *found,
        Measurement(name="misled: worst_group_accuracy, mean", figure=statistics.mean(misled), unit="%"),
        Measurement(name="error score of the true phrases, lowest", figure=min(scores), unit="score"),
        Measurement(name="error score of the wrong phrase, highest", figure=max(wrong_scores), unit="score"),
        Measurement(
            name="worst group, retrained over base", figure=gain, unit="points", target=40, holds=gain >= 40
        ),
        _below("adjusted average, base over retrained", loss, "points", 5),
        _below("worst group, oracle over retrained", short, "points", 2),
        Measurement(
            name="true phrases promoted",
            figure=promoted,
            unit="seeds",
            target=len(stories),
            holds=promoted == len(stories),
        ),
        Measurement(
            name="wrong phrase refused",
            figure=refused,
            unit="seeds",
            target=len(stories),
            holds=refused == len(stories),
        ),
    ]


def _mean_difference(high: list[float], low: list[float]) -> float:
    return statistics.mean(a - b for a, b in zip(high, low, strict=True))


def _below(name: str, figure: float, unit: str, target: float) -> Measurement:
    return Measurement(
        name=name,
        figure=figure,
        unit=unit,
        target=target,
        holds=figure <= target,
        ratio_to_limit=figure / target,
    )
