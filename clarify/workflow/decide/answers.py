"""What recorded models said of a split's images, and the figures that it comes to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import statistics
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.errors import NotFoundError
from clarify.finetune.schedule import Schedule
from clarify.method.groups.groups import AnnotatedGroups
from clarify.method.groups.metrics import (
    Accuracy,
    Interval,
    evaluate,
    paired_difference,
    worst_described_half,
)
from clarify.method.phrases.descriptions import Description
from clarify.track.record import metric_keys
from clarify.track.runs import TrainedRun
from clarify.workflow.decide.compared import DESCRIBED, Compared
from clarify.workflow.model.project import Workspace, annotated_groups_of
from clarify.workflow.model.recipe import Recipe

__all__ = ["Answers", "Judge", "beside"]

SCHEDULE = tuple(field.name for field in dataclasses.fields(Schedule) if field.name != "seed")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a recorded model said of a split's images.

    Parameters
    ----------
    table : DataFrame
        ``id, label, predicted, right``, a row an image; of a correction that a newer version recorded also
        ``control``, and ``group`` where it is known.
    descriptions : tuple of Description
        What it was retrained with.
    counted : mapping of group to Accuracy
        By its own described groups, as it was recorded.
    """

    run: TrainedRun
    table: pl.DataFrame
    descriptions: tuple[Description, ...]
    counted: dict[str, Accuracy]

    @classmethod
    def of(cls, project: Workspace, run: TrainedRun, split: str) -> Answers:
        """Read it.

        Raises
        ------
        NotFoundError, AwayError
            If a file of the run cannot be read.
        """
        table = _table(project, run, "predictions.parquet", split)
        counts = _table(project, run, "groups.parquet", split).filter(pl.col("by") == "described")
        recorded = json.loads(project.tracking.artifact(run.id, "descriptions.json"))
        return cls(
            run=run,
            table=table,
            descriptions=tuple(Description.from_dict(each) for each in recorded),
            counted={
                row["group"]: Accuracy(count=row["count"], correct=row["correct"])
                for row in counts.iter_rows(named=True)
            },
        )

    @property
    def halves(self) -> str:
        """What is equal for models that were retrained with the same phrases, cut alike; else empty."""
        if not self.counted:
            return ""
        cuts = sorted(
            [each.class_name, each.phrase, each.encoder, each.threshold] for each in self.descriptions
        )
        return hashlib.sha256(json.dumps(cuts).encode()).hexdigest()[:12]

    @property
    def groups(self) -> pl.DataFrame | None:
        """The described group of each image: ``id, group``; None where nobody knows."""
        if "group" not in self.table.columns or self.table["group"].has_nulls():
            return None
        return self.table.select("id", "group")

    @property
    def recipe(self) -> tuple[object, ...]:
        """What is equal for models whose controls were retrained alike: nothing is erased in these."""
        names = ("objective", "part", "selection", "refit", *(() if self.run.part == "head" else SCHEDULE))
        return tuple(self.run.settings.get(name) for name in names)

    @property
    def control_name(self) -> str:
        """What its control is called."""
        refit = " + refit" if self.run.refit else ""
        part = "" if self.run.part == "head" else f", {self.run.part}"
        select = self.run.selection
        chosen = "" if select == Recipe().select else f", chosen by {select.replace('_', ' ')}"
        return f"retrained by classes alone ({self.run.objective}{refit}{part}{chosen})"

    def control(self) -> Answers | None:
        """Return what its control said; None of an oracle, and where it was not kept."""
        table = self.table
        if self.run.oracle or "control" not in table.columns or table["control"].has_nulls():
            return None
        table = table.with_columns(predicted=pl.col("control"), right=pl.col("control") == pl.col("label"))
        return dataclasses.replace(self, table=table, descriptions=(), counted={})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """Judges what models said of one split, beside the base model.

    Parameters
    ----------
    train_counts : (G,) int64, or None
        Images of each annotated group in training.
    """

    project: Workspace
    split: str
    base: Answers
    train_counts: NDArray[np.int64] | None

    @classmethod
    def of(cls, project: Workspace, base: TrainedRun, split: str) -> Judge:
        """Read what the base model said.

        Raises
        ------
        NotFoundError
            If it said nothing of the split.
        """
        said, manifest = Answers.of(project, base, split), project.manifest
        if not len(said.table):
            raise NotFoundError(
                f"data set {manifest.name}: its models have no figures on split {split!r}; "
                f"its splits are {', '.join(manifest.splits)}"
            )
        values = {name: manifest.attribute("train", name) for name in manifest.attributes}
        train = annotated_groups_of(manifest, manifest.labels("train"), values)
        return cls(
            project=project, split=split, base=said, train_counts=None if train is None else train.counts
        )

    def row(self, alike: Sequence[Answers], halves: Answers | None) -> Compared:
        """Return the row of a model, of several seeds their means.

        Parameters
        ----------
        alike : sequence of Answers
            Its run first, then those of the same with other seeds.
        halves : Answers or None
            The correction on whose described halves it is judged.
        """
        first = alike[0]
        found = [self._figures(said, halves) for said in alike]
        worst = self.worst_half(first, halves)
        base = self.worst_half(self.base, halves)
        several = len(alike) > 1
        shared = [key for key in found[0][0] if all(key in figures for figures, _ in found)]
        return Compared(
            run_id=first.run.id,
            name=first.run.name,
            kind=first.run.kind,
            oracle=first.run.oracle,
            by=first.run.by,
            started=first.run.started,
            objective=first.run.objective,
            descriptions=first.descriptions,
            figures={key: statistics.fmean(figures[key] for figures, _ in found) for key in shared},
            intervals={
                key: _mean([intervals[key] for _, intervals in found]) for key in shared if key in found[0][1]
            },
            gains={} if first.run.id == self.base.run.id else self._gains(first),
            deviations={
                key: statistics.stdev(figures[key] for figures, _ in found) for key in shared if several
            },
            seeds=len(alike),
            part=first.run.part,
            refit=first.run.refit,
            cost=first.run.cost,
            halves="" if halves is None or worst is None else halves.halves,
            half="" if worst is None else worst[0],
            base_half=None if base is None else base[1].value,
        )

    def worst_half(self, said: Answers, halves: Answers | None) -> tuple[str, Accuracy] | None:
        """Return the described half of a correction that a model does worst on; None if not known."""
        classes = self.project.manifest.classes
        if halves is None:
            return None
        if halves.groups is None:
            # Of an older version's run it is known how many it got right itself, and no more.
            return worst_described_half(said.counted, classes) if said.halves == halves.halves else None
        both = said.table.join(halves.groups.rename({"group": "half"}), on="id")
        counts = both.group_by("half").agg(pl.len(), pl.col("right").sum())
        return worst_described_half(
            {name: Accuracy(count=count, correct=right) for name, count, right in counts.iter_rows()}, classes
        )

    def _figures(self, said: Answers, halves: Answers | None) -> tuple[dict[str, float], dict[str, Interval]]:
        """Return accuracies and the gap, and the accuracies' intervals, by the names of MLflow."""
        table, manifest = said.table, self.project.manifest
        predicted, labels = (
            np.array([manifest.class_index(name) for name in table[column]], dtype=np.int64)
            for column in ("predicted", "label")
        )
        found = evaluate(
            predicted, labels, manifest.classes, groups=self._annotated(table), train_counts=self.train_counts
        )
        figures, intervals = found.to_dict(), found.intervals()
        worst = self.worst_half(said, halves)
        if worst is not None and (interval := worst[1].interval) is not None:
            figures[DESCRIBED], intervals[DESCRIBED] = interval.estimate, interval
        names = [key.removeprefix(f"{self.split}/") for key in metric_keys(self.split, figures)]
        return (
            dict(zip(names, figures.values(), strict=True)),
            {name: intervals[key] for name, key in zip(names, figures, strict=True) if key in intervals},
        )

    def _annotated(self, table: pl.DataFrame) -> AnnotatedGroups | None:
        manifest = self.project.manifest
        rows = table.select("id").join(manifest.table, on="id", how="left", maintain_order="left")
        labels = np.array([manifest.class_index(name) for name in rows["label"]], dtype=np.int64)
        values = {name: np.array(rows[name].to_list(), dtype=np.str_) for name in manifest.attributes}
        return annotated_groups_of(manifest, labels, values)

    def _gains(self, said: Answers) -> dict[str, Interval]:
        both = beside(self.base.table, said.table)
        before, now = both["right"].to_numpy(), both["now"].to_numpy()
        groups = self._annotated(both)
        found = {"average": paired_difference(before, now, what="average", seed=0)}
        if groups is not None:
            found["worst_group"] = paired_difference(before, now, groups, what="worst_group", seed=0)
        return found


def beside(table: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return what one model said of each image, with whether another is right, as ``now``."""
    return table.join(other.select("id", now="right"), on="id", how="inner", maintain_order="left")


def _table(project: Workspace, run: TrainedRun, name: str, split: str) -> pl.DataFrame:
    return pl.read_parquet(project.tracking.artifact(run.id, name)).filter(pl.col("split") == split)


def _mean(several: Sequence[Interval]) -> Interval:
    low, estimate, high = (
        statistics.fmean(getattr(each, name) for each in several) for name in ("low", "estimate", "high")
    )
    return Interval(low=low, estimate=estimate, high=high)
