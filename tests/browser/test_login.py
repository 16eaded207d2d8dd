"""Who is there by a login: a real provider on this machine, a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from clarify.track.mlflow import TrackingStore
from clarify.track.runs import DescriptionRun
from tests.browser.conftest import free_port, serving
from tests.browser.oidc import CLIENT, SECRET, providing
from tests.conftest import DATA_SET, run_clarify

pytestmark = pytest.mark.slow


ADA = {"email": "ada@birds.org", "email_verified": True}
GRACE = {"email": "grace@birds.org", "email_verified": True}


def test_a_login_is_asked_for_names_the_records_and_decides_who_leads(
    chromium: Any, home: Path, tmp_path: Path
) -> None:
    pytest.importorskip("authlib", reason="Authlib is not installed")
    assert run_clarify("retrain", DATA_SET, "--objective", "reweight", home=home).status == 0
    port, folder = free_port(), tmp_path / "there"
    (folder / ".streamlit").mkdir(parents=True)
    with providing() as provider:
        (folder / ".streamlit" / "secrets.toml").write_text(
            f'[auth]\nredirect_uri = "http://localhost:{port}/oauth2callback"\n'
            f'cookie_secret = "{"x" * 40}"\nclient_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
            f'server_metadata_url = "{provider.address}/.well-known/openid-configuration"\n'
        )
        with serving(
            home, tmp_path / "login.log", port=port, folder=folder, CLARIFY_LEADS="grace@birds.org"
        ) as address:
            for claims, who, leads in (
                ({"sub": "1", "name": "grace@birds.org", **ADA}, "ada@birds.org", False),
                (
                    {"sub": "grace@birds.org", **GRACE, "email_verified": "False"},
                    "sub:grace@birds.org",
                    False,
                ),
                ({"sub": "2", "name": "Grace", **GRACE}, "grace@birds.org", True),
            ):
                provider.claims = claims
                context = chromium.new_context()
                page = context.new_page()
                page.set_default_timeout(60_000)
                page.goto(f"{address}/describe?class=waterbird")
                page.get_by_role("button", name="Log in").wait_for()
                assert page.get_by_text("validation images").count() == 0
                assert page.get_by_placeholder("Ada Lovelace").count() == 0
                page.get_by_role("button", name="Log in").click()
                page.get_by_text(f"reviewer · {who}").wait_for()
                page.goto(f"{address}/registry")
                page.get_by_text("Promote a model").wait_for()
                page.get_by_role("combobox", name="Model").click()
                page.get_by_role("option").first.click()
                page.wait_for_timeout(4000)
                offered = page.get_by_role("button", name=re.compile("^(Promote|Overrule)"))
                assert bool(offered.count()) is leads
                page.goto(f"{address}/describe?class=waterbird")
                page.get_by_placeholder("a word or a few").fill("meadow")
                page.keyboard.press("Enter")
                page.get_by_text("with meadow", exact=True).wait_for()
                page.get_by_role("button", name=re.compile("Keep it")).click()
                page.get_by_text("Kept.", exact=True).wait_for()
                context.close()
        assert provider.logins == 3
    kept = [
        run.by
        for run in TrackingStore(home).runs(DATA_SET, DescriptionRun)
        if run.phrase == "meadow" and run.kept
    ]
    assert sorted(kept) == ["ada@birds.org", "grace@birds.org", "sub:grace@birds.org"]
