"""Bridges: what is learned, how good it is said to be, which words they tell, how they are kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

from clarify.embed.bridge import Bridge, BridgeEncoder, Terms, open_bridge, words_of, write_bridge
from clarify.embed.bridging import Captioned, bridge_from_captions, bridge_from_names
from clarify.embed.identity import EncoderIdentity
from clarify.errors import ClarifyError, FeatureError, InputError, NotFoundError

IDENTITY = EncoderIdentity(architecture="a", weights="0" * 64, preprocessing="p", template="")
NETWORK: dict[str, Any] = {"spec": "imported:x", "identity": IDENTITY.to_dict(), "width": 3, "unit": True}
TEXT = {"name": "letters", "spec": "", "sha256": "1" * 64}
PLACES = ("water", "forest", "street")


def by_words(texts: Sequence[str]) -> np.ndarray:
    """Embed a text by which of some words it has: a text model that is known by hand."""
    known = (*PLACES, "boat", "bird")
    rows = [[float(word in words_of(text)) for word in known] + [0.1] for text in texts]
    found = np.array(rows, np.float32).reshape(-1, len(known) + 1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def captioned(count: int = 300, seed: int = 0) -> Captioned:
    """Images whose features say where they are, and captions that say it in words."""
    draw = np.random.default_rng(seed)
    place = draw.integers(0, 3, count)
    features = np.eye(3, 6)[place] + 0.05 * draw.standard_normal((count, 6))
    texts = [f"a bird, {PLACES[each]}" for each in place] + [f"{PLACES[each]} behind it" for each in place]
    image = np.concatenate([np.arange(count)] * 2)
    return Captioned(features=features.astype(np.float32), texts=tuple(texts), image=image)


def learned(found: Captioned | None = None, **other: Any) -> Bridge:
    given = {"network": NETWORK, "text": TEXT, "captions": {"sha256": "2" * 64}, **other}
    return bridge_from_captions(found or captioned(), by_words, **given)


def terms(**auc: float) -> Terms:
    words = tuple(auc)
    return Terms(
        words=words,
        embeddings=np.eye(len(words), 4, dtype=np.float32),
        auc=np.array([*auc.values()], np.float32),
        counts=np.full(len(words), 10, np.int32),
    )


def test_class_names_make_the_matrix_that_is_worked_out_by_hand() -> None:
    names = {"a photo of sea, ocean": [1.0, 0.0], "a photo of palace": [0.0, 1.0]}
    classifier = np.array([[3.0, 0.0, 1.0], [1.0, 2.0, 1.0]], np.float32)
    bridge = bridge_from_names(
        classifier,
        ["sea, ocean", "palace"],
        lambda texts: np.array([names[text] for text in texts], np.float32),
        network=NETWORK,
        text=TEXT,
    )
    # Weights less their mean are +-(1, -1, 0), names less theirs +-(.5, -.5): each entry is twice .5.
    np.testing.assert_allclose(bridge.matrix, [[1, -1], [-1, 1], [0, 0]], atol=1e-6)
    # Features for which the sea's logit is larger lie where the word "sea" lies.
    np.testing.assert_allclose(
        bridge.of_features(np.array([[1.0, 0.0, 5.0]])), [[0.5**0.5, -(0.5**0.5)]], atol=1e-6
    )
    assert bridge.terms.words == ("sea ocean", "palace")
    assert bridge.quality is None


def test_captions_make_the_matrix_of_a_ridge_regression() -> None:
    found = captioned()
    bridge = learned(found)
    told = by_words(found.texts)
    scale = found.features.std(axis=0)
    scaled = (found.features - found.features.mean(axis=0)) / scale
    # Each caption is a row of its own.
    reference = sklearn.linear_model.Ridge(alpha=bridge.penalty, fit_intercept=False).fit(
        scaled[found.image], told - told.mean(axis=0)
    )
    np.testing.assert_allclose(bridge.matrix, reference.coef_.T / scale[:, None], atol=2e-4)
    np.testing.assert_allclose(bridge.centre, told.mean(axis=0), atol=1e-6)
    lies = found.features[:5] @ bridge.matrix + bridge.offset
    np.testing.assert_allclose(lies, reference.predict(scaled[:5]), atol=2e-4)


def test_what_captions_say_is_found_in_images_that_had_none() -> None:
    encoder = BridgeEncoder(name="bridge:x", bridge=learned(), network=None)  # type: ignore[arg-type]
    new = np.eye(3, 6, dtype=np.float32)
    lies = encoder.bridge.of_features(new)
    centred = by_words([f"a photo of {place}" for place in PLACES]) - encoder.bridge.centre
    assert (lies @ centred.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_the_quality_is_that_of_images_held_out() -> None:
    quality = learned().quality
    assert quality is not None
    assert (quality.images, quality.among) == (300, 60)
    # Of 60 images about 20 are of the same place, and 10 captions of the 120 are looked at: a third
    # of the images finds its own, as captions that say only the place can do no better.
    assert 0.1 < quality.caption_recall < 0.6
    assert quality.told == quality.words


def test_words_that_the_features_do_not_show_are_measured_as_untold() -> None:
    found = captioned()
    draw = np.random.default_rng(1)
    texts = tuple(f"{text} {'boat' if draw.random() < 0.5 else ''}" for text in found.texts)
    measured = learned(dataclasses.replace(found, texts=texts)).terms
    auc = dict(zip(measured.words, measured.auc.tolist(), strict=True))
    assert auc["water"] > 0.95
    assert 0.35 < auc["boat"] < 0.65
    assert measured.unknown(["water and boat"], embedded=by_words) == [("boat",)]


def test_the_auc_of_a_word_is_that_of_scikit_learn() -> None:
    found, bridge = captioned(), learned()
    has = np.zeros(300, bool)
    for image, text in zip(found.image, found.texts, strict=True):
        has[image] |= "water" in text
    lies = bridge.of_features(found.features) @ bridge.terms.embeddings[bridge.terms.words.index("water")]
    reference = sklearn.metrics.roc_auc_score(has, lies)
    assert bridge.terms.auc[bridge.terms.words.index("water")] == pytest.approx(reference, abs=0.02)
    assert bridge.terms.counts[bridge.terms.words.index("water")] == 2 * has.sum()


def test_features_of_another_scale_make_the_same_embeddings() -> None:
    found = captioned()
    larger = dataclasses.replace(found, features=100 * found.features)
    one, other = learned(found), learned(larger)
    np.testing.assert_allclose(one.of_features(found.features), other.of_features(larger.features), atol=1e-3)


def test_a_feature_that_never_changes_does_not_matter() -> None:
    found = captioned()
    constant = np.column_stack([found.features, np.full(300, 7.0, np.float32)])
    bridge = learned(dataclasses.replace(found, features=constant))
    assert np.isfinite(bridge.of_features(constant)).all()


@pytest.mark.parametrize(("count", "legal"), [(10, False), (99, False), (100, True)])
def test_too_few_captioned_images_are_refused_with_the_number_that_would_do(count: int, legal: bool) -> None:
    if legal:
        assert learned(captioned(count)).quality is not None
        return
    with pytest.raises(InputError, match=f"captions of {count} images; 100 would do"):
        learned(captioned(count))


@pytest.mark.parametrize(
    ("phrase", "unknown"),
    [
        ("water", ()),
        ("the Water of a forest", ("forest",)),
        ("red", ("red",)),
        ("near water", ()),
        ("sea", ()),
        ("zxqv", ("zxqv",)),
        ("", ()),
        ("of the", ()),
    ],
)
def test_which_words_are_known(phrase: str, unknown: tuple[str, ...]) -> None:
    # forest was measured and is not told; sea was not, and is near water; red is near forest, zxqv near none.
    measured = terms(water=0.9, forest=0.6, bird=0.7)
    near = {"sea": [0.8, 0, 0, 0.6], "red": [0, 0.9, 0, 0.1], "zxqv": [0.4, 0.1, 0.1, 0.9]}

    def embedded(words: Sequence[str]) -> np.ndarray:
        return np.array([near[word] for word in words], np.float32)

    assert measured.unknown([phrase], embedded) == [unknown]


def test_every_new_word_is_embedded_once_for_many_phrases() -> None:
    asked: list[str] = []

    def embedded(words: Sequence[str]) -> np.ndarray:
        asked.extend(words)
        return np.zeros((len(words), 4), np.float32)

    found = terms(water=0.9).unknown(["old boat", "boat", "water", "old water"], embedded)
    assert found == [("old", "boat"), ("boat",), (), ("old",)]
    assert asked == ["old", "boat"]


def test_a_word_of_a_class_name_is_known_though_nothing_measured_it() -> None:
    found = Terms(
        words=("great white shark",),
        embeddings=np.eye(1, 4, dtype=np.float32),
        auc=np.array([np.nan], np.float32),
        counts=np.ones(1, np.int32),
    )
    assert found.unknown(["white shark"], lambda words: np.zeros((len(words), 4), np.float32)) == [()]


def no_network(described: Mapping[str, Any]) -> Any:
    return described["spec"]


def test_a_bridge_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    bridge = learned()
    write_bridge(tmp_path, "x", bridge)
    found = open_bridge(tmp_path, "x", load_network=no_network)
    assert (found.name, found.network) == ("bridge:x", "imported:x")
    assert found.identity == bridge.identity
    assert found.bridge.quality == bridge.quality
    np.testing.assert_array_equal(found.bridge.matrix, bridge.matrix)
    assert found.bridge.describe() == bridge.describe()
    assert sorted(each.name for each in (tmp_path / "x").iterdir()) == ["bridge.json", "bridge.safetensors"]


def flip(place: Path) -> None:
    bytes_ = bytearray((place / "bridge.safetensors").read_bytes())
    bytes_[-5] ^= 0xFF
    (place / "bridge.safetensors").write_bytes(bytes_)


def other_penalty(place: Path) -> None:
    described = json.loads((place / "bridge.json").read_text())
    (place / "bridge.json").write_text(json.dumps({**described, "penalty": 1.0}))


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        other_penalty,
        lambda place: (place / "bridge.safetensors").unlink(),
        lambda place: (place / "bridge.safetensors").write_bytes(b"no weights"),
        lambda place: (place / "bridge.json").write_text("{}"),
        lambda place: (place / "bridge.json").write_text('{"schema_version": 2}'),
    ],
)
def test_a_damaged_bridge_is_told_in_one_line(damage: Callable[[Path], object], tmp_path: Path) -> None:
    write_bridge(tmp_path, "x", learned())
    damage(tmp_path / "x")
    with pytest.raises(FeatureError, match=r"is damaged .*learn it again: clarify bridge") as caught:
        open_bridge(tmp_path, "x", load_network=no_network)
    assert "\n" not in str(caught.value)


def test_a_bridge_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    write_bridge(tmp_path, "captions", learned())
    with pytest.raises(NotFoundError, match="no bridge of that label; nearest: captions"):
        open_bridge(tmp_path, "caption", load_network=no_network)
    with pytest.raises(NotFoundError, match="no bridge of that label"):
        open_bridge(None, "x", load_network=no_network)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(FeatureError, match="features of width 5; this bridge takes 6, of imported:x"):
        learned().of_features(np.ones((2, 5), np.float32))


@pytest.mark.parametrize(
    "other",
    [
        {"network": {**NETWORK, "identity": dataclasses.replace(IDENTITY, weights="9" * 64).to_dict()}},
        {"text": {**TEXT, "sha256": "9" * 64}},
        {"captions": {"sha256": "9" * 64}},
    ],
)
def test_the_identity_tells_network_text_model_and_captions_apart(other: dict[str, Any]) -> None:
    assert learned(**other).identity != learned().identity


def test_another_text_model_than_the_bridge_was_learned_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from clarify.embed import bridge as module
    from clarify.embed.sentences import SentenceEncoder

    other = SentenceEncoder(name="other", folder=tmp_path, digest="3" * 64)
    monkeypatch.setattr(module, "find_sentences", lambda spec: other)
    encoder = BridgeEncoder(name="bridge:x", bridge=learned(), network=None)  # type: ignore[arg-type]
    with pytest.raises(ClarifyError, match=r"text model other is another .* than the bridge was learned"):
        encoder.encode_phrases(["water"])
