"""Reading tables: whatever is in the file, it is a table or one clear line."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarify.data.predictions import read_predictions
from clarify.data.reading import read_table, read_typed_table
from clarify.data.sources.table import TableOptions, list_table
from clarify.data.table import check_table
from clarify.errors import ManifestError, nearest
from tests.data.pictures import save_tree

ENDINGS = [".csv", ".tsv", ".parquet", ".jsonl"]
MANY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refused(path: Path) -> pl.DataFrame | None:
    """Return the table, or None if it was refused with one line; anything else fails."""
    try:
        return read_typed_table(path)
    except ManifestError as error:
        assert "\n" not in str(error)  # noqa: PT017 - what is tested is that it is no other error
        assert len(str(error)) < 700 + len(str(path))  # noqa: PT017
        return None


@pytest.mark.parametrize("ending", ENDINGS)
@MANY
@given(content=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    read_or_refused(path)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
@MANY
@given(content=st.text(alphabet="a1,\"'{}[]:\t\n\r\\ é\u2028\x00", max_size=200))
def test_any_text_is_a_table_or_refused(tmp_path: Path, ending: str, content: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text(content, encoding="utf-8", newline="")
    read_or_refused(path)


# The same examples every time: a few bytes in a hundred thousand make polars ask for more memory than there
# is, which ends the process, and no caller can catch that.
@settings(MANY, derandomize=True)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_parquet_file_with_one_wrong_byte_is_read_or_refused(
    tmp_path: Path, place: int, value: int
) -> None:
    content = io.BytesIO()
    pl.DataFrame({"id": ["a", "b"] * 20, "path": ["x", "y"] * 20}).write_parquet(content)
    broken = bytearray(content.getvalue())
    broken[place % len(broken)] = value
    path = tmp_path / "a.parquet"
    path.write_bytes(broken)
    read_or_refused(path)


CELL = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["a", "b", "train", "validation"]))


@MANY
@given(
    st.lists(st.tuples(CELL, CELL, CELL, CELL), min_size=0, max_size=8),
    st.permutations(["id", "path", "label", "split"]),
    st.sampled_from([(), ("extra",), ("content",)]),
)
def test_any_table_is_legal_or_refused_with_one_line(
    rows: list[tuple[str | None, ...]], names: list[str], more: tuple[str, ...]
) -> None:
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    table = table.with_columns(pl.lit("0" * 32).alias(name) for name in more)
    legal = {"classes": ("a", "b"), "splits": ("train", "validation"), "attributes": {}}
    try:
        check_table(table, **legal)
    except ManifestError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert "extra" not in more
    for label in ("a", "b"):
        for split in ("train", "validation"):
            assert table.filter((pl.col("label") == label) & (pl.col("split") == split)).height


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,path\n1,é\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("id,path\n1,é\n".encode("utf-16-be"), "NUL bytes"),
        (
            "id,path\n1,é\n".encode("latin-1"),
            "line 2 is not UTF-8 from its byte 3 on, perhaps Latin-1 .then it says '1,é'.; save",
        ),
        (b"id,path\n1,\x00\n", "NUL bytes"),
        (b"path;label\na;b\n", "has the header 'path;label', parted by ';'; a .csv is parted by ','"),
        (b"path\tlabel\na\tb\n", "a .csv is parted by ',': save it so, or call it .tsv"),
        (b"", "cannot be read as csv: "),
        (b"id,path\n1,2,3\n", "cannot be read as csv: "),
        (b"id,path\n1," + b"x" * 1_000_000 + b"\n", "row 1: path has 1,000,000 bytes"),
        (b"id,\x07\n1,2\n", "a column is called"),
    ],
)
def test_what_people_send_is_refused_with_its_cause(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=words):
        read_table(tmp_path / "a.csv")


def test_a_mark_of_utf_8_at_the_start_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid,path\n1,2\n")
    assert read_table(tmp_path / "a.csv").columns == ["id", "path"]


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,path\r\n1,x\r\n2,y\r\n")
    assert read_table(tmp_path / "a.csv")["path"].to_list() == ["x", "y"]


def test_columns_of_one_name_but_for_blanks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label, label\na,b\n")
    with pytest.raises(ManifestError, match="several columns are called 'label' but for blanks"):
        read_typed_table(tmp_path / "a.csv")


def test_a_table_of_a_manifest_keeps_its_cells_and_trims_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id, label\na, b\n")
    table = read_table(tmp_path / "a.csv")
    assert table.to_dict(as_series=False) == {"id": ["a"], "label": [" b"]}


def test_a_name_that_could_be_misread_is_quoted_in_a_message() -> None:
    assert nearest("cat", ["cat ", "dog"]).startswith("nearest: 'cat ', which differs in blanks")
    assert nearest("zebra", ["a b", "a  b", "c,d"]) == "known: a b, 'a  b', 'c,d'"


def test_whole_numbers_that_pandas_wrote_with_a_point_are_classes_by_number_and_splits(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.csv").write_text("id,predicted\na,1.0\nb,0.0\n")
    assert read_predictions(tmp_path / "a.csv", ("cat", "dog")).predicted.tolist() == [1, 0]
    (tmp_path / "a.csv").write_text("id,predicted\na,1.0\nb,2.0\n")
    assert read_predictions(tmp_path / "a.csv", ("1.0", "2.0")).predicted.tolist() == [0, 1]
    save_tree(tmp_path, {"x": 3})
    (tmp_path / "t.csv").write_text("path,label,split\nx/0.png,1.0,0.0\nx/1.png,0.0,1.0\nx/2.png,0.0,2.0\n")
    table = list_table(tmp_path / "t.csv", TableOptions(classes=("cat", "dog"))).table
    assert table["label"].to_list() == ["dog", "cat", "cat"]
    assert table["split"].to_list() == ["train", "validation", "test"]
