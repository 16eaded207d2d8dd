"""Tracking stores, and files of runs, that cannot be used."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.conftest import DATA_SET
from tests.malformed.case import Case

__all__ = ["CASES"]

Make = Callable[[Path, Path], Sequence[str]]
DIAGNOSE = ("diagnose", DATA_SET)
RETRAIN = ("retrain", DATA_SET)


def sql(*statements: str) -> Make:
    def make(home: Path, outside: Path) -> Sequence[str]:
        with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database, database:
            for statement in statements:
                database.execute(statement)
        return DIAGNOSE

    return make


def database(content: bytes) -> Make:
    def make(home: Path, outside: Path) -> Sequence[str]:
        for leftover in (home / "mlruns").glob("mlflow.db-*"):
            leftover.unlink()
        (home / "mlruns" / "mlflow.db").write_bytes(content)
        return DIAGNOSE

    return make


def of_another_program(home: Path, outside: Path) -> Sequence[str]:
    (home / "mlruns" / "mlflow.db").unlink()
    return sql("CREATE TABLE other (x)")(home, outside)


def file_store(home: Path, outside: Path) -> Sequence[str]:
    (home / "mlruns" / "7").mkdir()
    (home / "mlruns" / "7" / "meta.yaml").write_text("name: old")
    return DIAGNOSE


def file_of_the_runs(name: str, command: Sequence[str], content: bytes | None) -> Make:
    def make(home: Path, outside: Path) -> Sequence[str]:
        for place in (home / "mlruns" / "artifacts" / DATA_SET).rglob(name):
            place.unlink()
            if content is not None:
                place.write_bytes(content)
        return command

    return make


CASES = [
    Case(
        name="a database of text",
        make=database(b"not a database" * 100),
        expected=r"mlflow\.db is damaged.*restore a copy",
    ),
    Case(
        name="a database of which only the first bytes are left",
        make=database(b"SQLite format 3\x00" + b"\x00" * 4000),
        expected=r"mlflow\.db.*(restore|move)",
    ),
    Case(
        name="a database of another program", make=of_another_program, expected="no such table.*move it away"
    ),
    Case(
        name="a database without its runs",
        make=sql("DROP TABLE runs"),
        expected=r"mlflow\.db cannot be used",
        changes=True,
    ),
    Case(
        name="a database of an older MLflow",
        make=sql("UPDATE alembic_version SET version_num = '451aebb31d03'"),
        expected="older MLflow.*mlflow db upgrade sqlite:///",
    ),
    Case(
        name="a database of a newer MLflow",
        make=sql("UPDATE alembic_version SET version_num = 'fffffffffff0'"),
        expected="newer MLflow.*install",
    ),
    Case(
        name="a database without a version",
        make=sql("DELETE FROM alembic_version"),
        expected="newer MLflow|finished making",
    ),
    Case(name="MLflow's old file store", make=file_store, expected="old file store"),
    Case(
        name="a run whose weights are gone",
        make=file_of_the_runs("head.safetensors", DIAGNOSE, None),
        expected=r"head\.safetensors cannot be read.*make the run again",
        changes=True,
    ),
    Case(
        name="a run whose weights are empty",
        make=file_of_the_runs("head.safetensors", DIAGNOSE, b""),
        expected="weights are damaged.*train it again",
        changes=True,
    ),
    Case(
        name="a run whose weights are text",
        make=file_of_the_runs("head.safetensors", DIAGNOSE, json.dumps({}).encode() * 9),
        expected="weights are damaged.*train it again",
        changes=True,
    ),
    Case(
        name="a description whose record is gone",
        make=file_of_the_runs("description.json", RETRAIN, None),
        expected=r"description\.json cannot be read.*restore it",
        changes=True,
    ),
]
