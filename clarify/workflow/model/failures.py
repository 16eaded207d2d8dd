"""What a model gets right and wrong, worked out once: where it fails, class by class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.method.groups.metrics import Accuracy
from clarify.method.phrases.confirm import aside_of
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData

__all__ = ["ClassDiagnosis", "Failures", "diagnose", "failures_of"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Failures:
    """A model's predictions on a split.

    Parameters
    ----------
    data : SplitData
        Of N images.
    predicted : (N,) int64
        Class numbers.
    """

    model: Model
    data: SplitData
    predicted: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return which images the model gets right, shape (N,)."""
        return np.equal(self.predicted, self.data.labels)

    def explored(self, label: int) -> NDArray[np.int64]:
        """Return the rows of a class that people see and score: all but those that are set aside."""
        rows = self.data.of_class(label)
        return rows[~self.aside(rows)]

    def aside(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows (M,) of one class are set aside to confirm what the others show.

        None of a class that is too small to be divided (`clarify.method.phrases.confirm`).
        """
        return aside_of(self.data.ids[rows], self.right[rows])

    def confidence(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the probability (M,) that the model gave to what it predicted of some rows.

        None where only its predictions are known.
        """
        if self.model.head is None:
            return None
        highest: NDArray[np.float64]
        highest = self.model.head.probabilities(self.data.features[rows]).max(axis=1)
        return highest

    def likeliest(self, row: int, most: int = 5) -> list[tuple[int, float]]:
        """Return the likeliest classes of one image with their probabilities, likeliest first.

        None of them where only the model's predictions are known.
        """
        if self.model.head is None:
            return []
        (found,) = self.model.head.probabilities(self.data.features[row : row + 1])
        return [(int(k), float(found[k])) for k in np.argsort(-found)[:most]]


def failures_of(model: Model, data: SplitData) -> Failures:
    """Predict every image of a split."""
    return Failures(model=model, data=data, predicted=model.predict(data))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassDiagnosis:
    """How a model does on one class of the validation split.

    Parameters
    ----------
    confused_with : str or None
        The most frequent wrong prediction, and in `confused_count` how often.
    """

    class_name: str
    accuracy: Accuracy
    confused_with: str | None
    confused_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "class": self.class_name,
            "images": self.accuracy.count,
            "right": self.accuracy.correct,
            "accuracy": self.accuracy.value,
            "confused_with": self.confused_with,
            "confused_count": self.confused_count,
        }


def diagnose(classes: Sequence[str], failures: Failures) -> tuple[ClassDiagnosis, ...]:
    """Return accuracy and most frequent confusion of each class, worst class first."""
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (failures.data.labels, failures.predicted), 1)
    found = []
    for index, name in enumerate(classes):
        as_class = counts[index].copy()
        right, images = int(as_class[index]), int(as_class.sum())
        as_class[index] = 0
        other = int(as_class.argmax())
        found.append(
            ClassDiagnosis(
                class_name=name,
                accuracy=Accuracy(count=images, correct=right),
                confused_with=classes[other] if as_class[other] else None,
                confused_count=int(as_class[other]),
            )
        )
    return tuple(sorted(found, key=lambda each: each.accuracy.value or 0.0))
