"""A model's card: what it was made of, what it does better and worse, why it may be used, how to load it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import polars as pl

from clarify.errors import NotFoundError, nearest, shown
from clarify.method.groups.metrics import Accuracy, paired_difference
from clarify.track.markdown import plain, table
from clarify.track.notes import reasons
from clarify.track.verdict import Verdict
from clarify.workflow.decide.answers import Answers, beside
from clarify.workflow.decide.champions import Described, Lineage, lineage, loading, registry_state
from clarify.workflow.model.project import Workspace

__all__ = ["Card", "card_of", "model_card"]

SPLITS = ("test", "validation")
"""Where halves are compared, the first that both models have answers on: on test nothing was chosen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The card of a registered version, in Markdown."""

    model_name: str
    version: str
    run_id: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return it as plain values."""
        return {"model": self.model_name, "version": self.version, "run": self.run_id, "card": self.text}


def card_of(project: Workspace, version: str | None) -> Card:
    """Return the card of a version of the registry.

    Parameters
    ----------
    version : str or None
        Its number, with or without a ``v``; None takes the champion.

    Raises
    ------
    NotFoundError
        If there is no such version, or no champion, or its run is gone.
    """
    state = registry_state(project)
    number = None if version is None else version.removeprefix("v")
    found = state.champion if number is None else state.version(number)
    if found is None:
        name = project.manifest.name
        if number is None:
            raise NotFoundError(f"{name} has no champion to make a card of; run: clarify promote {name}")
        known = [each.version for each in state.versions]
        raise NotFoundError(
            f"model {state.model_name} has no version {shown(version)}; {nearest(number, known)}"
        )
    text = model_card(project, found.run_id, found.verdict, note=found.note)
    return Card(model_name=found.model_name, version=found.version, run_id=found.run_id, text=text)


def model_card(project: Workspace, run_id: str, verdict: Verdict, *, note: str) -> str:
    """Return the card of a retrained model, in Markdown.

    Parameters
    ----------
    run_id : str
        The retraining.
    verdict : Verdict
        What the gate said of it.
    note : str
        Why it was registered.

    Raises
    ------
    NotFoundError
        If its run, or a file of it, is not in the store (any more).
    """
    origin = lineage(project, run_id)
    parts = {
        "": _what(project, origin, note),
        "Data": _data(project, origin),
        "Phrases": _phrases(origin.described),
        "Before and after": _halves(project, origin),
        "Gate": _gate(verdict),
        "Limits": _limits(project),
        "How to load it": f"```python\n{loading(project)}```\n\nwith `MLFLOW_TRACKING_URI` naming this "
        "store. Of another version `/` and its number stand for `@champion`.",
    }
    told = (f"## {title}\n\n{text}" if title else text for title, text in parts.items() if text)
    return f"# Model card: {plain(project.manifest.title)}\n\n" + "\n\n".join(told) + "\n"


def _what(project: Workspace, origin: Lineage, note: str) -> str:
    run = origin.run
    base = f"base model `{run.parent[:8]}`" + (
        "" if origin.base is None else f" ({plain(origin.base.name)}, by {plain(origin.base.by)})"
    )
    lines = [
        f"{plain(run.name)}: run `{run.id}` of `{project.manifest.name}`, by {plain(run.by)}, retrained from "
        f"{base} with Clarify {origin.code_version}.",
        f"Registered: {plain(note)}" if note else "",
    ]
    return "\n\n".join(filter(None, lines))


def _data(project: Workspace, origin: Lineage) -> str:
    manifest = project.manifest
    listed = manifest.table.group_by("split", "label").len()
    counts = {(split, label): count for split, label, count in listed.iter_rows()}
    rows = [
        [plain(name), *(f"{counts.get((split, name), 0):,}" for split in manifest.splits)]
        for name in manifest.classes
    ]
    other = "" if origin.digest == manifest.digest else ", which has changed since: the counts are of today's"
    return "\n\n".join(
        (
            f"{plain(manifest.title)}; source: {plain(manifest.source)}; licence: {plain(manifest.licence)}. "
            f"Table `{origin.digest[:12]}`{other}.",
            table(["images", *manifest.splits], rows),
            f"Phrases are compared by {_named(project, origin, 'encoder.json')} `{origin.encoder}`; the "
            f"model stands on {_named(project, origin, 'backbone.json')} `{origin.backbone}`.",
        )
    )


def _named(project: Workspace, origin: Lineage, file: str) -> str:
    """Return what an encoder was called when the model was retrained; older records lack it."""
    recorded = json.loads(project.tracking.artifact(origin.run.id, file))
    return plain(str(recorded.get("name", "encoder")))


def _phrases(described: tuple[Described, ...]) -> str:
    lines = []
    for each in described:
        what = each.description
        scored = "" if each.score is None else f", error score {each.score:.2f}"
        said = f": {plain(what.note)}" if what.note else ""
        lines.append(
            f"- {plain(what.class_name)}: *{plain(what.phrase)}*, by {plain(what.author)}, "
            f"{what.created_at[:10]}{scored}{said}"
        )
    return "\n".join(lines)


def _halves(project: Workspace, origin: Lineage) -> str:
    """Return the accuracies of each half by both models, and of all images, each with its interval."""
    if origin.base is None:
        return "Its base model is gone from the store, so nothing can be compared."
    for split in SPLITS:
        before = Answers.of(project, origin.base, split).table
        after = Answers.of(project, origin.run, split)
        both = beside(before, after.table)
        if not both.is_empty():
            return f"On {split}, in percent with 95 % intervals:\n\n{_compared(both, after)}"
    return "The two models have no images in common."


def _compared(both: pl.DataFrame, after: Answers) -> str:
    parts: list[tuple[str, pl.DataFrame]] = [("all images", both)]
    groups = after.groups
    if groups is not None:
        placed = both.join(groups, on="id", maintain_order="left")
        parts += [(name, placed.filter(group=name)) for name in after.counted]
    else:
        parts += [(name, both.filter(label=name)) for name in both["label"].unique(maintain_order=True)]
    return table(["half", "images", "before", "after", "change"], list(_rows(parts)))


def _rows(parts: list[tuple[str, pl.DataFrame]]) -> Iterator[list[str]]:
    for name, of in parts:
        if of.is_empty():
            continue
        before, now = of["right"].to_numpy(), of["now"].to_numpy()
        change = paired_difference(before, now, what="average", seed=0)
        yield [
            plain(name),
            f"{of.height:,}",
            _accuracy(int(np.sum(before)), of.height),
            _accuracy(int(np.sum(now)), of.height),
            f"{100 * change.estimate:+.1f} ({100 * change.low:+.1f} to {100 * change.high:+.1f})",
        ]


def _accuracy(correct: int, count: int) -> str:
    found = Accuracy(count=count, correct=correct).interval
    return "–" if found is None else f"{100 * found.estimate:.1f} ({found.words})"


def _gate(verdict: Verdict) -> str:
    first = "The gate lets it pass." if verdict.passed else "**The gate refuses it.**"
    if verdict.overruled:
        first += f" It was overruled: {plain(verdict.overruled)}"
    return f"{first}\n\n{reasons(verdict.to_dict()['reasons'])}"


def _limits(project: Workspace) -> str:
    """Return what a user of the model must know: of phrases, of the gate, and of this encoder."""
    lines = [
        "A phrase parts images only as far as the encoder sees it.",
        "The gate looks along the axes of the setting. It does not see a harm along others, as to one breed.",
        "It was made for images like those of its data set; of others nothing is known.",
        plain(project.caution),
        *(plain(doubt) for doubt in project.doubts),
    ]
    return "\n".join(f"- {line}" for line in lines if line)
