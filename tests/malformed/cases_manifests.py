"""Manifests and their tables, met by `data check`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET
from tests.malformed.case import Case

CHECK = ["data", "check", DATA_SET]


def toml(old: str, new: str) -> Callable[[Path, Path], list[str]]:
    """The manifest with a piece of its TOML replaced."""

    def make(home: Path, outside: Path) -> list[str]:
        path = home / "data_manifests" / DATA_SET / "manifest.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return CHECK

    return make


def table(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path, Path], list[str]]:
    """The manifest with another table."""

    def make(home: Path, outside: Path) -> list[str]:
        (path,) = (home / "data_manifests" / DATA_SET).glob("images-*.parquet")
        change(pl.read_parquet(path)).write_parquet(path)
        return CHECK

    return make


def cell(column: str, value: str | None, row: int = 4) -> Callable[[Path, Path], list[str]]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        values[row] = value
        return frame.with_columns(pl.Series(column, values, dtype=pl.String))

    return table(change)


def raw(content: bytes, name: str = "manifest.toml") -> Callable[[Path, Path], list[str]]:
    def make(home: Path, outside: Path) -> list[str]:
        folder = home / "data_manifests" / DATA_SET
        path = folder / name if name == "manifest.toml" else next(folder.glob(name))
        path.write_bytes(content)
        return CHECK

    return make


def with_content(value: str) -> Callable[[Path, Path], list[str]]:
    return table(lambda frame: frame.with_columns(pl.lit(value).alias("content")))


def twice(home: Path, outside: Path) -> list[str]:
    folder = home / "data_manifests"
    shutil.copytree(folder / DATA_SET, folder / "copy")
    return CHECK


def wrong_content(home: Path, outside: Path) -> list[str]:
    with_content("0" * 32)(home, outside)
    assert "content" in open_manifest(home, DATA_SET).table.columns
    return [*CHECK, "--deep"]


REFUSED = [
    (
        "a data set that there is not",
        lambda h, o: ["data", "check", "tiny-brids"],
        "no data set 'tiny-brids' .*nearest: tiny-birds",
    ),
    ("a data set described twice", twice, "described twice"),
    ("a TOML of bytes", raw(b"\xff\xfe\x00"), "not readable as TOML"),
    ("an empty TOML", raw(b""), "the key 'schema_version' is missing"),
    ("a TOML with a broken line", raw(b"name = \n"), "not readable as TOML"),
    ("a key too many", toml('name = "', 'colour = "red"\nname = "'), "unknown key 'colour'"),
    (
        "a key of another type",
        toml("schema_version = 1", 'schema_version = "1"'),
        "schema_version is '1'; legal is a int",
    ),
    ("a schema of the future", toml("schema_version = 1", "schema_version = 99"), "schema_version is 99"),
    ("a table in another folder", toml('table = "', 'table = "../'), "a file beside the TOML"),
    ("a table of another ending", toml(".parquet", ".xlsx"), "legal endings are"),
    ("a table that is gone", toml(".parquet", "x.parquet"), "does not exist"),
    (
        "an attribute called content",
        toml("[attributes]", '[attributes]\ncontent = ["a"]'),
        "'content' has the name of a column",
    ),
    (
        "an attribute without values",
        toml("[attributes]", "[attributes]\nsky = []"),
        "attribute 'sky' has 0 names",
    ),
    (
        "a class twice",
        toml('classes = ["landbird", ', 'classes = ["landbird", "landbird", '),
        "'landbird' twice",
    ),
    ("one class", toml(', "waterbird"]', "]"), "classes has 1 names"),
    ("no train", toml('splits = ["train", ', 'splits = ["lern", '), "'train' must be among them"),
    ("a class name with a line break", toml('"waterbird"', r'"water\nbird"'), "one line of 1 to"),
    ("a table that is text", raw(b"id,path\n", "images-*.parquet"), "cannot be read as parquet"),
    ("a table cut in half", raw(b"PAR1" * 40, "images-*.parquet"), "cannot be read as parquet"),
    ("a table without rows", table(lambda t: t.head(0)), "has no rows"),
    ("a table without a column", table(lambda t: t.drop("split")), "no column 'split'"),
    ("a column too many", table(lambda t: t.with_columns(sky="place")), "a column 'sky' that is"),
    (
        "a column of fractions",
        table(lambda t: t.with_columns(pl.lit(0.5).alias("label"))),
        "is of type Float64",
    ),
    ("an unknown label", cell("label", "landbrid"), "row 5: unknown label 'landbrid'; nearest: landbird"),
    ("an empty label", cell("label", None), "row 5: label is empty"),
    ("an unknown split", cell("split", "tset"), "unknown split 'tset'; nearest: test"),
    ("an unknown place", cell("place", "sea"), "unknown place 'sea'"),
    ("a path upwards", cell("path", "../../../etc/passwd"), "is not inside the root"),
    ("an absolute path", cell("path", "/etc/passwd"), "is not inside the root"),
    ("a path of another system", cell("path", "a\\b.png"), "is not inside the root"),
    ("an id with a line break", cell("id", "a\nb"), "control character"),
    (
        "every id the same",
        table(lambda t: t.with_columns(id=pl.lit("a"))),
        r"row 2: id 'a' was already given in row 1 \(and",
    ),
    (
        "no image in validation",
        table(lambda t: t.filter(pl.col("split") != "validation")),
        "2 classes have no image in split 'validation'",
    ),
    ("a hash that is none", with_content("ABC"), "content 'ABC' is no hash"),
    ("a hash in capitals", with_content("A" * 32), "is no hash"),
]
CASES = [Case(name=name, make=make, expected=expected) for name, make, expected in REFUSED]
CASES += [Case(name="hashes of other files", make=wrong_content, expected="848 wrong images", answers=True)]
