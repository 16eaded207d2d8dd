"""The machine's suggestions by the real commands, on the small home."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clarify.demo.vocabulary import unknown_words
from clarify.discover.vocabulary import vocabulary
from clarify.track.runs import DescriptionRun
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]
WATER = {"water", "lake", "pond", "duck pond", "sea", "river", "open water", "deep water", "liquid"}


def test_the_first_phrases_name_the_place_that_was_planted(clarify: Clarify) -> None:
    found = clarify("suggest", DATA_SET, "waterbird", "--json").result
    first = found["suggestions"][:3]
    said = {phrase for each in first for phrase in (each["phrase"], *each["also"], *each["opposite"])}
    assert said & WATER
    assert first[0]["wrong_is_above"]  # what the wrong images have, not what they lack
    assert first[0]["confirmed"]
    assert first[0]["held_out"] > 0.1  # less the luck of so many phrases
    assert found["by"] == "machine"
    assert found["searched"] + found["left_out"] == len(vocabulary())


def test_no_suggestion_has_a_word_that_the_encoder_was_never_taught(clarify: Clarify) -> None:
    found = clarify("suggest", DATA_SET, "waterbird", "--json").result
    for each in found["suggestions"]:
        for phrase in (each["phrase"], *each["also"], *each["opposite"]):
            assert unknown_words(phrase) == ()


def test_a_suggestion_that_is_tried_has_the_score_that_was_told(clarify: Clarify) -> None:
    told = clarify("suggest", DATA_SET, "waterbird", "--json", "--most", "1").result
    (first,) = told["suggestions"]
    tried = clarify("score", DATA_SET, "waterbird", first["phrase"], "--json").result
    # An encoder rounds a phrase alone a little otherwise than one among many.
    assert tried["error_score"] == pytest.approx(first["error_score"], abs=0.02)
    assert tried["threshold"] == pytest.approx(first["threshold"], abs=1e-6)
    assert tried["evidence"]["held_out"] == pytest.approx(first["held_out"], abs=0.02)


def test_people_read_that_it_is_the_machines_and_what_it_is_worth(clarify: Clarify) -> None:
    done = clarify("suggest", DATA_SET, "waterbird", "--most", "3")
    lines = done.out.splitlines()
    assert lines[0].startswith("Suggested by the machine for waterbird: ")
    assert re.search(r"^phrase +gain +worse half +errors +held-out +p corrected$", done.out, flags=re.M)
    assert re.search(r"images that had no part in it, the search's best score is worth 0\.\d\d", done.out)
    assert lines[-1].startswith("No suggestion is kept.")
    assert "of 3,929" not in done.out
    few = clarify("suggest", DATA_SET, "landbird").out
    assert "only 3 wrong images: these scores may be luck" in few


def test_a_list_of_ones_own_is_searched_instead(clarify: Clarify, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("at night\nlake\nwaterbird\nzeppelin\n")
    found = clarify("suggest", DATA_SET, "waterbird", "--vocabulary", str(mine), "--json").result
    assert found["searched"] == 3
    assert found["left_out"] == 1
    assert {each["phrase"] for each in found["suggestions"]} <= {"at night", "lake", "waterbird"}


def test_suggesting_logs_no_run_but_counts_as_tries(clarify: Clarify, home: Path) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.describe.tries import phrases_searched
    from clarify.workflow.model.models import open_model

    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    model = open_model(project)
    runs = len(project.tracking.runs(DATA_SET, DescriptionRun))
    assert phrases_searched(project, model, "waterbird") == 0
    found = clarify("suggest", DATA_SET, "waterbird", "--json").result
    clarify("suggest", DATA_SET, "waterbird")  # the same phrases again are no more tries
    assert phrases_searched(project, model, "waterbird") == found["tries"]
    assert 1 < found["tries"] < found["searched"]
    assert phrases_searched(project, model, "landbird") == 0
    mine = home / "mine.txt"
    mine.write_text("at night\nlake\n")
    clarify("suggest", DATA_SET, "waterbird", "--vocabulary", str(mine))
    assert phrases_searched(project, model, "waterbird") == found["tries"] + 2
    assert len(project.tracking.runs(DATA_SET, DescriptionRun)) == runs


def test_what_is_suggested_counts_what_people_tried_and_a_smaller_search_takes_no_tries_back(
    home: Path,
) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.describe.suggest import suggest
    from clarify.workflow.describe.tries import note_searched, phrases_searched
    from clarify.workflow.model.models import open_model
    from clarify.workflow.model.project import split_data

    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    model = open_model(project)
    found = suggest(project, model, split_data(project, "validation"), "waterbird").found
    assert {each.evidence.n_tried for each in found.items} == {found.tries + 1}  # forest, which Ada kept
    searched = phrases_searched(project, model, "waterbird")
    for tries in (7, 3):
        note_searched(project, model, "waterbird", ("lake", "sea"), tries=tries)
    assert phrases_searched(project, model, "waterbird") == searched + 7


@pytest.mark.slow
def test_phrases_are_embedded_once_and_a_damaged_cache_is_made_again(clarify: Clarify, home: Path) -> None:
    clarify("suggest", DATA_SET, "waterbird")
    (cache,) = (home / "features" / "phrases").glob("*.npz")
    written, content = cache.stat().st_mtime_ns, cache.read_bytes()
    answer = clarify("suggest", DATA_SET, "waterbird", "--json").result
    assert cache.stat().st_mtime_ns == written
    for damage in (b"", content[: len(content) // 2], b"not an archive"):
        cache.write_bytes(damage)
        assert clarify("suggest", DATA_SET, "waterbird", "--json").result == answer
        assert len(np.load(cache, allow_pickle=False)["phrases"]) >= answer["searched"]


def test_only_new_phrases_are_embedded(clarify: Clarify, home: Path, tmp_path: Path) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.describe.phrase_cache import phrase_embeddings

    shutil.rmtree(home / "features" / "phrases", ignore_errors=True)
    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    told: list[tuple[int, int]] = []
    first = phrase_embeddings(home, project.encoder, ["lake", "forest"])
    both = phrase_embeddings(
        home,
        project.encoder,
        ["forest", "at night", "lake"],
        progress=lambda progress: told.append((progress.done, progress.total)),
    )
    assert told == [(2, 3), (3, 3)]
    assert np.array_equal(both[[2, 0]], first)
    assert np.allclose(both, project.encoder.encode_phrases(["forest", "at night", "lake"]))


def test_promise_orders_the_classes(clarify: Clarify) -> None:
    classes = clarify("promise", DATA_SET, "--json").result["classes"]
    assert [each["class"] for each in classes] == ["waterbird", "landbird"]
    assert classes[0]["promise"] > classes[1]["promise"]
    text = clarify("promise", DATA_SET).out
    assert text.splitlines()[0].split() == ["class", "promise", "wrong", "images", "held-out", "room"]


def test_the_bank_of_an_imported_encoder_is_its_vocabulary(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.model.project import open_features

    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    table, features = project.manifest.table, open_features(project, project.encoder)
    images, bank = tmp_path / "images.npz", tmp_path / "bank.npz"
    np.savez(images, image_features=np.asarray(features.array), ids=np.array(table["id"].to_list()))
    phrases = ["lake", "forest", "night", "two ORs OR more"]
    texts = project.encoder.encode_phrases(["lake", "forest", "night", "two"])
    np.savez(bank, text_features=texts, phrases=np.array(phrases))
    done = clarify("features", "import", DATA_SET, str(images), "--bank", str(bank), "--label", "mine")
    assert done.status == 0, done.err
    encoder = ("--encoder", "imported:mine")
    assert clarify("train", DATA_SET, *encoder).status == 0
    found = clarify("suggest", DATA_SET, "waterbird", *encoder, "--json").result
    assert found["searched"] == 3
    assert found["left_out"] == 1  # nobody could score it as it stands
    assert {each["phrase"] for each in found["suggestions"]} <= {"lake", "forest", "night"}
    assert "bank of imported:mine" in found["vocabulary"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_told_in_one_line(clarify: Clarify, home: Path) -> None:
    (home / "features").chmod(0o555)
    try:
        assert "cannot write in" in clarify("suggest", DATA_SET, "waterbird").refusal
    finally:
        (home / "features").chmod(0o755)


def test_notes_of_searches_are_plain_json_for_each_model(clarify: Clarify, home: Path) -> None:
    found = clarify("suggest", DATA_SET, "waterbird", "--json").result
    (note,) = (home / "mlruns" / "searched").glob("*.json")
    assert note.stem == found["model"]
    noted = json.loads(note.read_text())
    assert list(noted["searched"]["waterbird"].values()) == [found["tries"]]
