"""Training: a few steps from end to end, the schedule, and what is written."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from clarify.demo.captions import ATTRIBUTES
from clarify.demo.train_clip import (
    CaptionBatches,
    ClipSettings,
    Trainer,
    draw_pictures,
    encode_captions,
    main,
)

pytestmark = pytest.mark.slow

TINY = ClipSettings(steps=10, samples=64, batch=16)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    return draw_pictures(tmp_path_factory.mktemp("pictures"), TINY, workers=1)


def _batches(drawn) -> CaptionBatches:
    from clarify.demo.small_clip import cut_tokenizer

    return CaptionBatches(*drawn, TINY, cut_tokenizer())


def test_pictures_and_codes_are_drawn_once_and_kept(drawn) -> None:
    path, codes = drawn
    assert path.stat().st_size == 64 * 64 * 64 * 3
    assert codes.shape == (64, len(ATTRIBUTES))
    again, same = draw_pictures(path.parent, TINY, workers=1)
    assert again == path
    assert np.array_equal(same, codes)


def test_targets_are_distributions_and_a_caption_fits_its_own_picture(drawn) -> None:
    batch = next(iter(_batches(drawn)))
    np.testing.assert_allclose(batch["of_captions"].sum(axis=1), 1.0)
    np.testing.assert_allclose(batch["of_pictures"].sum(axis=1), 1.0)
    assert (np.diag(batch["of_captions"]) > 0).all()
    assert (np.diag(batch["of_pictures"]) > 0).all()


def test_an_epoch_shows_every_picture_once(drawn) -> None:
    order = _batches(drawn).order()
    rows = np.concatenate([next(order) for _ in range(4)])
    assert sorted(rows.tolist()) == list(range(64))


def test_captions_by_length_give_the_embeddings_of_open_clip() -> None:
    import torch

    from clarify.demo.small_clip import load

    model, _, tokenize = load()
    phrases = ["a red bird in the forest at night", "water", "two tiny dogs", "snow"]
    tokens = [[t for t in row if t] for row in tokenize(phrases).tolist()]
    with torch.inference_mode():
        ours = encode_captions(model, tokens)
        theirs = model.encode_text(tokenize(phrases), normalize=True)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    trainer = Trainer(ClipSettings(steps=100))
    rates = [trainer.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(1.5e-3 / 5)
    assert max(rates) == pytest.approx(1.5e-3)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 1e-5


def test_a_few_steps_lower_the_loss(drawn) -> None:
    batch = next(iter(_batches(drawn)))
    trainer = Trainer(TINY)
    first = trainer.step(0, batch)
    for number in range(1, 8):
        last = trainer.step(number, batch)
    assert last[0] < first[0]
    assert last[1] < first[1]
    assert trainer.model.logit_scale.item() <= math.log(TINY.largest_scale) + 1e-6


def test_the_command_writes_a_model_that_open_clip_loads(tmp_path: Path, monkeypatch) -> None:
    from clarify.demo import small_clip

    out = tmp_path / "out"
    arguments = ["--out", str(out), "--steps", "1", "--samples", "128", "--workers", "1"]
    main(arguments)
    record = json.loads((out / "record.json").read_text(encoding="utf-8"))
    assert record["recipe"]["steps"] == 1
    assert (out / "log.jsonl").read_text(encoding="utf-8").count("\n") == 1
    monkeypatch.setattr(small_clip, "ASSETS", out)
    model, _, tokenize = small_clip.load()
    assert model.encode_text(tokenize(["water"])).shape == (1, 192)
