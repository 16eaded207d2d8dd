"""Addresses of tracking stores: which are legal, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import InputError
from clarify.track.address import read_address
from clarify.track.mlflow import TrackingStore

HOME = Path("/home/ada/birds")


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("", "sqlite"),
        ("  ", "sqlite"),
        ("sqlite:////data/mlflow.db", "sqlite"),
        ("postgresql://ada@db.example/clarify", "postgresql"),
        ("postgresql+psycopg2://ada:pw@db.example:5432/clarify", "postgresql"),
        ("postgresql:///clarify?host=/run/postgresql", "postgresql"),
        ("http://127.0.0.1:5000", "server"),
        ("https://mlflow.example/", "server"),
    ],
)
def test_a_legal_address_is_understood(uri: str, kind: str) -> None:
    assert read_address(uri, HOME).kind == kind


def test_without_an_address_the_store_is_in_the_home() -> None:
    assert read_address("", HOME).uri == f"sqlite:///{HOME}/mlruns/mlflow.db"
    found = read_address("sqlite:////data/mlflow.db", HOME)
    assert found.database == Path("/data/mlflow.db")


@pytest.mark.parametrize(
    "uri",
    [
        "./mlruns",
        "file:///data/mlruns",
        "sqlite:///relative.db",
        "sqlite://",
        "mysql://ada:secret@db/clarify",
        "postgresql://ada:secret@db",
        "http://",
        "http://host:port",
        "databricks",
    ],
)
def test_any_other_address_is_refused_with_the_legal_ones(uri: str) -> None:
    with pytest.raises(InputError, match="legal are postgresql://") as refused:
        TrackingStore(HOME, uri=uri)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ada:se/cr@et@db/clarify",
        "postgresql://ada:secret@db/clarify",
        "postgresql://db/clarify?user=ada&password=secret",
        "postgresql://db/clarify?user=ada&sslpassword=secret",
        "mysql://ada:se/cr@et@db/clarify",
        "http://ada:secret@host:5000/",
    ],
)
def test_a_password_is_not_shown_wherever_it_is_written(uri: str) -> None:
    try:
        shown = read_address(uri, HOME).shown
    except InputError as error:
        shown = str(error)
    assert "secret" not in shown
    assert "cr@et" not in shown
    assert "***" in shown
    assert "@db" in shown or "/clarify" in shown or "host:5000" in shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=20))
def test_what_others_say_about_a_store_is_shown_without_its_password(password: str) -> None:
    written = quote(password, safe="")
    address = read_address(f"postgresql://ada:{written}@db/clarify", HOME)
    said = f"could not connect to {address.uri}\n with {password} or {written}"
    hidden = address.hide(said)
    assert password not in hidden
    assert written not in hidden
    assert "\n" not in hidden
    assert "ada" in address.shown
