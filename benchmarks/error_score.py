"""The error score: exact to 1e-12 of scipy's statistic, and faster than a 1,000-threshold scan."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.measurement import Measurement
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.evidence import evidence

Floats = NDArray[np.float64]

DRAWS = 400
PAIRS = 21
CALLS_IN_A_PAIR = 5


def scanned_score(correct: Floats, wrong: Floats, thresholds: int = 1_000) -> float:
    """Approximate the score as the paper's code does: the best of evenly spaced thresholds."""
    low = min(correct.min(), wrong.min())
    high = max(correct.max(), wrong.max())
    best = 0.5
    for threshold in np.linspace(low, high, thresholds):
        balanced = (np.mean(correct < threshold) + np.mean(wrong >= threshold)) / 2
        best = max(best, balanced, 1 - balanced)
    return float(2 * (best - 0.5))


def sample(n: int, wrong_share: float, seed: int) -> tuple[Floats, Floats]:
    """Draw similarities as a CLIP gives them: two overlapping humps, 0.03 wide."""
    rng = np.random.default_rng(seed)
    n_wrong = round(n * wrong_share)
    return rng.normal(0.20, 0.03, n - n_wrong), rng.normal(0.22, 0.03, n_wrong)


def largest_difference_from_scipy() -> float:
    """Compare with `ks_2samp` on draws of many sizes, two thirds of them with ties."""
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(7)
    largest = 0.0
    for draw in range(DRAWS):
        sizes = rng.integers(1, (80, 3_000)[draw % 20 == 0], size=2)
        decimals = (17, 1, 0)[draw % 3]
        correct = np.round(rng.normal(0.0, 1.0, sizes[0]), decimals)
        wrong = np.round(rng.normal(rng.uniform(-1, 1), 1.0, sizes[1]), decimals)
        reference = ks_2samp(correct, wrong, method="asymp").statistic
        largest = max(largest, abs(error_score(correct, wrong).value - reference))
    return largest


def seconds(run: Callable[[], object], calls: int) -> float:
    """Return the mean seconds of a call."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def speed_ratio(n: int, wrong_share: float) -> tuple[float, float]:
    """Return the scan's time over ours, and our seconds: medians of paired runs."""
    correct, wrong = sample(n, wrong_share, seed=n)
    ratios, ours = [], []
    for _ in range(PAIRS):
        scan = seconds(lambda: scanned_score(correct, wrong), 1)
        ours.append(seconds(lambda: error_score(correct, wrong), CALLS_IN_A_PAIR))
        ratios.append(scan / ours[-1])
    return statistics.median(ratios), statistics.median(ours)


def sort_seconds(n: int, wrong_share: float) -> float:
    """Return the seconds of sorting alone: no exact score can be found in less."""
    correct, wrong = sample(n, wrong_share, seed=n)
    return statistics.median(
        seconds(lambda: (np.sort(correct), np.sort(wrong)), CALLS_IN_A_PAIR) for _ in range(PAIRS)
    )


def measure() -> list[Measurement]:
    difference = largest_difference_from_scipy()
    measured = [
        Measurement(
            name=f"error score, largest difference from ks_2samp ({DRAWS} draws)",
            figure=difference,
            unit="",
            target=1e-12,
            holds=difference <= 1e-12,
        )
    ]
    for n, wrong_share in ((1_300, 0.1), (1_300, 0.5), (50_000, 0.1), (50_000, 0.5)):
        target = 60 if n == 1_300 else 20
        ratio, ours = speed_ratio(n, wrong_share)
        measured.append(
            Measurement(
                name=f"error score, times faster than scan, n={n}, {wrong_share:.0%} wrong",
                figure=ratio,
                unit="x",
                target=target,
                holds=ratio >= target,
                ratio_to_peer=1 / ratio,
                ratio_to_limit=ours / sort_seconds(n, wrong_share),
            )
        )
    for n, target in ((1_300, 0.3), (50_000, 2.0)):
        correct, wrong = sample(n, 0.1, seed=n)
        took = seconds(lambda c=correct, w=wrong: evidence(c, w, n_tried=3, seed=0), 3)
        measured.append(
            Measurement(
                name=f"evidence (interval, held-out, p), n={n}",
                figure=took,
                unit="s",
                target=target,
                holds=took <= target,
            )
        )
    return measured
