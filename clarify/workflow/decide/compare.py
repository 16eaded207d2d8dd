"""Base and retrained models side by side, read from their runs."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.errors import NotFoundError
from clarify.method.groups.groups import AnnotatedGroups
from clarify.method.groups.metrics import Interval, paired_difference
from clarify.method.phrases.descriptions import Description
from clarify.track.runs import ModelRun, TrainedRun
from clarify.workflow.model.models import find_run
from clarify.workflow.model.project import Workspace, annotated_groups_of

__all__ = [
    "Changed",
    "Compared",
    "changed_images",
    "compare",
    "compare_page",
    "compared_base",
    "compared_with",
    "comparison_table",
    "retrained_from",
]

METRICS = (
    "average_accuracy",
    "adjusted_average_accuracy",
    "worst_group_accuracy",
    "described_worst_group_accuracy",
    "gap",
)
CLASS = "class_accuracy/"
COST = ("seconds", "peak_memory_mib", "parameters")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One model in the comparison.

    Parameters
    ----------
    oracle : bool
        Whether it was trained or chosen with annotated groups.
    by : str
        Who trained it.
    started : int
        When, in milliseconds since 1970.
    part : str
        What of the model was trained: see `Recipe`.
    descriptions : tuple of Description
        What it was retrained with; empty for the base and for an oracle.
    figures : mapping of str to float
        As logged, without the split's prefix; accuracies are fractions. Of several seeds, means.
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
    deviations: dict[str, float] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    part: str = "head"
    cost: dict[str, float] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "oracle": self.oracle,
            "by": self.by,
            "phrases": [
                {"class": each.class_name, "phrase": each.phrase, "author": each.author}
                for each in self.descriptions
            ],
            **self.figures,
            "part": self.part,
            "cost": self.cost,
            "seeds": self.seeds,
            "deviations": self.deviations,
            "gains": {what: dataclasses.asdict(gain) for what, gain in self.gains.items()},
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changed:
    """What one model changed of another on a split, as rows of the data set's table.

    Parameters
    ----------
    fixed : (F,) int64
        Wrong before, right now.
    broken : (B,) int64
        Right before, wrong now.
    classes : mapping of class to Interval
        By how much its accuracy changed, with a paired 95 % interval.
    """

    fixed: NDArray[np.int64]
    broken: NDArray[np.int64]
    classes: dict[str, Interval]


def compare(project: Workspace, *, split: str) -> tuple[Compared, ...]:
    """Return the newest base model and what was retrained from it, the base first.

    Raises
    ------
    NotFoundError
        If there is no base model, or it has no figures on the split.
    """
    base = find_run(project, None, kind="base")
    runs = project.tracking.runs(project.manifest.name, ModelRun)
    first = compared_base(project, base, split)
    retrained = retrained_from(runs, base)
    return (first, *(compared_with(project, base, alike, split) for alike in retrained))


def retrained_from(runs: Sequence[ModelRun], base: TrainedRun) -> list[tuple[ModelRun, ...]]:
    """Return what was retrained from a base model, oldest first; `runs` are newest first.

    Those that differ by the seed alone stand together, the lowest seed first; without seed 0, which
    is recorded last, they are under way. Of what was trained twice the newest counts.
    """
    alike: dict[str, dict[int, ModelRun]] = {}
    for run in runs:
        if run.parent == base.id:
            alike.setdefault(run.recipe, {}).setdefault(run.seed, run)
    groups = [tuple(of[seed] for seed in sorted(of)) for of in alike.values() if 0 in of]
    return sorted(groups, key=lambda group: group[0].started)


def compared_base(project: Workspace, base: TrainedRun, split: str) -> Compared:
    """Return the figures of a base model.

    Raises
    ------
    NotFoundError
        If it has none on the split.
    """
    if not len(_predictions(project, base, split)):
        raise NotFoundError(
            f"data set {project.manifest.name}: its models have no figures on split {split!r}; "
            f"its splits are {', '.join(project.manifest.splits)}"
        )
    return _compared(project, base, split, {})


def compared_with(project: Workspace, base: TrainedRun, alike: Sequence[ModelRun], split: str) -> Compared:
    """Return the figures of a retrained model, and its gains over the base on the same images.

    Parameters
    ----------
    alike : sequence of ModelRun
        The model's run first, then those of the same with other seeds.
    """
    run = alike[0]
    both = _both(project, base, run, split)
    found = _compared(project, run, split, _gains(both, _groups(project, both)))
    if len(alike) == 1:
        return found
    every = [each.figures(split) for each in alike]
    shared = [key for key in found.figures if all(key in of for of in every)]
    return dataclasses.replace(
        found,
        figures={key: statistics.fmean(of[key] for of in every) for key in shared},
        deviations={key: statistics.stdev(of[key] for of in every) for key in shared},
        seeds=len(alike),
    )


def changed_images(project: Workspace, base: TrainedRun, run: TrainedRun, split: str) -> Changed:
    """Return which images a model fixed of another's mistakes, and which it broke."""
    numbers = project.manifest.table.select("id").with_row_index("row")
    both = _both(project, base, run, split).join(numbers, on="id", how="inner", maintain_order="left")
    before, now = both["right"].to_numpy(), both["now"].to_numpy()
    rows = both["row"].to_numpy().astype(np.int64)
    labels = both["label"].to_numpy()
    return Changed(
        fixed=rows[~before & now],
        broken=rows[before & ~now],
        classes={
            name: paired_difference(before[of], now[of], what="average", seed=0)
            for name in project.manifest.classes
            if (of := labels == name).any()
        },
    )


def comparison_table(rows: Sequence[Compared]) -> pl.DataFrame:
    """Return the comparison as a table for files: a row a model, a column a figure.

    Of several seeds the figures are means, each with its standard deviation beside it.

    Gains over the base stand beside their interval, as ``gain_<what>``, ``_low`` and ``_high``.
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
        "seeds": [row.seeds for row in rows],
    }
    for key in COST:
        columns[key] = [row.cost.get(key) for row in rows]
    for key in (*METRICS, *classes):
        columns[key] = [row.figures.get(key) for row in rows]
        if any(row.deviations for row in rows):
            columns[f"{key}_deviation"] = [row.deviations.get(key) for row in rows]
    for what in gains:
        for end, field in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            columns[f"gain_{what}{end}"] = [
                getattr(row.gains[what], field) if what in row.gains else None for row in rows
            ]
    types = {**dict.fromkeys(list(columns)[:7], pl.String), "seeds": pl.Int64}
    return pl.DataFrame(columns, schema={name: types.get(name, pl.Float64) for name in columns})


def compare_page(project: Workspace, runs: Sequence[str]) -> str | None:
    """Return MLflow's page that compares some runs; None where no server shows one."""
    address = project.tracking.address
    if address.kind != "server" or not runs:
        return None
    found = project.tracking.ask(lambda client: client.get_run(runs[0]))
    parts = urlsplit(address.shown)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    asked = [json.dumps(each, separators=(",", ":")) for each in (list(runs), [found.info.experiment_id])]
    return f"{place}/#/compare-runs?runs={quote(asked[0])}&experiments={quote(asked[1])}"


def _both(project: Workspace, base: TrainedRun, run: TrainedRun, split: str) -> pl.DataFrame:
    """Return what the base said of each image, with whether the other is right, as ``now``."""
    now = _predictions(project, run, split).select("id", now="right")
    return _predictions(project, base, split).join(now, on="id", how="inner", maintain_order="left")


def _predictions(project: Workspace, run: TrainedRun, split: str) -> pl.DataFrame:
    table = pl.read_parquet(project.tracking.artifact(run.id, "predictions.parquet"))
    return table.filter(pl.col("split") == split)


def _groups(project: Workspace, predictions: pl.DataFrame) -> AnnotatedGroups | None:
    manifest = project.manifest
    rows = predictions.select("id").join(manifest.table, on="id", how="left")
    labels = np.array([manifest.class_index(name) for name in rows["label"]], dtype=np.int64)
    values = {name: np.array(rows[name].to_list(), dtype=np.str_) for name in manifest.attributes}
    return annotated_groups_of(manifest, labels, values)


def _gains(both: pl.DataFrame, groups: AnnotatedGroups | None) -> dict[str, Interval]:
    base, now = both["right"].to_numpy(), both["now"].to_numpy()
    found = {"average": paired_difference(base, now, what="average", seed=0)}
    if groups is not None:
        found["worst_group"] = paired_difference(base, now, groups, what="worst_group", seed=0)
    return found


def _compared(project: Workspace, run: TrainedRun, split: str, gains: dict[str, Interval]) -> Compared:
    recorded = json.loads(project.tracking.artifact(run.id, "descriptions.json"))
    return Compared(
        run_id=run.id,
        name=run.name,
        kind=run.kind,
        oracle=run.oracle,
        by=run.by,
        started=run.started,
        objective=run.objective,
        descriptions=tuple(Description.from_dict(each) for each in recorded),
        figures=run.figures(split),
        gains=gains,
        part=run.part,
        cost=run.cost,
    )
