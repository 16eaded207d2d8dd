"""`clarify --help`: every command once, in the order of the loop, under a heading."""

from __future__ import annotations

import re

from tests.conftest import run_clarify

HEADINGS = {
    "the loop": "demo embed train diagnose promise suggest discover score describe retrain compare gate "
    "promote",
    "data": "data bridge encoder features predictions import export collect",
    "models and registry": "predict card history rollback",
    "team": "serve",
    "look after": "doctor relocate benchmark",
}


def told() -> dict[str, list[str]]:
    """Return the names under each heading of the help, but for argparse's own two."""
    sections = re.split(r"^(\w[\w ]+):\n", run_clarify("--help").out, flags=re.M)[1:]
    found = {
        heading: re.findall(r"^  (\w+) ", text, flags=re.M)
        for heading, text in zip(sections[::2], sections[1::2], strict=True)
    }
    return {heading: names for heading, names in found.items() if heading in HEADINGS}


def test_commands_are_told_in_the_order_of_the_loop_under_headings() -> None:
    expected = {heading: names.split() for heading, names in HEADINGS.items()}
    assert list(told().items()) == list(expected.items())


def test_every_command_but_the_dashboards_own_is_told_once() -> None:
    refused = run_clarify("no-such-command")
    assert refused.status == 2
    every = re.findall(r"\w+", refused.err.partition("choose from")[2])
    names = [name for under in told().values() for name in under]
    assert sorted([*names, "job"]) == sorted(every)


def test_the_dashboards_own_command_is_there_though_it_is_not_told() -> None:
    assert "job" not in run_clarify("--help").out
    assert "by itself" in " ".join(run_clarify("job", "--help").out.split())


def test_a_commands_own_commands_are_told_by_its_help() -> None:
    text = run_clarify("data", "--help").out
    for name in ("import", "draw", "check", "thumbnails", "correlate", "where"):
        assert len(re.findall(rf"^    {name}\b", text, flags=re.M)) == 1
