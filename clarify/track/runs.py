"""Runs as everybody else reads them: typed. That they are tags, params and metrics is known here alone.

What the runs of older homes lack gets what it was then: there was one seed, and the head was trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from clarify.errors import StoreError
from clarify.track.run import WAITING

if TYPE_CHECKING:
    from clarify.track.record import AnyKind
    from clarify.track.run import StoredRun

__all__ = [
    "IMPORTED",
    "IN_PARENT",
    "IN_RUN",
    "PLACE",
    "BaseRun",
    "BridgeRun",
    "CellRun",
    "CollectionRun",
    "DescriptionRun",
    "ModelRun",
    "PromotionRun",
    "Run",
    "RunOf",
    "TrainedRun",
    "read_run",
]

IMPORTED = "imported"
"""What stands for the objective of a model that Clarify did not train."""

PLACE = "backbone_in"
IN_RUN: Literal["run"] = "run"
IN_PARENT: Literal["parent"] = "parent"
"""Values of the param `PLACE` of a model's run; it lacks it where its body is nowhere among the runs."""

Body = Literal["", "run", "parent"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every completed run has, or one that waits in the outbox.

    Parameters
    ----------
    started, changed : int
        When it began, and when it or one of its tags was written last: milliseconds since 1970.
    by : str
        The reviewer.
    parent : str
        The run that it is about: the model that was described, retrained or promoted; empty of a
        base model.
    origin : str
        The id that it had in the store that it was first written to.
    manifest, encoder, backbone : str
        Digests of the data set, of what embeds phrases, and of what the head stands on.
    delivery : str
        What made it unique when it was written; empty of old ones.
    measures : mapping of str to float
        As logged, by ``<split>/<name>``; see `figures`.
    """

    kind: ClassVar[AnyKind]

    id: str
    name: str
    started: int
    by: str
    parent: str
    origin: str
    manifest: str = ""
    encoder: str = ""
    backbone: str = ""
    code_version: str = ""
    changed: int = 0
    delivery: str = ""
    measures: Mapping[str, float] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def ids(self) -> frozenset[str]:
        """Return every id that it has had: its own, its origin's, and the one it waited under."""
        waited = {WAITING + self.delivery} if self.delivery else set()
        return frozenset({self.id, self.origin} | waited)

    def figures(self, split: str) -> dict[str, float]:
        """Return what was measured on a split, or ``cost``; accuracies are fractions."""
        prefix = f"{split}/"
        found = self.measures.items()
        return {key.removeprefix(prefix): value for key, value in found if key.startswith(prefix)}

    @classmethod
    def read(cls, stored: StoredRun) -> Self:
        """Read a run of this kind; StoreError if it lacks what every version of Clarify writes."""
        try:
            return cls(**_shared(stored), **cls._own(stored))
        except (KeyError, ValueError) as error:
            raise StoreError(
                f"{stored.kind} run {stored.id[:8]} is not as Clarify writes it ({error}); "
                "delete it in MLflow"
            ) from None

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        """Return the fields that its kind alone has; none unless it says so."""
        return {}


RunOf = TypeVar("RunOf", bound=Run)


def _shared(stored: StoredRun) -> dict[str, Any]:
    named = ("manifest", "encoder", "backbone", "code_version", "parent")
    return {
        "id": stored.id,
        "name": stored.name,
        "started": stored.started,
        "changed": stored.changed,
        "by": stored.tags["reviewer"],
        "origin": stored.origin,
        "delivery": stored.delivery,
        "measures": stored.metrics,
        **{name: stored.tags.get(name, "") for name in named},  # one listed before a tag was thought of
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionRun(Run):
    """A phrase that was tried on a class of the model `parent`.

    Parameters
    ----------
    score : float
        Its error score on validation.
    kept : bool
        Whether it may be retrained with.
    gain : float or None
        What retraining with it brought when it was kept: the change of the classes' mean accuracy.
    machine : bool
        Whether it was a machine's suggestion.
    threshold : float or None
        Where it was cut.
    note, caution : str
        What the reviewer noted; why the score says nothing, empty if it says something.
    """

    kind = "description"

    class_name: str
    phrase: str
    score: float
    kept: bool
    gain: float | None = None
    machine: bool = False
    threshold: float | None = None
    note: str = ""
    caution: str = ""

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        return {
            "class_name": stored.tags["class"],
            "phrase": stored.tags["phrase"],
            "score": stored.metrics["validation/error_score"],
            "kept": stored.tags["kept"] == "true",
            "gain": stored.metrics.get("validation/gain"),
            "machine": stored.params.get("machine") == "true",
            "threshold": float(stored.params["threshold"]) if "threshold" in stored.params else None,
            "note": stored.params.get("note", ""),
            "caution": stored.params.get("caution", ""),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun(Run):
    """A model, trained or imported.

    Parameters
    ----------
    objective : str
        `IMPORTED` of a model of which only predictions are known.
    part : str
        What of it was trained: see `Recipe`.
    recipe : str
        Equal for those that differ by the seed alone.
    selection : str
        The name of the rule that chose among candidates.
    oracle : bool
        Whether it was trained or chosen with annotated groups.
    phrases : tuple of str
        What it was retrained with, for a title.
    body : {"", "run", "parent"}
        Where the body is that its head stands on: nowhere among the runs, in this one, or in its
        parent.
    settings : mapping
        All that was chosen, numbers as numbers.
    """

    objective: str
    part: str
    seed: int
    recipe: str
    selection: str
    oracle: bool
    phrases: tuple[str, ...]
    body: Body
    settings: Mapping[str, str | float | int] = dataclasses.field(repr=False)

    @property
    def imported(self) -> bool:
        """Whether only its predictions are known."""
        return self.objective == IMPORTED

    @property
    def refit(self) -> bool:
        """Whether the images that people looked at were fitted as well."""
        return self.settings.get("refit") == "true"

    @property
    def cost(self) -> dict[str, float]:
        """Return ``seconds, peak_memory_mib, parameters`` of training it; empty if not known."""
        return self.figures("cost")

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        params, phrases = stored.params, stored.tags["phrase"]
        body = params.get(PLACE, "")
        return {
            "objective": params["objective"],
            "part": params.get("part", "head"),
            "seed": int(params.get("seed", "0")),
            "recipe": params.get("recipe", stored.id),
            "selection": params.get("selection", ""),
            "oracle": stored.tags["oracle"] == "true",
            "phrases": tuple(phrases.split(", ")) if phrases else (),
            "body": body if body in (IN_RUN, IN_PARENT) else "",
            "settings": {name: _number(text) for name, text in params.items()},
        }


def _number(text: str) -> str | float | int:
    """Return a param as the number that it was, if it was one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BaseRun(TrainedRun):
    """A base model."""

    kind = "base"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun(TrainedRun):
    """A model that was retrained from the base model `parent`."""

    kind = "retraining"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRun(Run):
    """A change of the champion, to the model `parent`; see `clarify.track.history.Event`."""

    kind = "promotion"

    model: str
    number: int
    action: Literal["promotion", "rollback"]
    from_version: str
    to_version: str
    note: str

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        params = stored.params
        named = ("model", "from_version", "to_version", "note")
        return {
            "number": int(params["number"]),
            "action": "rollback" if params["action"] == "rollback" else "promotion",
            **{name: params[name] for name in named},
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CellRun(Run):
    """A cell of a comparison of methods; `cell` names what it is of, `edges` what ended at a grid's edge."""

    kind = "cell"

    cell: str
    edges: tuple[str, ...] = ()

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        edges = stored.params.get("edges", "")
        return {"cell": stored.params["cell"], "edges": tuple(filter(None, edges.split(", ")))}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRun(Run):
    """A bridge that was learned; `encoder` is the digest by which all that it embedded names it.

    Parameters
    ----------
    way : {"names", "captions"}
        What it was learned from.
    network, text : str
        The names of its parts.
    """

    kind = "bridge"

    way: str
    network: str
    text: str

    @property
    def quality(self) -> dict[str, float]:
        """What was measured on captions held out; see `Quality`; empty where there were none."""
        return self.figures("held_out")

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        return {name: stored.params[name] for name in ("way", "network", "text")}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRun(Run):
    """Images of a pool that were ranked by the model `parent`, or whose labels came back.

    Parameters
    ----------
    action : {"ranked", "accepted"}
    pool : str
        As it was named.
    made : str
        The data set that was made with the accepted images; empty of a ranking.
    """

    kind = "collection"

    action: Literal["ranked", "accepted"]
    pool: str
    made: str

    @classmethod
    def _own(cls, stored: StoredRun) -> dict[str, Any]:
        params = stored.params
        return {
            "action": "accepted" if params["action"] == "accepted" else "ranked",
            **{name: params[name] for name in ("pool", "made")},
        }


KINDS: dict[str, type[Run]] = {
    each.kind: each
    for each in (BaseRun, DescriptionRun, ModelRun, PromotionRun, CellRun, BridgeRun, CollectionRun)
}


def read_run(stored: StoredRun) -> Run:
    """Read a run of whatever kind; see `Run.read`."""
    return KINDS[stored.kind].read(stored)
