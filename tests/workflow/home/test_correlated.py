"""`clarify data correlate`: an exact group table in training, balance elsewhere, nothing moved."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.data.manifest import open_manifest, write_manifest
from clarify.data.sources.correlated import Correlation, draw_correlated, pair_by_counts, training_groups
from clarify.errors import InputError, NotFoundError
from clarify.workflow.home.correlate import correlate
from tests.conftest import run_clarify

BIRDS = ("landbird", "waterbird")
PLACES = ("land", "water", "sky")
EVEN = {(label, place): 40 for label in BIRDS for place in PLACES}


def write(
    home: Path,
    train: dict[tuple[str, str], int],
    *,
    classes: tuple[str, ...] = BIRDS,
    values: tuple[str, ...] = PLACES,
    other: int = 5,
    name: str = "birds",
) -> pl.DataFrame:
    """Write a manifest whose images need not exist; 5 of each group for validation and test."""
    every = dict.fromkeys(((label, value) for label in classes for value in values), other)
    rows = [
        (
            f"{split}-{label}-{value}-{n}",
            f"{split}/{label}/{value}/{n}.png",
            label,
            split,
            value,
            ("day", "night")[n % 2],
        )
        for split, groups in (("train", train), ("validation", every), ("test", every))
        for (label, value), count in groups.items()
        for n in range(count)
    ]
    table = pl.DataFrame(rows, schema=["id", "path", "label", "split", "place", "light"], orient="row")
    write_manifest(
        home / "data_manifests" / name,
        name=name,
        title="Birds",
        source="made for a test",
        licence="CC0",
        root=f"../../images/{name}",
        classes=classes,
        splits=("train", "validation", "test"),
        attributes={"place": values, "light": ("day", "night")},
        table=table,
    )
    return table


def groups_of(home: Path, name: str) -> dict[str, Counter[tuple[str, str]]]:
    manifest = open_manifest(home, name)
    return {
        split: Counter(manifest.rows(split).select("label", "place").iter_rows()) for split in manifest.splits
    }


def made(home: Path, name: str, **options: object) -> object:
    wanted = {"attribute": "place", "share": 0.9, "out_name": name, **options}
    return correlate(home, "birds", **wanted)  # type: ignore[arg-type]


def test_the_group_table_is_exact_and_the_other_splits_are_balanced(tmp_path: Path) -> None:
    write(tmp_path, {**EVEN, ("waterbird", "land"): 9})
    done = run_clarify(
        "data",
        "correlate",
        "birds",
        "--attribute",
        "place",
        "--share",
        "0.8",
        "--pair",
        "waterbird=water",
        "--pair",
        "landbird=land",
        "--out-name",
        "birds-80",
        "--json",
        home=tmp_path,
    )
    result = done.result
    # 9 waterbirds on land are at most a fifth of 45; 45 is the most that 0.8 parts exactly
    assert result["images_of_each_class"] == 45
    assert result["counts"] == {
        "train": {"landbird, land": 36, "landbird, water": 9, "waterbird, land": 9, "waterbird, water": 36},
        "validation": {
            "landbird, land": 5,
            "landbird, water": 5,
            "waterbird, land": 5,
            "waterbird, water": 5,
        },
        "test": {"landbird, land": 5, "landbird, water": 5, "waterbird, land": 5, "waterbird, water": 5},
    }
    assert (result["share"], result["reached"], result["paired_by"]) == (0.8, 0.8, "given")
    assert result["pairing"] == {"landbird": "land", "waterbird": "water"}
    assert result["left_out"] == {"train": 119, "validation": 10, "test": 10}
    seen = groups_of(tmp_path, "birds-80")
    for split, counts in result["counts"].items():
        assert {f"{label}, {value}": n for (label, value), n in seen[split].items()} == counts


def test_nothing_is_copied_and_no_image_changes_its_split(tmp_path: Path) -> None:
    base = write(tmp_path, EVEN)
    made(tmp_path, "new")
    manifest = open_manifest(tmp_path, "new")
    assert manifest.root == open_manifest(tmp_path, "birds").root
    assert manifest.attributes == {"place": ("land", "water"), "light": ("day", "night")}
    assert manifest.licence == "CC0"
    assert manifest.source.endswith("place with share 0.9, seed 0; made for a test")
    kept = manifest.table.join(base, on=base.columns, how="semi")
    assert kept.height == manifest.table.height
    assert not (tmp_path / "images").exists()
    (tmp_path / "data_manifests").rename(tmp_path / "moved")
    (tmp_path / "home").mkdir()
    (tmp_path / "moved").rename(tmp_path / "home/data_manifests")
    assert open_manifest(tmp_path / "home", "new").root == tmp_path / "home/images/birds"


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_images(tmp_path: Path) -> None:
    write(tmp_path, EVEN)

    def written(seed: int) -> dict[str, bytes]:
        made(tmp_path, "new", seed=seed)
        folder = tmp_path / "data_manifests/new"
        content = {path.name: path.read_bytes() for path in folder.iterdir()}
        for path in folder.iterdir():
            path.unlink()
        return content

    first = written(0)
    assert written(0) == first
    assert written(1).keys() != first.keys()


def test_the_same_command_twice_is_legal_and_another_table_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, EVEN)
    made(tmp_path, "new")
    made(tmp_path, "new")
    with pytest.raises(InputError, match="new is there already, with other images"):
        made(tmp_path, "new", share=0.8)
    with pytest.raises(InputError, match="birds is there already"):
        made(tmp_path, "birds")


def test_classes_are_paired_with_their_greatest_groups(tmp_path: Path) -> None:
    write(tmp_path, {**EVEN, ("landbird", "sky"): 60, ("waterbird", "water"): 50})
    done = run_clarify(
        "data", "correlate", "birds", "--attribute", "place", "--out-name", "new", home=tmp_path
    )
    assert "place paired by the greatest counts of training: landbird = sky" in done.out
    assert "waterbird = water" in done.out
    assert "40 images of each class, 95.0 % of them with the paired place; seed 0" in done.out
    assert "left out: 190 of train, 10 of validation, 10 of test; nothing was copied" in done.out
    assert "next: clarify embed new" in done.out


def test_more_classes_than_values_take_every_value_before_one_again() -> None:
    classes, values = ("a", "b", "c", "d", "e"), ("x", "y")
    even = {(label, value): 7 for label in classes for value in values}
    assert pair_by_counts(even, classes, values) == {"a": "x", "b": "y", "c": "x", "d": "y", "e": "x"}
    assert pair_by_counts({**even, ("c", "y"): 9}, classes, values)["c"] == "y"


def test_more_values_than_classes_leave_the_unpaired_values_out(tmp_path: Path) -> None:
    write(tmp_path, EVEN)
    made(tmp_path, "new", pairs=("landbird=sky", "waterbird=water"))
    manifest = open_manifest(tmp_path, "new")
    assert manifest.attributes["place"] == ("water", "sky")
    assert set(manifest.table["place"]) == {"water", "sky"}


def test_three_values_share_the_rest_equally(tmp_path: Path) -> None:
    classes = ("a", "b", "c")
    train = {(label, value): 50 for label in classes for value in PLACES}
    write(tmp_path, train, classes=classes)
    made(tmp_path, "new", share=0.8)
    assert groups_of(tmp_path, "new")["train"] == {
        ("a", "land"): 48,
        ("a", "water"): 6,
        ("a", "sky"): 6,
        ("b", "land"): 6,
        ("b", "water"): 48,
        ("b", "sky"): 6,
        ("c", "land"): 6,
        ("c", "water"): 6,
        ("c", "sky"): 48,
    }


def test_a_share_of_one_leaves_the_minority_groups_of_training_empty(tmp_path: Path) -> None:
    write(tmp_path, {**EVEN, ("landbird", "water"): 0})
    made(tmp_path, "new", share=1.0)
    groups = groups_of(tmp_path, "new")
    assert groups["train"] == {("landbird", "land"): 40, ("waterbird", "water"): 40}
    assert len(groups["test"]) == 4


def test_names_that_hold_an_equals_sign_can_be_paired(tmp_path: Path) -> None:
    classes, values = ("a=b", "c"), ("x", "y=z")
    train = {(label, value): 20 for label in classes for value in values}
    write(tmp_path, train, classes=classes, values=values)
    result = made(tmp_path, "new", pairs=("a=b=y=z", "c=x"))
    assert result.pairing == {"a=b": "y=z", "c": "x"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": 0.0}, "share is 0; legal is above 0 and at most 1"),
        ({"share": 95.0}, "share is 95; legal"),
        ({"share": float("nan")}, "share is nan; legal"),
        ({"images": 0}, "images of each class is 0; legal is 1 or more"),
        (
            {"images": 3},
            r"3 images of each class with share 0.9 leave a group empty; legal are "
            r"--images 6 to 44",
        ),
        (
            {"images": 45},
            r"need 41 of landbird, land; there are \(landbird, land: 40; .*\); legal "
            r"are --images 6 to 44",
        ),
        (
            {"share": 0.999},
            r"needs 501 or more images of each class .*, the counts allow 40: "
            r"\(landbird, land: 40",
        ),
        ({"pairs": ("landbird=land",)}, "1 of its classes and 1 of the values of place are paired"),
        ({"pairs": ("landbird=land", "waterbird=land")}, "2 of its classes and 1 of the values"),
        ({"pairs": ("landbird=land", "landbird=sky")}, "'landbird' is in two pairs"),
        ({"pairs": ("landbird",)}, "pair is 'landbird'; legal is CLASS=VALUE"),
        ({"out_name": "../evil"}, r"name is '\.\./evil'"),
    ],
)
def test_what_is_not_legal_or_not_there_is_refused_with_the_counts(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    write(tmp_path, EVEN)
    with pytest.raises(InputError, match=words) as caught:
        made(tmp_path, **{"name": "new", **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data_manifests/new").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attribute": "plaice"}, "no attribute 'plaice'; nearest: place"),
        ({"pairs": ("landbrid=land", "waterbird=sky")}, "no class 'landbrid'; nearest: landbird"),
        ({"pairs": ("landbird=lnad", "waterbird=sky")}, "place has no value 'lnad'; nearest: land"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    write(tmp_path, EVEN)
    with pytest.raises(NotFoundError, match=words):
        made(tmp_path, "new", **options)


def test_a_split_that_cannot_be_balanced_is_refused_with_its_counts(tmp_path: Path) -> None:
    table = write(tmp_path, EVEN)
    kept = table.filter(~((pl.col("split") == "test") & (pl.col("id").str.contains("bird-sky"))))
    wanted = Correlation(
        attribute="place",
        pairing={"landbird": "sky", "waterbird": "land"},
        values=("land", "sky"),
        share=Fraction(9, 10),
        images=None,
        seed=0,
    )
    with pytest.raises(
        InputError,
        match=r"split test: no image of landbird, sky; a balanced .*"
        r"\(landbird, sky: 0; waterbird, sky: 0; landbird, land: 5",
    ):
        draw_correlated(kept, ("train", "validation", "test"), wanted, name="birds")


def test_a_data_set_without_attributes_is_refused(home: Path) -> None:
    birds = open_manifest(home, "tiny-birds")
    write_manifest(
        home / "data_manifests/plain",
        name="plain",
        title="Plain",
        source="a test",
        licence="CC0",
        root=str(birds.root),
        classes=birds.classes,
        splits=birds.splits,
        attributes={},
        table=birds.table.drop("place"),
    )
    done = run_clarify("data", "correlate", "plain", "--attribute", "place", "--out-name", "new", home=home)
    assert "data set plain has no annotated attribute to correlate with" in done.refusal


def test_a_correlated_data_set_is_embedded_and_trained_on_as_any_other(home: Path) -> None:
    for command in (
        [
            "data",
            "correlate",
            "tiny-birds",
            "--attribute",
            "place",
            "--share",
            "0.9",
            "--out-name",
            "tiny-90",
        ],
        ["embed", "tiny-90"],
        ["train", "tiny-90", "--json"],
    ):
        done = run_clarify(*command, home=home)
        assert done.status == 0, done.err
    assert json.loads(done.out)
    checked = run_clarify("data", "check", "tiny-90", "--json", home=home)
    assert checked.result["counts"]["train"]["landbird, water"] == 12


@given(
    images=st.integers(1, 500),
    share=st.integers(1, 100).map(lambda percent: Fraction(percent, 100)),
    n_classes=st.integers(2, 6),
    n_values=st.integers(2, 5),
)
def test_every_class_has_its_images_and_its_share_to_half_an_image(
    images: int, share: Fraction, n_classes: int, n_values: int
) -> None:
    values = tuple("uvwxy"[:n_values])
    pairing = {f"class {n}": values[n % n_values] for n in range(n_classes)}
    wanted = Correlation(
        attribute="place", pairing=pairing, values=values, share=share, images=images, seed=0
    )
    table = training_groups(wanted, images)
    for label, paired in pairing.items():
        of_class = {value: table[label, value] for value in values}
        assert sum(of_class.values()) == images
        assert abs(of_class.pop(paired) - share * images) <= Fraction(1, 2)
        assert max(of_class.values()) - min(of_class.values()) <= 1
        assert min(of_class.values()) >= 0


@given(seed=st.integers(0, 50), order=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_change_what_is_drawn(seed: int, order: object) -> None:
    rows = [
        (f"{split}{n}", f"{split}/{n}.png", BIRDS[n % 2], split, PLACES[n // 2 % 2])
        for split in ("train", "validation")
        for n in range(80)
    ]
    wanted = Correlation(
        attribute="place",
        pairing={"landbird": "land", "waterbird": "water"},
        values=("land", "water"),
        share=Fraction(3, 4),
        images=None,
        seed=seed,
    )
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    schema = ["id", "path", "label", "split", "place"]
    found = [
        draw_correlated(
            pl.DataFrame(each, schema=schema, orient="row"), ("train", "validation"), wanted, name="birds"
        )
        for each in (rows, shuffled)
    ]
    assert set(found[0].table["id"]) == set(found[1].table["id"])
    assert found[0].groups["train"] == {
        ("landbird", "land"): 18,
        ("landbird", "water"): 6,
        ("waterbird", "land"): 6,
        ("waterbird", "water"): 18,
    }
