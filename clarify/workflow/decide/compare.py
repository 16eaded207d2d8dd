"""Base and retrained models side by side, judged by what they said of the same images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from clarify.method.groups.metrics import Interval, paired_difference
from clarify.track.registry import version_of
from clarify.track.runs import ModelRun, TrainedRun
from clarify.workflow.decide.answers import Answers, Judge, beside
from clarify.workflow.decide.compared import CONTROL, Compared
from clarify.workflow.model.models import find_run
from clarify.workflow.model.project import Workspace, model_name

__all__ = [
    "Champion",
    "Changed",
    "champion_among",
    "changed_images",
    "compare",
    "compare_page",
    "retrained_from",
    "side_by_side",
    "worst_halves",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The registry's champion: its version and its run; None if that is gone, or of other images."""

    version: str
    run: ModelRun | None


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
    """Return the newest base model and what was retrained from it; see `side_by_side`.

    Raises
    ------
    NotFoundError
        If there is no base model, or it has no figures on the split.
    """
    base = find_run(project, None, kind="base")
    runs = project.tracking.runs(project.manifest.name, ModelRun)
    return side_by_side(project, base, retrained_from(runs, base), champion_among(project, runs), split)


def side_by_side(
    project: Workspace,
    base: TrainedRun,
    retrained: Sequence[Sequence[ModelRun]],
    champion: Champion | None,
    split: str,
) -> tuple[Compared, ...]:
    """Return the rows: the base, the retrained models, the champion, and each way by classes alone.

    Parameters
    ----------
    retrained : sequence of sequence of ModelRun
        As of `retrained_from`.
    champion : Champion or None
        It is marked; if it is none of the retrained ones, it has a row of its own.

    Raises
    ------
    NotFoundError
        If the base model has no figures on the split.
    """
    judge = Judge.of(project, base, split)
    read = [[Answers.of(project, run, split) for run in alike] for alike in retrained]
    every = [*read, *_elsewhere(project, retrained, champion, split)]
    described = {alike[0].halves: alike[0] for alike in every if alike[0].halves}
    shared = next(iter(described.values())) if len(described) == 1 else None
    rows = [
        judge.row([judge.base], shared),
        *(judge.row(alike, alike[0] if alike[0].descriptions else shared) for alike in every),
    ]
    if champion is not None and champion.run is not None:
        crowned = {champion.run.id: champion.version}
        rows = [dataclasses.replace(row, champion=crowned.get(row.run_id, "")) for row in rows]
    return (*rows, *(_control(judge, alike, shared) for alike in _controls(read)))


def champion_among(project: Workspace, runs: Sequence[ModelRun]) -> Champion | None:
    """Return the champion, its run one of these; None if there is none."""
    found = version_of(project.tracking, model_name(project))
    if found is None:
        return None
    of_images = (run for run in runs if run.manifest == project.manifest.digest)
    run = next((run for run in of_images if run.id == found.run_id), None)
    return Champion(version=found.version, run=run)


def _elsewhere(
    project: Workspace, retrained: Sequence[Sequence[ModelRun]], champion: Champion | None, split: str
) -> list[list[Answers]]:
    """Return the champion if it has no row among the retrained ones, and images of this split."""
    run = None if champion is None else champion.run
    if run is None or any(alike[0].id == run.id for alike in retrained):
        return []
    said = Answers.of(project, run, split)
    return [[said]] if len(said.table) else []


def _controls(read: Sequence[Sequence[Answers]]) -> list[list[Answers]]:
    """Return what was retrained by classes alone: of each recipe that of the newest, with all its seeds."""
    found: dict[tuple[object, ...], list[Answers]] = {}
    for alike in read:
        controls = [said for each in alike if (said := each.control()) is not None]
        if len(controls) == len(alike):
            found[alike[0].recipe] = controls
    return list(found.values())


def _control(judge: Judge, alike: Sequence[Answers], shared: Answers | None) -> Compared:
    row = judge.row(alike, shared)
    return dataclasses.replace(row, name=alike[0].control_name, kind=CONTROL, cost={})


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


def worst_halves(
    project: Workspace, run: TrainedRun, other: TrainedRun, split: str
) -> tuple[float | None, float | None]:
    """Return the worst described half of a model, and of another on the same halves; None if not known."""
    judge = Judge.of(project, other, split)
    said = Answers.of(project, run, split)
    now, before = (judge.worst_half(each, said) for each in (said, judge.base))
    return None if now is None else now[1].value, None if before is None else before[1].value


def changed_images(project: Workspace, base: TrainedRun, run: TrainedRun, split: str) -> Changed:
    """Return which images a model fixed of another's mistakes, and which it broke."""
    numbers = project.manifest.table.select("id").with_row_index("row")
    before_it, after_it = (Answers.of(project, each, split).table for each in (base, run))
    both = beside(before_it, after_it).join(numbers, on="id", how="inner", maintain_order="left")
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
