"""Which data sets are compared on, and the comparison itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clarify.discover.vocabulary import vocabulary
from clarify.errors import InputError, NotFoundError, nearest
from clarify.evidence.cells import Cell, Figures, Ledger, Refused, cells_of
from clarify.evidence.comparison import Row, rows_of
from clarify.evidence.methods import methods as all_methods
from clarify.evidence.situation import Situation, seen_by, truth_of
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
    "prepare_rendered",
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

CORE = 2
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
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "refused": [{**dataclasses.asdict(each.cell), "reason": each.reason} for each in self.refused],
        }


def prepare_rendered(
    home: Path, name: str, open_project: Callable[[str], Workspace], *, workers: int
) -> Workspace:
    """Draw a data set and embed it, as far as that is not done."""
    draw_data_set(home, name, seed=0, workers=workers)
    project = open_project(name)
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


def compare_methods(
    suite: str,
    projects: Sequence[tuple[Workspace, Mapping[str, str]]],
    *,
    seeds: int = SEEDS,
    methods: Sequence[str] = (),
    told: Callable[[Cell], None] | None = None,
) -> SuiteResult:
    """Run the cells that are not done yet, and return the rows of all.

    Parameters
    ----------
    projects : sequence of (Workspace, phrases)
        Of every data set, with what a person says of its classes.
    methods : sequence of str
        Their names; all by default.
    told : callable, optional
        Of each cell as it is done; what it raises ends the comparison, and nothing is lost.

    Raises
    ------
    NotFoundError, InputError
        For a method that is not known, or a number of seeds that is not legal.
    """
    known = all_methods()
    for name in methods:
        if name not in known:
            raise NotFoundError(f"no method is called {name!r}; {nearest(name, known)}")
    if not 1 <= seeds <= 100:
        raise InputError(f"seeds is {seeds}; 1 to 100 is legal")
    chosen = {name: each for name, each in known.items() if not methods or name in methods}
    done: list[tuple[Cell, Figures]] = []
    refused: list[Refused] = []
    truth = {}
    for project, phrases in projects:
        whole = situation_of(project, phrases)
        truth[whole.data_set] = truth_of(whole.test)
        ledger = Ledger(project.tracking, run_context(project, "test"), whole.data_set)
        given = _digest(project, phrases)
        for seed in range(seeds):
            for cell, found in cells_of(seen_by(whole, seed), chosen, ledger, given):
                if isinstance(found, Refused):
                    refused.append(found)
                else:
                    done.append((cell, found))
                if told is not None:
                    told(cell)
    return SuiteResult(suite=suite, rows=tuple(rows_of(done, truth)), refused=tuple(refused))


def study(project: Workspace, name: str, phrases: Mapping[str, str], *, seeds: int = SEEDS) -> dict[str, Any]:
    """Return what a study comes to on a data set.

    Raises
    ------
    NotFoundError, InputError
        For a study that is not known, or a data set that cannot be compared on.
    """
    if name not in STUDIES:
        raise NotFoundError(f"no study is called {name!r}; {nearest(name, STUDIES)}")
    known = list(known_phrases(project, vocabulary()))
    found = STUDIES[name]
    rows = found.run(situation_of(project, phrases), seeds, known)
    return {
        "study": name,
        "question": found.question,
        "data_set": project.manifest.name,
        "seeds": seeds,
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
