"""Encoders: the same numbers as open_clip, an identity that tells all, errors of one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clarify.embed.encoders import Encoder, EncoderIdentity, load_encoder, loaded
from clarify.embed.preprocessing import Preprocessing
from clarify.errors import InputError, NotFoundError, PhraseError
from tests.conftest import run_clarify
from tests.data.pictures import save_tree
from tests.embed.conftest import CONFIG

IDENTITY = EncoderIdentity(architecture="RN50", weights="ab" * 32, preprocessing="224 shortest")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@settings(max_examples=40)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    mode=st.sampled_from(["shortest", "squash"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_preprocessing_gives_the_same_numbers_as_open_clips_transform(
    width: int, height: int, mode: str, interpolation: str
) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = PreprocessCfg(
        size=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), resize_mode=mode, interpolation=interpolation
    )
    theirs = image_transform_v2(config, is_train=False)(picture(width, height))
    ours = Preprocessing.from_open_clip(
        {
            "size": 32,
            "mean": config.mean,
            "std": config.std,
            "resize_mode": mode,
            "interpolation": interpolation,
        }
    )(picture(width, height))
    assert ours.dtype == np.float32
    assert np.array_equal(ours, theirs.numpy())


def test_preprocessing_that_is_not_supported_is_refused() -> None:
    config = {"size": 32, "mean": (0, 0, 0), "std": (1, 1, 1)}
    with pytest.raises(InputError, match="longest/bicubic is not supported"):
        Preprocessing.from_open_clip({**config, "resize_mode": "longest"})
    with pytest.raises(InputError, match="only square inputs"):
        Preprocessing.from_open_clip({**config, "size": (32, 48)})
    with pytest.raises(InputError, match="std > 0"):
        Preprocessing.from_open_clip({**config, "std": (1, 0, 1)})


def test_embeddings_are_those_of_the_open_clip_model(tiny: Encoder, tiny_folder: Path) -> None:
    import open_clip

    named = f"local-dir:{tiny_folder}"
    model, _, transform = open_clip.create_model_and_transforms(named)
    tokenizer = open_clip.get_tokenizer(named)
    batch = torch.stack([transform(picture(50, 40, seed)) for seed in range(3)])
    with torch.inference_mode():
        images = model.eval().encode_image(batch)
        texts = model.encode_text(tokenizer(["an image of a bird", "an image of a red cat"]))
    ours = torch.stack([tiny.preprocess(picture(50, 40, seed)) for seed in range(3)])
    expected = (images / images.norm(dim=1, keepdim=True)).numpy()
    np.testing.assert_allclose(tiny.encode_images(ours), expected, atol=1e-6)
    expected = (texts / texts.norm(dim=1, keepdim=True)).numpy()
    np.testing.assert_allclose(tiny.encode_phrases(["bird", "red cat"]), expected, atol=1e-6)


def test_embeddings_have_unit_length_and_the_stated_shape(tiny: Encoder) -> None:
    images = tiny.encode_images(torch.stack([tiny.preprocess(picture(9, 9))] * 2))
    phrases = tiny.encode_phrases(["a", "b c", "d"])
    assert (images.shape, phrases.shape, tiny.width) == ((2, 16), (3, 16), 16)
    assert images.dtype == phrases.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(phrases, axis=1), 1, atol=1e-6)
    assert tiny.encode_phrases([]).shape == (0, 16)


def test_many_phrases_are_embedded_as_each_alone(tiny: Encoder) -> None:
    phrases = [f"thing {number}" for number in range(300)]
    together = tiny.encode_phrases(phrases)
    np.testing.assert_allclose(together[299], tiny.encode_phrases(["thing 299"])[0], atol=1e-5)


def test_the_template_is_applied_and_is_part_of_the_identity(tiny_folder: Path) -> None:
    spec = f"open_clip:tiny:{tiny_folder}"
    plain, photo = load_encoder(spec), load_encoder(spec, template="a photo of {} by day")
    bare = load_encoder(spec, template="{}")
    np.testing.assert_allclose(
        photo.encode_phrases(["cats"]), bare.encode_phrases(["a photo of cats by day"]), atol=1e-6
    )
    assert plain.identity.template == "an image of a {}"
    assert photo.identity.digest != plain.identity.digest
    assert photo.identity.image_digest == plain.identity.image_digest


@pytest.mark.parametrize("template", ["", "an image", "{} and {}", "a {0}", "a\n{}"])
def test_a_template_without_exactly_one_place_is_refused(template: str) -> None:
    with pytest.raises(InputError, match=r"exactly one \{\}"):
        load_encoder("open_clip:RN50:openai", template=template)


def test_a_phrase_longer_than_the_encoder_reads_is_refused(tiny: Encoder) -> None:
    with pytest.raises(PhraseError, match=r"is 27 tokens long .* reads 16: shorten it"):
        tiny.encode_phrases(["very " * 19 + "big bird"])


def test_the_identity_names_the_bytes_of_the_weights(tiny: Encoder, tiny_folder: Path) -> None:
    weights = (tiny_folder / "open_clip_model.safetensors").read_bytes()
    assert tiny.identity.weights == hashlib.sha256(weights).hexdigest()
    assert '"mode":"shortest"' in tiny.identity.preprocessing
    assert tiny.identity.architecture.startswith("tiny@")


def test_an_identity_is_read_back_and_its_digests_are_fixed() -> None:
    assert EncoderIdentity.from_dict(IDENTITY.to_dict()) == IDENTITY
    parts = ["RN50", "ab" * 32, "224 shortest"]
    expected = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    assert IDENTITY.image_digest == expected
    assert IDENTITY.digest != IDENTITY.image_digest
    assert IDENTITY.describe() == "RN50, weights abababababab, template 'an image of a {}'"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"colour": "red"}, "legal are architecture"),
        ({"weights": "xyz"}, "legal is a SHA-256"),
        ({"architecture": ""}, "architecture is empty"),
    ],
)
def test_an_identity_that_is_not_legal_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        EncoderIdentity.from_dict({**IDENTITY.to_dict(), **change})


def test_open_vocabularies_have_no_unknown_words_and_no_limits(tiny: Encoder) -> None:
    assert tiny.unknown_words(["zyzzyva qwrt"]) == [()]
    assert tiny.domain == ""


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("clip", InputError, "encoder 'clip' is not known; legal are small-clip, open_clip:"),
        ("open_clip:RN50", InputError, "legal is open_clip:ARCH"),
        ("timm:resnet50", InputError, "give it as --backbone"),
        ("open_clip:RN5O:openai", NotFoundError, "no architecture 'RN5O'; nearest: RN50"),
        ("open_clip:RN50:opnai", NotFoundError, "no weights 'opnai' for RN50; nearest: openai"),
        ("open_clip:RN50:/no/such.safetensors", NotFoundError, "no file '/no/such.safetensors'"),
        ("open_clip:RN50:/", NotFoundError, "folder / needs open_clip_config.json"),
    ],
)
def test_a_name_that_nothing_has_is_answered_with_what_is_legal(
    spec: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        load_encoder(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_are_refused_in_one_line(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded as weights of ViT-B-32") as caught:
        load_encoder(f"open_clip:ViT-B-32:{tiny_folder / 'open_clip_model.safetensors'}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(
    tiny_folder: Path, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "it-ran"),)

    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    torch.save({"state_dict": Evil()}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_encoder(f"open_clip:tiny:{tmp_path}")
    assert not (tmp_path / "it-ran").exists()


def test_a_checkpoint_of_plain_tensors_gives_the_same_embeddings(
    tiny: Encoder, tiny_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    torch.save(load_file(tiny_folder / "open_clip_model.safetensors"), tmp_path / "weights.pt")
    other = load_encoder(f"open_clip:tiny:{tmp_path}")
    assert np.array_equal(other.encode_phrases(["cat"]), tiny.encode_phrases(["cat"]))
    assert other.identity.weights != tiny.identity.weights


@pytest.mark.slow
def test_weights_that_cannot_be_fetched_are_told_in_one_line_with_the_way_by_hand(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "import logging\n"
        "from clarify.embed.encoders import load_encoder\n"
        "from clarify.errors import NotFoundError\n"
        "try: load_encoder('open_clip:RN50:openai')\n"
        "except NotFoundError as error: print(error)\n"
        "assert logging.getLogger().handlers == []\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert "encoder open_clip:RN50:openai: its weights (timm/resnet50_clip.openai" in lines[0]
    assert f"not in the cache {tmp_path / 'cache' / 'hub'}" in lines[0]
    assert "open_clip:RN50-quickgelu:/folder/open_clip_model.safetensors" in lines[0]
    assert done.stderr == ""


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_told_soon_and_in_one_line(tmp_path: Path) -> None:
    code = (
        "import time, open_clip\n"
        "from clarify.embed.encoders import load_encoder\n"
        "from clarify.errors import NotFoundError\n"
        "began = time.monotonic()\n"
        "try: load_encoder('open_clip:ViT-B-32:openai')\n"
        "except NotFoundError as error: print(error)\n"
        "assert time.monotonic() - began < 20\n"
    )
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **nowhere, "HF_HOME": str(tmp_path)},
    )
    assert "the hub cannot be reached (<urlopen error" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_weights_in_the_cache_are_used_without_asking_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--resnet50_clip.openai"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0" * 40)
    weights = repository / "snapshots" / ("0" * 40) / "open_clip_model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"open_clip_model.safetensors cannot be loaded"):
        load_encoder("open_clip:RN50:openai")


def test_the_small_clip_is_loaded_with_its_limits_and_its_vocabulary() -> None:
    from clarify.demo import small_clip

    encoder = load_encoder("small-clip")
    itself = loaded(encoder)  # what is said of it before its network is loaded is true
    said = [(each.name, each.width, each.unit, each.domain, each.identity) for each in (encoder, itself)]
    assert said[0] == said[1]
    weights = (small_clip.ASSETS / "open_clip_model.safetensors").read_bytes()
    assert encoder.identity.weights == hashlib.sha256(weights).hexdigest()
    assert encoder.identity.architecture == encoder.name == "small-clip"
    assert encoder.domain == "drawn scenes only"
    assert encoder.unknown_words(["a red carburettor in the forest"]) == [("carburettor",)]
    model, transform, tokenize = small_clip.load()
    scene = picture(128, 96)
    assert torch.equal(encoder.preprocess(scene), transform(scene))
    with torch.inference_mode():
        text = model.encode_text(tokenize(["an image of a forest"]), normalize=True)
    np.testing.assert_allclose(encoder.encode_phrases(["forest"]), text, atol=1e-6)
    with pytest.raises(PhraseError, match="reads 32"):
        encoder.encode_phrases(["forest " * 40])


def test_what_a_trainer_wrapped_a_clip_in_is_taken_off(
    tiny: Encoder, tiny_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    saved = load_file(tiny_folder / "open_clip_model.safetensors")
    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    wrapped = {"model_state_dict": {f"clip.{name}": value for name, value in saved.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "weights.pt")
    other = load_encoder(f"open_clip:tiny:{tmp_path}")
    assert np.array_equal(other.encode_phrases(["cat"]), tiny.encode_phrases(["cat"]))
    assert other.identity.weights == hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of an architecture that open_clip knows by name, whose tokenizer is a hub's; they lie alone."""
    import open_clip
    from open_clip import factory
    from safetensors.torch import save_file

    text = {**CONFIG["text_cfg"], "context_length": 8, "hf_tokenizer_name": "nobody/words"}
    config = {**CONFIG, "text_cfg": text}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-words", config)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny-words-quickgelu", {**config, "quick_gelu": True})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    place = tmp_path / "named" / "weights.safetensors"
    place.parent.mkdir()
    save_file(open_clip.create_model("tiny-words", load_weights=False).state_dict(), place)
    return place


def put_tokenizer(folder: Path) -> None:
    """Save one that knows some words, ends each text and cuts it in silence, as SigLIP's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", "an", "image", "of", "a", "red", "cat", "dog"]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="</s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def test_a_tokenizer_beside_the_weights_needs_no_hub_and_its_phrases_are_measured(named: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nobody/words.*fetch tokenizer\.json .*put them in") as refused:
        load_encoder(f"open_clip:tiny-words:{named}")
    assert str(named.parent) in str(refused.value)
    put_tokenizer(named.parent)
    encoder = load_encoder(f"open_clip:tiny-words:{named}")
    cat, dog = encoder.encode_phrases(["red cat", "red dog"])
    assert not np.array_equal(cat, dog)
    encoder.encode_phrases(["red red cat"])  # with its template and its end 8 tokens, as many as it reads
    with pytest.raises(
        PhraseError, match=r"'red red red cat' is 9 tokens long with its template; .* reads 8"
    ):
        encoder.encode_phrases(["cat", "red red red cat"])


def test_weights_that_may_be_of_another_activation_say_so_unless_something_tells(named: Path) -> None:
    put_tokenizer(named.parent)
    doubt = load_encoder(f"open_clip:tiny-words:{named}").doubt
    assert "no open_clip_config.json beside weights.safetensors says which" in doubt
    assert doubt.endswith(f"give open_clip:tiny-words-quickgelu:{named}")
    assert load_encoder(f"open_clip:tiny-words-quickgelu:{named}").doubt == ""
    (named.parent / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"quick_gelu": False}}))
    assert load_encoder(f"open_clip:tiny-words:{named}").doubt == ""


def test_embedding_by_weights_that_are_in_doubt_says_so(named: Path, tmp_path: Path) -> None:
    put_tokenizer(named.parent)
    images, home = save_tree(tmp_path / "images", {"cat": 6, "dog": 6}), tmp_path / "home"
    assert run_clarify("data", "import", "folder", str(images), "--name", "pets", home=home).status == 0
    done = run_clarify("embed", "pets", "--encoder", f"open_clip:tiny-words:{named}", home=home)
    assert done.status == 0, done.err
    assert f"give open_clip:tiny-words-quickgelu:{named}" in done.err
