"""`clarify data ...`: from a folder of someone else's to a checked data set, stopped or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET, run_clarify
from tests.data.pictures import picture, save_tree
from tests.warm import Warm

TREE = {"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2}


def imported(home: Path, *arguments: str) -> dict[str, object]:
    done = run_clarify("data", "import", *arguments, "--name", "pets", "--json", home=home)
    assert done.status == 0, done.err
    return done.result


def test_an_import_refers_to_the_images_and_tells_what_it_did(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    (root / "train/cat/notes.txt").write_text("hello")
    done = run_clarify(
        "data", "import", "folder", str(root), "--name", "pets", "--json", home=tmp_path / "home"
    )
    result = done.result
    assert result["root"] == str(root)
    assert result["splits"] == {
        "train": {"cat": 5, "dog": 5},
        "validation": {"cat": 1, "dog": 1},
        "test": {"cat": 2, "dog": 2},
    }
    assert (result["images"], result["hashed"], result["copied"]) == (16, True, None)
    assert result["guesses"] == {"folder test": "split test", "folder train": "split train"}
    assert "guessed: folder train is split train" in done.err
    assert "note: no validation given: 15 % of train were taken by content, seed 0" in done.err
    assert "note: 1 file has no ending of an image and is not in" in done.err
    manifest = open_manifest(tmp_path / "home", "pets")
    assert manifest.digest == result["digest"]
    assert manifest.source == f"imported from {root}"
    assert not (tmp_path / "home/images").exists()


def test_the_same_import_twice_is_the_same_manifest(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    first = imported(tmp_path / "home", "folder", str(root))
    assert imported(tmp_path / "home", "folder", str(root)) == first
    other = imported(tmp_path / "home", "folder", str(root), "--seed", "1")
    assert other["digest"] != first["digest"]


def test_another_data_set_is_not_overwritten(tmp_path: Path) -> None:
    imported(tmp_path / "home", "folder", str(save_tree(tmp_path / "pets", TREE)))
    other = save_tree(tmp_path / "other", TREE)
    done = run_clarify("data", "import", "folder", str(other), "--name", "pets", home=tmp_path / "home")
    assert "data set pets is there already, with other images" in done.refusal


def test_copied_images_are_in_the_home_and_the_home_can_be_moved(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    (root / "train/dog/linked.png").symlink_to("../cat/0.png")
    result = imported(tmp_path / "home", "folder", str(root), "--copy")
    assert result["copied"] == 17
    assert imported(tmp_path / "home", "folder", str(root), "--copy")["copied"] == 0
    shutil.rmtree(root)
    (tmp_path / "home").rename(tmp_path / "moved")
    manifest = open_manifest(tmp_path / "moved", "pets")
    assert all(path.is_file() and not path.is_symlink() for path in manifest.paths("train"))
    done = run_clarify("data", "check", "pets", "--deep", "--json", home=tmp_path / "moved")
    assert [each["what"] for each in done.result["wrong"]] == []


def test_a_table_is_imported_with_its_columns_named(tmp_path: Path) -> None:
    save_tree(tmp_path / "in", {"x": 24})
    pl.DataFrame(
        {
            "where": [f"x/{n}.png" for n in range(24)],
            "kind": [n % 2 for n in range(24)],
            "place": ["land", "water"] * 12,
            "part": ["A"] * 12 + ["B"] * 12,
        }
    ).write_csv(tmp_path / "in/images.csv")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    result = imported(
        tmp_path / "home",
        "table",
        str(tmp_path / "in/images.csv"),
        "--label",
        "kind",
        "--attribute",
        "place",
        "--classes",
        str(tmp_path / "classes.txt"),
        "--split",
        "part",
        "--train",
        "A",
        "--validation",
        "B",
    )
    assert result["classes"] == ["cat", "dog"]
    assert result["attributes"] == {"place": ["land", "water"]}
    assert result["splits"] == {"train": {"cat": 6, "dog": 6}, "validation": {"cat": 6, "dog": 6}}
    assert result["guesses"] == {"path column": "where (its values are files)", "id": "the path"}


def test_blanks_around_labels_and_columns_are_no_part_of_them(tmp_path: Path) -> None:
    save_tree(tmp_path / "in", {"x": 12})
    labels = ["cat", "cat ", "dog", " dog"] * 3
    parts = [split for split in ("train", "val", "test") for _ in range(4)]
    rows = [f"x/{n}.png, {labels[n]},{parts[n]} " for n in range(12)]
    table = tmp_path / "in/images.csv"
    table.write_text("\n".join(["path, label,split ", *rows]))
    result = imported(tmp_path / "home", "table", str(table))
    assert result["classes"] == ["cat", "dog"]
    assert result["splits"]["train"] == {"cat": 2, "dog": 2}
    pl.DataFrame({"path": [f"x/{n}.png" for n in range(12)], "label": labels, "split": parts}).with_columns(
        pl.col("label").cast(pl.Categorical)
    ).write_parquet(table.with_suffix(".parquet"))
    assert imported(tmp_path / "home", "table", str(table.with_suffix(".parquet"))) == result


def test_two_folders_of_one_name_but_for_blanks_are_one_class(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", {"train/cat": 6, "train/cat ": 2, "train/dog": 6})
    result = imported(tmp_path / "home", "folder", str(root))
    assert result["classes"] == ["cat", "dog"]


def test_classes_that_look_alike_are_told(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", {"Polar bear": 6, "polar  bear": 6, "dog": 6})
    notes = imported(tmp_path / "home", "folder", str(root))["notes"]
    assert "classes 'Polar bear', 'polar  bear' differ in case or blanks only" in str(notes)


RARE = {f"train/rare{number}": 1 for number in range(8)}


def test_classes_that_lack_images_are_told_at_once_and_left_out_when_asked(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", {**TREE, "val/cat": 1, "val/dog": 1, **RARE})
    command = ("data", "import", "folder", str(root), "--name", "pets")
    refusal = run_clarify(*command, home=tmp_path / "home").refusal
    assert "8 classes have no image in split 'validation' ('rare0', 'rare1'" in refusal
    assert "'rare4' and 3 more); 8 classes have no image in split 'test'" in refusal
    assert "--leave-out-rare" in refusal
    result = imported(tmp_path / "home", "folder", str(root), "--leave-out-rare")
    assert (result["classes"], result["images"]) == (["cat", "dog"], 18)
    assert "left out for want of an image in every split: 8 of 10 classes with 8 images" in str(
        result["notes"]
    )
    named = [word for number in range(8) for word in ("--leave-out", f"rare{number}")]
    assert imported(tmp_path / "home", "folder", str(root), *named)["digest"] == result["digest"]


@pytest.mark.parametrize("tree", [{"cat": 6, "dog": 6, "eel": 2}, {**TREE, "train/eel": 2, "test/fox": 2}])
def test_classes_too_rare_to_split_are_left_out_when_asked(tmp_path: Path, tree: dict[str, int]) -> None:
    root = save_tree(tmp_path / "pets", tree)
    command = ("data", "import", "folder", str(root), "--name", "pets")
    assert "--leave-out-rare" in run_clarify(*command, home=tmp_path / "home").refusal
    result = imported(tmp_path / "home", "folder", str(root), "--leave-out-rare")
    assert result["classes"] == ["cat", "dog"]


def test_a_folder_and_a_table_are_read_without_a_split_that_is_left_out(tmp_path: Path) -> None:
    tree = {f"{split}/{name}": 2 for split in ("train", "val", "id_val") for name in ("cat", "dog")}
    root = save_tree(tmp_path / "pets", tree)
    command = ("data", "import", "folder", str(root), "--name", "pets")
    assert "--leave-out id_val" in run_clarify(*command, home=tmp_path / "home").refusal
    result = imported(tmp_path / "home", "folder", str(root), "--leave-out", "id_val")
    assert result["splits"] == {"train": {"cat": 2, "dog": 2}, "validation": {"cat": 2, "dog": 2}}
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    parts = [path.split("/") for path in paths]
    table = pl.DataFrame(
        {"path": paths, "label": [part[1] for part in parts], "split": [p[0] for p in parts]}
    )
    table.write_csv(root / "t.csv")
    command = ("data", "import", "table", str(root / "t.csv"), "--name", "t")
    refusal = run_clarify(*command, home=tmp_path / "home").refusal
    assert "row 1: column 'split' has 'id_val', which is no split" in refusal
    assert "or --leave-out VALUE" in refusal
    done = run_clarify(*command, "--leave-out", "id_val", "--json", home=tmp_path / "home")
    assert done.result["splits"] == result["splits"]
    assert "note: left out: 4 images" in done.err
    for kind, place in (("folder", root), ("table", root / "t.csv")):
        command = ("data", "import", kind, str(place), "--name", "u", "--leave-out", "idval")
        refusal = run_clarify(*command, home=tmp_path / "home").refusal
        assert "has no class and no split 'idval' to leave out; nearest: id_val" in refusal


def test_imagenet_is_imported_by_the_names_of_its_classes(tmp_path: Path) -> None:
    tree = {"train/n02012849": 4, "train/n03126707": 4, "val/n02012849": 2, "val/n03126707": 2}
    root = save_tree(tmp_path / "in", tree, "JPEG")
    result = imported(tmp_path / "home", "imagenet", str(root))
    assert result["classes"] == ["crane bird", "construction crane"]
    assert result["splits"] == {
        "train": {"crane bird": 3, "construction crane": 3},
        "validation": {"crane bird": 1, "construction crane": 1},
        "test": {"crane bird": 2, "construction crane": 2},
    }
    assert any("val is the split test" in note for note in result["notes"])


def test_a_check_tells_all_on_stdout_and_refuses_in_one_line(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    home = tmp_path / "home"
    imported(home, "folder", str(root))
    assert run_clarify("data", "check", "pets", home=home).status == 0
    shutil.copy(root / "train/cat/0.png", root / "test/dog/14.png")
    (root / "train/cat/1.png").write_bytes(b"")
    picture(50).save(root / "train/cat/2.png", format="BMP")
    done = run_clarify("data", "check", "pets", home=home)
    assert done.status == 1
    assert "wrong: row 6, 'train/cat/1.png', train/cat/1.png: the file is empty" in done.out
    assert "leak: row 3 (test, test/dog/14.png) and row 5 (" in done.out
    assert "(train, train/cat/0.png) are the same file" in done.out
    assert "note: row 7, 'train/cat/2.png', train/cat/2.png: is a BMP" in done.out
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("clarify: data set pets is not fine: 1 wrong images, 1 in two splits; ")
    done = run_clarify("data", "check", "pets", "--json", home=home)
    result = json.loads(done.out)
    assert (done.status, result["passed"], result["images"]) == (1, False, 16)
    assert result["counts"]["test"] == {"cat": 2, "dog": 2}
    assert result["leaks"][0]["first"]["path"] == "test/dog/14.png"


def test_thumbnails_are_made_ahead_once(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    home = tmp_path / "home"
    imported(home, "folder", str(root))
    (root / "train/cat/1.png").write_bytes(b"")
    done = run_clarify("data", "thumbnails", "pets", "--json", home=home)
    assert (done.result["made"], done.result["kept"]) == (15, 0)
    assert [each["reason"] for each in done.result["bad"]] == ["the file is empty"]
    again = run_clarify("data", "thumbnails", "pets", home=home)
    assert again.out.startswith("0 thumbnails of pets made, 15 were there")


def test_an_image_that_has_become_a_link_out_is_not_embedded(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    home = tmp_path / "home"
    imported(home, "folder", str(root))
    picture(60).save(tmp_path / "secret.png")
    (root / "train/cat/1.png").unlink()
    (root / "train/cat/1.png").symlink_to(tmp_path / "secret.png")
    asked = run_clarify("embed", "pets", "--encoder", "small-clip", "--json", home=home)
    ((result),) = asked.result["features"]
    assert result["images"] == 15
    ((bad),) = result["left_out"]
    assert bad["path"] == "train/cat/1.png"
    assert "leads out of the root" in bad["reason"]


def start(root: Path, home: Path) -> Warm:
    command = ("data", "import", "folder", str(root), "--name", "pets", "--copy", "--home", str(home))
    return Warm("-m", "clarify.cli", *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_copy_that_was_stopped_leaves_no_data_set_and_the_next_run_completes_it(
    tmp_path: Path, stop: signal.Signals
) -> None:
    root = save_tree(tmp_path / "pets", {f"{s}/{c}": 1 for s in ("train", "val") for c in "ab"})
    big = os.urandom(24_000)
    for number in range(4000):
        (root / f"train/a/big-{number}.png").write_bytes(big[number:])
    home = tmp_path / "home"
    process = start(root, home)
    until = time.monotonic() + 60
    first = home / "images/pets/train/a/0.png"
    while not first.exists() and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    copied = list(home.glob("images/pets/*/*/*.png"))
    assert 0 < len(copied) < 4004
    assert process.returncode == (-9 if stop == signal.SIGKILL else 1)
    assert "Traceback" not in err
    assert not (home / "data_manifests/pets/manifest.toml").exists()
    for path in copied:
        assert path.read_bytes() == (root / path.relative_to(home / "images/pets")).read_bytes()
    result = imported(home, "folder", str(root), "--copy")
    assert result["copied"] == 4004 - len(copied)
    left = [path for path in home.rglob("*") if "copying" in path.name]
    assert left == []


def test_a_subset_made_of_links_is_imported_with_copy_and_else_the_refusal_names_it(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "pets", TREE)
    for path in [*root.rglob("*.png")]:
        link = tmp_path / "subset" / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    command = ("data", "import", "folder", str(tmp_path / "subset"), "--name", "pets")
    assert "leads out of the root" in (line := run_clarify(*command, home=tmp_path / "home").refusal)
    assert "give --copy" in line
    assert imported(tmp_path / "home", "folder", str(tmp_path / "subset"), "--copy")["copied"] == 16
    shutil.rmtree(root)
    manifest = open_manifest(tmp_path / "home", "pets")
    assert all(path.is_file() and not path.is_symlink() for path in manifest.paths("train"))


def test_what_export_links_writes_is_imported_with_copy(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    done = run_clarify("export", DATA_SET, "--split", "validation", "--links", str(folder), home=home)
    assert done.status == 0, done.err
    result = imported(tmp_path / "other", "folder", str(folder), "--copy")
    assert (result["images"], result["copied"]) == (200, 200)
    assert result["classes"] == ["landbird", "waterbird"]
