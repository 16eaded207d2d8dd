"""Tables given to `data import table`, and other forms given to the other importers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from PIL import Image

from tests.malformed.case import Case

HEADER = "file,label,split,place"
ROWS = [
    f"{number}.png,{('cat', 'dog')[number % 2]},{('train', 'val', 'test')[number // 2]},land"
    for number in range(6)
]


def images(folder: Path, n: int = 6) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / f"{number}.png")


def command(path: Path, *more: str) -> list[str]:
    return ["data", "import", "table", str(path), "--name", "new", *more]


def text(content: str | bytes, *more: str, ending: str = "csv") -> Callable[[Path, Path], list[str]]:
    """Six good images beside a table of this content."""

    def make(home: Path, outside: Path) -> list[str]:
        images(outside)
        path = outside / f"images.{ending}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return command(path, *more)

    return make


def rows(*changed: str, header: str = HEADER, more: Sequence[str] = ()) -> Callable[[Path, Path], list[str]]:
    """The good table with its last rows replaced."""
    kept = ROWS[: len(ROWS) - len(changed)]
    return text("\n".join([header, *kept, *changed]) + "\n", *more)


def typed(*more: str, **columns: object) -> Callable[[Path, Path], list[str]]:
    """A Parquet file with columns of other types."""

    def make(home: Path, outside: Path) -> list[str]:
        images(outside)
        good = pl.DataFrame(
            {
                "file": [f"{number}.png" for number in range(6)],
                "label": ["cat", "dog"] * 3,
                "split": ["train"] * 2 + ["val"] * 2 + ["test"] * 2,
            }
        )
        good = good.with_columns(**{k: pl.Series(k, v) for k, v in columns.items()})  # type: ignore[arg-type]
        good.write_parquet(outside / "images.parquet")
        return command(outside / "images.parquet", *more)

    return make


def after(
    make: Callable[[Path, Path], list[str]], change: Callable[[Path], object]
) -> Callable[[Path, Path], list[str]]:
    """Make something, then change the folder outside the home."""

    def changed(home: Path, outside: Path) -> list[str]:
        asked = make(home, outside)
        change(outside)
        return asked

    return changed


def replaced(name: str, put: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(outside: Path) -> None:
        (outside / name).unlink()
        put(outside / name)

    return change


def link_out(path: Path) -> None:
    images(path.parent.parent / "elsewhere", 1)
    path.symlink_to(path.parent.parent / "elsewhere/0.png")


def linked_folder(folder: Path, name: str = "x", below: str = "") -> None:
    images(folder.parent / "elsewhere" / below)
    (folder / name).symlink_to(folder.parent / "elsewhere")


def tree(kind: str, files: Sequence[str], *more: str) -> Callable[[Path, Path], list[str]]:
    """A folder with images (or texts) of these names, given to an importer."""

    def make(home: Path, outside: Path) -> list[str]:
        for number, name in enumerate(files):
            path = outside / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in {".png", ".JPEG"}:
                Image.new("RGB", (8, 8), (9 * number, 0, 0)).save(path)
        (outside / "in").mkdir(exist_ok=True)
        return ["data", "import", kind, str(outside / "in"), "--name", "new", *more]

    return make


def waterbirds(metadata: str) -> Callable[[Path, Path], list[str]]:
    def put(outside: Path) -> None:
        (outside / "in/metadata.csv").write_text(metadata)

    return after(tree("waterbirds", [f"x/{number}.png" for number in range(6)]), put)


def celeba(attributes: str, splits: str, *more: str) -> Callable[[Path, Path], list[str]]:
    def put(outside: Path) -> None:
        (outside / "in/list_attr_celeba.txt").write_text(attributes)
        (outside / "in/list_eval_partition.txt").write_text(splits)

    faces = [f"img_align_celeba/{number}.png" for number in range(6)]
    return after(tree("celeba", faces, *more), put)


FACES = "6\nBlond_Hair Male\n" + "".join(f"{n}.png {-1 + 2 * (n % 2)} 1\n" for n in range(6))
PARTS = "".join(f"{n}.png {n // 2}\n" for n in range(6))
TABLES = [
    (
        "a split left out that there is not",
        rows(more=("--leave-out", "tets")),
        "no class and no split 'tets' to leave out; nearest: test",
    ),
    (
        "all images left out",
        rows(more=("--leave-out", "cat", "--leave-out", "dog")),
        "classes has 0 names|no rows",
    ),
    ("a table that is not there", after(rows(), lambda o: (o / "images.csv").unlink()), "does not exist"),
    (
        "a table of another ending",
        text("file,label\n", ending="xlsx"),
        r"legal endings are \.csv, \.tsv, \.parquet and \.jsonl",
    ),
    ("an empty file", text(""), "cannot be read as csv"),
    ("a header and no rows", text(HEADER + "\n"), "has no rows"),
    ("a folder by the table's name", after(rows(), replaced("images.csv", Path.mkdir)), "does not exist"),
    ("text in UTF-16", text(f"{HEADER}\n{ROWS[0]}\n".encode("utf-16")), "UTF-16; save it as UTF-8"),
    ("semicolons for commas", text("path;label\n0.png;cat\n"), "parted by ';'; a .csv is parted by ','"),
    (
        "text in Latin-1",
        text(f"{HEADER}\n0.png,Käfer,val,x\n".encode("latin-1")),
        "line 2 is not UTF-8 .*Käfer",
    ),
    ("NUL bytes", text(f"{HEADER}\n{ROWS[0]}\x00\n"), "NUL bytes"),
    ("a row with more cells than the header", rows("5.png,dog,test,land,more"), "cannot be read"),
    ("a quote that is never closed", rows('5.png,"dog,test,land'), "cannot be read|bytes|label"),
    (
        "a cell of a million characters",
        rows(f"5.png,{'x' * 1_000_000},test,land"),
        "1,000,000 bytes; legal are at most 10,000",
    ),
    (
        "no column that could be the label",
        rows(header="file,a,split,place"),
        "no column is called label, class",
    ),
    (
        "two columns that could be the label",
        rows(header="file,label,split,class"),
        "may be label, class; say which: --label COLUMN",
    ),
    (
        "two columns that hold files",
        text("file,image,label\n" + "".join(f"{n}.png,{n}.png,{'ab'[n % 2]}\n" for n in range(6))),
        "may be file, image; say which: --path COLUMN",
    ),
    (
        "no column that holds files",
        after(rows(header="what,label,split,place"), lambda o: [p.unlink() for p in o.glob("*.png")]),
        "no column holds files of",
    ),
    (
        "a column given that is not there",
        rows(more=["--label", "lable"]),
        "no column 'lable' for --label; nearest: label",
    ),
    (
        "an attribute that is not there",
        rows(more=["--attribute", "plcae"]),
        "no column 'plcae'; nearest: place",
    ),
    (
        "an attribute with an empty cell",
        rows("5.png,dog,test,", more=["--attribute", "place"]),
        "attribute 'place' is ''|place",
    ),
    ("an attribute called as a column is", rows(more=["--attribute", "label"]), "name of a column"),
    ("an empty label", rows("5.png,,test,land"), "row 6: label is empty"),
    ("an empty path", rows(",dog,test,land", more=["--path", "file"]), "row 6: path is empty"),
    (
        "one class",
        text(HEADER + "\n" + "\n".join(row.replace("dog", "cat") for row in ROWS)),
        "classes has 1 names; at least 2",
    ),
    (
        "a class that a split lacks",
        rows("4.png,cat,test,land", "5.png,cat,test,land"),
        "class 'dog' has no image in split 'test'",
    ),
    ("a split of another name", rows("5.png,dog,holdout,land"), "'holdout', which is no split"),
    ("an empty split", rows("5.png,dog,,land"), "None, which is no split"),
    (
        "splits said that the table does not have",
        rows(more=["--train", "lern"]),
        "'train', which is no split; legal are lern",
    ),
    ("a path given twice", rows("4.png,dog,test,land"), "'4.png' was already given in row 5"),
    (
        "an id given twice",
        rows("5.png,dog,test,land", header="file,label,split,key", more=["--id", "key"]),
        "id 'land' was already given in row 1",
    ),
    ("a file that is not there", rows("6.png,dog,test,land"), "'6.png' does not exist"),
    (
        "a path that climbs out",
        rows("../5.png,dog,test,land", more=["--path", "file"]),
        "not inside the root",
    ),
    (
        "an absolute path elsewhere",
        rows("/etc/passwd,dog,test,land", more=["--path", "file"]),
        "not inside the root",
    ),
    (
        "a path with a dot in the middle",
        rows("./././a/../5.png,dog,test,land", more=["--path", "file"]),
        "not inside the root",
    ),
    ("a link that leads out", after(rows(), replaced("5.png", link_out)), "leads out of the root"),
    (
        "a folder that is a link out",
        after(rows("x/5.png,dog,test,land"), linked_folder),
        "leads out of the root",
    ),
    ("a folder by an image's name", after(rows(), replaced("5.png", Path.mkdir)), "is a folder"),
    ("a pipe by an image's name", after(rows(), replaced("5.png", os.mkfifo)), "is a pipe"),
    (
        "a file name too long for the disk",
        rows(f"{'x' * 300}.png,dog,test,land", more=["--path", "file"]),
        "cannot be reached",
    ),
    ("a root that is not there", rows(more=["--root", "/nowhere/at/all"]), "is no folder"),
    (
        "classes that cannot be read",
        rows(more=["--classes", "/nowhere/classes.txt"]),
        "--classes /nowhere/classes.txt cannot be read",
    ),
    (
        "classes for labels that are words",
        after(rows(more=["--classes", "/proc/self/comm"]), lambda o: None),
        "label is 'cat'; legal",
    ),
    (
        "a name that leaves the folder",
        after(lambda h, o: [*rows()(h, o)[:-1], "../evil"], lambda o: None),
        r"name is '\.\./evil'",
    ),
    (
        "the name of another data set",
        after(lambda h, o: [*rows()(h, o)[:-1], "tiny-birds"], lambda o: None),
        "is there already",
    ),
    ("Parquet that is text", text("file,label\n", ending="parquet"), "cannot be read as parquet"),
    (
        "Parquet cut in half",
        after(
            typed(), lambda o: (o / "images.parquet").write_bytes((o / "images.parquet").read_bytes()[:200])
        ),
        "cannot be read as parquet",
    ),
    ("labels that are fractions", typed(label=[0.5, 1.5] * 3), "not whole"),
    ("labels that are lists", typed(label=[["a"], ["b"]] * 3), "is of type List"),
    ("labels that are bytes", typed(label=[b"a", b"b"] * 3), "is of type Binary"),
    ("paths that are numbers", typed("--path", "file", file=list(range(6))), "does not exist"),
    ("splits that are numbers beyond two", typed(split=[0, 1, 2, 3, 0, 1]), "row 4: column 'split' has '3'"),
    (
        "JSON that is one object and not lines",
        text('{\n"file": ["0.png"]\n}\n', ending="jsonl"),
        "jsonl|no column|label",
    ),
    ("JSON lines that are numbers", text("1\n2\n", ending="jsonl"), "cannot be read|column"),
]
TREES = [
    (
        "a folder that is not there",
        lambda h, o: ["data", "import", "folder", str(o / "no"), "--name", "new"],
        "does not exist",
    ),
    (
        "a file given as a folder",
        lambda h, o: ["data", "import", "folder", __file__, "--name", "new"],
        "is a file, not a folder",
    ),
    ("an empty folder", tree("folder", []), "has no folders in it"),
    ("images without folders by class", tree("folder", ["1.png", "2.png"]), "has no folders in it"),
    ("one class in a folder", tree("folder", ["cat/1.png", "dog/1.txt"]), "only the class 'cat'"),
    ("splits and classes side by side", tree("folder", ["train/a/1.png", "cat/2.png"]), "keep one kind only"),
    (
        "two validations",
        tree("folder", ["train/a/1.png", "val/a/2.png", "dev/a/3.png"]),
        "all mean the split 'validation'",
    ),
    ("too few images to split", tree("folder", ["a/1.png", "a/2.png", "b/1.png"]), "'a' has 2, 'b' has 1"),
    (
        "a class that test alone lacks",
        tree("folder", ["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png", "test/a/5.png"]),
        "class 'b' has no image in split 'test'",
    ),
    (
        "many classes that validation and test lack",
        tree("folder", [f"train/{n}/1.png" for n in range(9)] + ["val/0/1.png", "test/0/1.png"]),
        r"8 classes have no image in split 'validation' \('1', .*and 3 more\); 8 classes have no image in "
        "split 'test'.*--leave-out-rare",
    ),
    (
        "a split of another name, and no word of leaving it out",
        tree("folder", [f"{split}/{n}/1.png" for split in ("train", "val", "id_val") for n in "ab"]),
        "--leave-out id_val",
    ),
    (
        "nothing is left",
        tree("folder", ["a/1.png", "b/2.png"], "--leave-out", "a", "--leave-out", "b"),
        "has no folders in it",
    ),
    (
        "a split of no images",
        tree("folder", ["train/a/1.png", "train/b/2.png", "val/a/1.txt", "test/a/5.png", "test/b/5.png"]),
        "too few different images",
    ),
    (
        "a file name that is no UTF-8",
        after(
            tree("folder", ["a/1.png", "b/2.png"]),
            lambda o: os.rename(o / "in/a/1.png", os.fsencode(o / "in/a") + b"/\xff.png"),
        ),
        "is not UTF-8",
    ),
    ("a class name with a line break", tree("folder", ["a/1.png", "b\nc/2.png"]), "a class is called"),
    (
        "a file name with a line break",
        tree("folder", [*(f"a/{n}.png" for n in range(4)), *(f"b/{n}.png" for n in range(4)), "b/x\ny.png"]),
        "control character",
    ),
    (
        "a class that is a link to a folder outside",
        after(tree("folder", ["a/1.png", "b/2.png"]), lambda o: linked_folder(o / "in")),
        "leads out of",
    ),
    (
        "a split that is a link to a folder outside",
        after(
            tree("folder", ["val/x/1.png", "val/y/1.png"]), lambda o: linked_folder(o / "in", "train", "x")
        ),
        "leads out of",
    ),
    (
        "a link in a circle",
        after(tree("folder", ["a/1.png", "b/2.png"]), lambda o: (o / "in/a/up").symlink_to("..")),
        "in a circle",
    ),
    (
        "a pipe among the images",
        after(tree("folder", ["a/1.png", "b/2.png"]), lambda o: os.mkfifo(o / "in/b/3.jpg")),
        "is a pipe or a device",
    ),
    (
        "an empty image that must be hashed",
        after(
            tree("folder", [f"{c}/{n}.png" for c in "ab" for n in range(4)]),
            lambda o: (o / "in/a/2.png").write_bytes(b""),
        ),
        "the file is empty",
    ),
    ("Waterbirds without metadata", tree("waterbirds", ["x/1.png"]), "metadata.csv does not exist"),
    (
        "Waterbirds without a column",
        waterbirds("img_id,img_filename,y,split\n1,x/0.png,0,0\n"),
        "no column 'place'",
    ),
    (
        "Waterbirds with another number",
        waterbirds("img_id,img_filename,y,split,place\n1,x/0.png,3,0,0\n"),
        "y is '3'; legal are 0",
    ),
    (
        "Waterbirds with absent images",
        waterbirds("img_id,img_filename,y,split,place\n1,x/9.png,0,0,0\n"),
        "'x/9.png' does not exist",
    ),
    ("CelebA without its lists", tree("celeba", ["img_align_celeba/0.png"]), "has neither"),
    ("CelebA with a row cut off", celeba(FACES + "6.png 1\n", PARTS), "has 2 cells; legal are 3"),
    (
        "CelebA with an annotation of 2",
        celeba(FACES.replace("0.png -1 1", "0.png -1 2"), PARTS),
        "Male is '2'; legal are",
    ),
    ("CelebA without the split of a face", celeba(FACES, PARTS[:-8]), "'5.png' has the split None"),
    ("CelebA with an unknown target", celeba(FACES, PARTS, "--target", "Blond"), "nearest: Blond_Hair"),
    (
        "CelebA with the target as attribute",
        celeba(FACES, PARTS, "--attribute", "Blond_Hair"),
        "Blond_Hair is the target",
    ),
    ("ImageNet without val", tree("imagenet", ["train/n01440764/1.JPEG"]), "has no folder 'val'"),
    (
        "ImageNet with a flat val",
        tree("imagenet", ["train/n01440764/1.JPEG", "train/n01443537/2.JPEG", "val/3.JPEG"]),
        "without folders by class",
    ),
    (
        "ImageNet by other names",
        tree("imagenet", ["train/cat/1.png", "train/dog/2.png", "val/cat/3.png"]),
        "is no WordNet id",
    ),
    (
        "ImageNet with an unknown id",
        tree(
            "imagenet", [f"{s}/n9999999{c}/{n}.png" for s in ("train", "val") for c in "12" for n in range(3)]
        ),
        "none of the 1,000 classes",
    ),
]
CASES = [Case(name=name, make=make, expected=expected) for name, make, expected in (*TABLES, *TREES)]
# A stopped or refused import may leave copies, never a manifest.
CASES += [
    dataclasses.replace(
        case,
        name=f"{case.name}, with --copy",
        make=lambda home, outside, make=case.make: [*make(home, outside), "--copy"],
    )
    for case in CASES
    if case.name in {"a class that a split lacks", "a pipe among the images"}
]
