"""Manifests: what is read, what is refused with which words, and what the digest depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.data.manifest import Manifest, find_manifests, open_manifest, read_manifest, write_manifest
from clarify.errors import ManifestError, NotFoundError, StoreError

CLASSES = ("landbird", "waterbird")
SPLITS = ("train", "validation", "test")
PLACES = {"place": ("land", "water")}

TOML = """
schema_version = 1
name = "birds"
title = "Birds"
source = "drawn by hand"
licence = "CC0"
root = "images"
table = "images.csv"
classes = ["landbird", "waterbird"]
splits = ["train", "validation", "test"]

[attributes]
place = ["land", "water"]
"""


def birds_table() -> pl.DataFrame:
    """Two classes in three splits: one image each, in the order of the splits."""
    rows = [
        (f"{split}-{label}", f"{split}/{label}.png", label, split, place)
        for split in SPLITS
        for label, place in zip(CLASSES, PLACES["place"], strict=True)
    ]
    return pl.DataFrame(rows, schema=["id", "path", "label", "split", "place"], orient="row")


def write(folder: Path, toml: str = TOML, table: pl.DataFrame | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (birds_table() if table is None else table).write_csv(folder / "images.csv")
    path = folder / "birds.toml"
    path.write_text(toml)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def with_cell(row: int, column: str, value: str | None) -> pl.DataFrame:
    table = birds_table()
    values = table[column].to_list()
    values[row] = value
    return table.with_columns(pl.Series(column, values, dtype=pl.String))


def test_a_manifest_is_read_with_its_rows_in_the_tables_order(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))
    assert (manifest.name, manifest.classes, manifest.splits) == ("birds", CLASSES, SPLITS)
    assert manifest.root == tmp_path / "images"
    assert manifest.ids("validation").tolist() == ["validation-landbird", "validation-waterbird"]
    assert manifest.labels("validation").tolist() == [0, 1]
    assert manifest.labels("validation").dtype == np.int64
    assert manifest.row_numbers("validation").tolist() == [2, 3]
    assert manifest.paths("test")[1] == tmp_path / "images/test/waterbird.png"
    assert manifest.attribute("train", "place").tolist() == ["land", "water"]
    assert manifest.class_index("waterbird") == 1


def test_names_that_nothing_has_are_answered_with_the_nearest(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))
    with pytest.raises(NotFoundError, match="no class 'waterbrid'; nearest: waterbird"):
        manifest.class_index("waterbrid")
    with pytest.raises(NotFoundError, match="no split 'trian'; nearest: train"):
        manifest.rows("trian")
    with pytest.raises(NotFoundError, match="no attribute 'plaec'; nearest: place"):
        manifest.attribute("train", "plaec")


def test_ids_of_digits_stay_text_whether_in_csv_or_parquet(tmp_path: Path) -> None:
    numbered = birds_table().with_columns(pl.Series("id", [1, 2, 3, 4, 5, 60]))
    from_csv = read_manifest(write(tmp_path, table=numbered))
    numbered.write_parquet(tmp_path / "images.parquet")
    (tmp_path / "p.toml").write_text(TOML.replace("images.csv", "images.parquet"))
    from_parquet = read_manifest(tmp_path / "p.toml")
    assert from_csv.ids("test").tolist() == ["5", "60"]
    assert from_csv.digest == from_parquet.digest


def test_a_leading_zero_in_an_id_is_kept(tmp_path: Path) -> None:
    table = with_cell(0, "id", "007")
    assert read_manifest(write(tmp_path, table=table)).ids("train")[0] == "007"


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (4, "label", "landbrid", "table row 5: unknown label 'landbrid'; nearest: landbird"),
        (1, "split", "valid", "table row 2: unknown split 'valid'; nearest: validation"),
        (3, "place", "sea", "table row 4: unknown place 'sea'; known: land, water"),
        (2, "id", "train-landbird", "table row 3: id 'train-landbird' was already given in row 1"),
        (5, "path", "train/landbird.png", "row 6: path 'train/landbird.png' was already given in"),
        (1, "id", "", "table row 2: id is empty"),
        (1, "label", None, "table row 2: label is empty"),
        (0, "path", "../secret.png", "table row 1: path '../secret.png' is not inside the root"),
        (0, "path", "/etc/passwd", "is not inside the root"),
        (0, "path", "a/../../b.png", "is not inside the root"),
        (0, "path", "a//b.png", "is not inside the root"),
        (0, "path", "a\\..\\b.png", "is not inside the root"),
        (0, "id", "a\x07b", "table row 1: id 'a\\x07b' has a control character"),
    ],
)
def test_a_bad_cell_is_named_with_its_row_and_value(
    tmp_path: Path, row: int, column: str, value: str | None, words: str
) -> None:
    message = refused(write(tmp_path, table=with_cell(row, column, value)))
    assert words in message
    assert "birds.toml" in message


@pytest.mark.parametrize("path", ["a.png", "..a/b..png", "a/.hidden.png", "ä ö/ü.png", "a...b"])
def test_an_unusual_path_inside_the_root_is_legal(tmp_path: Path, path: str) -> None:
    manifest = read_manifest(write(tmp_path, table=with_cell(0, "path", path)))
    assert manifest.paths("train")[0] == tmp_path / "images" / path


def test_the_first_of_several_problems_is_told_and_how_many_more(tmp_path: Path) -> None:
    table = birds_table().with_columns(
        label=pl.Series(["landbird", "x", "y", "waterbird", "landbird", "waterbird"]),
        place=pl.Series(["land", "land", "?", "land", "?", "land"]),
    )
    message = refused(write(tmp_path, table=table))
    assert "table row 2: unknown label 'x'" in message
    assert "(and 3 more problems in the table)" in message


def test_missing_and_unknown_columns_are_named(tmp_path: Path) -> None:
    assert "no column 'place'" in refused(write(tmp_path, table=birds_table().drop("place")))
    extra = birds_table().with_columns(plaec=pl.lit("x"))
    assert "a column 'plaec' that is no attribute" in refused(write(tmp_path, table=extra))


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    assert "the table has no rows" in refused(write(tmp_path, table=birds_table().clear()))


def test_a_class_without_an_image_in_a_split_is_refused(tmp_path: Path) -> None:
    table = birds_table().filter(pl.col("id") != "test-waterbird")
    message = refused(write(tmp_path, table=table))
    assert "class 'waterbird' has no image in split 'test'" in message


def test_a_data_set_may_have_no_test_split(tmp_path: Path) -> None:
    toml = TOML.replace(', "test"]', "]")
    table = birds_table().filter(pl.col("split") != "test")
    assert read_manifest(write(tmp_path, toml, table)).splits == ("train", "validation")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Birds"', 'titel = "Birds"', "unknown key 'titel'; nearest: title"),
        ('title = "Birds"\n', "", "the key 'title' is missing"),
        ('licence = "CC0"', 'licence = ""', "licence is ''"),
        ('name = "birds"', 'name = "../birds"', "name is '../birds'; legal are"),
        ('name = "birds"', "name = 3", "name is 3; legal is a str"),
        ("schema_version = 1", "schema_version = 2", "schema_version is 2; this Clarify reads 1"),
        ("schema_version = 1", "schema_version = true", "schema_version is True"),
        ('["train", "validation", "test"]', '["train", "test"]', "'validation' must be among"),
        ('["landbird", "waterbird"]', '["landbird"]', "classes has 1 names; at least 2"),
        ('["landbird", "waterbird"]', '["a", "a"]', "classes has 'a' twice"),
        ('["landbird", "waterbird"]', '["a", 2]', "a name in classes is 2"),
        ('table = "images.csv"', 'table = "../images.csv"', "legal is a file beside the TOML"),
        ('table = "images.csv"', 'table = "images.txt"', "legal endings are .csv and .parquet"),
        ('table = "images.csv"', 'table = "none.csv"', "does not exist"),
        ('place = ["land", "water"]', 'place = "land"', "legal is a list of values"),
        ('place = ["land", "water"]', 'label = ["land"]', "has the name of a column"),
        ('title = "Birds"', 'title = "Birds', "not readable as TOML"),
    ],
)
def test_a_bad_toml_is_refused_with_what_is_legal(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TOML
    assert words in refused(write(tmp_path, TOML.replace(old, new)))


def test_an_absent_toml_and_a_broken_table_are_told_in_one_line(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "no.toml")
    path = write(tmp_path, TOML.replace("images.csv", "images.parquet"))
    (tmp_path / "images.parquet").write_bytes(b"not parquet")
    assert "cannot be read as parquet" in refused(path)
    (tmp_path / "images.parquet").write_bytes(b"")
    assert "cannot be read as parquet" in refused(path)


def test_a_column_of_numbers_with_fractions_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, TOML.replace("images.csv", "images.parquet"))
    table = birds_table().with_columns(pl.Series("id", [1.5, 2, 3, 4, 5, 6]))
    table.write_parquet(tmp_path / "images.parquet")
    assert "column 'id' is of type Float64" in refused(path)


Change = Callable[[str, pl.DataFrame], tuple[str, pl.DataFrame]]


@pytest.mark.parametrize(
    "change",
    [
        lambda toml, table: (toml.replace('"birds"', '"birds2"'), table),
        lambda toml, table: (toml.replace('"landbird", "w', '"waterbird", "landbird"]#'), table),
        lambda toml, table: (toml.replace('"land", ', '"land", "air", '), table),
        lambda toml, table: (toml, with_cell(0, "id", "other")),
        lambda toml, table: (toml, with_cell(0, "path", "other.png")),
        lambda toml, table: (toml, with_cell(0, "place", "water")),
        lambda toml, table: (
            toml,
            pl.concat([table, with_cell(0, "id", "n").with_columns(path=pl.lit("n.png"))[:1]]),
        ),
    ],
    ids=["name", "class order", "attribute values", "id", "path", "value", "one more row"],
)
def test_the_digest_changes_with_the_content(tmp_path: Path, change: Change) -> None:
    before = read_manifest(write(tmp_path)).digest
    assert read_manifest(write(tmp_path, *change(TOML, birds_table()))).digest != before


def test_the_digest_does_not_change_with_what_is_only_said_about_the_data(tmp_path: Path) -> None:
    before = read_manifest(write(tmp_path)).digest
    toml = TOML.replace('"Birds"', '"Vögel"').replace('"CC0"', '"none"').replace('"images"', '"x"')
    assert read_manifest(write(tmp_path, toml)).digest == before


@settings(max_examples=20)
@given(order=st.permutations(range(6)), columns=st.permutations(range(5)))
def test_the_digest_is_the_same_for_any_order_of_rows_and_columns(
    order: list[int], columns: list[int]
) -> None:
    table = birds_table()
    shuffled = table[order].select([table.columns[index] for index in columns])
    assert as_manifest(shuffled).digest == as_manifest(table).digest


def as_manifest(table: pl.DataFrame) -> Manifest:
    return Manifest(
        name="birds",
        title="t",
        source="s",
        licence="l",
        root=Path("/images"),
        classes=CLASSES,
        splits=SPLITS,
        attributes=PLACES,
        table=table,
    )


def write_birds(folder: Path, table: pl.DataFrame | None = None, name: str = "birds") -> Path:
    return write_manifest(
        folder,
        name=name,
        title='The "birds" \\ öl',
        source="s",
        licence="l",
        root="../images",
        classes=CLASSES,
        splits=SPLITS,
        attributes=PLACES,
        table=birds_table() if table is None else table,
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    manifest = read_manifest(write_birds(tmp_path / "birds"))
    assert manifest.title == 'The "birds" \\ öl'
    assert manifest.root == tmp_path / "images"
    assert manifest.table.equals(birds_table())
    assert dict(manifest.attributes) == PLACES
    assert manifest.digest == as_manifest(birds_table()).digest


def test_a_manifest_written_anew_leaves_no_old_table_behind(tmp_path: Path) -> None:
    write_birds(tmp_path)
    path = write_birds(tmp_path, with_cell(0, "id", "other"))
    assert read_manifest(path).ids("train")[0] == "other"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_manifest_that_is_not_legal_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="unknown label"):
        write_birds(tmp_path / "birds", with_cell(0, "label", "?"))
    assert not (tmp_path / "birds").exists()


def test_a_folder_that_cannot_be_written_gives_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write in .*file.*birds .*--home"):
        write_birds(tmp_path / "file" / "birds")


def test_data_sets_are_found_by_name_and_a_broken_one_does_not_hide_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "data_manifests"
    write_birds(folder / "some-folder")
    (folder / "broken.toml").write_text("name = ")
    assert list(find_manifests(tmp_path)) == ["birds", "broken"]
    assert open_manifest(tmp_path, "birds").name == "birds"
    with pytest.raises(ManifestError, match="not readable as TOML"):
        open_manifest(tmp_path, "broken")
    with pytest.raises(NotFoundError, match=r"no data set 'brids' .* nearest: birds"):
        open_manifest(tmp_path, "brids")


def test_two_manifests_of_one_name_are_refused(tmp_path: Path) -> None:
    write_birds(tmp_path / "data_manifests/a")
    write_birds(tmp_path / "data_manifests/b")
    with pytest.raises(ManifestError, match="birds is described twice"):
        find_manifests(tmp_path)


def test_a_home_without_manifests_has_no_data_sets(tmp_path: Path) -> None:
    assert find_manifests(tmp_path) == {}
    with pytest.raises(NotFoundError, match="known: none"):
        open_manifest(tmp_path, "birds")


HASHES = [f"{number:032x}" for number in range(6)]


@pytest.mark.parametrize("name", ["rendered-waterbirds", "sprites"])
def test_a_manifest_without_hashes_keeps_the_digest_of_old(name: str) -> None:
    folder = Path(__file__).resolve().parents[2] / "data_manifests" / name
    (table,) = folder.glob("images-*.parquet")
    assert table.stem == f"images-{read_manifest(folder / 'manifest.toml').digest[:12]}"


def test_hashes_are_part_of_the_digest_and_survive_writing(tmp_path: Path) -> None:
    plain = read_manifest(write(tmp_path))
    hashed = birds_table().with_columns(pl.Series("content", HASHES))
    first = read_manifest(write(tmp_path, table=hashed))
    other = read_manifest(write(tmp_path, table=hashed.with_columns(pl.Series("content", HASHES[::-1]))))
    assert len({plain.digest, first.digest, other.digest}) == 3
    path = write_manifest(
        tmp_path / "out",
        name="birds",
        title="Birds",
        source="drawn",
        licence="CC0",
        root="images",
        classes=CLASSES,
        splits=SPLITS,
        attributes=PLACES,
        table=hashed,
    )
    again = read_manifest(path)
    assert again.digest == first.digest
    assert again.table.columns == ["id", "path", "label", "split", "content", "place"]


@pytest.mark.parametrize("value", ["", None, "0" * 31, "0" * 33, "0" * 31 + "g", "A" * 32])
def test_what_is_no_hash_is_refused(tmp_path: Path, value: str | None) -> None:
    table = birds_table().with_columns(pl.Series("content", [*HASHES[:3], value, *HASHES[4:]]))
    assert "table row 4: content" in refused(write(tmp_path, table=table))


def test_an_attribute_may_not_be_called_content(tmp_path: Path) -> None:
    toml = TOML + 'content = ["a"]\n'
    assert "'content' has the name of a column" in refused(write(tmp_path, toml=toml))
