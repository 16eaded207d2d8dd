"""What MLflow's pages show: how the experiment opens, what lies under what, what a run says of itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import polars as pl

from clarify.track.artifacts import Artifact, table_artifacts
from clarify.track.markdown import plain, shortened, table
from clarify.track.mlflow import TrackingStore
from tests.track.conftest import model, phrase_tried

NOTE = "mlflow.note.content"


def found(store: TrackingStore, run_id: str) -> Any:
    return store.client.get_run(run_id)


def experiment(store: TrackingStore) -> Any:
    return store.client.get_experiment_by_name("clarify/birds")


def test_the_experiment_says_what_it_is_and_links_to_tables_that_have_their_figures(
    store: TrackingStore,
) -> None:
    run = store.log(model("retraining"))
    tags = experiment(store).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "**birds**" in tags[NOTE]
    assert "viewStateShareKey=models" in tags[NOTE]
    seen = json.loads(tags["mlflow.sharedViewState.models"])
    columns = {name[9:-1] for name in seen["selectedColumns"] if name.startswith("metrics.")}
    measured = set(found(store, run).data.metrics)
    assert {"test/worst_group_accuracy", "validation/average_accuracy"} <= columns & measured


def test_the_filters_part_models_from_phrases_and_promotions(store: TrackingStore) -> None:
    base = store.log(model("base"))
    retrained = store.log(model("retraining", parent=base))
    kept = store.log(phrase_tried("water", parent=base))
    tried = store.log(phrase_tried("sea", kept=False, parent=base))
    home = experiment(store)

    def listed(view: str) -> dict[str, str]:
        seen = json.loads(home.tags[f"mlflow.sharedViewState.{view}"])
        order = f"{seen['orderByKey']} DESC"
        runs = store.client.search_runs([home.experiment_id], seen["searchFilter"], order_by=[order])
        return {run.info.run_id: run.data.tags["clarify.kind"] for run in runs}

    assert {base, retrained} <= set(listed("models"))
    assert set(listed("models").values()) == {"base", "retraining"}
    assert kept in listed("phrases")
    assert tried not in listed("phrases")
    assert {kept, tried} <= set(listed("tried"))
    assert set(listed("tried").values()) == {"description"}
    assert set(listed("promotions").values()) <= {"promotion"}


def test_phrases_lie_under_their_base_and_models_stand_beside_it(store: TrackingStore) -> None:
    base = store.log(model("base"))
    phrase = store.log(phrase_tried(parent=base))
    retrained = store.log(model("retraining", parent=base))
    assert found(store, phrase).data.tags["mlflow.parentRunId"] == base
    assert "mlflow.parentRunId" not in found(store, retrained).data.tags


def test_an_experiment_of_an_older_version_is_brought_up_to_date_but_what_people_wrote_stays(
    store: TrackingStore,
) -> None:
    store.log(model("base"))
    known = experiment(store)
    for name in known.tags:
        store.client.delete_experiment_tag(known.experiment_id, name)
    store.client.set_experiment_tag(known.experiment_id, NOTE, "ours")
    store.log(model("base"))
    tags = experiment(store).tags
    assert tags[NOTE] == "ours"
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_says_what_it_is_with_its_phrases_and_figures(store: TrackingStore) -> None:
    base = store.log(model("base"))
    note = found(store, store.log(model("retraining", parent=base))).data.tags[NOTE]
    assert f"/runs/{base}" in note
    assert "by Ada" in note
    assert "- landbird: *water*, by Ada" in note
    assert "| worst annotated group |" in note


def test_a_phrase_says_its_score_and_shows_its_pictures_once_they_are_there(store: TrackingStore) -> None:
    run = store.log(phrase_tried("`a|b` <b>x</b>"))
    note = found(store, run).data.tags[NOTE]
    assert "Kept: images of **landbird** and *\\`a\\|b\\` &lt;b&gt;x&lt;/b&gt;*, by Ada." in note
    assert "get-artifact" not in note
    store.attach(run, (Artifact(path="with.png", content=b"png"),))
    store.attach(run, (Artifact(path="with.png", content=b"png"),))
    whole = found(store, run).data.tags[NOTE]
    assert whole.startswith(note)
    assert whole.count(f"get-artifact?path=with.png&run_uuid={run}") == 1


def test_tables_lie_beside_parquet_as_mlflow_shows_them(store: TrackingStore) -> None:
    run = store.log(model("base"))
    told = json.loads(found(store, run).data.tags["mlflow.loggedArtifacts"])
    assert {"path": "groups.table.json", "type": "table"} in told
    shown = json.loads(store.artifact(run, "groups.table.json"))
    parquet = pl.read_parquet(store.artifact(run, "groups.parquet"))
    assert shown["columns"] == parquet.columns
    assert [tuple(row) for row in shown["data"]] == parquet.rows()


def test_of_a_long_table_the_name_says_how_much_is_shown() -> None:
    whole, shown = table_artifacts(
        "predictions", pl.DataFrame({"x": [float("nan"), *map(float, range(300))]})
    )
    assert whole.path == "predictions.parquet"
    assert shown.path == "predictions.first-200.table.json"
    rows = json.loads(shown.content)["data"]
    assert len(rows) == 200
    assert rows[0] == [None]


def test_a_very_long_description_is_cut_and_says_where_the_rest_is(store: TrackingStore) -> None:
    record = phrase_tried("water")
    long = dataclasses.replace(
        record,
        kind="promotion",
        params={
            "action": "promotion",
            "from_version": "",
            "to_version": "1",
            "model": "birds",
            "note": "x" * 9000,
        },
    )
    assert len(found(store, store.log(long)).data.tags[NOTE]) < 1000
    told = shortened("line\n" * 3000, 100, "card.md")
    assert len(told) <= 100
    assert told.endswith("(whole in `card.md`)")
    assert told.startswith("line\nline\n")


def test_markdown_counts_the_rows_that_it_leaves_out() -> None:
    assert table(["a", "b"], [["1", "2"]] * 45).endswith("\n\nand 5 more rows")
    assert plain("a\nb  c") == "a b c"
    assert plain("x" * 300).endswith("…")
