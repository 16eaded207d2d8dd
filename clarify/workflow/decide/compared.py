"""The rows of a comparison: what is known of each model, what can be ranked, and the table for files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import polars as pl

from clarify.method.groups.metrics import Interval
from clarify.method.phrases.descriptions import Description

__all__ = ["CONTROL", "DESCRIBED", "Compared", "comparison_table", "halves_are_alike", "remarks"]

CONTROL = "control"
"""The kind of a row that is of no run of its own."""

DESCRIBED = "described_worst_group_accuracy"
METRICS = ("average_accuracy", "adjusted_average_accuracy", "worst_group_accuracy", DESCRIBED, "gap")
CLASS = "class_accuracy/"
COST = ("seconds", "peak_memory_mib", "parameters")

NO_ORDER = (
    "The worst described halves are of other phrases or other cuts from row to row: no order is claimed "
    "between them, each stands beside what the base model comes to on the same halves."
)
NO_CONTROL = (
    "What retraining by classes alone comes to was not kept when these models were retrained; retrain one "
    "again to see it."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One model in the comparison.

    Parameters
    ----------
    run_id : str
        Of a control the retraining that it was made beside.
    kind : {"base", "retraining", "control"}
        A control was retrained by classes alone: in the same way, without the phrases.
    oracle : bool
        Whether it was trained or chosen with annotated groups.
    by : str
        Who trained it.
    started : int
        When, in milliseconds since 1970.
    part : str
        What of the model was trained: see `Recipe`.
    refit : bool
        Whether the images that people looked at were fitted as well.
    descriptions : tuple of Description
        What it was retrained with; empty for the base, a control and an oracle.
    figures : mapping of str to float
        Accuracies and the gap as fractions, by MLflow's names without the split. Of several seeds, means.
    intervals : mapping of str to Interval
        Of each accuracy among the figures, with 95 %. Of several seeds the mean of their intervals.
    deviations : mapping of str to float
        Standard deviations of the figures over the seeds; empty of one.
    seeds : int
        Models that were trained alike; the run is that of seed 0.
    cost : mapping of str to float
        ``seconds, peak_memory_mib, parameters`` of training it; empty where they are not known.
    gains : mapping of str to Interval
        Of ``average`` and, where groups are annotated, ``worst_group``: how much better it is than
        the base model on the same images, with a paired bootstrap interval, of seed 0. Empty for
        the base.
    champion : str
        Its version, if it is the registry's champion.
    halves : str
        Equal for rows that are judged on the same described halves; empty where there are none.
    half : str
        Which of these it does worst on.
    base_half : float or None
        Accuracy of the base model on the one of these that the base does worst on; None if not known.
    """

    run_id: str
    name: str
    kind: str
    oracle: bool
    by: str
    started: int
    objective: str
    descriptions: tuple[Description, ...]
    figures: dict[str, float]
    gains: dict[str, Interval]
    intervals: dict[str, Interval] = dataclasses.field(default_factory=dict)
    deviations: dict[str, float] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    part: str = "head"
    refit: bool = False
    cost: dict[str, float] = dataclasses.field(default_factory=dict)
    champion: str = ""
    halves: str = ""
    half: str = ""
    base_half: float | None = None

    def within(self, key: str) -> str:
        """Return the ends of a figure's interval after a space, in percent: `` (82–89)``; empty without."""
        return f" ({self.intervals[key].words})" if key in self.intervals else ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "oracle": self.oracle,
            "champion": self.champion or None,
            "by": self.by,
            "phrases": [
                {"class": each.class_name, "phrase": each.phrase, "author": each.author}
                for each in self.descriptions
            ],
            **self.figures,
            "intervals": {what: dataclasses.asdict(each) for what, each in self.intervals.items()},
            "halves": self.halves or None,
            "described_half": self.half or None,
            f"base_{DESCRIBED}": self.base_half,
            "part": self.part,
            "refit": self.refit,
            "cost": self.cost,
            "seeds": self.seeds,
            "deviations": self.deviations,
            "gains": {what: dataclasses.asdict(gain) for what, gain in self.gains.items()},
        }


def halves_are_alike(rows: Sequence[Compared]) -> bool:
    """Whether the worst described halves of the rows can be ranked: all are judged on the same halves."""
    return len({row.halves for row in rows if row.halves}) < 2


def remarks(rows: Sequence[Compared]) -> tuple[str, ...]:
    """Return what is to be said of the comparison, a sentence each."""
    corrected = any(row.kind == "retraining" and not row.oracle for row in rows)
    no_control = corrected and not any(row.kind == CONTROL for row in rows)
    return (*(() if halves_are_alike(rows) else (NO_ORDER,)), *((NO_CONTROL,) if no_control else ()))


def comparison_table(rows: Sequence[Compared]) -> pl.DataFrame:
    """Return the comparison as a table for files: a row a model, a column a figure.

    Each accuracy has the ends of its interval beside it, as ``_low`` and ``_high``; of several seeds the
    figures are means, each with its standard deviation beside it. Gains over the base stand beside their
    interval, as ``gain_<what>``, ``_low`` and ``_high``. Worst described halves can be ranked among rows
    whose ``halves`` are equal.
    """
    classes = sorted({key for row in rows for key in row.figures if key.startswith(CLASS)})
    gains = sorted({what for row in rows for what in row.gains})
    columns: dict[str, list[object]] = {
        "model": [row.name for row in rows],
        "kind": ["oracle" if row.oracle else row.kind for row in rows],
        "objective": [row.objective for row in rows],
        "phrases": [
            "; ".join(f"{each.class_name}: {each.phrase}" for each in row.descriptions) for row in rows
        ],
        "authors": [", ".join(sorted({each.author for each in row.descriptions})) for row in rows],
        "run": [row.run_id for row in rows],
        "part": [row.part for row in rows],
        "champion": [row.champion for row in rows],
        "halves": [row.halves for row in rows],
        "described_half": [row.half for row in rows],
        "seeds": [row.seeds for row in rows],
    }
    texts = [name for name in columns if name != "seeds"]
    for key in COST:
        columns[key] = [row.cost.get(key) for row in rows]
    for key in (*METRICS, *classes):
        columns[key] = [row.figures.get(key) for row in rows]
        for end in ("low", "high") if any(key in row.intervals for row in rows) else ():
            columns[f"{key}_{end}"] = [getattr(row.intervals.get(key), end, None) for row in rows]
        if any(row.deviations for row in rows):
            columns[f"{key}_deviation"] = [row.deviations.get(key) for row in rows]
    for what in gains:
        for end, field in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            columns[f"gain_{what}{end}"] = [
                getattr(row.gains[what], field) if what in row.gains else None for row in rows
            ]
    types = {**dict.fromkeys(texts, pl.String), "seeds": pl.Int64}
    return pl.DataFrame(columns, schema={name: types.get(name, pl.Float64) for name in columns})
