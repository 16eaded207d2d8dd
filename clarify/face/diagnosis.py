"""What a model gets wrong, class by class, and how well a phrase explains it."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from PIL.Image import Image

from clarify.errors import FeatureError, InputError, one_line, shown
from clarify.face.pages import check_home, check_type, percent, table
from clarify.method.arrays import class_tuple
from clarify.method.groups.metrics import HalvesAccuracy, Side
from clarify.method.phrases.evidence import Evidence
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.describe.recording import ScoredPhrase, attach_pictures, keep_phrase, score_phrase
from clarify.workflow.model import failures as model_failures
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, DataSet, split_of
from clarify.workflow.model.failures import ClassDiagnosis, Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace
from clarify.workflow.retrain.gains import gain_when_kept

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["TITLES", "ClassView", "Diagnosis", "Score", "class_rows", "diagnose"]


MOST_CLASSES = 10_000
"""Where nobody names them: the table of what is taken for what has a cell for each two."""

TITLES = ("class", "images", "wrong", "right", "mostly taken for")


def class_rows(classes: Sequence[ClassDiagnosis]) -> list[list[str]]:
    """Return the rows of a table that `TITLES` stand over."""
    return [
        [
            each.class_name,
            f"{each.accuracy.count:,}",
            f"{each.accuracy.count - each.accuracy.correct:,}",
            percent(each.accuracy.value),
            f"{each.confused_with} ({each.confused_count:,})" if each.confused_with else "–",
        ]
        for each in classes
    ]


class Diagnosis:
    """What a model gets right and wrong on validation, class by class; worst class first.

    Parameters
    ----------
    project : DataSet
        With a store, phrases are recorded; without, they are scored only.
    """

    def __init__(self, project: DataSet, failures: Failures) -> None:
        self._project, self.failures = project, failures
        self.classes: tuple[ClassDiagnosis, ...] = model_failures.diagnose(project.manifest.classes, failures)

    def __getitem__(self, class_name: str) -> ClassView:
        """Return one class; NotFoundError for an unknown one."""
        label = self._project.manifest.class_index(class_name)
        return ClassView(self._project, self.failures, class_name, label)

    def describe(
        self,
        class_name: str,
        phrase: str,
        *,
        threshold: float | None = None,
        keep: bool = False,
        note: str = "",
    ) -> Score:
        """Score a phrase on the class's right and wrong images; it is recorded as tried, or kept.

        Parameters
        ----------
        class_name, phrase : str
            ``AND``, ``OR``, ``NOT`` and parentheses join phrases; ``mentioned: WORDS`` asks captions.
        threshold : float, optional
            A cut chosen by hand; the best one unless given.
        keep, note
            As `Score.keep`.

        Raises
        ------
        PhraseError, NotFoundError, NoScoreError, InputError, StoreError
            As `clarify describe` refuses.
        """
        check_type("threshold", threshold, int, float, np.floating, type(None), legal="a number")
        check_type("note", note, str, legal="a text")
        if isinstance(self._project, Workspace):
            check_home(self._project.home)
            done = score_phrase(
                self._project,
                self.failures,
                class_name,
                phrase,
                threshold=threshold,
                keep=keep,
                note=note,
                gain=functools.partial(gain_when_kept, self._project, self.failures),
            )
            return Score(self._project, self.failures, done.tried, done)
        tried = try_phrase(self._project, self.failures, class_name, phrase, n_tried=1, threshold=threshold)
        score = Score(self._project, self.failures, tried)
        return score.keep(note) if keep else score

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of `clarify diagnose`."""
        return {"model": self.failures.model.run_id, "classes": [each.to_dict() for each in self.classes]}

    def to_polars(self) -> pl.DataFrame:
        """Return a row a class: images, right, accuracy, what it is mostly taken for."""
        return pl.DataFrame([each.to_dict() for each in self.classes])

    def plot(self) -> Figure:
        """Return how much of each class is right, worst first."""
        import plotly.graph_objects as go

        names = [html.escape(each.class_name) for each in self.classes]
        figure = go.Figure(layout={"template": "plotly_white", "xaxis": {"tickformat": ".0%"}})
        figure.add_bar(x=[each.accuracy.value for each in self.classes], y=names, orientation="h")
        return figure.update_yaxes(autorange="reversed")

    def __repr__(self) -> str:
        """Say in one line how the model stands."""
        right, name = float(self.failures.right.mean()), self.failures.model.name
        return f"<Diagnosis of {name}: {percent(right)} of {len(self.failures.right):,} images right>"

    def _repr_html_(self) -> str:
        return table("Where the model fails", repr(self)[1:-1], TITLES, class_rows(self.classes))


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class ClassView:
    """The images of one class."""

    project: DataSet
    failures: Failures
    name: str
    label: int

    @property
    def right(self) -> pl.DataFrame:
        """The images that the model gets right; see `wrong`."""
        return self._images(right=True)

    @property
    def wrong(self) -> pl.DataFrame:
        """The images that the model gets wrong, but for those set aside: ``id, path, predicted``."""
        return self._images(right=False)

    def _images(self, *, right: bool) -> pl.DataFrame:
        rows = self.failures.explored(self.label)
        rows = rows[self.failures.right[rows] == right]
        data, classes = self.failures.data, self.project.manifest.classes
        columns = {
            "id": data.ids[rows].tolist(),
            "path": [str(data.path(int(row))) for row in rows],
            "predicted": [classes[label] for label in self.failures.predicted[rows]],
        }
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))

    def __repr__(self) -> str:
        """Say in one line how the class stands."""
        right = self.failures.right[self.failures.data.of_class(self.label)]
        return f"<{self.name}: {int(right.sum()):,} of {len(right):,} right>"


class Score:
    """How well a phrase explains the errors on a class.

    Parameters
    ----------
    recorded : ScoredPhrase or None
        As what it stands in the store.
    """

    def __init__(
        self, project: DataSet, failures: Failures, tried: TriedPhrase, recorded: ScoredPhrase | None = None
    ) -> None:
        self._project, self._failures, self.tried, self.recorded = project, failures, tried, recorded

    @property
    def value(self) -> float:
        """The error score in [0, 1]: 0 is chance, 1 a phrase that explains every error."""
        return self.tried.evidence.score.value

    @property
    def evidence(self) -> Evidence:
        """P-value corrected for the phrases tried, interval, score on the images set aside."""
        return self.tried.evidence

    @property
    def halves(self) -> HalvesAccuracy:
        """The model's accuracy on the images with the phrase, and on those without it."""
        return self.tried.halves

    @property
    def run(self) -> str:
        """The run that records it; empty if none does."""
        return self.recorded.run_id if self.recorded is not None else ""

    @property
    def waiting(self) -> bool:
        """Whether it waits in the outbox: the tracking store was away."""
        return self.recorded is not None and self.recorded.waiting

    def keep(self, note: str = "") -> Score:
        """Keep the phrase for retraining, once however often it is said; returns itself.

        Another cut, or another note, takes the place of the one of before. What retraining with it brings is
        worked out and recorded.

        Raises
        ------
        InputError
            Without a home to keep it in, or for a note of more than 2,000 characters.
        StoreError
            If it can be written nowhere.
        """
        if not isinstance(self._project, Workspace):
            raise InputError(
                f"{self.tried.description.phrase!r} was scored on arrays, and there is no home to keep it "
                "in; open a data set with clarify.open"
            )
        check_home(self._project.home)
        check_type("note", note, str, legal="a text")
        gain = functools.partial(gain_when_kept, self._project, self._failures)
        self.recorded, new = keep_phrase(self._project, self._failures, self.tried, note=note, gain=gain)
        if new:
            attach_pictures(self._project, self._failures, self.recorded)
        return self

    def plot(self) -> Figure:
        """Return how the similarities of right and of wrong images are spread, with the cut."""
        return self.tried.figure()

    def images(self, half: Side = "with") -> Image:
        """Return a grid of images ``with`` the phrase, or ``without`` it; wrong ones are framed.

        Raises
        ------
        InputError
            For another half, or of arrays.
        """
        if not isinstance(self._project, Workspace):
            raise InputError("arrays have no images; open a data set with clarify.open")
        if half not in ("with", "without"):
            raise InputError(f"images of half {half!r}; with and without are legal")
        check_home(self._project.home)
        return self.tried.grid(self._project, self._failures.data, half)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of `clarify score`."""
        return self.recorded.to_dict() if self.recorded is not None else self.tried.to_dict()

    def to_polars(self) -> pl.DataFrame:
        """Return a row an image of the class: ``id, similarity, right, with_phrase``."""
        return self.tried.table(self._failures.data)

    def __repr__(self) -> str:
        """Say in one line what it came to."""
        what = self.tried.description
        why = f": {self.tried.caution}" if self.tried.caution else ""
        return f"<{what.class_name}: {what.phrase!r} {self.value:.2f}, {self.tried.verdict}{why}>"

    def _repr_html_(self) -> str:
        what, halves = self.tried.description, self.halves
        rows = [
            [side, f"{found.count:,}", percent(found.value)]
            for side, found in (("with it", halves.with_phrase), ("without it", halves.without_phrase))
        ]
        doubts = f"{self.value:.2f}, {self.tried.verdict}; p {self.evidence.p_corrected:.2g} corrected"
        if self.tried.captions_told:
            doubts += f"; {self.tried.captions_told}"
        if self.tried.caution:
            doubts = f"{self.tried.caution}; {doubts}"
        return table(f"{what.class_name}: {what.phrase}", doubts, ["half", "images", "right"], rows)


def diagnose(
    embeddings: ArrayLike,
    labels: ArrayLike,
    predicted: ArrayLike,
    *,
    encode: Callable[[Sequence[str]], ArrayLike],
    class_names: Sequence[str] | None = None,
) -> Diagnosis:
    """Say what any model gets wrong, from arrays alone: no home, no images, nothing recorded.

    Parameters
    ----------
    embeddings : array_like of float, (N, E)
        Of the images, in the space of `encode`; of any length.
    labels, predicted : array_like of int, (N,)
        In [0, K).
    encode : callable
        Of a list of P phrases, their embeddings (P, E).
    class_names : sequence of K str, optional
        Their numbers unless given.

    Raises
    ------
    FeatureError
        For arrays of unlike length, or embeddings that are not finite.
    InputError
        For labels that are not whole numbers in range.
    """
    if not callable(encode):
        raise InputError(f"encode is {shown(encode)}; a function of a list of phrases is legal")
    truth, told = (_whole(each, what) for each, what in ((labels, "labels"), (predicted, "predicted")))
    rows = _vectors(embeddings)
    if not len(rows) == len(truth) == len(told) > 0:
        raise FeatureError(
            f"embeddings of shape {rows.shape}, {len(truth)} labels and {len(told)} predictions; one row and "
            "one number each an image are legal, of one image at least"
        )
    given = None if class_names is None else class_tuple(class_names)
    lowest, highest = int(min(truth.min(), told.min())), int(max(truth.max(), told.max()))
    most = MOST_CLASSES if given is None else len(given)
    if lowest < 0 or highest >= most:
        raise InputError(f"labels and predictions run from {lowest} to {highest}; 0 to {most - 1} is legal")
    names = given or tuple(str(k) for k in range(highest + 1))
    data = split_of("validation", rows, truth)
    project = ArrayData(
        manifest=ClassNames(name="arrays", classes=names), encoder=CallableEncoder(encode=encode)
    )
    model = Model(run_id="", name="the given predictions", head=None)
    return Diagnosis(project, Failures(model=model, data=data, predicted=told))


def _vectors(embeddings: ArrayLike) -> NDArray[np.float32]:
    try:
        found = np.asarray(embeddings)
        if np.iscomplexobj(found):
            raise ValueError("complex numbers")
        found = found.astype(np.float32)
    except Exception as error:  # ragged rows, texts, tensors that are not ready
        raise FeatureError(f"embeddings are no numbers (N, E): {one_line(error)}") from None
    if found.ndim != 2 or found.shape[1] == 0:
        raise FeatureError(f"embeddings of shape {found.shape}; (N, E) is legal")
    wrong = ~(np.isfinite(found).all(axis=1) & found.any(axis=1))
    if wrong.any():
        raise FeatureError(
            f"embeddings: row {int(np.argmax(wrong))} is not finite, or all zeros; other numbers are legal"
        )
    return found


def _whole(values: ArrayLike, what: str) -> NDArray[np.int64]:
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{what} are no whole numbers (N,): {one_line(error)}") from None
    if found.ndim != 1 or not (np.issubdtype(found.dtype, np.integer) or not len(found)):
        raise InputError(
            f"{what} are of shape {found.shape} and type {found.dtype}; whole numbers (N,) are legal, from 0 "
            "in the order of class_names"
        )
    return found.astype(np.int64)
