"""Importers: what each form of data set becomes, and what is guessed."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from clarify.data.sources.celeba import list_celeba
from clarify.data.sources.columns import Columns
from clarify.data.sources.folder import list_folder
from clarify.data.sources.imagenet import list_imagenet
from clarify.data.sources.table import TableOptions, list_table
from clarify.data.sources.walking import refuse_links_out
from clarify.data.sources.waterbirds import list_waterbirds
from clarify.errors import ManifestError, NotFoundError
from tests.data.pictures import picture, save_tree


def refused(listed: object, *arguments: object, **options: object) -> str:
    with pytest.raises(ManifestError) as caught:
        listed(*arguments, **options)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# folders


@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
def test_a_folder_of_splits_is_read_by_the_names_people_use(tmp_path: Path, validation: str) -> None:
    root = save_tree(
        tmp_path, {"train/cat": 3, "train/dog": 2, f"{validation}/cat": 1, f"{validation}/dog": 1}
    )
    listing = list_folder(root)
    assert listing.classes == ("cat", "dog")
    assert Counter(listing.table["split"]) == {"train": 5, "validation": 2}
    assert listing.guesses[f"folder {validation}"] == "split validation"
    assert listing.table["path"].str.starts_with("train/cat/").sum() == 3


def test_a_folder_of_classes_has_no_splits_and_goes_deep(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"cat": 1, "dog/old/big": 2})
    listing = list_folder(root)
    assert listing.splits == ()
    assert sorted(listing.table["label"]) == ["cat", "dog", "dog"]
    assert "dog/old/big/1.png" in listing.table["path"].to_list()


def test_files_that_are_no_images_are_counted_and_hidden_ones_skipped(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"cat": 1, "dog": 1, ".git": 3, "cat/.thumbs": 2})
    (root / "cat/notes.txt").write_text("hello")
    (root / "dog/Thumbs.db").write_text("hello")
    (root / "cat/.DS_Store").write_text("hello")
    listing = list_folder(root)
    assert listing.table.height == 2
    assert listing.notes == ("2 files have no ending of an image and are not in",)


def test_endings_in_capitals_count(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"cat": 1, "dog": 1})
    (root / "cat/0.png").rename(root / "cat/0.JPEG")
    assert list_folder(root).table["path"].to_list() == ["cat/0.JPEG", "dog/1.png"]


def test_no_file_of_a_folder_is_asked_for_its_kind_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = save_tree(tmp_path, {"cat": 30, "dog": 30})
    asked: list[object] = []
    stat, lstat = os.stat, os.lstat
    monkeypatch.setattr(os, "stat", lambda *a, **k: (asked.append(a), stat(*a, **k))[1])
    monkeypatch.setattr(os, "lstat", lambda *a, **k: (asked.append(a), lstat(*a, **k))[1])
    assert list_folder(root).table.height == 60
    assert [path for path, *_ in asked if str(path).endswith(".png")] == []


def test_links_in_the_folder_are_followed_and_links_out_of_it_refused(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"cat": 2, "dog": 1})
    (root / "dog/linked.png").symlink_to("../cat/0.png")
    (root / "eel").symlink_to("cat")
    assert Counter(list_folder(root).table["label"]) == {"cat": 2, "dog": 2, "eel": 2}
    (tmp_path / "alias").symlink_to(root)
    listing = list_folder(tmp_path / "alias")
    assert listing.root == tmp_path / "alias"
    refuse_links_out(listing.root, listing.table["path"])
    picture(9).save(tmp_path / "secret.png")
    (root / "dog/out.png").symlink_to(tmp_path / "secret.png")
    assert "dog/out.png leads out of" in refused(refuse_links_out, root, list_folder(root).table["path"])


def test_links_out_and_back_are_a_circle(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"cat": 1, "dog": 1})
    (tmp_path / "outside").mkdir()
    (root / "dog/out").symlink_to(tmp_path / "outside")
    (tmp_path / "outside/back").symlink_to(root)
    assert "in a circle" in refused(list_folder, root)


def test_a_table_in_other_unicode_letters_than_the_disk_is_matched_and_says_so(tmp_path: Path) -> None:
    on_disk, on_paper = (unicodedata.normalize(form, "Käfer/Grün") for form in ("NFD", "NFC"))
    for number in range(2):
        path = tmp_path / f"{on_disk}{number}.png"
        path.parent.mkdir(exist_ok=True)
        picture(number).save(path)
    table = tmp_path / "images.csv"
    table.write_text(f"path,label\n./{on_paper}0.png,cat\n{on_disk.replace('/', '//')}1.png,dog\n")
    listing = list_table(table, TableOptions(columns=Columns(path="path")))
    assert listing.table["path"].to_list() == [f"{on_disk}0.png", f"{on_disk}1.png"]
    assert listing.notes == ("paths in other Unicode letters than on the disk, whose spelling is taken: 1",)


def test_a_name_that_may_be_of_two_files_is_of_neither(tmp_path: Path) -> None:
    for number, name in enumerate(("a\u0308ö", "äo\u0308")):
        picture(number).save(tmp_path / f"{name}.png")
    table = tmp_path / "images.csv"
    table.write_text("path,label\näö.png,cat\n")
    assert "'äö.png' does not exist" in refused(list_table, table, TableOptions())


def test_absolute_paths_through_a_link_are_below_the_root_that_it_leads_to(tmp_path: Path) -> None:
    save_tree(tmp_path / "real", {"x": 2})
    (tmp_path / "link").symlink_to("real")
    table = tmp_path / "images.csv"
    table.write_text(f"path,label\n{tmp_path}/link/x/0.png,cat\n{tmp_path}/real/x/1.png,dog\n")
    for name in ("link", "real"):
        listing = list_table(table, TableOptions(root=tmp_path / name))
        assert listing.table["path"].to_list() == ["x/0.png", "x/1.png"]


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"train/a": 1, "train/b": 1, "cats": 1}, r"named after splits .train. and others .cats."),
        ({"train/a": 1, "val/a": 1, "valid/a": 1}, "val, valid all mean the split 'validation'"),
        ({"train": 3}, "has no folders in it"),
        ({"a": 2}, "only the class 'a'"),
        ({"a/b": 0, "c": 0}, "holds no image"),
        ({"a": 1, "b\nc": 1}, "a class is called"),
    ],
)
def test_a_folder_that_is_neither_is_refused(tmp_path: Path, tree: dict[str, int], words: str) -> None:
    root = save_tree(tmp_path / "root", tree)
    message = refused(list_folder, root)

    assert re.search(words, message), message


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"a": 1, "b": 1})
    (root / "a/up").symlink_to("..")
    assert "in a circle" in refused(list_folder, root)


# tables


def a_table(folder: Path, ending: str = "csv", **renamed: str) -> Path:
    """Save twelve images with a table: file, label, split, place, number."""
    save_tree(folder, {"x": 12})
    table = pl.DataFrame(
        {
            "file": [f"x/{number}.png" for number in range(12)],
            "label": ["cat", "dog"] * 6,
            "split": ["train"] * 4 + ["val"] * 4 + ["test"] * 4,
            "place": ["land", "land", "water"] * 4,
            "number": list(range(12)),
        }
    ).rename(renamed)
    path = folder / f"images.{ending}"
    match ending:
        case "csv":
            table.write_csv(path)
        case "tsv":
            table.write_csv(path, separator="\t")
        case "parquet":
            table.write_parquet(path)
        case "jsonl":
            table.write_ndjson(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_a_table_of_any_form_is_the_same_data_set(tmp_path: Path, ending: str) -> None:
    options = TableOptions(attributes=("place", "number"))
    listing = list_table(a_table(tmp_path, ending), options)
    assert listing.root == tmp_path
    assert listing.classes == ("cat", "dog")
    assert listing.splits == ("train", "validation", "test")
    assert listing.attributes["place"] == ("land", "water")
    assert listing.attributes["number"] == tuple(str(number) for number in range(12))
    assert listing.table.row(4, named=True) == {
        "path": "x/4.png",
        "label": "cat",
        "split": "validation",
        "place": "land",
        "number": "4",
    }


def test_guesses_are_told(tmp_path: Path) -> None:
    path = a_table(tmp_path, file="where", label="Species", number="image_id", split="fold")
    listing = list_table(path, TableOptions(columns=Columns(split="fold")))
    assert listing.guesses == {
        "path column": "where (its values are files)",
        "label column": "Species (by its name)",
        "id column": "image_id (by its name)",
    }
    assert listing.table["id"].to_list() == [str(number) for number in range(12)]


def test_what_is_given_is_not_guessed(tmp_path: Path) -> None:
    columns = Columns(path="file", label="place", split="split", id="number")
    listing = list_table(a_table(tmp_path), TableOptions(columns=columns))
    assert listing.guesses == {}
    assert listing.classes == ("land", "water")


def test_an_id_column_that_repeats_itself_is_not_used_and_that_is_told(tmp_path: Path) -> None:
    listing = list_table(a_table(tmp_path, place="id"), TableOptions())
    assert "id" not in listing.table.columns
    assert listing.guesses["id"] == "the path (id has gaps or is not different in every row)"


def test_splits_are_translated_from_words_numbers_or_what_is_said(tmp_path: Path) -> None:
    path = a_table(tmp_path)
    numbered = pl.read_csv(path).with_columns(
        pl.col("split").replace_strict({"train": 0, "val": 1, "test": 2})
    )
    numbered.write_csv(path)
    assert list_table(path, TableOptions()).splits == ("train", "validation", "test")
    odd = numbered.with_columns(pl.Series("split", ["lern"] * 6 + ["prüf"] * 6))
    odd.write_csv(path)
    said = TableOptions(split_values={"train": "lern", "validation": "prüf"})
    assert list_table(path, said).splits == ("train", "validation")
    assert "'lern', which is no split" in refused(list_table, path, TableOptions())


def test_labels_of_digits_stay_text_unless_classes_are_named(tmp_path: Path) -> None:
    path = a_table(tmp_path, label="word", number="label")
    listing = list_table(path, TableOptions())
    assert listing.classes == tuple(str(number) for number in range(12))
    names = tuple(f"class {number}" for number in range(12))
    named = list_table(path, TableOptions(classes=names))
    assert named.classes == names
    assert named.table["label"][11] == "class 11"
    fewer = refused(list_table, path, TableOptions(classes=names[:3]))
    assert "row 4: label is '3'; legal with 3 classes named are 0 to 2" in fewer


def test_whole_numbers_with_gaps_that_pandas_made_floats_are_whole_again(tmp_path: Path) -> None:
    path = a_table(tmp_path, "parquet")
    table = pl.read_parquet(path).with_columns(pl.col("number").cast(pl.Float64))
    table.write_parquet(path)
    listing = list_table(path, TableOptions(attributes=("number",)))
    assert listing.attributes["number"][:2] == ("0", "1")
    table.with_columns(pl.col("number") + 0.5).write_parquet(path)
    assert "not whole" in refused(list_table, path, TableOptions(attributes=("number",)))


def test_absolute_paths_have_their_common_folder_as_root(tmp_path: Path) -> None:
    path = a_table(tmp_path)
    table = pl.read_csv(path)
    table.with_columns(pl.lit(f"{tmp_path}/") + pl.col("file").alias("file")).with_columns(
        (pl.lit(f"{tmp_path}/") + table["file"]).alias("file")
    ).select(table.columns).write_csv(path)
    listing = list_table(path, TableOptions())
    assert listing.root == tmp_path / "x"
    assert listing.table["path"][3] == "3.png"
    assert "which all paths begin with" in listing.guesses["root"]
    given = list_table(path, TableOptions(root=tmp_path))
    assert (given.root, given.table["path"][3]) == (tmp_path, "x/3.png")


def test_paths_as_find_writes_them_are_read(tmp_path: Path) -> None:
    path = a_table(tmp_path)
    table = pl.read_csv(path)
    table.with_columns((pl.lit("./") + table["file"]).alias("file")).write_csv(path)
    assert list_table(path, TableOptions()).table["path"][0] == "x/0.png"


def test_a_table_elsewhere_needs_a_root_and_says_so(tmp_path: Path) -> None:
    path = a_table(tmp_path / "images", file="where")
    moved = tmp_path / "images.csv"
    shutil.move(path, moved)
    assert "say which is the path: --path COLUMN" in refused(list_table, moved, TableOptions())
    assert list_table(moved, TableOptions(root=tmp_path / "images")).table.height == 12


def test_all_absent_files_are_counted(tmp_path: Path) -> None:
    path = a_table(tmp_path)
    for number in (5, 7, 9):
        (tmp_path / f"x/{number}.png").unlink()
    message = refused(list_table, path, TableOptions(columns=Columns(path="file")))
    assert "row 6: path 'x/5.png' does not exist (and 2 more rows)" in message


# Waterbirds, CelebA, ImageNet


def waterbirds(root: Path) -> Path:
    save_tree(root, {"001.Albatross": 6})
    rows = [(n + 1, f"001.Albatross/{n}.png", n % 2, n // 2, n // 3, "/f/forest") for n in range(6)]
    names = ["img_id", "img_filename", "y", "split", "place", "place_filename"]
    pl.DataFrame(rows, schema=names, orient="row").write_csv(root / "metadata.csv")
    return root


def test_waterbirds_are_read_as_their_authors_number_them(tmp_path: Path) -> None:
    listing = list_waterbirds(waterbirds(tmp_path))
    assert listing.classes == ("landbird", "waterbird")
    assert listing.attributes == {"place": ("land", "water")}
    assert listing.table.row(3) == ("4", "001.Albatross/3.png", "waterbird", "validation", "water")
    assert listing.splits == ("train", "validation", "test")


def test_waterbirds_with_an_unknown_number_are_refused(tmp_path: Path) -> None:
    root = waterbirds(tmp_path)
    text = (root / "metadata.csv").read_text().replace("6.png", "6.png").replace(",1,2,1,", ",1,7,1,")
    (root / "metadata.csv").write_text(text)
    message = refused(list_waterbirds, root)
    assert "row 6: split is '7'; legal are 0 (train), 1 (validation), 2 (test)" in message


def celeba(root: Path, kind: str) -> Path:
    faces = root / "img_align_celeba"
    if kind == "csv":  # Kaggle's archive has the folder twice
        faces = faces / "img_align_celeba"
    faces.mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(1, 7)]
    for number, name in enumerate(names):
        picture(number).save(faces / name)
    blond, male = [1, -1, 1, -1, -1, 1], [-1, -1, 1, 1, -1, -1]
    splits = [0, 0, 1, 1, 2, 2]
    if kind == "csv":
        pl.DataFrame({"image_id": names, "Blond_Hair": blond, "Male": male}).write_csv(
            root / "list_attr_celeba.csv"
        )
        pl.DataFrame({"image_id": names, "partition": splits}).write_csv(root / "list_eval_partition.csv")
    else:
        rows = [f"{n} {b:2d} {m:2d}" for n, b, m in zip(names, blond, male, strict=True)]
        (root / "list_attr_celeba.txt").write_text("6\nBlond_Hair Male \n" + "\n".join(rows) + "\n")
        (root / "list_eval_partition.txt").write_text(
            "".join(f"{n} {s}\n" for n, s in zip(names, splits, strict=True))
        )
    return root


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_celeba_is_read_from_its_authors_and_from_kaggle(tmp_path: Path, kind: str) -> None:
    listing = list_celeba(celeba(tmp_path, kind), target="Blond_Hair", attributes=("Male",))
    assert listing.classes == ("not Blond_Hair", "Blond_Hair")
    assert listing.attributes == {"Male": ("not Male", "Male")}
    assert listing.table["label"].to_list()[:2] == ["Blond_Hair", "not Blond_Hair"]
    assert listing.table["Male"].to_list()[1:3] == ["not Male", "Male"]
    assert listing.table["split"].to_list() == ["train", "train", "validation", "validation", "test", "test"]
    assert (tmp_path / listing.table["path"][0]).is_file()


def test_celeba_tells_the_nearest_annotation(tmp_path: Path) -> None:
    message = refused(list_celeba, celeba(tmp_path, "txt"), target="Blond", attributes=())
    assert "no annotation 'Blond'; nearest: Blond_Hair" in message


def names_of(wnids: list[str]) -> dict[str, str]:
    return {wnid: f"name of {wnid}" for wnid in wnids}


def test_imagenets_val_is_the_test_and_validation_comes_from_train(tmp_path: Path) -> None:
    tree = {f"{split}/n0144076{n}": 2 for split in ("train", "val") for n in (4, 5)}
    listing = list_imagenet(save_tree(tmp_path, tree, "JPEG"), names_of)
    assert listing.classes == ("name of n01440764", "name of n01440765")
    assert Counter(listing.table["split"]) == {"train": 4, "test": 4}
    assert "val is the split test" in listing.notes[-1]


def test_imagenets_val_is_validation_where_there_is_a_test(tmp_path: Path) -> None:
    tree = {f"{split}/n0144076{n}": 1 for split in ("train", "val", "test") for n in (4, 5)}
    listing = list_imagenet(save_tree(tmp_path, tree, "JPEG"), names_of)
    assert listing.splits == ("train", "validation", "test")


def test_imagenets_flat_val_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"train/n01440764": 1, "train/n01440765": 1, "val": 2}, "JPEG")
    assert "without folders by class" in refused(list_imagenet, root, names_of)


def test_the_names_of_imagenet_are_all_told_apart() -> None:
    from timm.data import ImageNetInfo

    from clarify.embed.imagenet import imagenet_names

    wnids = ImageNetInfo("imagenet-1k").label_names()
    names = imagenet_names(wnids)
    assert len(set(names.values())) == len(names) == 1000
    assert (names["n02012849"], names["n03126707"]) == ("crane bird", "construction crane")
    assert (names["n03710637"], names["n03710721"]) == ("tights", "one-piece bathing suit")
    assert (names["n03773504"], names["n04008634"]) == ("missile", "projectile")
    assert names["n01440764"] == "tench"
    assert imagenet_names(["n04008634"]) == {"n04008634": "projectile"}
    with pytest.raises(NotFoundError, match="none of the 1,000 classes"):
        imagenet_names(["n99999999"])
