"""Captions: true of their own scene, and exactly known to be true or false of every other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.demo.captions import (
    ATTRIBUTES,
    EVALUATION_TEMPLATE,
    EVERYTHING,
    TEMPLATES,
    Captioner,
    code_of,
    mask_of,
    truth,
)
from clarify.demo.scenes import sample_scene
from clarify.demo.shapes import seeded
from clarify.demo.train_clip import rare_first
from clarify.demo.vocabulary import VALUES, WORDS, facts_of, taught_words


def _scenes(n: int, name: str):
    rng = seeded(name)
    return [sample_scene(rng) for _ in range(n)]


def test_a_caption_is_true_of_its_own_scene() -> None:
    captioner = Captioner(0)
    for scene in _scenes(500, "own"):
        code = code_of(scene)
        _, claims = captioner.caption(code)
        assert truth(np.array([claims]), code[None]).all()


def test_captions_use_taught_words_only() -> None:
    captioner, used = Captioner(1), set()
    for scene in _scenes(3000, "words used"):
        text, _ = captioner.caption(code_of(scene))
        used |= set(text.split())
    assert used <= taught_words()


def test_captions_never_use_the_evaluation_template() -> None:
    assert EVALUATION_TEMPLATE not in TEMPLATES
    head = EVALUATION_TEMPLATE.replace("{}", "")
    captioner = Captioner(2)
    texts = [captioner.caption(code_of(scene))[0] for scene in _scenes(3000, "template")]
    assert not [text for text in texts if head in text]


def test_every_word_turns_up_in_captions() -> None:
    captioner, used = Captioner(3), set()
    codes = [code_of(scene) for scene in _scenes(4000, "coverage")]
    for _ in range(8):
        for code in codes:
            used |= set(captioner.caption(code)[0].split())
    missing = set(WORDS) - used
    assert len(missing) <= 0.01 * len(WORDS), sorted(missing)


def test_the_same_seed_writes_the_same_captions() -> None:
    codes = [code_of(scene) for scene in _scenes(50, "seed")]
    first, second = Captioner(7), Captioner(7)
    assert [first.caption(c) for c in codes] == [second.caption(c) for c in codes]


@settings(max_examples=60)
@given(word=st.sampled_from(sorted(WORDS)), seed=st.integers(0, 10_000))
def test_masks_say_the_same_as_the_words_predicate(word: str, seed: int) -> None:
    scene = sample_scene(seeded("mask", seed))
    claim = WORDS[word]
    claims = [EVERYTHING] * len(ATTRIBUTES)
    claims[ATTRIBUTES.index(claim.attribute)] = mask_of(claim.attribute, claim.values)
    found = truth(np.array([claims]), code_of(scene)[None])[0, 0]
    assert found == claim.holds(facts_of(scene))


def test_codes_are_the_places_of_the_values() -> None:
    scene = _scenes(1, "codes")[0]
    code = code_of(scene)
    decoded = {a: VALUES[a][code[k]] for k, a in enumerate(ATTRIBUTES)}
    assert decoded == facts_of(scene)


def test_rare_captions_weigh_more_and_every_picture_sums_to_one() -> None:
    # caption 0 holds of both pictures, caption 1 of the first alone: 1/2 against 1
    weights = rare_first(np.array([[True, True], [True, False]]))
    np.testing.assert_allclose(weights, [[1 / 3, 1.0], [2 / 3, 0.0]])
