"""How many phrases were tried on a class: by people, which the runs tell, and by a machine's search.

Whoever tries many finds one that fits by luck, so p-values count them all (`n_tried`). Suggestions are not
logged: they are no descriptions. How many tries a search counts as is noted beside the runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import filelock

from clarify.data.files import write_atomically, writing
from clarify.errors import StoreError
from clarify.method.phrases.phrases import parse_phrase
from clarify.track.runs import DescriptionRun
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace

__all__ = [
    "descriptions_said",
    "n_tried",
    "note_searched",
    "note_suggested",
    "phrases_searched",
    "phrases_tried",
    "suggested",
]

SCHEMA_VERSION = 1
PATIENCE_S = 30


def n_tried(project: Workspace, model: Model, class_name: str, text: str) -> int:
    """Return how many phrases were tried on a class of a model by now, this one included.

    Raises
    ------
    PhraseError
        For a phrase that is not legal.
    """
    known = phrases_tried(project, model, class_name) | {parse_phrase(text).text}
    return len(known) + phrases_searched(project, model, class_name)


def phrases_tried(project: Workspace, model: Model, class_name: str) -> set[str]:
    """Return the phrases that were recorded for a class of a model, kept or not."""
    return {run.phrase for run in descriptions_said(project, model) if run.class_name == class_name}


def descriptions_said(project: Workspace, model: Model) -> list[DescriptionRun]:
    """Return all that was recorded of phrases for a model."""
    runs = project.tracking.runs(project.manifest.name, DescriptionRun)
    return [run for run in runs if run.parent == model.run_id]


def note_suggested(project: Workspace, model: Model, class_name: str, phrases: Iterable[str]) -> None:
    """Remember that these phrases were suggested for a class, so that they stay marked when they are kept."""

    def add(noted: dict[str, Any]) -> None:
        before = noted["suggested"].setdefault(class_name, [])
        before += [parse_phrase(each).text for each in phrases if parse_phrase(each).text not in before]

    _change(_notes(project, model), add)


def suggested(project: Workspace, model: Model, class_name: str) -> frozenset[str]:
    """Return the phrases that a machine suggested for a model's class."""
    return frozenset(_read_notes(_notes(project, model))["suggested"].get(class_name, ()))


def phrases_searched(project: Workspace, model: Model, class_name: str) -> int:
    """Return how many tries a machine's searches for a model's class count as, 0 or more.

    Every vocabulary counts once, however often it was searched; phrases that are in two of them
    count twice, which makes the corrected p-value a little too high rather than too low.
    """
    by_vocabulary = _read_notes(_notes(project, model))["searched"].get(class_name, {})
    return sum(by_vocabulary.values())


def note_searched(
    project: Workspace, model: Model, class_name: str, phrases: tuple[str, ...], *, tries: int
) -> None:
    """Remember that these phrases were searched for a class, and how many tries they count as."""
    digest = hashlib.sha256("\n".join(sorted(phrases)).encode()).hexdigest()[:12]

    def add(noted: dict[str, Any]) -> None:
        of_class = noted["searched"].setdefault(class_name, {})
        of_class[digest] = max(tries, of_class.get(digest, 0))

    _change(_notes(project, model), add)


def _notes(project: Workspace, model: Model) -> Path:
    return project.home / "mlruns" / "searched" / f"{model.run_id}.json"


def _change(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with writing(path.parent, hint="then give the same command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / "lock", timeout=PATIENCE_S):
            noted = _read_notes(path)
            change(noted)
            content = {"schema_version": SCHEMA_VERSION, **noted}
            write_atomically(path, [json.dumps(content, ensure_ascii=False, indent=1).encode()])


def _read_notes(path: Path) -> dict[str, Any]:
    """Return what was ``searched`` of each class, by vocabulary, and ``suggested``."""
    if not path.exists():
        return {"searched": {}, "suggested": {}}
    try:
        content = json.loads(path.read_bytes())
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {content['schema_version']}")
        return {
            "searched": {
                str(name): {str(digest): int(count) for digest, count in of.items()}
                for name, of in content["searched"].items()
            },
            "suggested": {
                str(name): [str(each) for each in phrases]
                for name, phrases in content.get("suggested", {}).items()
            },
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); it tells how many phrases were searched, so bring "
            "it back from a copy, or remove it and give the suggestions again"
        ) from None
