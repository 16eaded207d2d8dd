from __future__ import annotations

from pathlib import Path

import pytest

from clarify.config import read_settings
from clarify.errors import InputError


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    assert read_settings({}, {}, tmp_path).encoder == ""
    (tmp_path / "clarify.toml").write_text('encoder = "open_clip:RN50:openai"\nworkers = 3\n')
    of_file = read_settings({}, {}, tmp_path)
    assert (of_file.encoder, of_file.usual_encoder) == ("", "open_clip:RN50:openai")
    environment = {"CLARIFY_ENCODER": "open_clip:RN101:openai"}
    assert read_settings({}, environment, tmp_path).encoder == "open_clip:RN101:openai"
    found = read_settings({"encoder": "small-clip"}, environment, tmp_path)
    assert found.encoder == "small-clip"
    assert found.workers == 3


def test_the_home_is_the_current_folder_unless_said_otherwise(tmp_path: Path) -> None:
    assert read_settings({}, {}, tmp_path).home == tmp_path.resolve()
    assert read_settings({"home": "x"}, {}, tmp_path).home == tmp_path.resolve() / "x"


def test_the_file_in_the_home_is_read_wherever_the_home_is_named(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    (home / "clarify.toml").write_text("workers = 5\nleads = 'ada'\nhome = '/elsewhere'\n")
    for flags, environ in (({"home": str(home)}, {}), ({}, {"CLARIFY_HOME": "../home"})):
        found = read_settings(flags, environ, here)
        assert (found.home, found.workers, found.leads) == (home.resolve(), 5, ("ada",))
    (here / "clarify.toml").write_text("home = '../home'\nworkers = 3\n")
    found = read_settings({}, {}, here)
    assert (found.home, found.workers, found.leads) == (home.resolve(), 3, ("ada",))
    (home / "clarify.toml").write_text("encodr = 'x'\n")
    with pytest.raises(InputError, match=r"home/clarify.toml: unknown setting 'encodr'"):
        read_settings({}, {}, here)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("encodr = 'x'", "nearest: encoder"),
        ("workers = 'many'", "whole number"),
        ("workers = 0", "1 or more"),
        ("workers = [1]", "legal is a text"),
        ("encoder = ", "not readable as TOML"),
    ],
)
def test_a_wrong_settings_file_is_refused_with_the_place(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "clarify.toml").write_text(text)
    with pytest.raises(InputError, match=expected):
        read_settings({}, {}, tmp_path)


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nearest: CLARIFY_WORKERS"):
        read_settings({}, {"CLARIFY_WORKER": "2"}, tmp_path)


def test_a_reviewer_needs_a_printable_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reviewer"):
        read_settings({"reviewer": "a\nb"}, {}, tmp_path)


def test_the_tracking_store_is_one_setting_under_the_name_that_mlflow_gave_it(tmp_path: Path) -> None:
    assert read_settings({}, {}, tmp_path).tracking_uri == ""
    (tmp_path / "clarify.toml").write_text('tracking_uri = "http://in-file:5000"\n')
    assert read_settings({}, {}, tmp_path).tracking_uri == "http://in-file:5000"
    environment = {"MLFLOW_TRACKING_URI": "postgresql://ada:secret@db/clarify"}
    found = read_settings({}, environment, tmp_path)
    assert found.tracking_uri == "postgresql://ada:secret@db/clarify"
    assert "secret" not in repr(found)
    with pytest.raises(InputError, match="nearest: MLFLOW_TRACKING_URI"):
        read_settings({}, {"CLARIFY_TRACKING_URI": "http://other:5000"}, tmp_path)


def test_other_variables_of_mlflow_are_left_alone(tmp_path: Path) -> None:
    assert read_settings({}, {"MLFLOW_TRACKING_TOKEN": "x"}, tmp_path).tracking_uri == ""
