"""Names that look like others, for they have something that nobody sees: refused wherever one is given."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from clarify.config import read_settings
from clarify.data.names import check_name, check_names
from clarify.data.predictions import read_predictions
from clarify.data.sources.folder import list_folder
from clarify.embed.feature_files import read_bank_file
from clarify.errors import InputError, ManifestError, PhraseError, is_name, nearest, shown
from clarify.method.phrases.grammar import parse_phrase
from clarify.track.carrying import RUN_KEYS, order_of
from clarify.ui.server.visitors import check_name as check_visitor
from tests.data.pictures import save_tree

UNSEEN = [
    "\u3164",
    "\u2800",
    "\u200b",
    "\u202e",
    "\u00ad",
    "\u115f",
    "\u1160",
    "\uffa0",
    "\u034f",
    "\u180b",
    "\u2060",
    "\ufeff",
    "\ufe0f",
    "\U000e0041",
    "\U000e0100",
]


@pytest.mark.parametrize("unseen", UNSEEN, ids=[f"U+{ord(each):04X}" for each in UNSEEN])
@pytest.mark.parametrize("name", ["{}", "Ada{}", "A{}da", "{}Ada"])
def test_nobody_and_nothing_has_a_name_with_something_unseen(tmp_path: Path, unseen: str, name: str) -> None:
    given = name.format(unseen)
    assert not is_name(given)
    with pytest.raises(InputError, match="reviewer is"):
        read_settings({"reviewer": given}, {}, tmp_path)
    with pytest.raises(InputError, match="the name is"):
        check_visitor(given)
    with pytest.raises(ManifestError, match="a name in classes is"):
        check_names("classes", (given, "dog"), least=2)
    with pytest.raises(ManifestError, match="name is"):
        check_name(given)
    with pytest.raises(PhraseError):
        parse_phrase(given)
    root = save_tree(tmp_path / "in", {given: 1, "dog": 1})
    with pytest.raises(ManifestError, match="a class is called"):
        list_folder(root)
    np.savez(tmp_path / "bank.npz", phrases=np.array([given]), text_features=np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="a name is"):
        read_bank_file(tmp_path / "bank.npz")
    run = dict.fromkeys(RUN_KEYS) | {"id": "a", "kind": "base", "params": {}, "metrics": {}, "started": 1}
    with pytest.raises(ValueError, match="its reviewer is"):
        order_of(run | {"tags": {"reviewer": given}})
    assert order_of(run | {"tags": {"reviewer": "Ada"}})[1] == 1


def test_names_in_any_script_are_names() -> None:
    for name in ("Ada", "José", "李四", "김철수", "Ольга", "عمر", "नेहा", "O'Neil-Smith 3"):
        assert is_name(name)
        assert is_name(unicodedata.normalize("NFD", name))


def test_a_message_shows_what_nobody_sees() -> None:
    assert shown("Ada\u3164\u200b\U000e0100") == r"'Ada\u3164\u200b\U000e0100'"


def test_one_person_is_one_reviewer_however_the_name_is_typed(tmp_path: Path) -> None:
    for typed in (" José  Lovelace ", unicodedata.normalize("NFD", "José Lovelace")):
        assert read_settings({"reviewer": typed}, {}, tmp_path).reviewer == "José Lovelace"
        assert check_visitor(typed) == "José Lovelace"
        assert read_settings({}, {"CLARIFY_LEADS": f"Bob,{typed}"}, tmp_path).leads[1] == "José Lovelace"


def test_classes_that_differ_in_their_unicode_form_only_are_one(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))
    with pytest.raises(ManifestError, match=r"twice; names must differ, in more than their Unicode form"):
        check_names("classes", (composed, apart), least=2)
    assert list_folder(save_tree(tmp_path / "in", {apart: 1, "dog": 1})).classes == ("Käfer", "dog")
    table = tmp_path / "p.csv"
    table.write_text(f"id,predicted,p_{apart},p_dog\na,{apart},1,0\n")
    found = read_predictions(table, (composed, "dog"))
    assert (found.predicted.tolist(), found.probabilities is not None) == ([0], True)
    told = nearest(apart, [composed, "dog"])
    assert told == f"nearest: {composed}, which differs in blanks or its Unicode form only"
