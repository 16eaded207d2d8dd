"""Heads at size: passes and seconds of a sweep of 8 weight decays, against one pass and scikit-learn.

Features are made by seed: a spectrum that falls as 1/j, classes in families of ten, a common offset, read
as float16 from a memory map. `python -m benchmarks.heads N D K [--alone]` takes another size and leaves
scikit-learn out. A pass is the time of 4 N D K products at the float32 rate measured in the same run, before
and after; beside others on the machine only ratios tell. The peak of memory is the whole process's.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measurement import Measurement
from clarify.method.fit.head import Standardisation
from clarify.method.fit.large import Rows
from clarify.method.fit.objectives import Erm, Reweight
from clarify.method.fit.solver import SolverProgress
from clarify.method.fit.training import LARGE_TOLERANCE, WEIGHT_DECAYS, Fit, fit_head, sweep
from clarify.method.groups.groups import DescribedGroups

SIZE = (60_000, 512, 200)
DECAYS = WEIGHT_DECAYS[2:]
PEER_DECAYS = (0.01, 0.001)
DESCRIBED = 31
FIRST, LATER, RETRAINED = 25, 12, 10
"""Passes that are allowed: of the first weight decay, of a later one, of a retraining."""


def measure(size: tuple[int, int, int] = SIZE, *, peer: bool = True) -> Iterator[Measurement]:
    count, width, classes = size
    with tempfile.TemporaryDirectory() as folder:
        features, labels = made(count, width, classes, Path(folder) / "features.npy")
        names = tuple(f"class {k}" for k in range(classes))
        rate, passes = products_a_second(width, classes), _counted()
        seconds: dict[float, tuple[float, float]] = {}

        def told(progress: SolverProgress) -> None:
            seconds[progress.weight_decay] = (time.perf_counter() - began, passes["all"])

        began = time.perf_counter()
        fits = sweep(features, labels, names, Erm(), DECAYS, progress=told)
        whole = time.perf_counter() - began
        passes_swept = passes["all"]
        base = next(fit for fit in fits if fit.weight_decay == DECAYS[-4])
        halves = DescribedGroups(
            index=_halves(labels), names=tuple(f"group {g}" for g in range(classes + DESCRIBED))
        )
        began = time.perf_counter()
        again = fit_head(features, labels, names, Reweight(groups=halves), base.weight_decay, start=base.head)
        retrained, passes_retrained = time.perf_counter() - began, passes["all"] - passes_swept
        a_pass = 4.0 * count * width * classes / ((rate + products_a_second(width, classes)) / 2)
        yield from _sweep_figures(seconds, fits, whole, a_pass)
        yield from (
            Measurement(
                name=f"retraining with {DESCRIBED} described classes, passes counted",
                figure=passes_retrained,
                unit="passes",
                target=RETRAINED,
                holds=passes_retrained <= RETRAINED,
            ),
            Measurement(
                name="the same, seconds over a pass",
                figure=retrained / a_pass,
                unit="ratio",
                target=RETRAINED,
                holds=retrained / a_pass <= RETRAINED,
            ),
            Measurement(
                name="largest certified relative gap",
                unit="ratio",
                target=LARGE_TOLERANCE,
                figure=max(fit.relative_gap for fit in (*fits, again)),
                holds=all(fit.converged for fit in (*fits, again)),
            ),
            Measurement(name="peak of memory", unit="GB", target=4.0, figure=_peak(), holds=_peak() < 4.0),
        )
        if peer:
            yield from _against_peer(features, labels, names)


def made(count: int, width: int, classes: int, path: Path) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Make features (N, D), a memory map of a file, and labels (N,)."""
    rng = np.random.default_rng(0)
    spread = (1.0 + np.arange(width)) ** -0.5
    lift = spread / np.sqrt((spread**2).sum())
    centres = 0.9 * lift * rng.normal(size=(classes, width))
    centres += 1.2 * lift * rng.normal(size=(classes // 10 + 1, width))[np.arange(classes) // 10]
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
    offset = 0.5 * rng.normal(size=width).astype(np.float32)
    labels = rng.permutation(np.arange(count) % classes)
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, width))
    for start in range(0, count, 16_384):
        truth = labels[start : start + 16_384]
        block = centres[truth] + spread * rng.normal(size=(len(truth), width))
        features[start : start + 16_384] = block.astype(np.float32) @ turn.T + offset
    features.flush()
    return np.load(path, mmap_mode="r"), labels


def products_a_second(width: int, classes: int) -> float:
    """Return the float32 rate, multiplications and additions a second, at the shapes of a pass."""
    rng = np.random.default_rng(0)
    block = rng.normal(size=(4096, width)).astype(np.float32)
    weight = rng.normal(size=(width, classes)).astype(np.float32)
    times = []
    for _ in range(12):
        began = time.perf_counter()
        block.T @ (block @ weight)
        times.append(time.perf_counter() - began)
    return float(4 * block.size * classes / np.median(times))


def _counted() -> Counter[str]:
    """Count passes from here on: a pass with slope is one, losses alone half."""
    counts: Counter[str] = Counter()
    passed, losses = Rows.passed, Rows.losses

    def counting_pass(rows: Rows, theta: NDArray[np.float64], q: NDArray[np.float64]) -> object:
        before = rows._last
        found = passed(rows, theta, q)
        counts["all"] += rows._last is not before
        return found

    def counting_losses(rows: Rows, theta: NDArray[np.float64]) -> object:
        counts["all"] += 0.5  # type: ignore[assignment]
        return losses(rows, theta)

    Rows.passed, Rows.losses = counting_pass, counting_losses  # type: ignore[assignment, method-assign]
    return counts


def _sweep_figures(
    seen: dict[float, tuple[float, float]], fits: list[Fit], whole: float, a_pass: float
) -> list[Measurement]:
    figures, before, counted = [], 0.0, 0.0
    for fit in fits:
        until, passes = seen[fit.weight_decay]
        most = FIRST if fit is fits[0] else LATER
        over = (until - before) / a_pass
        figures += [
            Measurement(
                name=f"weight decay {fit.weight_decay:g}, passes counted",
                figure=passes - counted,
                unit="passes",
            ),
            Measurement(
                name=f"weight decay {fit.weight_decay:g}, seconds over a pass",
                figure=over,
                unit="ratio",
                target=most,
                holds=over <= most,
                ratio_to_limit=over,
            ),
        ]
        before, counted = until, passes
    return [
        *figures,
        Measurement(name="one pass at the measured rate", figure=a_pass, unit="s"),
        Measurement(
            name=f"sweep of {len(fits)} weight decays", figure=whole, unit="s", target=25.0, holds=whole < 25
        ),
    ]


def _halves(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return groups: each class one, a tenth of each of the described ones another."""
    classes = int(labels.max()) + 1
    rare = (np.random.default_rng(1).random(len(labels)) < 0.1) & (labels < DESCRIBED)
    return np.where(rare, labels + classes, labels)


def _against_peer(
    features: NDArray[np.float16], labels: NDArray[np.int64], names: tuple[str, ...]
) -> Iterator[Measurement]:
    """One weight decay each, both from zero; scikit-learn gets features that are standardised already."""
    from sklearn.linear_model import LogisticRegression

    x = Standardisation.fit(features).apply(features).astype(np.float32)
    for decay in PEER_DECAYS:
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = LogisticRegression(C=1.0 / (decay * len(x)), max_iter=1000).fit(x, labels)
        theirs = time.perf_counter() - began
        value = _value(x, labels, peer.coef_, peer.intercept_, decay)
        as_low: list[float] = []

        def told(progress: SolverProgress, value: float = value, as_low: list[float] = as_low) -> None:
            if progress.objective_value <= value:
                as_low.append(time.perf_counter())

        began = time.perf_counter()
        fit = fit_head(features, labels, names, Erm(), decay, progress=told)
        whole, ours = time.perf_counter() - began, as_low[0] - began if as_low else np.inf
        yield from (
            Measurement(
                name=f"weight decay {decay:g} from zero to scikit-learn's objective",
                figure=ours / theirs,
                unit="ratio",
                target=1.0,
                holds=ours <= theirs,
                ratio_to_peer=ours / theirs,
            ),
            Measurement(
                name=f"weight decay {decay:g} from zero to a certified gap",
                figure=whole / theirs,
                unit="ratio",
                ratio_to_peer=whole / theirs,
            ),
            Measurement(
                name=f"objective over scikit-learn's at {decay:g}, less 1",
                figure=fit.objective_value / value - 1,
                unit="ratio",
            ),
        )


def _value(
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
    decay: float,
) -> float:
    total = 0.0
    for start in range(0, len(x), 4096):
        logits = x[start : start + 4096].astype(np.float64) @ weight.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[np.arange(len(logits)), labels[start : start + 4096]]
        total += float((np.log(np.exp(logits).sum(axis=1)) - own).sum())
    return total / len(x) + 0.5 * decay * float((weight.astype(np.float64) ** 2).sum())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:4]]
    for found in measure((given[0], given[1], given[2]), peer="--alone" not in sys.argv):
        print(f"{found.name:58} {found.figure:12.6g} {found.unit:8} {found.holds}", flush=True)
