"""Names and phrases with what nobody sees in them, and prefixes that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import DATA_SET
from tests.malformed.case import Case

UNSEEN = {
    "a Hangul filler": "\u3164",
    "a Hangul choseong filler": "\u115f",
    "a half-width filler": "\uffa0",
    "an empty Braille cell": "\u2800",
    "a variation selector": "\ufe0f",
    "a zero-width blank": "\u200b",
    "a soft hyphen": "\u00ad",
    "text that runs backwards": "\u202e",
    "a tag": "\U000e0041",
    "a line break": "\n",
}
PREFIXES = {
    "leads up": "../team",
    "an address": "https://example.org/team",
    "blanks": "a team",
    "an empty part": "a//team",
}


def gives(*arguments: str) -> Callable[[Path, Path], list[str]]:
    return lambda home, outside: list(arguments)


CASES = [
    *(
        Case(
            name=f"a phrase with {name}",
            make=gives("score", DATA_SET, "waterbird", f"lake{sign}s"),
            expected=r"phrase .*character 5 is .* on one line",
            changes=True,  # the store is opened before the phrase is looked at
        )
        for name, sign in UNSEEN.items()
    ),
    *(
        Case(
            name=f"a reviewer with {name}",
            make=gives("describe", DATA_SET, "waterbird", "lake", "--reviewer", f"Ada{sign}Bo"),
            expected="reviewer is .*legal is a printable name",
        )
        for name, sign in UNSEEN.items()
    ),
    *(
        Case(
            name=f"a prefix that is {name}",
            make=gives("serve", "--base-path", prefix),
            expected="--base-path .*legal is what a proxy puts before addresses",
        )
        for name, prefix in PREFIXES.items()
    ),
]
