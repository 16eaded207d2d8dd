"""`clarify export`: the described halves as a table, and as folders of links."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.track.runs import DescriptionRun
from clarify.workflow.exchange.export import link_images, safe_name
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]


def test_the_table_has_every_image_of_the_described_classes_as_it_was_scored(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    from clarify.track.mlflow import TrackingStore

    out = tmp_path / "described.parquet"
    done = clarify("export", DATA_SET, "--out", str(out), "--json")
    table = pl.read_parquet(out)
    assert done.result["table"]["rows"] == table.height == 448 + 200 + 200
    assert done.result["table"]["descriptions"] == 2
    assert table.columns == [
        "id",
        "path",
        "split",
        "class",
        "phrase",
        "similarity",
        "half",
        "right",
        "predicted",
    ]
    assert all(Path(path).is_file() for path in table["path"].head(20))
    assert (table["right"] == (table["predicted"] == table["class"])).all()
    store = TrackingStore(home)
    for run in store.runs(DATA_SET, DescriptionRun):
        kept = pl.read_parquet(store.artifact(run.id, "similarities.parquet"))
        mine = table.filter((pl.col("split") == "validation") & (pl.col("phrase") == run.phrase))
        both = mine.join(kept, on="id", suffix="_kept")
        assert both.height == kept.height == mine.height == 100
        np.testing.assert_allclose(both["similarity"], both["similarity_kept"], rtol=1e-6)
        assert (both["right"] == both["right_kept"]).all()
        assert ((both["half"] == "with") == both["with_phrase"]).all()


def test_one_split_and_one_description_are_exported_when_asked_for(clarify: Clarify, tmp_path: Path) -> None:
    kept = clarify("describe", DATA_SET, "waterbird", "land AND NOT water", "--json").result
    out = tmp_path / "described.csv"
    done = clarify(
        "export", DATA_SET, "--description", kept["run"][:10], "--split", "test", "--out", str(out)
    )
    assert done.status == 0
    table = pl.read_csv(out)
    assert table["split"].unique().to_list() == ["test"]
    assert table["phrase"].unique().to_list() == [kept["phrase"]]
    assert table["class"].unique().to_list() == ["waterbird"]
    assert set(table["half"]) == {"with", "without"}


def test_links_lead_to_the_images_of_each_half(clarify: Clarify, home: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "links", tmp_path / "described.parquet"
    done = clarify(
        "export", DATA_SET, "--split", "validation", "--links", str(folder), "--out", str(out), "--json"
    )
    links = sorted(path for path in folder.rglob("*") if path.is_symlink())
    assert done.result["links"]["links"] == len(links) == 200
    for row in pl.read_parquet(out).iter_rows(named=True):
        right = "right" if row["right"] else "wrong"
        link = folder / row["class"] / row["phrase"] / row["half"] / right / f"{row['id']}.png"
        assert link.resolve() == Path(row["path"])
    assert sorted(path.name for path in tmp_path.iterdir() if path != home) == ["described.parquet", "links"]


def test_a_folder_that_holds_something_is_left_alone(clarify: Clarify, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    done = clarify("export", DATA_SET, "--links", str(folder))
    assert "is there and not an empty folder; give a new one" in done.refusal
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    assert clarify("export", DATA_SET, "--links", str(folder)).status == 0


NAMES = st.text(min_size=1, max_size=200)


@given(NAMES)
def test_a_safe_name_stays_in_its_folder_whatever_the_text(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name not in {".", ".."}
    assert not set(name) & set('/\\:*?"<>|\x00\n')
    assert name[0] != "."
    assert len(name.encode()) <= 100


@given(NAMES, NAMES)
def test_two_texts_have_two_safe_names(first: str, second: str) -> None:
    assert (safe_name(first) == safe_name(second)) == (first == second)


def test_hostile_names_of_classes_phrases_and_ids_stay_inside(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.touch()
    hostile = ["../../up", "/etc/passwd", "..", ".", "a/b", "x" * 300, "ä∀ ü", "-rf", "con:"]
    table = pl.DataFrame(
        {
            "id": hostile,
            "path": [str(image)] * len(hostile),
            "split": ["test"] * len(hostile),
            "class": hostile,
            "phrase": hostile[::-1],
            "similarity": [0.0] * len(hostile),
            "half": ["with"] * len(hostile),
            "right": [None, True, False] * 3,
            "predicted": hostile,
        }
    )
    found = link_images(tmp_path / "links", table)
    assert found.links == len(hostile)
    inside = [path for path in (tmp_path / "links").rglob("*") if path.is_symlink()]
    assert len(inside) == len(hostile)
    assert {path.parent.name for path in inside} == {"right", "wrong", "unknown"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.png", "links"]


def test_links_that_cannot_be_finished_leave_nothing(tmp_path: Path) -> None:
    row = {
        "id": "a",
        "path": str(tmp_path / "a.png"),
        "split": "test",
        "class": "c",
        "phrase": "p",
        "similarity": 0.0,
        "half": "with",
        "right": True,
        "predicted": "c",
    }
    with pytest.raises(Exception, match="File exists"):  # the same place twice
        link_images(tmp_path / "links", pl.DataFrame([row, row]))
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_export_to_is_refused(clarify: Clarify) -> None:
    refused = clarify("export", DATA_SET).refusal
    assert "give --out FILE, --links DIR, --pictures FILE" in refused
    assert refused.endswith("--bundle FILE or --onnx FILE")


def test_the_report_is_one_json_object(clarify: Clarify, tmp_path: Path) -> None:
    done = clarify("export", DATA_SET, "--out", str(tmp_path / "t.csv"), "--json")
    assert json.loads(done.out)["data_set"] == DATA_SET
    assert "rows of 2 described" in clarify("export", DATA_SET, "--out", str(tmp_path / "t.csv")).out
