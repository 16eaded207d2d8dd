"""Labels of images that people gave elsewhere: a table, or Label Studio's export."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from clarify.data.reading import read_table
from clarify.errors import InputError, one_line

__all__ = ["Answer", "read_labels"]

ENDINGS = (".csv", ".json", ".parquet")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A label that came back; empty where whoever looked gave none. `collection` is the ranking's run."""

    id: str
    label: str
    collection: str = ""


def read_labels(path: Path) -> tuple[Answer, ...]:
    """Read labels.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet`` with ``id`` and ``label``, as `clarify collect --out` wrote it, or Label
        Studio's export (``.json``), in which a task that was skipped has no label.

    Raises
    ------
    InputError, ManifestError
        If it cannot be read, or is something else.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"labels {path} end in {path.suffix!r}; legal are {', '.join(ENDINGS)}")
    if path.suffix.lower() == ".json":
        found = list(_of_tasks(path))
    else:
        table = read_table(path)
        if missing := {"id", "label"} - set(table.columns):
            raise InputError(
                f"labels {path} have no column {' nor '.join(sorted(missing))}; id and label are needed"
            )
        columns = table.select("id", "label", collection=_or_empty(table, "collection")).fill_null("")
        found = [Answer(id=a, label=b.strip(), collection=c) for a, b, c in columns.iter_rows()]
    if not found:
        raise InputError(f"labels {path} have no row; nothing was taken in")
    return tuple(found)


def _or_empty(table: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in table.columns else pl.lit("")


def _of_tasks(path: Path) -> Iterator[Answer]:
    try:
        tasks = json.loads(path.read_bytes())
        for task in tasks:
            data = task["data"]
            known = {"id": str(data["id"]), "collection": str(data.get("collection", ""))}
            done = [each for each in task.get("annotations", []) if not each.get("was_cancelled")]
            said = [
                choice for each in done for result in each["result"] for choice in result["value"]["choices"]
            ]
            for label in said or [""]:
                yield Answer(label=str(label), **known)
    except OSError as error:
        raise InputError(f"labels {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"labels {path} are not Label Studio's export ({type(error).__name__}: {one_line(error)}); legal "
            "is its JSON, a list of tasks with data.id and annotations"
        ) from None
