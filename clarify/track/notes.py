"""What stands on the page of a run in MLflow: a few lines of Markdown, made from its record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from clarify.errors import InputError
from clarify.track.gate_evidence import GateEvidence
from clarify.track.markdown import plain, table

if TYPE_CHECKING:
    from clarify.track.artifacts import Artifact
    from clarify.track.record import RunRecord

__all__ = ["ACCURACIES", "SPLITS", "changed_groups", "note_of", "pictures", "reasons"]

LONGEST_REASON = 1000
SPLITS = ("validation", "test")
ACCURACIES = {
    "average_accuracy": "average",
    "adjusted_average_accuracy": "adjusted average",
    "worst_group_accuracy": "worst annotated group",
    "described_worst_group_accuracy": "worst described half",
}
"""Figures of a model by their names in MLflow, for people."""


def note_of(record: RunRecord, experiment: str) -> str:
    """Return what a run is, in Markdown.

    Parameters
    ----------
    experiment : str
        The id of its experiment, for links.
    """
    return "\n\n".join(filter(None, TOLD[record.kind](record, experiment)))


def pictures(artifacts: Iterable[Artifact], run: str) -> str:
    """Return Markdown that shows the pictures among a run's files, as MLflow's server hands them out."""
    shown = sorted(each.path for each in artifacts if each.path.endswith(".png"))
    return "\n\n".join(
        f"![{path}](get-artifact?{urlencode({'path': path, 'run_uuid': run})})\n\n"
        f"*{path.removesuffix('.png')} the phrase*"
        for path in shown
    )


def changed_groups(found: GateEvidence) -> str:
    """Return a table of the judged groups: how many the base and the new model have right."""
    return table(
        ["judged group", "images", "before", "after"],
        [
            [
                plain(each.name),
                f"{each.count:,}",
                _share(each.base_correct / each.count if each.count else None),
                _share(each.now_correct / each.count if each.count else None),
            ]
            for each in found.groups
        ],
    )


def reasons(said: Iterable[Mapping[str, Any]]) -> str:
    """Return the gate's reasons, one an item."""
    return "\n".join(
        f"- {'passes' if each['passed'] else '**fails**'}: {plain(each['text'], most=LONGEST_REASON)}"
        for each in said
    )


def _model(record: RunRecord, experiment: str) -> Iterable[str]:
    parent = record.tags["parent"]
    link = f", from [its base model](#/experiments/{experiment}/runs/{parent})" if parent else ""
    what = "A base model" if record.kind == "base" else f"A corrected model{link}"
    yield f"{what} of **{plain(record.dataset.name)}**, by {plain(record.tags['reviewer'])}."
    if record.tags["oracle"] == "true":
        yield "**For comparison only:** an oracle, made with annotated groups."
    yield "\n".join(
        f"- {plain(each['class_name'])}: *{plain(each['phrase'])}*, by {plain(each['author'])}"
        for each in _file(record, "descriptions.json") or ()
    )
    yield _figures(record.metrics)
    yield _judged(record)


def _figures(metrics: Mapping[str, float]) -> str:
    rows = [
        [words, *(_share(metrics.get(f"{split}/{name}")) for split in SPLITS)]
        for name, words in ACCURACIES.items()
        if any(f"{split}/{name}" in metrics for split in SPLITS)
    ]
    return table(["accuracy", *SPLITS], rows) if rows else ""


def _judged(record: RunRecord) -> str:
    """Return the table before and after; empty where none was judged, or by another version of Clarify."""
    try:
        return changed_groups(
            GateEvidence.from_dict((_file(record, "gate.json") or {}).get("evidence") or {})
        )
    except InputError:
        return ""


def _description(record: RunRecord, experiment: str) -> Iterable[str]:
    seen = {name.removeprefix("validation/"): value for name, value in record.metrics.items()}
    what = "Kept" if record.tags["kept"] == "true" else "Tried"
    said = _file(record, "evidence.json") or {}
    yield (
        f"{what}: images of **{plain(record.tags['class'])}** and *{plain(record.tags['phrase'])}*, "
        f"by {plain(record.tags['reviewer'])}."
    )
    score, low, high = (_score(seen.get(name)) for name in ("error_score", "score_low", "score_high"))
    yield f"Error score {score} ({low} to {high})."
    yield plain(str(said.get("caution") or ""))
    if unknown := said.get("unknown_words"):
        yield f"The encoder may not know: {plain(', '.join(unknown))}."
    halves = [
        [name, _share(seen[f"{name}_accuracy"])] for name in ("with", "without") if f"{name}_accuracy" in seen
    ]
    yield table(["half", "accuracy"], halves) if halves else ""
    if "gain" in seen:
        yield f"Retraining with it changed the mean of the classes by {100 * seen['gain']:+.1f} points."


def _promotion(record: RunRecord, experiment: str) -> Iterable[str]:
    asked = record.params
    before = f" after version {asked['from_version']}" if asked["from_version"] else ""
    what = "was rolled back to" if asked["action"] == "rollback" else "was promoted"
    yield (
        f"Version {asked['to_version']} of **{plain(str(asked['model']))}** {what}{before}, "
        f"by {plain(record.tags['reviewer'])}."
    )
    yield plain(str(asked["note"]))
    said = _file(record, "verdict.json") or {}
    yield f"The gate was overruled: {plain(said['overruled'])}" if said.get("overruled") else ""
    yield reasons(said.get("reasons", ()))


def _cell(record: RunRecord, experiment: str) -> Iterable[str]:
    yield f"One method on one seed of `clarify benchmark`, by {plain(record.tags['reviewer'])}."
    yield _figures(record.metrics)


def _bridge(record: RunRecord, experiment: str) -> Iterable[str]:
    yield (
        f"An encoder that `clarify bridge` learned from {plain(str(record.params['way']))}, so that "
        f"{plain(str(record.params['network']))} can be asked in words."
    )


def _collection(record: RunRecord, experiment: str) -> Iterable[str]:
    asked = record.params
    told = f"{int(record.metrics['pool/images']):,} images of {plain(str(asked['pool']))}"
    if asked["action"] == "accepted":
        yield (
            f"Labels of {told} came back, and made the data set {plain(str(asked['made']))}; "
            f"taken in by {plain(record.tags['reviewer'])}."
        )
    else:
        yield (
            f"{told} to label first, for {plain(record.tags['phrase'])} ({plain(record.tags['class'])}), "
            f"by {plain(str(asked['by']))}; asked for by {plain(record.tags['reviewer'])}."
        )


TOLD: dict[str, Callable[[RunRecord, str], Iterable[str]]] = {
    "base": _model,
    "retraining": _model,
    "description": _description,
    "promotion": _promotion,
    "cell": _cell,
    "bridge": _bridge,
    "collection": _collection,
}


def _file(record: RunRecord, path: str) -> Any:
    """Return a JSON file of a record; None if it has no such file."""
    found: Sequence[bytes] = [each.content for each in record.artifacts if each.path == path]
    return json.loads(found[0]) if found else None


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
