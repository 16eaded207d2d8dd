"""Predictions that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET
from tests.malformed.case import Case


def right_table(home: Path) -> pl.DataFrame:
    """Predictions that are legal: the labels themselves."""
    table = open_manifest(home, DATA_SET).table
    land = (pl.col("label") == "landbird").cast(pl.Float64)
    return table.select("id", predicted="label", landbird=land, waterbird=1 - land)


def command(path: Path, *options: str) -> Sequence[str]:
    return ["predictions", "import", DATA_SET, str(path), *options]


def changed(
    change: Callable[[pl.DataFrame], pl.DataFrame], *options: str, ending: str = "csv"
) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        path = outside / f"predictions.{ending}"
        table = change(right_table(home))
        if ending == "parquet":
            table.write_parquet(path)
        else:
            table.write_csv(path)
        return command(path, *options)

    return make


def cell(column: str, value: object, row: int = 2) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        values = table[column].to_list()
        values[row] = value
        return table.with_columns(pl.Series(column, values))

    return change


def with_bytes(name: str, content: bytes) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        (outside / name).write_bytes(content)
        return command(outside / name)

    return make


CASES = [
    Case(
        name="a class that there is not",
        make=changed(cell("predicted", "seabird")),
        expected=r"row 3: predicted 'seabird' is no class; nearest: ",
    ),
    Case(
        name="a number beyond the classes",
        make=changed(lambda table: table.with_columns(predicted=pl.lit(2)).select("id", "predicted")),
        expected="predicted '2' is no class",
    ),
    Case(name="an empty prediction", make=changed(cell("predicted", None)), expected="is no class"),
    Case(name="an empty id", make=changed(cell("id", None)), expected="id is empty"),
    Case(
        name="an image twice",
        make=changed(lambda table: pl.concat([table, table.head(1)])),
        expected="was already given",
    ),
    Case(
        name="an image twice, spelt in two ways",
        make=changed(lambda table: pl.concat([table, table.head(1).with_columns(id="./" + pl.col("id"))])),
        expected=r"'train-000001' and './train-000001' are one image",
    ),
    Case(
        name="an image of validation without a prediction",
        make=changed(lambda table: table.filter(pl.col("id") != "validation-000004")),
        expected="1 of .* images of split validation have no prediction, such as 'validation-0000",
    ),
    Case(
        name="ids of another data set",
        make=changed(lambda table: table.with_columns(id="x-" + pl.col("id"))),
        expected="have no prediction",
    ),
    Case(name="no rows", make=changed(lambda table: table.head(0)), expected="has no rows"),
    Case(
        name="no column of ids",
        make=changed(lambda table: table.drop("id")),
        expected="name the one with --id",
    ),
    Case(
        name="no column of predictions",
        make=changed(lambda table: table.drop("predicted")),
        expected="name the one with --predicted",
    ),
    Case(
        name="a column that there is not",
        make=changed(lambda table: table, "--predicted", "predictd"),
        expected="nearest: predicted",
    ),
    Case(
        name="probabilities of some classes only",
        make=changed(lambda table: table.drop("waterbird")),
        expected="probabilities of 1 of 2 classes, none of 'waterbird'",
    ),
    Case(
        name="a numbered column of probabilities for some classes only",
        make=changed(lambda table: table.select("id", "predicted", prob_1="waterbird")),
        expected="probabilities of 1 of 2 classes, none of 'landbird'",
    ),
    Case(
        name="columns of probabilities swapped",
        make=changed(lambda table: table.rename({"landbird": "waterbird", "waterbird": "landbird"})),
        expected=r"no row predicts its likeliest class: row 1 predicts '\w+', and '\w+' has probability 1;",
    ),
    Case(
        name="two columns of one name but for blanks",
        make=with_bytes("p.csv", b"id,predicted, predicted\na,b,c\n"),
        expected="several columns are called 'predicted' but for blanks",
    ),
    Case(name="a probability above 1", make=changed(cell("landbird", 1.5)), expected="not between 0 and 1"),
    Case(
        name="probabilities that do not add up",
        make=changed(lambda table: table.with_columns(landbird=pl.lit(0.5))),
        expected=r"add up to \d\.5000; 1 is legal .*more such rows",
    ),
    Case(
        name="a probability that is not a number",
        make=changed(lambda table: cell("landbird", "high")(table.cast({"landbird": pl.String}))),
        expected="row 3: landbird is 'high'",
    ),
    Case(
        name="a probability of NaN",
        make=changed(cell("landbird", float("nan")), ending="parquet"),
        expected="a number between 0 and 1 is legal",
    ),
    Case(
        name="a column of lists",
        make=changed(
            lambda table: table.with_columns(predicted=pl.concat_list("predicted")), ending="parquet"
        ),
        expected="is of type List",
    ),
    Case(name="an empty file", make=with_bytes("p.csv", b""), expected="cannot be read|no rows"),
    Case(name="UTF-16", make=with_bytes("p.csv", "id,predicted\na,b\n".encode("utf-16")), expected="UTF-8"),
    Case(
        name="latin-1",
        make=with_bytes("p.csv", "id,predicted\né,b\n".encode("latin-1")),
        expected="cannot be read",
    ),
    Case(
        name="rows of other lengths",
        make=with_bytes("p.csv", b"id,predicted\na,b,c,d\n"),
        expected="cannot be read|no class",
    ),
    Case(name="an ending of another kind", make=with_bytes("p.xlsx", b"PK"), expected="legal end"),
    Case(name="no file", make=lambda home, outside: command(outside / "no.csv"), expected="does not exist"),
    Case(
        name="a model's name of two lines",
        make=changed(lambda table: table, "--model-name", "a\nb"),
        expected="model name is",
    ),
]
