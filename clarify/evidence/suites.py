"""Which data sets are compared on, and the comparison itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from clarify.discover.vocabulary import vocabulary
from clarify.errors import InputError, NotFoundError, nearest
from clarify.evidence.cells import Cell, Figures, Ledger, Refused, cells_of
from clarify.evidence.comparison import Row, rows_of
from clarify.evidence.methods import methods as all_methods
from clarify.evidence.planted import PLANTED, planted_slices
from clarify.evidence.situation import Situation, ordinary, seen_by, truth_of
from clarify.evidence.studies import STUDIES
from clarify.workflow.describe.phrase_cache import known_phrases
from clarify.workflow.model.project import Workspace, embed, run_context, split_data
from clarify.workflow.shows.demo import draw_data_set

__all__ = [
    "HARDEST",
    "RENDERED",
    "SEEDS",
    "SuiteResult",
    "compare_methods",
    "discovery",
    "drawn_birds",
    "prepare_rendered",
    "rendered",
    "resampled",
    "situation_of",
    "study",
]

SEEDS = 5

RENDERED = {
    f"rendered-waterbirds{ending}": {"landbird": "water", "waterbird": "land"}
    for ending in ("-easy", "-medium", "-hard", "")
}
"""The drawn data sets, easiest first, with the phrases that are true of them."""

HARDEST = "rendered-waterbirds"

SPLITS = ("train", "validation", "test")

CORE = 4
"""Counts up when what a correction comes to changes: cells of before are run again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """What a comparison came to.

    Parameters
    ----------
    refused : tuple of Refused
        Cells that came to nothing, and why.
    """

    suite: str
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "suite": self.suite,
            "core": CORE,
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "refused": [{**dataclasses.asdict(each.cell), "reason": each.reason} for each in self.refused],
        }


def prepare_rendered(
    home: Path, name: str, open_project: Callable[[str], Workspace], *, workers: int, seed: int = 0
) -> Workspace:
    """Draw a data set and embed it, as far as that is not done."""
    project = open_project(draw_data_set(home, name, seed=seed, workers=workers))
    for encoder in project.encoders:
        if project.store.open(project.manifest, encoder.identity) is None:
            embed(project, encoder, workers=workers)
    return project


def situation_of(project: Workspace, phrases: Mapping[str, str]) -> Situation:
    """Return a data set as methods see it, all of its images.

    Raises
    ------
    InputError
        If it has no annotated attribute, so that nothing can be compared, or no test split; or
        for a phrase of a class that it has not.
    """
    manifest = project.manifest
    if "test" not in manifest.splits:
        raise InputError(f"data set {manifest.name} has no test split to compare on; add one")
    for name in phrases:
        manifest.class_index(name)
    splits = {split: split_data(project, split) for split in SPLITS}
    for data in splits.values():
        truth_of(data)
    return Situation(
        project=project,
        encoder=project.backbone.name,
        values=next(iter(manifest.attributes.values())),
        phrases=phrases,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def drawn_birds(
    home: Path, open_project: Callable[[str], Workspace], *, seeds: int = SEEDS, workers: int
) -> Iterator[Situation]:
    """Yield the hardest drawn birds, a data set drawn anew a seed, test images too.

    Raises
    ------
    InputError
        For a number of seeds that is not legal.
    """
    for seed in _checked(seeds):
        project = prepare_rendered(home, HARDEST, open_project, workers=workers, seed=seed)
        whole = situation_of(project, RENDERED[HARDEST])
        yield dataclasses.replace(whole, called=HARDEST, drawn=True, seed=seed)


def resampled(project: Workspace, phrases: Mapping[str, str], *, seeds: int = SEEDS) -> Iterator[Situation]:
    """Yield a data set as each seed sees it: other training images, the same test images.

    With its own validation a seed sees `SHARE` of each group, with an ordinary one what was not held out.

    Raises
    ------
    InputError
        As `situation_of`, and for a number of seeds that is not legal.
    """
    whole = situation_of(project, phrases)
    for seed in _checked(seeds):
        yield from (seen_by(whole, seed), ordinary(whole, seed))


def rendered(
    home: Path, open_project: Callable[[str], Workspace], *, seeds: int = SEEDS, workers: int
) -> Iterator[Situation]:
    """Yield the drawn birds of every difficulty, easiest first, with both kinds of validation.

    The hardest are drawn anew for each seed. Drawing takes minutes, so that of the others each seed sees
    a part of one data set, as `resampled`.
    """
    for name, phrases in RENDERED.items():
        if name == HARDEST:
            for at in drawn_birds(home, open_project, seeds=seeds, workers=workers):
                yield from (at, ordinary(at, at.seed))
        else:
            yield from resampled(
                prepare_rendered(home, name, open_project, workers=workers), phrases, seeds=seeds
            )


def discovery(
    home: Path, open_project: Callable[[str], Workspace], *, seeds: int = SEEDS, workers: int
) -> Iterator[tuple[Situation, Sequence[str]]]:
    """Yield what discovery methods are compared on, each with its vocabulary.

    Made-up features with planted slices, then the hardest drawn birds with both kinds of validation.
    """
    for kind in PLANTED:
        for seed in _checked(seeds):
            yield planted_slices(kind, seed=seed)
    for at in drawn_birds(home, open_project, seeds=seeds, workers=workers):
        yield from ((at, vocabulary()), (ordinary(at, at.seed), vocabulary()))


def _checked(seeds: int) -> range:
    if not 1 <= seeds <= 100:
        raise InputError(f"seeds is {seeds}; 1 to 100 is legal")
    return range(seeds)


def compare_methods(
    suite: str,
    situations: Iterable[Situation],
    *,
    methods: Sequence[str] = (),
    told: Callable[[Cell], None] | None = None,
) -> SuiteResult:
    """Run the cells that are not done yet, and return the rows of all.

    Parameters
    ----------
    situations : iterable of Situation
        Of workspaces: each data set with each validation and seed, with what a person says of its classes.
    methods : sequence of str
        Their names; all by default.
    told : callable, optional
        Of each cell as it is done; what it raises ends the comparison, and nothing is lost.

    Raises
    ------
    NotFoundError
        For a method that is not known.
    """
    known = all_methods()
    for name in methods:
        if name not in known:
            raise NotFoundError(f"no method is called {name!r}; {nearest(name, known)}")
    chosen = {name: each for name, each in known.items() if not methods or name in methods}
    done: list[tuple[Cell, Figures]] = []
    refused: list[Refused] = []
    truth = {}
    ledgers: dict[str, Ledger] = {}
    for at in situations:
        project = cast(Workspace, at.project)
        name = project.manifest.name
        if name not in ledgers:
            ledgers[name] = Ledger(project.tracking, run_context(project, "test"), name)
        truth[at.data_set, at.seed] = truth_of(at.test)
        for cell, found in cells_of(at, chosen, ledgers[name], _digest(project, at.phrases)):
            if isinstance(found, Refused):
                refused.append(found)
            else:
                done.append((cell, found))
            if told is not None:
                told(cell)
    return SuiteResult(suite=suite, rows=tuple(rows_of(done, truth)), refused=tuple(refused))


def study(name: str, draws: Iterable[Situation]) -> dict[str, Any]:
    """Return what a study comes to on the draws of a data set.

    Raises
    ------
    NotFoundError, InputError
        For a study that is not known, or a data set that cannot be compared on.
    """
    if name not in STUDIES:
        raise NotFoundError(f"no study is called {name!r}; {nearest(name, STUDIES)}")
    found, seen = STUDIES[name], list(draws)
    rows = found.run(seen, list(known_phrases(seen[0].project, vocabulary())))
    return {
        "study": name,
        "question": found.question,
        "data_set": seen[0].data_set,
        "core": CORE,
        "seeds": len(seen),
        "rows": rows,
    }


def _digest(project: Workspace, phrases: Mapping[str, str]) -> str:
    values = [
        CORE,
        project.manifest.digest,
        project.encoder.identity.digest,
        project.backbone.identity.image_digest,
        dict(phrases),
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
