"""What a training came to, and its record."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.method.groups.metrics import Accuracy, Evaluation
from clarify.method.phrases.descriptions import Description
from clarify.track.artifacts import Artifact
from clarify.track.gate_evidence import GateEvidence
from clarify.track.records import model_record
from clarify.track.run import now
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace, run_context

__all__ = ["REPORTED", "Cost", "HalfResult", "Trained", "predictions_table", "recorded"]

REPORTED = ("validation", "test")
"""Splits that a model is evaluated on."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HalfResult:
    """One described group on the validation split: before, after, and without the phrases.

    Parameters
    ----------
    control : Accuracy
        Retrained in the same way without the phrases, the classes as groups: what they must beat.
    label : int
        Its class; -1 where it has no images.
    """

    name: str
    base: Accuracy
    now: Accuracy
    control: Accuracy
    label: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a training took.

    Parameters
    ----------
    seconds : float
        Of fitting, over all attempts; reading features and recording are left out.
    peak_memory_mib : float
        The most that the process ever held.
    parameters : int
        How many were changed.
    """

    seconds: float
    peak_memory_mib: float
    parameters: int

    @classmethod
    def now(cls, *, seconds: float, parameters: int) -> Cost:
        """Return the cost of what was just done by this process."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return cls(seconds=seconds, peak_memory_mib=peak, parameters=parameters)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training returns: the model, how it was chosen, and its accuracies.

    Parameters
    ----------
    settings : mapping
        What was chosen, as it is logged.
    rule : str
        The name of the rule that chose among candidates.
    table : tuple of (float, float)
        Each candidate (its weight decay, or its epoch) with its score.
    evaluations : mapping of split to Evaluation
        With annotated groups where the data set has them; for reporting only.
    halves : tuple of HalfResult
        The described groups on validation; empty for a base model.
    oracle : bool
        Whether annotated groups were used to train or to select.
    another_model : bool
        Whether the base is a model of which only predictions are known, so that this head is not
        that model corrected, but another one.
    seed : int
        Which of several repeats; see `Recipe`.
    repeats : tuple of Trained
        The same with other seeds; only where this is of seed 0.
    files : tuple of Artifact
        What the model is made of beside its head.
    history : tuple of mapping
        What was seen after each epoch, with its ``step``; empty of what is solved at once.
    notes : tuple of str
        For people.
    held_out : ndarray of float64, (N, K), or None
        Probabilities of the validation images by heads that were not fitted to them, where the
        model itself was.
    gate : GateEvidence or None
        What the gate looks at; None of a base model and of an oracle.
    """

    model: Model
    settings: Mapping[str, str | float | int]
    rule: str
    table: tuple[tuple[float, float], ...]
    evaluations: dict[str, Evaluation]
    group_counts: dict[str, int]
    cost: Cost
    halves: tuple[HalfResult, ...] = ()
    oracle: bool = False
    another_model: bool = False
    seed: int = 0
    repeats: tuple[Trained, ...] = ()
    files: tuple[Artifact, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    held_out: NDArray[np.float64] | None = None
    gate: GateEvidence | None = None

    def answers(self, data: SplitData) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the class (N,) and the probabilities (N, K) that count for images of a split."""
        if self.held_out is not None and data.name == "validation":
            return self.held_out.argmax(axis=1), self.held_out
        head = self.model.own_head()
        return self.model.predict(data), head.probabilities(data.features)

    def to_dict(self) -> dict[str, Any]:
        """Return what a script wants to know, as plain values."""
        return {
            "run": self.model.run_id,
            "name": self.model.name,
            **self.settings,
            "selection": self.rule,
            "oracle": self.oracle,
            "another_model": self.another_model,
            "groups": self.group_counts,
            "seed": self.seed,
            "cost": dataclasses.asdict(self.cost),
            "repeats": [each.to_dict() for each in self.repeats],
            **{split: found.to_dict() for split, found in self.evaluations.items()},
        }


def recorded(
    project: Workspace,
    splits: Mapping[str, SplitData],
    trained: Trained,
    *,
    descriptions: Sequence[Description],
    base: Model | None,
    described: Mapping[str, Evaluation],
    base_described: Mapping[str, Evaluation],
    beside: Mapping[str, Mapping[str, NDArray[np.str_]]],
    delivery: str,
) -> Trained:
    """Log a trained model, and return it with its run.

    Parameters
    ----------
    splits : mapping of split to SplitData
        With ``validation``; predictions of those in `REPORTED` are kept.
    descriptions : sequence of Description
        What it was retrained with.
    base : Model or None
        What it was retrained from; None for a base model.
    described, base_described : mapping of split to Evaluation
        By described groups: of this model, and of the base on the same ones.
    beside : mapping of split to columns (N,)
        What is kept beside the predictions: ``control`` and ``group``.
    delivery : str
        Equal for every attempt to record the same.
    """
    validation, head = splits["validation"], trained.model.own_head()
    record = model_record(
        run_context(project, validation.name, trained.model.backbone),
        "base" if base is None else "retraining",
        name=trained.model.name,
        head=head,
        params={**trained.settings, "selection": trained.rule, "seed": trained.seed},
        evaluations=trained.evaluations,
        described=described,
        base_described=base_described,
        selection=trained.table,
        predictions=pl.concat(
            [
                predictions_table(project, name, data.ids, data.labels, *trained.answers(data)).with_columns(
                    pl.Series(column, values) for column, values in beside.get(name, {}).items()
                )
                for name, data in splits.items()
                if name in REPORTED
            ],
            how="diagonal",
        ),
        descriptions=descriptions,
        groups=trained.group_counts,
        gate=None if base is None else _for_gate(trained, validation),
        parent="" if base is None else base.run_id,
        oracle=trained.oracle,
        cost=dataclasses.asdict(trained.cost),
        history=trained.history,
        files=trained.files,
    )
    run_id = project.tracking.adopt(record, delivery=delivery, at=now())
    return dataclasses.replace(trained, model=dataclasses.replace(trained.model, run_id=run_id))


def _for_gate(trained: Trained, data: SplitData) -> dict[str, Any]:
    """Return what the gate asks for: described groups and averages on validation, as counts."""
    return {
        "base_average": sum(half.base.correct for half in trained.halves) / len(data.labels),
        "now_average": float((trained.answers(data)[0] == data.labels).mean()),
        "halves": [
            {
                "name": half.name,
                "count": half.now.count,
                "base_correct": half.base.correct,
                "now_correct": half.now.correct,
                "control_correct": half.control.correct,
                "label": half.label,
            }
            for half in trained.halves
        ],
        "evidence": None if trained.gate is None else trained.gate.to_dict(),
    }


def predictions_table(
    project: Workspace,
    split: str,
    ids: NDArray[np.str_],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
) -> pl.DataFrame:
    """Return id, split, label, prediction and its probability for each image of a split.

    Parameters
    ----------
    ids, labels, predicted : (N,)
    probabilities : (N, K), or None
        None where only the predictions are known; the columns of them are empty then.
    """
    classes = np.array(project.manifest.classes)
    rows = np.arange(len(predicted))
    table = pl.DataFrame(
        {
            "id": ids,
            "split": [split] * len(predicted),
            "label": classes[labels],
            "predicted": classes[predicted],
            "right": predicted == labels,
        }
    )
    of = {"predicted": predicted, "label": labels}
    if probabilities is None:
        none = pl.lit(None, dtype=pl.Float64)
        return table.with_columns(none.alias(f"probability_of_{name}") for name in of)
    return table.with_columns(
        pl.Series(f"probability_of_{name}", probabilities[rows, number]) for name, number in of.items()
    )
