"""Who somebody is by their login, and what they may do."""

from __future__ import annotations

import pytest

from clarify.errors import RefusedError
from clarify.ui.server.visitors import logged_in_as, visitor


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"name": "Grace", "email": "ada@example.org", "sub": "17"}, "ada@example.org"),
        ({"email": "ada@example.org", "email_verified": True, "sub": "17"}, "ada@example.org"),
        ({"name": "Grace", "email": "grace@example.org", "email_verified": False, "sub": "17"}, "17"),
        ({"email": "grace@example.org", "email_verified": "false", "sub": "17"}, "17"),
        ({"name": "Grace", "sub": "17"}, "17"),
    ],
)
def test_nobody_is_who_they_merely_say_they_are(claims: dict[str, object], who: str) -> None:
    assert logged_in_as(claims) == who
    assert not visitor(logged_in_as(claims), ["Grace", "grace@example.org"]).lead


def test_a_login_that_says_nothing_is_refused() -> None:
    with pytest.raises(RefusedError, match="claim email or sub"):
        logged_in_as({"name": "Grace"})


def test_without_leads_everybody_is_one() -> None:
    assert visitor("Ada", []).lead
    assert visitor("Ada", ["Ada"]).lead
    assert not visitor("Ada", ["Grace"]).lead
