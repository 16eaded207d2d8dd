"""The table of corrections, and a recipe: one row of each kind, as a person chooses them.

Every objective, erasure, selection rule and part that can be trained is one row here, with its name,
the words that people read, and what builds it for heads and for networks. The command line, the
pages, previews, the tutorial, jobs and the evidence read these tables and nothing else, so a row
that is added shows up in all of them, and a name that is in none is refused alike everywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError, nearest
from clarify.finetune.schedule import Schedule
from clarify.method.fit import erasure
from clarify.method.fit.erasure import Concept, Erasure
from clarify.method.fit.minibatch import (
    BatchCvar,
    BatchErm,
    BatchGroupDro,
    BatchObjective,
    BatchReweight,
    BatchWorstGroup,
)
from clarify.method.fit.objectives import CvarDro, Erm, GroupDro, Objective, Reweight, WorstGroup
from clarify.method.fit.selection import (
    ByAnnotatedWorstGroup,
    ByAverage,
    ByDescribedWorstGroup,
    ByWorstClass,
    Selection,
)
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.phrases.descriptions import Description

__all__ = [
    "ERASURES",
    "MOST_SEEDS",
    "OBJECTIVES",
    "PARTS",
    "SELECTIONS",
    "Choices",
    "ErasureRow",
    "ObjectiveRow",
    "Recipe",
]

TRAINING = Schedule(epochs=20, rate=1e-3)
"""For a network that begins at random."""

RETRAINING = Schedule(epochs=10, rate=3e-4, patience=5)
"""For one that was trained: steps short enough to keep what it knows."""

MOST_SEEDS = 20
CVAR_LEVEL = 0.1
"""Share of the examples that `cvar` looks at."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """A choice: its name on the command line and in records, and the words that people read."""

    name: str
    words: str


AnyChoice = TypeVar("AnyChoice", bound=Choice)


class Choices(dict[str, AnyChoice]):
    """Rows by name, in the order in which people see them.

    Parameters
    ----------
    what : str
        What is chosen, for messages.
    """

    def __init__(self, what: str, rows: Iterable[AnyChoice]) -> None:
        super().__init__((row.name, row) for row in rows)
        self.what = what

    def __missing__(self, name: str) -> AnyChoice:
        """Raise InputError with the nearest names."""
        raise InputError(f"{self.what} {name!r} is unknown; {nearest(name, self)}")


Groups: TypeAlias = "DescribedGroups | AnnotatedGroups"


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectiveRow(Choice):
    """What counts.

    Parameters
    ----------
    head : callable
        Of the groups of the images that are fitted, what a head minimises.
    batch : callable
        Of the groups' training images (G,), what weighs the examples of a network's step.
    by_groups : bool
        Whether the groups change anything; a network's steps then hold as many images of each.
    alone : bool
        Whether it corrects anything where nothing is erased and nothing refitted.
    """

    head: Callable[[Groups], Objective]
    batch: Callable[[NDArray[np.int64]], BatchObjective]
    by_groups: bool = True
    alone: bool = True


OBJECTIVES = Choices(
    "objective",
    (
        ObjectiveRow(
            "reweight", "All groups alike", lambda groups: Reweight(groups=groups), lambda _: BatchReweight()
        ),
        ObjectiveRow(
            "worst_group", "The worst group", lambda groups: WorstGroup(groups=groups), BatchWorstGroup.of
        ),
        ObjectiveRow(
            "group_dro",
            "The worst group, by group DRO",
            lambda groups: GroupDro(groups=groups),
            lambda counts: BatchGroupDro.of(counts, adjustment=1.0),
        ),
        ObjectiveRow(
            "cvar",
            "The hardest tenth of the images",
            lambda _: CvarDro(alpha=CVAR_LEVEL),
            lambda _: BatchCvar(alpha=CVAR_LEVEL),
            by_groups=False,
        ),
        ObjectiveRow(
            "erm", "Every image alike", lambda _: Erm(), lambda _: BatchErm(), by_groups=False, alone=False
        ),
    ),
)
"""What counts in a retraining; see `clarify.method.fit.objectives` and `.minibatch`."""


@dataclasses.dataclass(frozen=True, slots=True)
class ErasureRow(Choice):
    """What is taken out of the features first.

    Parameters
    ----------
    name, words, source : str
        The last one says whose it is.
    estimate : callable or None
        Of standardised features and what the phrases say of the images, what is erased; None
        where it needs neither.
    one_class : bool
        Whether all images are taken as one class.
    opposites : bool
        Whether an opposite phrase may stand against a class's own.
    by_text : bool
        Whether the phrases' own embeddings are the directions: the features are then to be those
        of the encoder of phrases.
    """

    source: str = "Clarify, by erasure alone"
    estimate: Callable[[NDArray[np.float64], Sequence[Concept]], Erasure] | None = None
    one_class: bool = False
    opposites: bool = False
    by_text: bool = False


ERASURES = Choices(
    "erase",
    (
        ErasureRow("none", "Nothing"),
        ErasureRow(
            "mean_difference", "What the halves differ in on average", estimate=erasure.mean_difference
        ),
        ErasureRow(
            "regression", "What goes with the similarity", estimate=erasure.regression, opposites=True
        ),
        ErasureRow(
            "regression_unlabelled",
            "What goes with the similarity, all classes as one",
            estimate=erasure.regression,
            one_class=True,
            opposites=True,
        ),
        ErasureRow(
            "leace",
            "What the halves differ in, changing least (LEACE)",
            source="Belrose et al. 2023 (arXiv 2306.03819)",
            estimate=erasure.leace,
        ),
        ErasureRow(
            "text",
            "The phrase's own direction (CLIP features only)",
            source="after Adila et al. 2024 (RoboShot, arXiv 2309.04344)",
            by_text=True,
        ),
    ),
)
"""What is taken out of the features first; see `clarify.method.fit.erasure`."""


@dataclasses.dataclass(frozen=True, slots=True)
class SelectionRow(Choice):
    """What chooses the weight decay of a head, on validation.

    Parameters
    ----------
    rule : Selection
        One that looks at annotated groups makes the result an oracle.
    """

    rule: Selection


SELECTIONS = Choices(
    "select",
    (
        SelectionRow(ByDescribedWorstGroup.name, "The worst described group", ByDescribedWorstGroup()),
        SelectionRow(ByWorstClass.name, "The worst class", ByWorstClass()),
        SelectionRow(ByAverage.name, "The average", ByAverage()),
        SelectionRow(ByAnnotatedWorstGroup.name, "The worst true group (an oracle)", ByAnnotatedWorstGroup()),
    ),
)
"""What chooses among weight decays; see `clarify.method.fit.selection`."""


@dataclasses.dataclass(frozen=True, slots=True)
class PartRow(Choice):
    """What of a model is trained.

    Parameters
    ----------
    name : str
        ``last-N`` stands for any number N.
    example : str
        What a page offers of it.
    words, phrase : str
        What people read of the example on a page, and ``{}`` for N in the middle of a sentence.
    flag, help : str
        On the command line.
    network : bool
        Whether it is trained by steps; else it is a head that is solved.
    """

    phrase: str
    flag: str
    help: str
    example: str = ""
    network: bool = True

    def layers(self, part: str) -> int | None:
        """Return how many last layers change; None for all."""
        return int(part.rpartition("-")[2]) if "N" in self.name else None


class _Parts(Choices[PartRow]):
    """Parts by name; ``last-3`` is of the row ``last-N``."""

    def __missing__(self, name: str) -> PartRow:
        """Return the row of a numbered part; raise InputError for an unknown one."""
        for row in self.values():
            if "N" in row.name and re.fullmatch(row.name.replace("N", r"[1-9]\d{0,2}"), name):
                return row
        return super().__missing__(name)


PARTS = _Parts(
    "part",
    (
        PartRow(
            "head",
            "The last layer (seconds)",
            phrase="the last layer",
            flag="--head",
            help="the last layer, solved exactly in seconds (default)",
            example="head",
            network=False,
        ),
        PartRow(
            "last-N",
            "The last 2 layers",
            phrase="the last {} layers",
            flag="--last-layers",
            help="the last N layers of a network",
            example="last-2",
        ),
        PartRow(
            "whole",
            "The whole network",
            phrase="the whole network",
            flag="--whole",
            help="all of a network",
            example="whole",
        ),
    ),
)
"""What of a model is trained."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done with the described groups; by default what wins in docs/evidence.md.

    Parameters
    ----------
    objective : str
        One of `OBJECTIVES`.
    seeds : int
        How many times, 1 to `MOST_SEEDS`. Seed 0 trains on every image, and its model is the one
        that can be promoted. Fitting a head draws nothing, so each other seed trains on images
        drawn anew, with replacement, from each group: how far the figures lie apart tells how
        much hangs on which images happened to be there. Of a network each seed is a training of
        its own.
    part : str
        What changes: ``head``, the last layer, solved exactly; ``whole``, all of a network; or
        ``last-N``, its last N layers.
    erase : str
        What is taken out of the features first: one of `ERASURES`.
    opposites : mapping of class name to phrase
        What stands against the class's phrase in a regression: "woman" to "man".
    refit : bool
        Whether the images that people looked at are fitted as well. It wins some more, but what it
        wins is not the phrases' alone: the gate's control is refitted, too.
    select : str
        What chooses the weight decay: one of `SELECTIONS`; the last one makes it an oracle.
    schedule : Schedule, optional
        How a network is trained; of its first seed, others count on from it.

    Raises
    ------
    InputError
        For a choice that is not legal.
    """

    objective: str = "reweight"
    seeds: int = 1
    part: str = "head"
    erase: str = "none"
    opposites: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    refit: bool = False
    select: str = ByDescribedWorstGroup.name
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        alone = self.erase == "none" and not self.refit
        erase, _ = ERASURES[self.erase], SELECTIONS[self.select]  # each refuses an unknown name
        if alone and not OBJECTIVES[self.objective].alone:
            raise InputError(
                f"objective {self.objective} alone is the base model again; erase something, refit, or "
                "choose another objective"
            )
        if self.opposites and not erase.opposites:
            raise InputError(f"opposites are for a regression, erase is {self.erase!r}; regression is legal")
        network = PARTS[self.part].network
        if network and not (alone and self.select == ByDescribedWorstGroup.name):
            raise InputError(
                f"erase, refit and select are for the last layer, part is {self.part!r}; leave "
                "them out, or choose head"
            )
        if self.schedule is not None and not network:
            raise InputError("a schedule is for networks, part is 'head'; leave it out, or choose whole")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise InputError(f"seeds is {self.seeds}; 1 to {MOST_SEEDS} is legal")

    @property
    def words(self) -> str:
        """What is done, in a few words."""
        erased = "" if self.erase == "none" else f"{self.erase} erased, "
        part = f", {self.part}" if PARTS[self.part].network else ""
        return f"{erased}{self.objective}{', refitted' if self.refit else ''}{part}"

    @property
    def rule(self) -> Selection:
        """What chooses the weight decay."""
        return SELECTIONS[self.select].rule

    def digest(self, base: str, descriptions: Sequence[Description]) -> str:
        """Return what is equal for all seeds of one retraining, and for nothing else.

        Parameters
        ----------
        base : str
            The base model's run.
        """
        values = {**self.to_dict(), "seeds": 0}
        cuts = sorted([each.class_name, each.phrase, each.threshold] for each in descriptions)
        text = json.dumps([values, base, cuts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; without a schedule where it has none."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe of which `to_dict` gave these values.

        Raises
        ------
        InputError
            For a choice that is not legal.
        TypeError
            For unknown names.
        """
        schedule = values.get("schedule")
        return cls(**{**values, "schedule": None if schedule is None else Schedule(**schedule)})
