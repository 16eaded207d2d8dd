"""docs/reference/json.md against what the commands print: no key is missing, and none is too many."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET, Done, captioned_by_place, copied, run_clarify
from tests.docs.tables import matches, sections
from tests.pools import write_pool

TABLES = sections("reference/json.md")
Clarify = Callable[..., Done]


def documented(heading: str) -> set[str]:
    """Return the keys of a section, those of the sections that it refers to in their places."""
    found = set()
    for names, rest in TABLES[heading]:
        target = re.match(r"\[([^\]]+)\]\(#", rest)
        shared = documented(target[1]) if target else set()
        for name in names or [""]:
            found |= {f"{name}.{each}" if name else each for each in shared} or {name}
    return found


def keys(value: object, place: str = "") -> Iterator[str]:
    """Yield the place of every value; an empty list, an empty object and null are places as well."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from keys(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from keys(inner, f"{place}[]")
    else:
        yield place


def compare(heading: str, *results: dict[str, Any], unseen: tuple[str, ...] = ()) -> None:
    """Fail on a key that is not documented, and on a documented one that no result has."""
    patterns = documented(heading)
    seen = {key for result in results for key in keys(result)}
    for key in seen:
        # Of what is empty or null its own place stands for the keys that it would have.
        within = any(pattern.startswith((f"{key}.", f"{key}[]")) for pattern in patterns)
        assert within or any(matches(each, key) for each in patterns), f"{heading}: {key} is not documented"
    for pattern in patterns:
        there = any(matches(pattern, key) or matches(pattern, f"{key}[]") for key in seen)
        assert there or pattern.startswith(unseen or ("\0",)), (
            f"{heading}: {pattern} is documented, and no result has it"
        )


@pytest.fixture(scope="module")
def place(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of this module's own; what one test puts there the next one finds."""
    return copied(made_home, tmp_path_factory.mktemp("json") / "home")


@pytest.fixture(scope="module")
def told(place: Path) -> Callable[..., dict[str, Any]]:
    """Run a command in that home and return its JSON, whether or not it refuses in the end."""

    def run(*arguments: str) -> dict[str, Any]:
        done = run_clarify(*arguments, "--json", home=place)
        assert done.out, done.err
        return done.result

    return run


Told = Callable[..., dict[str, Any]]

STEPS = tuple(documented("steps"))
EXACT = tuple(documented("exact"))


@pytest.mark.slow
def test_the_loop(told: Told) -> None:
    scored = told("score", DATA_SET, "landbird", "a zeppelin and water")
    kept = told("describe", DATA_SET, "waterbird", "land")
    compare("clarify score, clarify describe", scored, kept)
    compare("clarify diagnose", told("diagnose", DATA_SET))
    compare("clarify retrain", told("retrain", DATA_SET, "--seeds", "2"), unseen=STEPS)
    compare("clarify compare", told("compare", DATA_SET))


def test_a_base_model(clarify: Clarify) -> None:
    compare("clarify train", clarify("train", DATA_SET, "--json").result, unseen=STEPS)


@pytest.mark.slow
def test_a_network(network_home: Path, tmp_path: Path) -> None:
    home = copied(network_home, tmp_path / "network")
    run = run_clarify("retrain", DATA_SET, "--whole", "--epochs", "1", "--json", home=home)
    assert run.status == 0, run.err
    seen = run.result
    compare("clarify retrain", seen, unseen=(*EXACT, "erase", "refit", "repeats[]."))


@pytest.mark.slow
def test_champions(told: Told, tmp_path: Path, place: Path) -> None:
    told("describe", DATA_SET, "waterbird", "land")
    told("retrain", DATA_SET)
    first = told("promote", DATA_SET)
    told("retrain", DATA_SET, "--objective", "worst_group")
    compare("clarify gate", told("gate", DATA_SET))
    compare("clarify promote", first, told("promote", DATA_SET))
    compare("clarify rollback", told("rollback", DATA_SET))
    compare("clarify history", told("history", DATA_SET))
    compare("clarify card", told("card", DATA_SET))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    images = [str(next((place / "images").rglob("*.png"))), str(broken)]
    to_file = told("predict", DATA_SET, *images, "--out", str(tmp_path / "out.csv"))
    compare("clarify predict", told("predict", DATA_SET, *images), to_file)


def test_the_machines_search(told: Told, place: Path) -> None:
    compare("clarify promise", told("promise", DATA_SET))
    table = place / "captions.csv"
    captioned_by_place(open_manifest(place, DATA_SET)).write_csv(table)
    with_captions = told("suggest", DATA_SET, "waterbird", "--captions", str(table))
    compare("clarify suggest", told("suggest", DATA_SET, "waterbird"), with_captions)


def test_slices(told: Told) -> None:
    compare("clarify discover", told("discover", DATA_SET, "waterbird", "--method", "failure-direction"))


def test_a_pool(told: Told, tmp_path: Path) -> None:
    pool, labels = write_pool(tmp_path)
    asked = ("collect", DATA_SET, str(pool))
    ranked = told(*asked, "--label-studio", str(tmp_path / "tasks.json"))
    compare("clarify collect", ranked, told(*asked, "--labels", str(labels), "--out-name", "more"))


@pytest.mark.slow
def test_handing_on(told: Told, tmp_path: Path) -> None:
    bundle = tmp_path / "birds.tar"
    out = told(
        "export",
        DATA_SET,
        *("--out", str(tmp_path / "described.csv"), "--links", str(tmp_path / "links")),
        *("--pictures", str(tmp_path / "p.parquet"), "--webdataset", str(tmp_path / "w.tar")),
        *("--coco", str(tmp_path / "c.json"), "--label-studio", str(tmp_path / "l.json")),
        *("--weights", str(tmp_path / "w.csv")),
        *("--bundle", str(bundle)),
    )
    compare("clarify export", out, unseen=("onnx",))
    taken = run_clarify("import", str(bundle), "--json", home=tmp_path / "other")
    compare("clarify import", taken.result)


@pytest.mark.slow
def test_a_model_for_another_runtime(told: Told, tmp_path: Path) -> None:
    run = told("retrain", DATA_SET)["run"]
    out = told("export", DATA_SET, "--onnx", str(tmp_path / "model.onnx"), "--model", run)
    images = ("table", "links", "pictures", "webdataset", "coco", "label_studio", "weights", "left_out")
    compare("clarify export", out, unseen=(*images, "bundle"))


def test_features_and_predictions(clarify: Clarify, home: Path, tmp_path: Path) -> None:
    table = open_manifest(home, DATA_SET).table
    np.savez(
        tmp_path / "clip.npz",
        image_features=np.random.default_rng(0).normal(size=(table.height, 4)),
        ids=table["id"].to_numpy().astype(str),
    )
    features = clarify("features", "import", DATA_SET, str(tmp_path / "clip.npz"), "--json")
    compare("clarify features import", features.result)
    compare("clarify features list", clarify("features", "list", "--json").result)
    (kept,) = (home / "features").glob(f"{DATA_SET}*")
    shutil.copytree(kept, kept.with_name(f"{DATA_SET}-{'0' * 12}"))
    compare("clarify features clean", clarify("features", "clean", "--json").result)
    predictions = table.select("id", pl.col("label").alias("predicted"))
    predictions.write_csv(tmp_path / "predicted.csv")
    found = clarify("predictions", "import", DATA_SET, str(tmp_path / "predicted.csv"), "--json")
    compare("clarify predictions import", found.result)


@pytest.mark.slow
def test_data(told: Told, made_home: Path, tmp_path: Path) -> None:
    source = tmp_path / "pictures"
    for number, path in enumerate(sorted((made_home / "images" / DATA_SET / "train").rglob("*.png"))[:40]):
        copy = source / ("cat", "dog")[number % 2] / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    done = told("data", "import", "folder", str(source), "--name", "pets")
    table = tmp_path / "pets.csv"
    rows = [f"{path.relative_to(source)},{path.parent.name},indoor" for path in source.rglob("*.png")]
    table.write_text("\n".join(["path,label,where", *rows]))
    named = ("--name", "pets-table", "--attribute", "where", "--root", str(source))
    compare("clarify data import", done, told("data", "import", "table", str(table), *named))
    broken = next(source.rglob("*.png"))
    broken.write_bytes(b"no picture")
    checked = told("data", "check", "pets")
    compare("clarify data check", checked)
    embedded = told("embed", "pets")
    compare("clarify embed", embedded)
    compare("clarify data thumbnails", told("data", "thumbnails", "pets"))


def test_origins_and_correlations(told: Told) -> None:
    compare("clarify data where", told("data", "where", "waterbirds"), told("data", "where", DATA_SET))
    made = ("--attribute", "place", "--share", "0.8", "--out-name", "birds-80")
    compare("clarify data correlate", told("data", "correlate", DATA_SET, *made))


@pytest.mark.slow
def test_looking_after(told: Told) -> None:
    compare("clarify doctor", told("doctor"))
    compare("clarify relocate", told("relocate"))


def test_a_comparison_of_methods(told: Told) -> None:
    phrases = ("--phrase", "landbird=water", "--phrase", "waterbird=land")
    found = told(
        *("benchmark", "--suite", "features", "--data-set", DATA_SET, "--seeds", "1"),
        *(*phrases, "--method", "erm", "--method", "clarify_reweight", "--method", "rwg"),
    )
    compare("clarify benchmark", found)


@pytest.mark.slow
def test_drawing(tmp_path: Path) -> None:  # `clarify demo` is compared where it is run
    compare("clarify data draw", run_clarify("data", "draw", "sprites", "--json", home=tmp_path).result)


def test_every_command_has_its_section() -> None:
    from docs.hooks import commands_shown

    told = {each for heading in TABLES for each in heading.split(", ") if each.startswith("clarify ")}
    # The importers of `data import` answer alike, `serve` answers nothing, and `job` is internal.
    names = {re.sub(r"^(data import) .*", r"\1", name) for name in commands_shown()} - {"serve", "job"}
    assert told == {f"clarify {name}" for name in names}


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="is not documented"):
        compare("clarify relocate", {"home": "", "changed": 1, "new": 2})
    with pytest.raises(AssertionError, match="no result has it"):
        compare("clarify relocate", {"home": ""})
