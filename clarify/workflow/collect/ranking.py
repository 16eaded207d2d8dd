"""Rank a pool for described halves: what to label first, so that the model gets the images that it lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.discover.collecting import pick
from clarify.errors import InputError
from clarify.method.fit.head import Head
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.method.phrases.similarity import similarities
from clarify.track.records import collection_record
from clarify.workflow.collect.pools import OpenPool, PoolFeatures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace, open_features, run_context

__all__ = ["WAYS", "Collected", "Way", "collect"]

Way = Literal["phrase", "class", "diversity"]
WAYS: Mapping[Way, str] = {
    "phrase": "farthest on the half's side of the cut first",
    "class": "on that side, what the model takes for the class most surely first",
    "diversity": "on that side, each as unlike those before it as there is one, of the first by phrase",
}

SCHEMA = {
    "id": pl.String,
    "path": pl.String,
    "class": pl.String,
    "phrase": pl.String,
    "half": pl.String,
    "similarity": pl.Float64,
    "probability": pl.Float64,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collected:
    """A pool that was ranked.

    Parameters
    ----------
    run : str
        Its record.
    table : DataFrame
        What to label, the first first: ``id, path`` (absolute), the ``class`` and ``phrase`` it is for and
        the ``half`` of it, ``similarity`` to the phrase, ``probability`` of the class by the model (none
        where its features are not those of the pool).
    counts : mapping
        ``images`` in the table; of the ``pool`` those ``unreadable``, ``there`` already, ``on_the_side`` and
        passed over as ``copies``.
    """

    run: str
    table: pl.DataFrame
    counts: Mapping[str, int]

    def tasks(self) -> pl.DataFrame:
        """Return the table with an empty ``label`` to fill in, and the run as ``collection``."""
        return self.table.with_columns(label=pl.lit(""), collection=pl.lit(self.run))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"run": self.run, **self.counts, "collected": self.table.to_dicts()}


def collect(
    project: Workspace,
    model: Model,
    pool: OpenPool,
    descriptions: Sequence[Description],
    *,
    by: Way,
    most: int,
) -> Collected:
    """Rank a pool for the worse half of each description, and record it.

    An image that several descriptions ask for stands at the first. Copies of what is in the data set, or of
    what stands higher, are passed over.

    Parameters
    ----------
    by : {"phrase", "class", "diversity"}
        See `WAYS`.
    most : int
        Images for each description.

    Raises
    ------
    InputError
        If a phrase asks captions, `most` is not legal, or no image is on the side of any half.
    FeatureError
        If features are damaged or not finite.
    """
    free = pool.valid & ~pool.there
    known = open_features(project, project.encoder)
    of_known = known.array if known.valid.all() else known.take(np.flatnonzero(known.valid))
    tables, sides, copies = [], 0, 0
    for each in descriptions:
        scores = _scores(project, each, pool.by(project.encoder))
        side = free & (each.with_half(scores) == each.wrong_is_above)
        sides += int(side.sum())
        order = np.abs(scores - each.threshold)
        if by == "class":
            order = _probabilities(model.own_head(), pool.by(model.body(project)), side)[
                :, model.own_head().class_names.index(each.class_name)
            ]
        take = pool.by(project.encoder).take
        rows, passed = pick(order, side, take, of_known, most=most, spread=by == "diversity")
        copies += passed
        free[rows] = False
        tables.append(_table(project, model, pool, each, rows, scores[rows]))
    found = pl.concat(tables) if tables else pl.DataFrame(schema=SCHEMA)
    if not found.height:
        raise InputError(
            f"pool {pool.called}: none of its {pool.images.table.height:,} images is to be collected: "
            f"{int(pool.there.sum()):,} are in the data set already, {copies:,} are copies, {sides:,} are "
            "on the side of a described half; give another pool, or another phrase"
        )
    counts = {
        "images": found.height,
        "pool": len(pool.valid),
        "unreadable": len(pool.bad) + int((~pool.valid).sum()),
        "there": int(pool.there.sum()),
        "on_the_side": sides,
        "copies": copies,
    }
    record = collection_record(
        run_context(project, "train"),
        action="ranked",
        pool={"pool": pool.called, "digest": pool.images.digest},
        by=by,
        made="",
        descriptions=descriptions,
        counts=counts,
        images=found,
        parent=model.run_id,
    )
    return Collected(run=project.tracking.log(record), table=found, counts=counts)


def _scores(project: Workspace, what: Description, features: PoolFeatures) -> NDArray[np.float64]:
    """Return how like a phrase every image of a pool is (N,); the cut itself where one has no features."""
    phrase = parse_phrase(what.phrase)
    if phrase.mentions:
        raise InputError(
            f"phrase {what.phrase!r} asks captions, and a pool has none; describe the half by what is seen: "
            f'clarify describe {project.manifest.name} {what.class_name} "PHRASE"'
        )
    of_atoms = project.encoder.encode_phrases(phrase.embedded)
    found = np.full(len(features.array), what.threshold)
    for place, rows in features.runs():
        pairs = zip(phrase.embedded, of_atoms, strict=True)
        found[place] = what.scores({atom: similarities(rows, of) for atom, of in pairs})
    return found


def _probabilities(head: Head, features: PoolFeatures, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each class's probability (N, K) of the images wanted; 0 of others."""
    found = np.zeros((len(wanted), len(head.class_names)))
    for place, rows in features.runs():
        if (here := wanted[place]).any():
            found[place] = head.probabilities(rows) * here[:, None]
    return found


def _table(
    project: Workspace,
    model: Model,
    pool: OpenPool,
    what: Description,
    rows: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> pl.DataFrame:
    sure: list[float | None] = [None] * len(rows)
    if model.head is not None and model.body(project).identity.image_digest in pool.features and len(rows):
        of_class = model.head.class_names.index(what.class_name)
        sure = model.head.probabilities(pool.by(model.body(project)).take(rows))[:, of_class].tolist()
    columns = {
        "id": pool.images.table["id"][rows].to_list(),
        "path": pool.paths()[rows].to_list(),
        "class": [what.class_name] * len(rows),
        "phrase": [what.phrase] * len(rows),
        "half": ["with" if what.wrong_is_above else "without"] * len(rows),
        "similarity": scores.tolist(),
        "probability": sure,
    }
    return pl.DataFrame(columns, schema=SCHEMA)
