"""A bridge by the real commands: learned from captions of some images, used everywhere, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.data.captions import kept_captions
from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET, Done, copied, run_clarify, stamps
from tests.real import needs_text_models, text_model

pytestmark = needs_text_models

Clarify = Callable[..., Done]
NET = ("--network", "imported:net")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text model that knows letters: words of places lie apart, and that is enough."""
    return text_model(tmp_path_factory.mktemp("text") / "letters")


def written(path: Path, table: pl.DataFrame) -> Path:
    table.write_csv(path)
    return path


def captions_of(home: Path, split: str = "validation") -> pl.DataFrame:
    """Return two captions an image: where it was drawn."""
    rows = open_manifest(home, DATA_SET).rows(split)
    one = rows.select("id", caption=pl.format("a bird, {} behind it", "place"))
    return pl.concat([one, rows.select("id", caption=pl.format("{}", "place"))])


@pytest.fixture(scope="module")
def bridged(made_home: Path, letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose data set has imported features, and a bridge from captions of validation images."""
    home = copied(made_home, tmp_path_factory.mktemp("bridged") / "home")
    array = np.load(next(home.glob("features/*/*/features.npy"))).astype(np.float32)
    features = home.parent / "net.npz"
    ids = np.array(open_manifest(home, DATA_SET).table["id"].to_list())
    np.savez(features, features=5 * array[:, ::2], ids=ids)
    done = run_clarify("features", "import", DATA_SET, str(features), "--label", "net", home=home)
    assert done.status == 0, done.err
    table = written(home.parent / "captions.csv", captions_of(home))
    done = run_clarify(
        "bridge", DATA_SET, "--captions", str(table), *NET, "--text", str(letters), "--json", home=home
    )
    assert done.status == 0, done.err
    (home.parent / "told.json").write_text(done.out)
    return home


@pytest.fixture
def bridge_home(bridged: Path, tmp_path: Path) -> Path:
    return copied(bridged, tmp_path / "bridged")


@pytest.fixture
def bridge(bridge_home: Path) -> Clarify:
    def run(*arguments: str) -> Done:
        return run_clarify(*arguments, home=bridge_home)

    return run


def test_what_it_is_and_how_good_it_is_is_told(bridged: Path) -> None:
    found = json.loads((bridged.parent / "told.json").read_text())
    assert found["encoder"] == "bridge:captions"
    assert found["settled"] == "small-clip"
    assert found["captions"]["images"] == {"validation": 200}
    assert found["network"]["spec"] == "imported:net"
    assert found["quality"]["images"] == 200
    auc = {each["word"]: each["auc"] for each in found["words"]}
    assert auc["water"] > 0.9
    assert auc["land"] > 0.9


@pytest.mark.slow
def test_the_whole_loop_goes_by_a_bridge_that_is_made_the_data_sets_own(bridge: Clarify) -> None:
    """Every command that names no encoder takes the bridge for phrases, and its network for models."""
    assert bridge("encoder", DATA_SET, "bridge:captions", "--json").result["embedded"]
    assert bridge("encoder", DATA_SET, "--json").result["encoder"] == "bridge:captions"
    trained = bridge("train", DATA_SET, "--json").result
    assert trained["test"]["worst_group_accuracy"] < trained["test"]["average_accuracy"]
    scored = bridge("describe", DATA_SET, "landbird", "water", "--json").result
    assert scored["error_score"] > 0.2
    assert (scored["caution"], scored["evidence"]["wrong_is_above"]) == ("", True)
    compound = bridge("score", DATA_SET, "landbird", "water AND NOT land", "--json").result
    assert compound["error_score"] > 0.2
    assert bridge("describe", DATA_SET, "waterbird", "land").status == 0
    for way in ((), ("--refit",), ("--erase", "mean_difference")):
        assert bridge("retrain", DATA_SET, *way).status == 0, way
    rows = bridge("compare", DATA_SET, "--json").result["models"]
    by_words = max(each["worst_group_accuracy"] for each in rows[1:])
    assert by_words > trained["test"]["worst_group_accuracy"] + 0.05
    assert bridge("promote", DATA_SET, "--json").result["model"] == DATA_SET


def test_a_word_that_the_bridge_cannot_tell_is_said_first_and_has_no_verdict(bridge: Clarify) -> None:
    asked = ("score", DATA_SET, "landbird", "water qqqq", "--encoder", "bridge:captions")
    assert bridge("train", DATA_SET, "--encoder", "bridge:captions").status == 0
    found = bridge(*asked, "--json").result
    assert found["unknown_words"] == ["qqqq"]
    assert found["meaning"] == "no verdict"
    first, second, *others = bridge(*asked).out.splitlines()
    assert first == "the encoder does not know: qqqq: this score says nothing"
    assert "no verdict" in second
    assert not any("confirmed" in line for line in others)
    assert not any(word in second for word in ("weak", "moderate", "strong"))


def test_unknown_words_are_not_suggested(bridge: Clarify, tmp_path: Path) -> None:
    assert bridge("train", DATA_SET, "--encoder", "bridge:captions").status == 0
    (tmp_path / "words.txt").write_text("water\nland\nwater qqqq\nbird\n")
    listed = ("--vocabulary", str(tmp_path / "words.txt"), "--encoder", "bridge:captions")
    found = bridge("suggest", DATA_SET, "landbird", *listed, "--json").result
    assert found["left_out"] >= 1
    said = [each["phrase"] for each in found["suggestions"]]
    assert said[0] in ("water", "land")
    assert "water qqqq" not in said


def first(count: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda table: table.head(count)


BAD_CAPTIONS = {
    "of ten images": (first(10), "captions of 10 images; 100 would do"),
    "of images that are not there": (
        lambda table: table.with_columns(id=pl.lit("nobody.png")),
        "400 of 400 captions are of no image of data set tiny-birds, such as 'nobody.png'",
    ),
    "one of them empty": (
        lambda table: table.with_columns(
            caption=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("  ")).otherwise("caption")
        ),
        "row 4",
    ),
    "one of 100,000 characters": (
        lambda table: table.with_columns(
            caption=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("x" * 100_000)).otherwise("caption")
        ),
        "row 4: caption has 100,000 bytes",
    ),
    "without a column of captions": (
        lambda table: table.select("id", other="caption"),
        "none of them is caption",
    ),
    "without ids": (lambda table: table.select(name="id", caption="caption"), "none of them is id"),
}


@pytest.mark.parametrize("case", BAD_CAPTIONS)
def test_captions_that_will_not_do_are_refused_and_nothing_is_written(
    case: str, bridge: Clarify, bridge_home: Path, letters: Path, tmp_path: Path
) -> None:
    change, expected = BAD_CAPTIONS[case]
    table = written(tmp_path / "captions.csv", change(captions_of(bridge_home)))
    before = stamps(bridge_home / "encoders")
    done = bridge("bridge", DATA_SET, "--captions", str(table), *NET, "--text", str(letters))
    assert expected in done.refusal
    assert len(done.refusal) < 400
    assert stamps(bridge_home / "encoders") == before


def test_its_captions_are_kept_with_the_data_set_and_refused_ones_are_not(
    bridge: Clarify, bridge_home: Path, letters: Path, tmp_path: Path
) -> None:
    before = kept_captions(bridge_home, DATA_SET)
    assert {len(texts) for texts in before.values()} == {2}
    assert len(before) == 200
    few = written(tmp_path / "few.csv", captions_of(bridge_home).head(10))
    parts = (*NET, "--text", str(letters))
    assert "captions of 10 images" in bridge("bridge", DATA_SET, "--captions", str(few), *parts).refusal
    assert kept_captions(bridge_home, DATA_SET) == before
    other = written(tmp_path / "other.csv", captions_of(bridge_home).head(150))
    done = bridge("bridge", DATA_SET, "--captions", str(other), *parts, "--label", "other")
    assert "captions of 150 images kept (150 of validation), in place of those of 200 images" in done.err
    assert len(kept_captions(bridge_home, DATA_SET)) == 150


def test_captions_of_test_images_are_refused_unless_they_are_asked_for(
    bridge: Clarify, bridge_home: Path, letters: Path, tmp_path: Path
) -> None:
    table = written(tmp_path / "captions.csv", captions_of(bridge_home, "test"))
    asked = ("bridge", DATA_SET, "--captions", str(table), *NET, "--text", str(letters), "--label", "seen")
    assert "400 captions are of images of split test" in bridge(*asked).refusal
    found = bridge(*asked, "--with-test", "--json").result
    assert found["captions"]["images"] == {"test": 200}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--network", "imported:net"), "network 'imported:net' has no class names; timm:MODEL is legal"),
        (("--network", "imported:nut"), "nearest: net"),
        (("--network", "timm:no_such_network"), "no_such_network"),
        (("--network", "base"), "no base network was trained here"),
        (("--network", "imported:net", "--label", "a/b"), "label is 'a/b'"),
        (("--network", "imported:net", "--label", ""), "timm:MODEL is legal"),
        (("--network", "imported:net", "--captions", "nowhere.csv"), "nowhere.csv"),
        (("--network", "small-clip"), "has no class names"),
    ],
)
def test_parts_that_will_not_do_are_refused(
    given: tuple[str, ...], expected: str, bridge: Clarify, bridge_home: Path, letters: Path
) -> None:
    before = stamps(bridge_home / "encoders")
    assert expected in bridge("bridge", DATA_SET, *given, "--text", str(letters)).refusal
    assert stamps(bridge_home / "encoders") == before


def test_a_bridge_of_features_that_were_imported_anew_is_of_another_network(
    bridge: Clarify, bridge_home: Path, tmp_path: Path
) -> None:
    manifest = open_manifest(bridge_home, DATA_SET)
    ids = np.array(manifest.table["id"].to_list())
    for width, expected in ((64, "another network"), (7, "another network")):
        array = np.random.default_rng(width).standard_normal((len(ids), width)).astype(np.float32)
        np.savez(tmp_path / "new.npz", features=array, ids=ids)
        assert bridge("features", "import", DATA_SET, str(tmp_path / "new.npz"), "--label", "net").status == 0
        done = bridge("embed", DATA_SET, "--encoder", "bridge:captions")
        assert expected in done.refusal


def test_a_damaged_bridge_of_the_data_set_is_mended_as_its_message_says(
    bridge: Clarify, bridge_home: Path, letters: Path
) -> None:
    assert bridge("encoder", DATA_SET, "bridge:captions").status == 0
    place = bridge_home / "encoders" / DATA_SET / "captions" / "bridge.json"
    place.unlink()
    place.write_text("{")
    line = bridge("score", DATA_SET, "landbird", "water").refusal
    assert "is damaged" in line
    assert line.endswith(f"learn it again: clarify bridge {DATA_SET} --label captions")
    table = written(bridge_home / "captions.csv", captions_of(bridge_home))
    asked = ("bridge", DATA_SET, "--label", "captions", *NET, "--text", str(letters))
    assert bridge(*asked, "--captions", str(table)).status == 0
    assert bridge("embed", DATA_SET).status == 0


def test_an_unknown_bridge_is_told_with_the_nearest(bridge: Clarify) -> None:
    assert "nearest: captions" in bridge("embed", DATA_SET, "--encoder", "bridge:caption").refusal
    assert "nearest: captions" in bridge("encoder", DATA_SET, "bridge:caption").refusal


def test_a_text_model_that_is_gone_is_told_when_a_phrase_needs_it(
    bridged: Path, tmp_path: Path, made_home: Path
) -> None:
    home = copied(bridged, tmp_path / "home")
    place = home / "encoders" / DATA_SET / "captions" / "bridge.json"
    text = place.read_text()
    place.unlink()
    place.write_text(text.replace(json.loads(text)["text"]["spec"], "/nowhere/letters"))
    assert run_clarify("train", DATA_SET, "--encoder", "bridge:captions", home=home).status == 0
    line = run_clarify("score", DATA_SET, "landbird", "water", "--encoder", "bridge:captions", home=home)
    assert "text model '/nowhere/letters' is no folder" in line.refusal


def test_after_the_encoder_is_changed_what_is_described_again_counts(
    bridge: Clarify, bridge_home: Path, letters: Path
) -> None:
    table = written(bridge_home / "captions.csv", captions_of(bridge_home).head(200))
    asked = ("bridge", DATA_SET, "--label", "fewer", *NET, "--text", str(letters))
    assert bridge(*asked, "--captions", str(table)).status == 0
    assert bridge("encoder", DATA_SET, "bridge:captions").status == 0
    assert bridge("embed", DATA_SET).status == 0
    assert bridge("train", DATA_SET).status == 0
    assert bridge("describe", DATA_SET, "landbird", "water").status == 0
    assert bridge("encoder", DATA_SET, "bridge:fewer").status == 0
    assert bridge("embed", DATA_SET).status == 0
    line = bridge("retrain", DATA_SET).refusal
    assert "another encoder" in line
    assert f'clarify describe {DATA_SET} "landbird" "water"' in line
    again = bridge("describe", DATA_SET, "landbird", "water")
    assert again.status == 0
    assert bridge("retrain", DATA_SET).status == 0
