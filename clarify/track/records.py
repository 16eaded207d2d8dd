"""What is logged of a model, a phrase and a bridge: results become records here.

Metrics have the same keys whatever the kind of run (``<split>/average_accuracy`` ...), so that the tracking
UI can compare any two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from clarify.method.groups.metrics import worst_described_half
from clarify.track.artifacts import (
    Artifact,
    arrays_artifact,
    json_artifact,
    parquet_artifact,
    png_artifact,
    table_artifacts,
)
from clarify.track.record import RunContext, RunRecord, metric_keys

if TYPE_CHECKING:
    from PIL.Image import Image

    from clarify.method.fit.head import Head
    from clarify.method.groups.metrics import Accuracy, Evaluation
    from clarify.method.phrases.descriptions import Description
    from clarify.method.phrases.evidence import Evidence

__all__ = ["bridge_record", "collection_record", "description_record", "model_record", "picture_artifacts"]


def model_record(
    context: RunContext,
    kind: Literal["base", "retraining"],
    *,
    name: str,
    head: Head | None,
    params: Mapping[str, str | float | int],
    evaluations: Mapping[str, Evaluation],
    described: Mapping[str, Evaluation],
    selection: Sequence[tuple[float, float]],
    predictions: pl.DataFrame,
    descriptions: Sequence[Description],
    groups: Mapping[str, int],
    gate: Mapping[str, object] | None,
    parent: str,
    oracle: bool,
    cost: Mapping[str, float] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    files: Sequence[Artifact] = (),
    base_described: Mapping[str, Evaluation] | None = None,
) -> RunRecord:
    """Return the record of a trained model.

    Parameters
    ----------
    evaluations, described : mapping of split to Evaluation
        By annotated groups (for reporting), and by described ones; without those that nobody knows for
        want of captions.
    selection : sequence of (candidate, score)
        What the choice of the weight decay, or of the epoch, was made from.
    predictions : DataFrame
        One row an image of validation and test.
    descriptions : sequence of Description
        What it was retrained with.
    gate : mapping or None
        What the gate needs to judge the model later.
    head : Head or None
        None where only its predictions are known.
    cost : mapping, optional
        What the training took: seconds, memory, parameters.
    history : sequence of mapping
        What was seen after each epoch, with its ``step``.
    files : sequence of Artifact
        What the model is made of beside its head.
    base_described : mapping, optional
        The base model by the same described groups.
    """
    metrics: dict[str, float] = {}
    for split, found in evaluations.items():
        metrics |= metric_keys(split, found.to_dict())
        for prefix, by_half in (("", described), ("base_", base_described or {})):
            halves = by_half[split].groups if split in by_half else None
            worst = worst_described_half(halves or {}, tuple(found.per_class))
            if worst is not None and worst[1].value is not None:
                metrics[f"{split}/{prefix}described_worst_group_accuracy"] = worst[1].value
    metrics |= metric_keys("cost", cost or {})
    artifacts = [
        *files,
        *table_artifacts("predictions", predictions),
        *table_artifacts("groups", _group_table(evaluations, described)),
        json_artifact("encoder.json", dict(context.encoder)),
        json_artifact("backbone.json", dict(context.backbone)),
        json_artifact(
            "training.json",
            {
                "groups": dict(groups),
                "selection": [{"candidate": each, "score": score} for each, score in selection],
            },
        ),
        json_artifact("descriptions.json", [each.to_dict() for each in descriptions]),
    ]
    if head is not None:
        artifacts.append(arrays_artifact("head.safetensors", head.to_arrays()))
    if gate is not None:
        artifacts.append(json_artifact("gate.json", gate))
    return RunRecord(
        kind=kind,
        name=name,
        params=params,
        metrics=metrics,
        tags=context.tags(
            kind,
            parent=parent,
            oracle=str(oracle).lower(),
            **{"class": ", ".join(each.class_name for each in descriptions)[:500]},
            phrase=", ".join(each.phrase for each in descriptions)[:500],
        ),
        artifacts=tuple(artifacts),
        dataset=context.dataset,
        history=tuple(
            (int(each["step"]), metric_keys("training", {k: v for k, v in each.items() if k != "step"}))
            for each in history
        ),
    )


def _group_table(evaluations: Mapping[str, Evaluation], described: Mapping[str, Evaluation]) -> pl.DataFrame:
    rows: list[tuple[str, str, str, int, int]] = []
    for split, found in evaluations.items():
        rows += [(split, "class", *_row(name, of)) for name, of in found.per_class.items()]
    for by, every in (("annotated", evaluations), ("described", described)):
        for split, found in every.items():
            rows += [(split, by, *_row(name, of)) for name, of in (found.groups or {}).items()]
    columns = dict.fromkeys(("split", "by", "group"), pl.String) | dict.fromkeys(
        ("count", "correct"), pl.Int64
    )
    table = pl.DataFrame(rows, schema=columns, orient="row")
    accuracy = pl.when(pl.col("count") > 0).then(pl.col("correct") / pl.col("count"))
    return table.with_columns(accuracy.alias("accuracy"))


def _row(name: str, found: Accuracy) -> tuple[str, int, int]:
    return name, found.count, found.correct


def description_record(
    context: RunContext,
    *,
    description: Description,
    evidence: Evidence,
    with_phrase: Accuracy,
    without_phrase: Accuracy,
    unknown_words: Sequence[str],
    caution: str,
    similarities: pl.DataFrame,
    parent: str,
    kept: bool,
    gain: float | None,
    machine: bool,
    best_score: float,
) -> RunRecord:
    """Return the record of a phrase that was tried, or kept.

    A chart is drawn of those that are kept only, as is what MLflow's page shows: people try many phrases.

    Parameters
    ----------
    similarities : DataFrame
        ``id, similarity, right, with_phrase`` of the class's validation images.
    parent : str
        The model's run.
    gain : float or None
        What retraining with it brings, if that is known.
    machine : bool
        Whether it was a machine's suggestion.
    best_score : float
        Of the best cut; `evidence` is of the one in force.
    """
    found = evidence.confirmation
    measured = {
        "error_score": evidence.score.value,
        "best_score": best_score,
        "p_value": evidence.p_value,
        "score_low": evidence.interval[0],
        "score_high": evidence.interval[1],
        "checked_score": evidence.cross_fitted if found is None else found.value,
        "with_accuracy": with_phrase.value,
        "without_accuracy": without_phrase.value,
        "gain": gain,
    }
    metrics = {name: value for name, value in measured.items() if value is not None}
    doubts = {"unknown_words": list(unknown_words), "caution": caution}
    return RunRecord(
        kind="description",
        name=f"{description.class_name}: {description.phrase}"[:200],
        params={
            "threshold": description.threshold,
            "wrong_is_above": str(description.wrong_is_above).lower(),
            "template": description.template,
            "n_tried": evidence.n_tried,
            "machine": str(machine).lower(),
            "note": description.note,
            "caution": caution,
        },
        metrics=metric_keys("validation", metrics),
        tags=context.tags(
            "description",
            **{"class": description.class_name},
            phrase=description.phrase,
            parent=parent,
            kept=str(kept).lower(),
        ),
        artifacts=(
            json_artifact("description.json", description.to_dict()),
            json_artifact("evidence.json", {**_lasting(evidence), **doubts}),
            json_artifact("encoder.json", dict(context.encoder)),
            *_similarities(description, similarities, kept=kept),
        ),
        dataset=context.dataset,
    )


def picture_artifacts(pictures: Mapping[str, Image]) -> tuple[Artifact, ...]:
    """Return pictures of a description's halves, by name, as its run holds them."""
    return tuple(png_artifact(f"{name}.png", image) for name, image in pictures.items())


def _lasting(evidence: Evidence) -> dict[str, Any]:
    """Return what stays true of a phrase when others are tried after it: nothing that counts the tries."""
    by_tries = {"p_corrected", "confirmed"} | (set() if evidence.confirmation else {"held_out"})
    return {name: value for name, value in evidence.to_dict().items() if name not in by_tries}


def bridge_record(
    context: RunContext, *, name: str, described: Mapping[str, Any], words: Sequence[Mapping[str, object]]
) -> RunRecord:
    """Return the record of a bridge; its encoder's digest is in the records of all that was made with it.

    Parameters
    ----------
    context : RunContext
        Of the bridge itself and its network.
    described : mapping
        Of `Bridge.describe`.
    words : sequence of mapping
        ``word, captions, auc`` of each word that it was measured on.
    """
    network, text, captions = described["network"], described["text"], described["captions"]
    params = {
        "way": described["way"],
        "network": network["spec"],
        "text": text["name"],
        "text_sha256": text["sha256"],
    }
    if captions:
        params |= {
            "penalty": described["penalty"],
            "captions": captions["captions"],
            "captions_sha256": captions["sha256"],
            "images": ", ".join(f"{split} {count}" for split, count in captions["images"].items()),
        }
    columns = {"word": pl.String, "captions": pl.Int64, "auc": pl.Float64}
    return RunRecord(
        kind="bridge",
        name=name,
        params=params,
        metrics=metric_keys("held_out", described["quality"] or {}),
        tags=context.tags("bridge"),
        artifacts=(
            json_artifact("bridge.json", dict(described)),
            json_artifact("encoder.json", dict(context.encoder)),
            json_artifact("backbone.json", dict(context.backbone)),
            *table_artifacts("words", pl.DataFrame(list(words), schema=columns)),
        ),
        dataset=context.dataset,
    )


def collection_record(
    context: RunContext,
    *,
    action: Literal["ranked", "accepted"],
    pool: Mapping[str, str | int],
    by: str,
    made: str,
    descriptions: Sequence[Description],
    counts: Mapping[str, int],
    images: pl.DataFrame,
    parent: str,
) -> RunRecord:
    """Return the record of a pool that was ranked, or of labels of it that came back.

    Parameters
    ----------
    pool : mapping
        ``pool``, as it was named, and its ``digest``.
    by : str
        What it was ranked by, or the runs of the rankings that were labelled.
    made : str
        The data set that was made with them, and its digest; empty of a ranking.
    descriptions : sequence of Description
        The halves that it was ranked for; none of labels.
    counts : mapping
        ``images`` in the table, and what was passed over.
    images : DataFrame
        A row an image, in order.
    parent : str
        The model's run.
    """
    return RunRecord(
        kind="collection",
        name=f"{action}: {pool['pool']}"[:200],
        params={"action": action, **pool, "by": by, "made": made},
        metrics=metric_keys("pool", counts),
        tags=context.tags(
            "collection",
            **{"class": ", ".join(each.class_name for each in descriptions)[:500]},
            phrase=", ".join(each.phrase for each in descriptions)[:500],
            parent=parent,
        ),
        artifacts=(
            *table_artifacts("images", images),
            json_artifact("descriptions.json", [each.to_dict() for each in descriptions]),
            json_artifact("encoder.json", dict(context.encoder)),
        ),
        dataset=context.dataset,
    )


def _similarities(
    description: Description, similarities: pl.DataFrame, *, kept: bool
) -> tuple[Artifact, ...]:
    if not kept:
        return (parquet_artifact("similarities.parquet", similarities),)
    from clarify.track.figures import distribution_page

    page = distribution_page(
        description.shown(similarities["similarity"].to_numpy()),
        similarities["right"].to_numpy(),
        description.shown_cut,
        title=f"{description.class_name}: {description.phrase}",
    )
    return (
        *table_artifacts("similarities", similarities),
        Artifact(path="distribution.html", content=page.encode()),
    )
