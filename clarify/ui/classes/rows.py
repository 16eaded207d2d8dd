"""Where a model fails, class by class: the rows of the Classes page, from plain data."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clarify.ui.pieces import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.track.runs import DescriptionRun
    from clarify.workflow.model.failures import Failures

__all__ = [
    "ORDERS",
    "Confusion",
    "Overview",
    "Said",
    "confusions_html",
    "in_order",
    "named",
    "numbers_html",
    "overview",
    "pictures_of",
    "said_of",
    "strip_html",
    "taken",
    "worth_trying",
]

ORDERS = ("promise", "worst first", "most wrong images", "name")
MOST_CONFUSIONS = 10
THUMBNAILS = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Images of one class that the model takes for another; `share` is of the class, in (0, 1]."""

    label: int
    taken_for: int
    count: int
    share: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """How a model does on each of K classes of the validation split.

    Parameters
    ----------
    names : tuple of K str
    images, wrong : (K,) int64
        Images of each class, and those that the model gets wrong.
    taken_for, taken_count : (K,) int64
        What most of the wrong ones are taken for, and how many; a count of 0 is none.
    confusions : tuple of Confusion
        The most frequent, most first.
    counts : (K, K) int64
        Images by their class (row) and by what they are taken for (column).
    """

    names: tuple[str, ...]
    images: NDArray[np.int64]
    wrong: NDArray[np.int64]
    taken_for: NDArray[np.int64]
    taken_count: NDArray[np.int64]
    confusions: tuple[Confusion, ...]
    counts: NDArray[np.int64]

    @property
    def share_right(self) -> NDArray[np.float64]:
        """Return the accuracy of each class, shape (K,), in [0, 1]."""
        found: NDArray[np.float64] = 1 - self.wrong / self.images
        return found

    @property
    def average(self) -> float:
        """Return the accuracy over all images, in [0, 1]."""
        return float(1 - self.wrong.sum() / self.images.sum())

    @property
    def worst(self) -> int:
        """Return the number of the class with the lowest accuracy."""
        return int(self.share_right.argmin())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What people said about a class so far: different phrases, tried and kept.

    `best` is the best error score, and `by` who said them, of the kept ones; of all where none was.
    """

    tried: int
    kept: int
    best: float
    by: tuple[str, ...]


@functools.lru_cache(maxsize=4)
def overview(names: tuple[str, ...], failures: Failures) -> Overview:
    """Count what a model gets wrong in each class; done once for a model."""
    labels, predicted = failures.data.labels, failures.predicted
    count = len(names)
    flat = np.bincount(labels * count + predicted, minlength=count * count)
    counts = flat.reshape(count, count).astype(np.int64)
    images = counts.sum(axis=1)
    missed = counts.copy()
    np.fill_diagonal(missed, 0)
    taken_for = missed.argmax(axis=1)
    return Overview(
        names=names,
        images=images,
        wrong=missed.sum(axis=1),
        taken_for=taken_for,
        taken_count=missed[np.arange(count), taken_for],
        confusions=_most_frequent(missed, images),
        counts=counts,
    )


def _most_frequent(missed: NDArray[np.int64], images: NDArray[np.int64]) -> tuple[Confusion, ...]:
    """Return the most frequent confusions; K x K is a million where K is a thousand."""
    flat = missed.ravel()
    most = min(MOST_CONFUSIONS, int((flat > 0).sum()))
    if not most:
        return ()
    largest = np.argpartition(-flat, most - 1)[:most]
    largest = largest[np.lexsort((largest, -flat[largest]))]
    return tuple(
        Confusion(
            label=int(each) // len(images),
            taken_for=int(each) % len(images),
            count=int(flat[each]),
            share=float(flat[each] / images[each // len(images)]),
        )
        for each in largest
    )


def said_of(runs: Sequence[DescriptionRun], model: str) -> dict[str, Said]:
    """Return what was said about each class of a model, from the listing of descriptions."""
    by_class: dict[str, list[DescriptionRun]] = {}
    for run in runs:
        if run.parent == model:
            by_class.setdefault(run.class_name, []).append(run)
    return {name: _said(found) for name, found in by_class.items()}


def _said(runs: Sequence[DescriptionRun]) -> Said:
    kept = [run for run in runs if run.kept]
    return Said(
        tried=len({run.phrase for run in runs}),
        kept=len({run.phrase for run in kept}),
        best=max(run.score for run in kept or runs),
        by=tuple(dict.fromkeys(run.by for run in kept or runs)),
    )


def worth_trying(found: Overview) -> NDArray[np.float64]:
    """Return what stands for the promise until it is known, shape (K,): wrong images x room."""
    room: NDArray[np.float64] = found.wrong / found.images
    return found.wrong * room


def in_order(found: Overview, order: str, promises: Mapping[str, float] | None) -> NDArray[np.int64]:
    """Return all class numbers, shape (K,), the first to be looked at first.

    Parameters
    ----------
    order : str
        One of `ORDERS`.
    promises : mapping of class name to float, or None
        None while they are not known: `worth_trying` stands for them.
    """
    if order == "name":
        names = sorted(range(len(found.names)), key=lambda each: found.names[each].casefold())
        return np.array(names, dtype=np.int64)
    if order == "worst first":
        return np.lexsort((-found.wrong, found.share_right))
    if order == "most wrong images" or promises is None:
        first = worth_trying(found) if order == "promise" else found.wrong
        return np.lexsort((found.share_right, -first))
    promised = np.array([promises.get(name, 0.0) for name in found.names])
    return np.lexsort((-worth_trying(found), -promised))


def named(found: Overview, text: str) -> NDArray[np.bool_]:
    """Return which classes have a text in their names, shape (K,); upper and lower case alike."""
    asked = " ".join(text.split()).casefold()
    return np.array([asked in name.casefold() for name in found.names], dtype=np.bool_)


def strip_html(pictures: Sequence[tuple[str, str]], taken: str) -> str:
    """Return a row's wrong images, each an address and a name, and what they are taken for."""
    images = "".join(
        f'<span title="{blocks.cell(name)}"><img src="{blocks.cell(address)}" alt="" loading="lazy"></span>'
        for address, name in pictures
    )
    strip = f'<div class="c-strip">{images}</div>' if images else ""
    return f'<div class="c-taken">{blocks.cell(taken)}</div>{strip}'


def taken(found: Overview, label: int) -> str:
    """Say what the wrong images of a class are taken for."""
    wrong, most = int(found.wrong[label]), int(found.taken_count[label])
    if not wrong:
        return "none wrong"
    name = found.names[int(found.taken_for[label])]
    if most == wrong:
        return f"taken for {name}" if wrong == 1 else f"all taken for {name}"
    return f"{most:,} of them taken for {name}"


def numbers_html(found: Overview, label: int, said: Said | None, promise: float | None) -> str:
    """Return a row's numbers: share right as a bar, wrong images, phrases so far, promise."""
    share = float(found.share_right[label])
    wrong, images = int(found.wrong[label]), int(found.images[label])
    promised = "" if promise is None else blocks.muted(f"promise {blocks.score(promise)}")
    return (
        f'<div class="c-numbers"><div class="c-half"><b>{blocks.percent(share)} right</b>'
        f"<span>{wrong:,} wrong of {images:,}</span></div>{blocks.bar(share, 'halves')}"
        f'<div class="c-said">{_said_html(said)}</div>{promised}</div>'
    )


def _said_html(said: Said | None) -> str:
    if said is None:
        return "no description yet"
    what = f"{said.kept:,} kept" if said.kept else f"{said.tried:,} tried, none kept"
    first = f"{said.by[0]} and {len(said.by) - 1} more" if len(said.by) > 1 else said.by[0]
    by = f'<span title="{blocks.cell(", ".join(said.by))}">{blocks.cell(first)}</span>'
    return f"{what} · best {blocks.score(said.best)} · {by}"


def confusions_html(found: Overview) -> str:
    """Return the most frequent confusions as a list with bars."""
    rows = "".join(
        f'<div class="c-confusion"><div><span>{blocks.cell(found.names[each.label])} '
        f"<small>taken for</small> {blocks.cell(found.names[each.taken_for])}</span>"
        f"<b>{each.count:,}</b></div>{_share_bar(each.share)}</div>"
        for each in found.confusions
    )
    return rows or blocks.muted("The model makes no mistake on validation.")


def _share_bar(share: float) -> str:
    return f'<div class="c-bar"><i class="wrong" style="width:{100 * share:.2f}%"></i></div>'


def pictures_of(
    label: int, failures: Failures, address: Callable[[int], str], most: int = THUMBNAILS
) -> list[tuple[str, str]]:
    """Return addresses and names of a class's wrong images, up to `most`, the same ones every time."""
    data = failures.data
    return [
        (address(int(data.table_rows[row])), str(data.ids[row])) for row in some_wrong(label, failures, most)
    ]


def some_wrong(label: int, failures: Failures, most: int) -> NDArray[np.int64]:
    """Return up to `most` rows of wrong images of a class, of those that are not set aside."""
    rows = failures.explored(label)
    rows = rows[~failures.right[rows]]
    chosen = np.random.default_rng(label).permutation(len(rows))[:most]
    return rows[np.sort(chosen)]
