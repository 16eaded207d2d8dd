"""PACS and MetaShift in other layouts, correlations that cannot be made, names that are unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.malformed.case import Case
from tests.malformed.cases_tables import after, tree

PACS = [
    f"{domain}/{name}/{n}.png"
    for domain in ("photo", "sketch")
    for name in ("dog", "horse")
    for n in range(4)
]
LISTS = [f"{domain}_{kind}_kfold.txt" for domain in ("photo", "sketch") for kind in ("train", "crossval")]


def listed(line: str, *left: str) -> Callable[[Path, Path], list[str]]:
    """PACS with its authors' lists, each of one line; some are left out."""

    def put(outside: Path) -> None:
        for name in LISTS:
            if name not in left:
                (outside / "in" / name).write_text(line + "\n")

    return after(tree("pacs", PACS), put)


def correlate(*options: str, new: str = "new") -> Callable[[Path, Path], list[str]]:
    """A correlation of the tiny birds; a later option counts in place of an earlier one."""
    command = ["data", "correlate", "tiny-birds", "--attribute", "place", "--out-name", new]
    return lambda home, outside: [*command, *options]


def broken(name: str) -> Callable[[Path, Path], list[str]]:
    def make(home: Path, outside: Path) -> list[str]:
        (home / "data_manifests" / name).mkdir()
        (home / "data_manifests" / name / "manifest.toml").write_text("title = 3\n")
        return ["data", "where", name]

    return make


PACS_CASES = [
    ("PACS that is an empty folder", tree("pacs", []), "has no folder of PACS; legal are two"),
    (
        "PACS by class and not by domain",
        tree("pacs", ["dog/photo/1.png", "horse/photo/2.png"]),
        "has no folder of PACS",
    ),
    (
        "PACS with one domain",
        tree("pacs", ["photo/dog/1.png", "photo/horse/2.png"]),
        "has only the folder photo of PACS",
    ),
    (
        "PACS with a domain without classes",
        tree("pacs", [*PACS, "cartoon/1.png"]),
        "cartoon has no folders in it",
    ),
    ("PACS with one class", tree("pacs", ["photo/dog/1.png", "sketch/dog/2.png"]), "only the class 'dog'"),
    (
        "PACS with too few images to split",
        tree("pacs", [p for p in PACS if p.endswith("0.png")]),
        "too few different images to split",
    ),
    (
        "PACS with an unknown domain held out",
        tree("pacs", PACS, "--held-out", "sketchy"),
        "no domain 'sketchy' to hold out; nearest: sketch",
    ),
    (
        "PACS with lists that are not there",
        tree("pacs", PACS, "--lists", "/nowhere/lists"),
        "train_kfold.txt does not exist",
    ),
    (
        "PACS with half of its lists",
        listed("photo/dog/0.png 1", LISTS[3]),
        "is in the list of train too|sketch_crossval_kfold.txt does not exist",
    ),
    ("PACS with lists of other images", listed("photo/dog/99.png 1"), "is no image of"),
    (
        "PACS with an image on two lists",
        listed("photo/dog/0.png 1"),
        "is in the list of train too; an image has one split",
    ),
    ("PACS with empty lists", listed(""), "no image|only the class|at least two"),
]
META_CASES = [
    ("MetaShift that is an empty folder", tree("metashift", []), "has no folders in it"),
    (
        "MetaShift's mixed version",
        tree("metashift", ["train/cat/1.png", "train/dog/2.png", "val_out_of_domain/cat/3.png"]),
        "mixed version, whose contexts are in a pickle",
    ),
    (
        "MetaShift with images beside the contexts",
        tree("metashift", ["cat/cat(a)/1.png", "cat/2.png", "dog/dog(a)/3.png"]),
        "'cat/2.png', outside a context",
    ),
    (
        "MetaShift with another class's context",
        tree("metashift", ["cat/cat(a)/1.png", "dog/cat(b)/2.png"]),
        r"legal is dog\(CONTEXT\)",
    ),
    (
        "MetaShift with contexts by plain names",
        tree("metashift", ["cat/indoor/1.png", "dog/indoor/2.png"]),
        r"legal is cat\(CONTEXT\)",
    ),
    (
        "MetaShift with splits and classes side by side",
        tree("metashift", ["train/cat/cat(a)/1.png", "dog/dog(a)/2.png"]),
        "keep one kind only",
    ),
    (
        "MetaShift with test alone",
        tree("metashift", ["test/cat/cat(a)/1.png", "test/dog/dog(a)/2.png"]),
        "none of train",
    ),
]
CORRELATE_CASES = [
    (
        "a correlation of an unknown data set",
        lambda h, o: ["data", "correlate", "tinybirds", "--attribute", "place", "--out-name", "new"],
        "no data set 'tinybirds'.*nearest: tiny-birds",
    ),
    (
        "a correlation with an unknown attribute",
        correlate("--attribute", "plaice"),
        "no attribute 'plaice'; nearest: place",
    ),
    ("a correlation in percent", correlate("--share", "95"), "share is 95; legal is above 0"),
    ("a correlation of nothing", correlate("--share", "0"), "share is 0; legal"),
    ("a correlation that is no number", correlate("--share", "nan"), "share is nan; legal"),
    (
        "a correlation with more images than there are",
        correlate("--images", "200"),
        r"need 190 of waterbird, water; there are \(waterbird, land: 14; .*legal are --images 11 to",
    ),
    ("a correlation with too few images", correlate("--images", "9"), "leave a group empty"),
    (
        "a correlation with fewer than no images",
        correlate("--images", "-5"),
        "images of each class is -5; legal is 1 or more",
    ),
    (
        "a correlation that one image cannot show",
        correlate("--share", "0.9999"),
        "needs 5,001 or more images",
    ),
    ("a pair without a value", correlate("--pair", "landbird"), "legal is CLASS=VALUE"),
    ("a pair of an unknown class", correlate("--pair", "bird=land"), "no class 'bird'; nearest"),
    (
        "a pair with an unknown value",
        correlate("--pair", "landbird=sky"),
        "attribute place has no value 'sky'",
    ),
    (
        "a pair of one class alone",
        correlate("--pair", "landbird=land"),
        "1 of its classes and 1 of the values",
    ),
    (
        "both classes with the same value",
        correlate("--pair", "landbird=land", "--pair", "waterbird=land"),
        "2 of its classes and 1 of the values",
    ),
    (
        "a class in two pairs",
        correlate("--pair", "landbird=land", "--pair", "landbird=water"),
        "'landbird' is in two pairs",
    ),
    (
        "a correlated data set by the name of its base",
        correlate(new="tiny-birds"),
        "tiny-birds is there already",
    ),
    (
        "a correlated data set with a name that leaves the folder",
        correlate(new="../evil"),
        r"name is '\.\./evil'",
    ),
]
WHERE_CASES = [
    (
        "the origin of an unknown data set",
        lambda h, o: ["data", "where", "watrebirds"],
        "no data set 'watrebirds' is known, nor in .*nearest: waterbirds",
    ),
    ("the origin of nothing", lambda h, o: ["data", "where", ""], "no data set '' is known"),
    ("the origin of a broken manifest", broken("mine"), "manifest.toml: the key"),
    ("the origin of a known data set with a broken manifest", broken("celeba"), "manifest.toml: the key"),
]
CASES = [
    Case(name=name, make=make, expected=expected)
    for name, make, expected in (*PACS_CASES, *META_CASES, *CORRELATE_CASES, *WHERE_CASES)
]
