from __future__ import annotations

import numpy as np
import pytest

from clarify.discover.halves import BestCut, ImagesOfClass, halvings, scores_in_parts
from clarify.discover.suggest import SAME_SPLIT, suggest
from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.evidence import CONFIRMED_P
from clarify.method.phrases.similarity import similarities
from tests.discover.planted import FAMILY, names, noise_class, phrase_embeddings, planted_class, unit

PHRASES = phrase_embeddings(600)
TRUE = 120  # the first of its family


def test_a_planted_failure_is_suggested_first_and_confirmed() -> None:
    for seed in range(5):
        found = suggest(names(600), PHRASES, planted_class(PHRASES[TRUE], seed=seed))
        first = found.items[0]
        family = {f"word{number}" for number in range(TRUE, TRUE + FAMILY)}
        assert first.phrase in family
        assert first.evidence.confirmed
        assert first.score.wrong_is_above
        assert first.evidence.held_out is not None
        assert first.evidence.held_out > 0.4
        assert found.held_out is not None
        assert found.held_out > 0.4
        assert [each.score.value for each in found.items] == sorted(
            (each.score.value for each in found.items), reverse=True
        )


def test_the_suggestions_are_those_of_brute_force() -> None:
    images = planted_class(PHRASES[TRUE])
    alone = {}
    for name, phrase in zip(names(600), PHRASES, strict=True):
        cosine = similarities(images.embeddings, phrase)
        alone[name] = error_score(cosine[images.right], cosine[~images.right])
    found = suggest(names(600), PHRASES, images)
    told = [phrase for each in found.items for phrase in (each.phrase, *each.also, *each.opposite)]
    best = sorted(alone, key=lambda name: -alone[name].value)[:8]
    assert set(best) <= set(told)
    for each in found.items:
        assert each.score == alone[each.phrase]
        assert each.evidence.p_corrected == min(1.0, alone[each.phrase].p_value * found.tries)
    assert found.searched == 600


def test_phrases_that_split_the_class_alike_are_told_as_one() -> None:
    images = planted_class(PHRASES[TRUE])
    phrases = np.concatenate((PHRASES, -PHRASES[TRUE : TRUE + 1], PHRASES[TRUE : TRUE + 1]))
    found = suggest([*names(600), "opposite", "twin"], phrases, images)
    (group,) = [each for each in found.items if "twin" in (each.phrase, *each.also)]
    assert f"word{TRUE}" in (group.phrase, *group.also)
    assert "opposite" in group.opposite
    told = [phrase for each in found.items for phrase in (each.phrase, *each.also, *each.opposite)]
    assert len(told) == len(set(told))
    best = {number: cut(images, phrases[number]) for number in range(len(phrases))}
    all_names = [*names(600), "opposite", "twin"]
    for each in found.items:  # the leader of a group has the best score of it
        of_group = [all_names.index(name) for name in (each.phrase, *each.also, *each.opposite)]
        leader = max(of_group, key=lambda number: best[number].score.value)
        side = best[leader].side
        assert all((side & best[n].side).sum() >= SAME_SPLIT * (side | best[n].side).sum() for n in of_group)


def test_a_group_is_shown_by_what_wrong_images_have_in_the_fewest_words() -> None:
    images = planted_class(PHRASES[TRUE])
    twins = np.concatenate((-PHRASES[TRUE : TRUE + 1], *[PHRASES[TRUE : TRUE + 1]] * 2))
    found = suggest(["no such place", "a very wet place", "water"], twins, images)
    (group,) = found.items
    assert group.phrase == "water"
    assert group.said == "water"
    assert group.also == ("a very wet place",)
    assert group.opposite == ("no such place",)
    (alone,) = suggest(["no such place"], twins[:1], images).items
    assert alone.said == "NOT no such place"


def cut(images: ImagesOfClass, phrase: np.ndarray) -> BestCut:
    similarity = images.similarities(phrase[None])[0]
    return BestCut.best(similarity, images.right, np.ones_like(images.right))


@pytest.mark.slow
def test_noise_is_not_confirmed_however_many_phrases_are_searched() -> None:
    rng = np.random.default_rng(0)
    confirmed, worth, first, small = 0, [], [], 0
    for seed in range(200):
        images = noise_class(int(rng.integers(40, 200)), rng.uniform(0.5, 0.95), seed)
        found = suggest(names(150), PHRASES[:150], images, most=4, seed=seed)
        confirmed += any(each.evidence.confirmed for each in found.items)
        small += found.items[0].evidence.p_corrected <= 0.05
        worth.append(found.held_out)
        first.append(found.items[0].evidence.held_out)
    # Nominally 5 % of 200 are confirmed, or have so small a p: three deviations more.
    assert confirmed <= 200 * CONFIRMED_P + 3 * np.sqrt(200 * CONFIRMED_P)
    assert small <= 10 + 3 * np.sqrt(10)
    assert abs(np.mean(worth)) < 0.03
    assert np.mean(first) < 0.03


def test_many_phrases_that_say_the_same_do_not_crowd_out_the_others() -> None:
    images = planted_class(PHRASES[TRUE])
    rng = np.random.default_rng(0)
    twins = unit(PHRASES[TRUE] + 0.01 * rng.normal(size=(200, PHRASES.shape[1])))
    told = suggest(names(800), np.concatenate((twins, PHRASES)), images, most=5).items
    assert len(told) == 5
    assert len(told[0].also) >= 200


def test_the_same_seed_suggests_the_same_and_the_order_of_images_hardly_matters() -> None:
    images = planted_class(PHRASES[TRUE])
    assert suggest(names(600), PHRASES, images) == suggest(names(600), PHRASES, images)
    turned = ImagesOfClass(embeddings=images.embeddings[::-1], right=images.right[::-1])
    there, back = suggest(names(600), PHRASES, images), suggest(names(600), PHRASES, turned)
    assert [each.phrase for each in there.items[:3]] == [each.phrase for each in back.items[:3]]
    assert [each.score.value for each in there.items] == [each.score.value for each in back.items]


def test_halves_share_the_right_and_the_wrong_images_and_nothing_else() -> None:
    right = np.arange(21) % 3 > 0
    for half in halvings(right, count=4, seed=1):
        assert np.array_equal(half.chosen_on, ~half.checked_on)
        assert abs(int((half.chosen_on & right).sum()) - int((half.checked_on & right).sum())) <= 1
        wrongs = half.chosen_on & ~right, half.checked_on & ~right
        assert {int(each.sum()) for each in wrongs} == {3, 4}


def test_scores_in_halves_do_not_depend_on_how_the_phrases_are_divided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = planted_class(PHRASES[TRUE], count=60)
    parts = np.stack([half.chosen_on for half in halvings(images.right, count=2, seed=0)])
    whole = scores_in_parts(images, PHRASES, parts)
    monkeypatch.setattr("clarify.discover.halves.SIMILARITIES_AT_ONCE", 60 * 101)
    assert np.allclose(scores_in_parts(images, PHRASES, parts), whole, atol=0.05)
    for scores, part in zip(whole, parts, strict=True):
        row = images.similarities(PHRASES[7:8])[0]
        expected = error_score(row[part & images.right], row[part & ~images.right]).value
        assert scores[7] == pytest.approx(expected, abs=0.05)


def test_a_class_with_one_wrong_image_has_suggestions_but_none_is_confirmed() -> None:
    embeddings = unit(np.random.default_rng(0).normal(size=(40, PHRASES.shape[1])))
    images = ImagesOfClass(embeddings=embeddings, right=np.arange(40) > 0)
    found = suggest(names(600), PHRASES, images)
    assert found.held_out is None
    assert found.items
    assert all(each.evidence.held_out is None and not each.evidence.confirmed for each in found.items)


def test_what_cannot_be_searched_is_refused() -> None:
    images = planted_class(PHRASES[TRUE], count=40)
    everything_right = ImagesOfClass(embeddings=images.embeddings, right=np.ones(40, dtype=np.bool_))
    with pytest.raises(NoScoreError, match="none wrong"):
        suggest(names(600), PHRASES, everything_right)
    with pytest.raises(InputError, match="600 phrases with 599 embeddings"):
        suggest(names(600), PHRASES[1:], images)
    with pytest.raises(InputError, match="0 phrases"):
        suggest([], PHRASES[:0], images)
    with pytest.raises(InputError, match="101 were asked for; 1 to 100"):
        suggest(names(600), PHRASES, images, most=101)
    with pytest.raises(FeatureError, match="embed both with one encoder"):
        suggest(names(600), PHRASES[:, 1:], images)
    broken = PHRASES.copy()
    broken[3, 0] = np.nan
    with pytest.raises(FeatureError, match="NaN or infinite"):
        suggest(names(600), broken, images)
