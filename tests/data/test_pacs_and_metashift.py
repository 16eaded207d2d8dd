"""PACS and MetaShift: folders of domains and of contexts become classes and an attribute."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from clarify.data.manifest import open_manifest
from clarify.data.sources.metashift import list_metashift
from clarify.data.sources.pacs import DOMAINS, list_pacs
from clarify.errors import ManifestError
from tests.conftest import run_clarify
from tests.data.pictures import picture, save_tree

OBJECTS = ("dog", "elephant")
SHIFT = {
    "train/cat/cat(sofa)": 4,
    "train/cat/cat(bed)": 4,
    "train/dog/dog(bench)": 4,
    "train/dog/dog(bike)": 4,
    "test/cat/cat(shelf)": 2,
    "test/dog/dog(shelf)": 2,
}


def pacs(root: Path, below: str = "", each: int = 3) -> Path:
    return save_tree(root, {f"{below}{d}/{o}": each for d in DOMAINS for o in OBJECTS}, "jpg")


def save_lists(root: Path, folder: Path, below: str = "") -> None:
    """Two images of each class train, one is for validation, as the authors' lists name them."""
    folder.mkdir(exist_ok=True)
    for domain in DOMAINS:
        parts: dict[str, list[str]] = {"train": [], "crossval": []}
        for number, name in enumerate(OBJECTS, start=1):
            files = sorted((root / below / domain / name).iterdir())
            lines = [f"{domain}/{name}/{path.name} {number}" for path in files]
            parts["train"] += lines[:2]
            parts["crossval"] += lines[2:3]
        for kind, lines in parts.items():
            (folder / f"{domain}_{kind}_kfold.txt").write_text("\n".join(lines) + "\n")


def refused(listed: object, *arguments: object, **options: object) -> str:
    with pytest.raises(ManifestError) as caught:
        listed(*arguments, **options)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# PACS


@pytest.mark.parametrize("below", ["", "kfold/", "images/kfold/"])
def test_objects_are_the_classes_and_the_domain_is_annotated(tmp_path: Path, below: str) -> None:
    listing = list_pacs(pacs(tmp_path, below))
    assert listing.classes == OBJECTS
    assert listing.attributes == {"domain": DOMAINS}
    assert listing.splits == ()
    groups = Counter(listing.table.select("label", "domain").iter_rows())
    assert groups == {(name, domain): 3 for name in OBJECTS for domain in DOMAINS}
    path = listing.table["path"][0]
    assert path.startswith(f"{below}art_painting/dog/")
    assert (listing.root / path).is_file()


@pytest.mark.parametrize("place", ["", "splits"])
def test_the_authors_lists_are_found_and_give_train_and_validation(tmp_path: Path, place: str) -> None:
    root = pacs(tmp_path, "kfold/")
    save_lists(root, root / place, "kfold")
    listing = list_pacs(root)
    assert Counter(listing.table["split"]) == {"train": 16, "validation": 8}
    assert listing.guesses == {"folder of the split lists": str(root / place)}
    assert "the lists hold no images out for test; --held-out DOMAIN does" in listing.notes


def test_images_on_no_list_are_left_out_and_counted(tmp_path: Path) -> None:
    root = pacs(tmp_path / "in", each=4)
    save_lists(root, tmp_path / "lists")
    listing = list_pacs(root, lists=tmp_path / "lists")
    assert listing.table.height == 24
    assert listing.guesses == {}
    assert "8 images are on no list and not in" in listing.notes


def test_a_held_out_domain_is_the_test_with_lists_and_without(tmp_path: Path) -> None:
    root = pacs(tmp_path)
    bare = list_pacs(root, held_out="sketch").table
    assert Counter(bare.select("domain", "split").iter_rows()) == {
        ("art_painting", "train"): 6,
        ("cartoon", "train"): 6,
        ("photo", "train"): 6,
        ("sketch", "test"): 6,
    }
    save_lists(root, root)
    listed = list_pacs(root, held_out="sketch")
    assert Counter(listed.table["split"]) == {"train": 12, "validation": 6, "test": 6}
    assert set(listed.table.filter(split="test")["domain"]) == {"sketch"}


def test_a_missing_domain_and_other_folders_are_told(tmp_path: Path) -> None:
    tree = {f"{d}/{o}": 1 for d in ("photo", "sketch", "models") for o in OBJECTS}
    listing = list_pacs(save_tree(tmp_path, tree))
    assert listing.attributes == {"domain": ("photo", "sketch")}
    assert listing.notes == (
        "there is no folder art_painting, cartoon",
        "no domain of PACS and not in: models",
    )


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"dog": 1, "cat": 1}, "has no folder of PACS; legal are two or more of art_painting"),
        ({"photo/dog": 1, "Sketch/dog": 1}, "has only the folder photo of PACS"),
        ({"photo/dog": 1, "sketch": 1}, "sketch has no folders in it; PACS has one a class"),
        ({"photo/dog": 1, "sketch/dog": 1}, "only the class 'dog'"),
    ],
)
def test_folders_that_are_not_pacs_are_refused(tmp_path: Path, tree: dict[str, int], words: str) -> None:
    message = refused(list_pacs, save_tree(tmp_path, tree))
    assert words in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("photo/dog/absent.jpg 1", "line 5: 'photo/dog/absent.jpg' is no image of"),
        ("{validation} 1", "is in the list of train too; an image has one split"),
    ],
)
def test_a_list_of_other_images_is_refused(tmp_path: Path, line: str, words: str) -> None:
    root = pacs(tmp_path)
    save_lists(root, root)
    validation = (root / "photo_crossval_kfold.txt").read_text().split()[0]
    with (root / "photo_train_kfold.txt").open("a") as file:
        file.write(line.format(validation=validation) + "\n")
    assert words in refused(list_pacs, root)


def test_a_list_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    root = pacs(tmp_path)
    save_lists(root, root)
    (root / "cartoon_crossval_kfold.txt").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as text" in refused(list_pacs, root)
    (root / "cartoon_crossval_kfold.txt").unlink()
    assert "cartoon_crossval_kfold.txt does not exist; PACS has" in refused(list_pacs, root)


def test_a_domain_to_hold_out_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = refused(list_pacs, pacs(tmp_path), held_out="sketches")
    assert "no domain 'sketches' to hold out; nearest: sketch" in message


def test_pacs_is_imported_by_a_command_with_its_licence(tmp_path: Path) -> None:
    root, home = pacs(tmp_path / "PACS"), tmp_path / "home"
    done = run_clarify(
        "data", "import", "pacs", str(root), "--name", "pacs", "--held-out", "sketch", "--json", home=home
    )
    assert done.result["splits"] == {
        "train": {"dog": 8, "elephant": 8},
        "validation": {"dog": 1, "elephant": 1},
        "test": {"dog": 3, "elephant": 3},
    }
    manifest = open_manifest(home, "pacs")
    assert (manifest.title, manifest.licence[:10]) == ("PACS", "not stated")
    assert manifest.source == f"imported from {root}"
    plain = run_clarify("data", "import", "pacs", str(root), "--name", "by-content", home=home)
    assert "attribute domain: art_painting, cartoon, photo, sketch" in plain.out
    assert "split by content, seed 0" in plain.err


# MetaShift


def test_contexts_are_read_from_the_names_of_folders(tmp_path: Path) -> None:
    listing = list_metashift(save_tree(tmp_path, SHIFT, "jpg"))
    assert listing.classes == ("cat", "dog")
    assert listing.attributes == {"context": ("bed", "bench", "bike", "shelf", "sofa")}
    assert Counter(listing.table.select("split", "label", "context").iter_rows()) == {
        ("train", "cat", "sofa"): 4,
        ("train", "cat", "bed"): 4,
        ("train", "dog", "bench"): 4,
        ("train", "dog", "bike"): 4,
        ("test", "cat", "shelf"): 2,
        ("test", "dog", "shelf"): 2,
    }


def test_pooled_splits_are_forgotten_and_the_benchmarks_folder_is_entered(tmp_path: Path) -> None:
    tree = {
        f"MetaShift-Cat-Dog-indoor-outdoor/{part}": 2
        for part in (
            "train/cat/cat(indoor)",
            "train/dog/dog(outdoor)",
            "test/cat/cat(outdoor)",
            "test/dog/dog(indoor)",
        )
    }
    (tmp_path / "metadata_metashift.csv").write_text("filename,y,a,split\n")
    listing = list_metashift(save_tree(tmp_path, tree), pool=True)
    assert listing.root == tmp_path / "MetaShift-Cat-Dog-indoor-outdoor"
    assert (listing.splits, listing.guesses) == ((), {})
    assert listing.notes == ("train and test are taken together and split anew",)
    assert listing.attributes == {"context": ("indoor", "outdoor")}


def test_the_full_metashift_has_classes_only_and_images_in_several_contexts(tmp_path: Path) -> None:
    root = save_tree(tmp_path, {"cat/cat(sink)": 2, "cat/cat(keyboard)": 2, "dog/dog(boat)": 2})
    for folder in ("sink", "keyboard"):
        picture(77).save(root / f"cat/cat({folder})/2317.png")
    listing = list_metashift(root)
    assert listing.splits == ()
    assert listing.notes == ("file names in several contexts of a class: 1; each place counts as an image",)
    assert listing.attributes == {"context": ("boat", "keyboard", "sink")}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"cat/cat(a)": 1, "dog": 1}, r"holds 'dog/1.png', outside a context: that is .* mixed"),
        (
            {"train/cat": 1, "train/dog": 1, "val_out_of_domain/cat": 1},
            "has a folder val_out_of_domain: that is MetaShift's mixed version",
        ),
        ({"cat/cat(a)": 1, "dog/cat(a)": 1}, r"class 'dog' has a folder 'cat\(a\)'; legal is dog"),
        ({"cat/indoor": 1, "dog/indoor": 1}, r"class 'cat' has a folder 'indoor'; legal is cat\("),
        ({"cat/cat()": 1, "dog/dog(a)": 1}, r"has a folder 'cat\(\)'"),
        ({"cat/cat(a)": 1}, "only the class 'cat'"),
    ],
)
def test_folders_that_are_not_metashift_are_refused(tmp_path: Path, tree: dict[str, int], words: str) -> None:
    message = refused(list_metashift, save_tree(tmp_path, tree))
    assert re.search(words, message), message


def test_metashift_is_imported_by_a_command(tmp_path: Path) -> None:
    root, home = save_tree(tmp_path / "in", SHIFT, "jpg"), tmp_path / "home"
    done = run_clarify("data", "import", "metashift", str(root), "--name", "shift", "--json", home=home)
    assert done.result["attributes"] == {"context": ["bed", "bench", "bike", "shelf", "sofa"]}
    assert done.result["splits"]["test"] == {"cat": 2, "dog": 2}
    pooled = run_clarify("data", "import", "metashift", str(root), "--name", "pooled", "--pool", home=home)
    assert "note: train and test are taken together and split anew" in pooled.err
    assert open_manifest(home, "pooled").title == "MetaShift"
