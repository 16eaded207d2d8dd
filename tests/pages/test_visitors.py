"""Who somebody is by their login, and what they may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarify.errors import RefusedError
from clarify.ui.server.shared import shared
from clarify.ui.server.visitors import logged_in_as, visitor
from tests.conftest import DATA_SET, run_clarify
from tests.pages.conftest import Visit, html_of

ADA, ISSUER = "ada@example.org", "https://login.example.org"


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"name": "Grace", "email": ADA, "email_verified": True, "sub": "17"}, ADA),
        ({"email": ADA, "email_verified": "true", "sub": "17"}, ADA),
        ({"email": ADA, "iss": ISSUER, "sub": "17"}, ADA),
        *(
            ({"name": "Grace", "email": "grace@example.org", "email_verified": said, "sub": "17"}, "sub:17")
            for said in (False, "false", "False", None, "", "0", "no", 0, 1, 2, [], "yes")
        ),
        ({"email": "grace@example.org", "sub": "17"}, "sub:17"),
        ({"email": "grace@example.org", "iss": ISSUER + ".evil.org", "sub": "17"}, "sub:17"),
        ({"name": "Grace", "email": "Grace", "email_verified": True, "sub": "17"}, "sub:17"),
        ({"sub": "Grace"}, "sub:Grace"),
        ({"sub": "grace@example.org"}, "sub:grace@example.org"),
    ],
)
def test_nobody_is_who_they_merely_say_they_are(claims: dict[str, object], who: str) -> None:
    assert logged_in_as(claims, ISSUER) == who
    assert not visitor(who, ["Grace", "grace@example.org"]).lead


def test_a_lead_may_be_named_by_the_providers_identifier() -> None:
    assert visitor(logged_in_as({"sub": "17"}), ["sub:17"]).lead


def test_a_login_that_says_nothing_is_refused() -> None:
    for claims in ({"name": "Grace"}, {"email": ADA}, {"sub": " "}, {"sub": None, "email": ADA}):
        with pytest.raises(RefusedError, match="email_verified, or sub"):
            logged_in_as(claims)


def test_without_leads_everybody_is_one() -> None:
    assert visitor("Ada", []).lead
    assert visitor("Ada", ["Ada"]).lead
    assert not visitor("Ada", ["Grace"]).lead


def test_the_sidebar_says_who_is_here_and_what_changed_since_somebody_was(visit: Visit, home: Path) -> None:
    assert "here now" not in html_of(visit("classes", reviewer="Ada"))
    done = run_clarify("describe", DATA_SET, "waterbird", "lake", "--reviewer", "Lin", home=home)
    assert done.status == 0, done.err
    grace = html_of(visit("retrain", reviewer="Grace"))
    assert "here now: Ada" in grace
    assert "since you were here" not in grace  # she never was
    shared().desks.desk(DATA_SET).look_again()  # others' work is seen in seconds
    assert "since you were here: 1 phrase<" in html_of(visit("retrain", reviewer="Ada"))
