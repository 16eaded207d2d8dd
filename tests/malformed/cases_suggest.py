"""Vocabularies, and searches, that are not legal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import DATA_SET
from tests.malformed.case import Case


def listed(content: bytes, command: str = "suggest") -> Callable[[Path, Path], Sequence[str]]:
    """Give a list of one's own that has this content."""

    def make(home: Path, outside: Path) -> Sequence[str]:
        path = outside / "mine.txt"
        path.write_bytes(content)
        class_name = ["waterbird"] if command == "suggest" else []
        return [command, DATA_SET, *class_name, "--vocabulary", str(path)]

    return make


def asked(*arguments: str) -> Callable[[Path, Path], Sequence[str]]:
    return lambda home, outside: ["suggest", DATA_SET, *arguments]


def with_damaged_notes(content: str) -> Callable[[Path, Path], Sequence[str]]:
    """Damage what tells how many phrases were searched before."""

    def make(home: Path, outside: Path) -> Sequence[str]:
        from tests.conftest import run_clarify

        assert run_clarify("suggest", DATA_SET, "waterbird", home=home).status == 0
        (note,) = (home / "mlruns" / "searched").glob("*.json")
        note.write_text(content)
        return ["suggest", DATA_SET, "waterbird"]

    return make


_CASES = [
    Case(
        name="a vocabulary that is not there",
        make=lambda home, outside: [
            "suggest",
            DATA_SET,
            "waterbird",
            "--vocabulary",
            str(outside / "none.txt"),
        ],
        expected=r"vocabulary .*none\.txt: there is no such file",
    ),
    Case(
        name="a folder as a vocabulary",
        make=lambda home, outside: ["suggest", DATA_SET, "waterbird", "--vocabulary", str(outside)],
        expected="there is no such file",
    ),
    Case(name="an empty vocabulary", make=listed(b""), expected="has 0 phrases; 1 to 50,000"),
    Case(name="a vocabulary of empty lines", make=listed(b"\n\n  \n"), expected="has 0 phrases"),
    Case(
        name="a vocabulary in Latin-1",
        make=listed("water\ncafé\n".encode("latin-1")),
        expected="byte 9 is not UTF-8; save it as UTF-8",
    ),
    Case(
        name="a joined phrase in a vocabulary",
        make=listed(b"water\n\nfog AND night\n"),
        expected=r"line 3: 'fog AND night' is joined by AND, OR or NOT",
    ),
    Case(
        name="a half-open parenthesis in a vocabulary",
        make=listed(b"water\n(fog\n"),
        expected=r"line 2: '\(fog': a closing parenthesis is missing",
    ),
    Case(
        name="a line of digits in a vocabulary",
        make=listed(b"water\n2024\n"),
        expected="line 2: '2024': '2024' has no letters",
    ),
    Case(
        name="a very long line in a vocabulary",
        make=listed(b"water\n" + b"very " * 60 + b"wet\n"),
        expected="line 2: .* characters; at most 200",
    ),
    Case(
        name="another script in a vocabulary",
        make=listed("water\nвода\n".encode()),
        expected="line 2: .*is not a Latin letter",
    ),
    Case(
        name="a control character in a vocabulary",
        make=listed(b"wa\x00ter\n"),
        expected=r"line 1: .*control character U\+0000",
    ),
    Case(
        name="too many phrases in a vocabulary",
        make=listed("\n".join(f"word {number}" for number in range(50_001)).encode()),
        expected="has 50,001 phrases; 1 to 50,000",
    ),
    Case(
        name="a vocabulary of words that the encoder was never taught",
        make=listed(b"zeppelin\nquasar\n"),
        expected="knows none of its 2 phrases",
    ),
    Case(
        name="the same for a promise",
        make=listed(b"zeppelin\nquasar\n", command="promise"),
        expected="knows none of its 2 phrases",
    ),
    Case(
        name="suggestions for a class that there is not", make=asked("seabird"), expected="seabird.*nearest: "
    ),
    Case(name="no suggestions", make=asked("waterbird", "--most", "0"), expected="0 were asked for"),
    Case(
        name="too many suggestions",
        make=asked("waterbird", "--most", "1000"),
        expected="1000 were asked for; 1 to 100 are legal",
    ),
    Case(
        name="suggestions for a model that there is not",
        make=asked("waterbird", "--model", "ffff"),
        expected="no base run 'ffff'",
    ),
    Case(
        name="notes of searches that are no JSON",
        make=with_damaged_notes('{"schema_version": 1, "sear'),
        expected="tells how many phrases were searched, so bring it back",
    ),
    Case(
        name="notes of searches of another version",
        make=with_damaged_notes(json.dumps({"schema_version": 9, "searched": {}})),
        expected="schema_version 9",
    ),
    Case(
        name="notes of searches without their counts",
        make=with_damaged_notes(json.dumps({"schema_version": 1, "searched": {"waterbird": 3}})),
        expected="cannot be read",
    ),
]

# The model is found before a list is read, so the tracking store was opened.
CASES = [dataclasses.replace(case, changes=True) for case in _CASES]
