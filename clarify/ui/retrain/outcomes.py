"""What goes into a retraining, and how it stands: the Retrain page's pieces, from plain data."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clarify.errors import InputError
from clarify.method.groups.metrics import Accuracy, worst_described_half
from clarify.track.gate_evidence import GateEvidence
from clarify.ui.pieces import blocks
from clarify.workflow.describe.grouping import THIN
from clarify.workflow.model.recipe import OBJECTIVES, PARTS, Recipe

if TYPE_CHECKING:
    from clarify.track.runs import DescriptionRun, ModelRun
    from clarify.workflow.describe.grouping import GroupSize
    from clarify.workflow.jobs.files import Job

__all__ = [
    "Offered",
    "Outcome",
    "groups_html",
    "job_html",
    "lines_html",
    "offered_of",
    "outcome_of",
    "part_words",
    "run_html",
]

ENDED = {"failed": "It could not be done", "killed": "It was killed before it ended"}
MOST_WHOLE = 6
LABEL_APART = 13.0
"""Percent of the height of the lines that a label needs."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A kept description that may go into a retraining.

    Parameters
    ----------
    run : str
        The newest that keeps the phrase.
    key : str
        Stays the same when a description that waits in the outbox is delivered.
    by : tuple of str
        Who kept it, each once.
    gain : float or None
        What retraining with it brought when it was kept.
    machine : bool
        Whether it was a machine's suggestion.
    best : bool
        Whether it is what a retraining takes unless somebody chooses: see `default_runs`.
    """

    run: str
    key: str
    class_name: str
    phrase: str
    by: tuple[str, ...]
    score: float
    gain: float | None
    machine: bool
    best: bool = False


def offered_of(runs: Sequence[DescriptionRun], default: Collection[str]) -> list[Offered]:
    """Return kept descriptions of one model, each phrase of a class once, what is taken by default first.

    `runs` are newest first; `default` are those (`default_runs`), by id.
    """
    found: dict[tuple[str, str], Offered] = {}
    taken = {(run.class_name, run.phrase) for run in runs if run.id in default}
    for run in runs:
        name = (run.class_name, run.phrase)
        if name not in found:
            found[name] = Offered(
                run=run.id,
                key=run.delivery or run.id,
                class_name=name[0],
                phrase=name[1],
                by=(),
                score=run.score,
                gain=run.gain,
                machine=run.machine,
                best=name in taken,
            )
        by = dict.fromkeys((*found[name].by, run.by))
        found[name] = dataclasses.replace(found[name], by=tuple(by))
    return sorted(
        found.values(), key=lambda each: (each.class_name, not each.best, -(each.gain or 0.0), -each.score)
    )


def groups_html(groups: Sequence[GroupSize]) -> str:
    """Return the groups and their sizes, with what is to be said of tiny ones."""
    most = max(each.train for each in groups)
    described = [each for each in groups if each.described]
    whole = [each for each in groups if not each.described]
    shown = described + (whole if len(whole) <= MOST_WHOLE else [])
    rows = [_group(each, most) for each in shown]
    if len(shown) < len(groups):
        sizes = [each.train for each in whole]
        rows.append(blocks.muted(f"and {len(whole):,} whole classes of {min(sizes):,} to {max(sizes):,}"))
    if any(each.too_few for each in described):
        rows.append(
            blocks.muted(
                f"Under {THIN} to check with in some: where it can, the gate judges training images, too."
            )
        )
    head = '<div class="c-half c-head"><span>images</span><span>to train · to check</span></div>'
    return head + "".join(rows)


def _group(group: GroupSize, most: int) -> str:
    return (
        f'<div class="c-group"><div class="c-half"><b>{blocks.cell(group.name)}</b>'
        f"<span>{group.train:,} · {group.validation:,}</span></div>"
        f"{blocks.bar(group.train / most)}</div>"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a retraining changed on validation: accuracies, fractions; None where no half is described.

    Parameters
    ----------
    not_corrected : str
        See `GateEvidence`; empty where it is not known.
    """

    base_worst: float | None
    worst: float | None
    base_average: float
    average: float
    not_corrected: str


def outcome_of(gate: bytes, classes: Sequence[str]) -> Outcome:
    """Return what a run's ``gate.json`` tells."""
    found = json.loads(gate)

    def worst(of: str) -> float | None:
        halves = {
            each["name"]: Accuracy(count=each["count"], correct=each[f"{of}_correct"])
            for each in found["halves"]
        }
        lowest = worst_described_half(halves, classes)
        return None if lowest is None else lowest[1].value

    return Outcome(
        base_worst=worst("base"),
        worst=worst("now"),
        base_average=found["base_average"],
        average=found["now_average"],
        not_corrected=_not_corrected(found.get("evidence")),
    )


def _not_corrected(evidence: Mapping[str, Any] | None) -> str:
    try:
        return GateEvidence.from_dict(evidence or {}).not_corrected
    except InputError:  # of an oracle, or recorded by another version
        return ""


def job_html(job: Job, outcome: Outcome | None) -> str:
    """Return how a job stands, for people; `outcome` is what it came to, if it is known."""
    status = job.status
    chips = "".join(blocks.chip(f"{name}: {phrase}") for name, phrase in job.phrases)
    who = blocks.cell(f"{job.by} · {_ago(job.asked_at)} · {_objective(job)}")
    said = ""
    if job.active:
        message = "It is being stopped." if job.stopping else status.message
        share = status.step / status.steps
        said = (
            f'<div class="c-ends"><span>{blocks.cell(message)}</span>'
            f"<span>{100 * share:.0f}%</span></div>{blocks.bar(share)}"
            f"{_figures(status.figures)}"
            f"{lines_html(status.losses)}"
        )
    elif status.state == "done" and outcome is not None:
        said = _outcome_html(outcome, status.losses)
    elif status.state != "done":
        word = ENDED.get(status.state, "")
        said = f'<div class="c-ended">{f"<b>{word}.</b> " if word else ""}{_why(job)}</div>'
    return f'<div class="c-job"><div>{chips}</div><div class="c-muted">{who}</div>{said}</div>'


def run_html(run: ModelRun, outcome: Outcome | None) -> str:
    """Return what was retrained elsewhere: by the command line, or by others on the same store."""
    chips = "".join(blocks.chip(each) for each in dict.fromkeys(run.phrases)) or blocks.chip("labels used")
    objective = OBJECTIVES[run.objective].words if run.objective in OBJECTIVES else run.objective
    how = f"{objective[:1].lower()}{objective[1:]}"
    who = blocks.cell(f"{run.by} · {_ago(run.started)} · {how} · not from this page")
    said = "" if outcome is None else _outcome_html(outcome, {})
    return f'<div class="c-job"><div>{chips}</div><div class="c-muted">{who}</div>{said}</div>'


def _outcome_html(outcome: Outcome, losses: Mapping[str, Sequence[float]]) -> str:
    rows = [
        ("worst described half", outcome.base_worst, outcome.worst),
        ("all validation images", outcome.base_average, outcome.average),
    ]
    figures = blocks.table(
        ["", "before", "now"],
        [[name, blocks.percent(was), f"<b>{blocks.percent(now)}</b>"] for name, was, now in rows],
    )
    said = f'<div class="c-done"><div>{figures}</div><div>{lines_html(losses)}</div></div>'
    if outcome.not_corrected:
        said += f'<div class="c-ended"><b>{blocks.cell(_sentence(outcome.not_corrected))}</b></div>'
    return said


def _figures(figures: Mapping[str, float]) -> str:
    """Return what a network came to on validation when it was looked at last."""
    if not figures:
        return ""
    told = ", ".join(f"{name} {blocks.percent(value)}" for name, value in figures.items())
    return blocks.muted(f"On validation after the last epoch: {told}.")


def _objective(job: Job) -> str:
    recipe = job.request.recipe
    text = OBJECTIVES[recipe.objective].words
    seeds = "" if recipe.seeds == 1 else f", {recipe.seeds} seeds"
    part = "" if recipe.part == "head" else f", {part_words(recipe.part)}"
    erased = "" if recipe.erase == "none" else f", {recipe.erase.replace('_', ' ')} taken out"
    refit = ", fitted to validation too" if recipe.refit else ""
    select = "" if recipe.select == Recipe().select else f", by {recipe.select.replace('_', ' ')}"
    return f"{text[:1].lower()}{text[1:]}{erased}{refit}{select}{part}{seeds}"


def part_words(part: str) -> str:
    """Return what of a model changed, as it stands in a sentence."""
    row = PARTS[part]
    return row.phrase.format(row.layers(part))


def _why(job: Job) -> str:
    if job.status.state == "killed":
        return "The machine was stopped, or had no memory left; nothing is lost but the time. Start it again."
    return blocks.cell(_sentence(job.status.message))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _ago(at: int) -> str:
    minutes = int((time.time() - at / 1000) // 60)
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            count = minutes // size
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def lines_html(lines: Mapping[str, Sequence[float]]) -> str:
    """Return the loss of each group as a thin line, the highest of them strong.

    Parameters
    ----------
    lines : mapping of group to values
        In nats, all of one length; nothing is drawn of fewer than two values.
    """
    length = len(next(iter(lines.values()), ()))
    if length < 2:
        return ""
    top = max(max(values) for values in lines.values()) or 1.0
    last = {name: values[-1] for name, values in lines.items()}
    worst = max(last, key=lambda name: last[name])
    drawn = "".join(
        _line([100 * (1 - value / top) for value in values], strong=name == worst)
        for name, values in lines.items()
    )
    ordered = sorted(last, key=lambda name: -last[name])
    places = _apart([100 * (1 - last[name] / top) for name in ordered])
    labels = "".join(
        f'<span style="top:{place:.1f}%"{" class=strong" if name == worst else ""}>'
        f"{last[name]:.2f} {blocks.cell(name)}</span>"
        for name, place in zip(ordered, places, strict=True)
    )
    return (
        '<div class="c-lines-head">Loss of each group in training</div>'
        f'<div class="c-lines"><div class="c-plot">{drawn}</div>'
        f'<div class="c-labels">{labels}</div></div>'
    )


def _line(heights: Sequence[float], *, strong: bool) -> str:
    """Draw a line of heights in percent from the top, in the colour of the theme.

    It is the mask of a plain element, since a page's HTML may hold no drawing.
    """
    points = " ".join(
        f"{1000 * number / (len(heights) - 1):.1f},{height:.2f}" for number, height in enumerate(heights)
    )
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 -2 1000 104' "
        f"preserveAspectRatio='none'><polyline points='{points}' fill='none' stroke='black' "
        f"stroke-width='{2 if strong else 1.2}' vector-effect='non-scaling-stroke'/></svg>"
    )
    mask = f"url(&quot;data:image/svg+xml,{quote(drawing)}&quot;)"
    kind = "strong" if strong else ""
    return f'<i class="{kind}" style="-webkit-mask-image:{mask};mask-image:{mask}"></i>'


def _apart(places: Sequence[float]) -> list[float]:
    """Move labels, ordered from the top, so that none covers another; in percent."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LABEL_APART) if moved else place)
    below = max(0.0, moved[-1] - 100.0)
    for number in range(len(moved) - 1, -1, -1):
        if below <= 0:
            break
        limit = 100.0 - LABEL_APART * (len(moved) - 1 - number)
        moved[number] = min(moved[number], limit)
    return moved
