"""An encoder whose network is loaded when it is needed: once, and only if it is the one that is known."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from clarify.embed.deferred import Deferred, DeferredClip
from clarify.embed.encoders import Encoder, load_encoder, loaded
from clarify.errors import FeatureError


def test_threads_that_need_it_at_once_load_it_once(tiny: Encoder) -> None:
    begin, loads = Barrier(4), []

    def load() -> Encoder:
        loads.append(tiny)
        time.sleep(0.2)
        return tiny

    encoder = DeferredClip(
        name="tiny",
        identity=tiny.identity,
        width=tiny.width,
        unit=tiny.unit,
        load=load,
        vocabulary=lambda phrase: (phrase,),
    )
    assert encoder.unknown_words(["reed"]) == [("reed",)]
    assert loads == []

    def embed(_: int) -> np.ndarray:
        begin.wait()
        return encoder.encode_phrases(["water"])

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(embed, range(4)):
            np.testing.assert_array_equal(found, tiny.encode_phrases(["water"]))
    assert len(loads) == 1


def test_another_network_than_the_known_one_is_refused(tiny: Encoder) -> None:
    known = dataclasses.replace(tiny.identity, weights="0" * 64)
    encoder = Deferred(name="tiny", identity=known, width=tiny.width, unit=True, load=lambda: tiny)
    with pytest.raises(FeatureError, match="is another network"):
        loaded(encoder)


def test_the_small_clip_is_told_apart_without_its_network() -> None:
    encoder = load_encoder("small-clip", template="a drawing of {}")  # nobody else loads this one
    assert isinstance(encoder, DeferredClip)
    assert encoder.identity.template == "a drawing of {}"
    assert "_found" not in vars(encoder)
