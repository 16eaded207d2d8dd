"""Images as a network takes them: varied in training, plain in evaluation.

A variation depends on the seed, the step and the image alone, so that it comes out the same in any
thread, process or attempt. (The usual transforms draw from generators that all of these share.)
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clarify.data.images import load_image
from clarify.method.arrays import generator

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.embed.preprocessing import Preprocessing

__all__ = ["Pictures"]

KEPT_BYTES = 1 << 30
"""Decoded pictures that stay in memory, all together."""

RATIOS = (3 / 4, 4 / 3)
ATTEMPTS = 10
FINER = 1.5
"""Pictures are kept so much larger than the network takes them, for crops of them."""


class Pictures:
    """The images of one split.

    Parameters
    ----------
    path_of : callable
        From a row to its file.
    root : Path
        What the files must lie under.
    preprocessing : Preprocessing
        How the network takes pictures in evaluation.
    workers : int
        Threads that decode.
    least_crop : float
        See `Schedule`.
    """

    def __init__(
        self,
        path_of: Callable[[int], Path],
        root: Path,
        preprocessing: Preprocessing,
        *,
        workers: int,
        least_crop: float = 1.0,
    ) -> None:
        self._path_of, self._root, self._preprocessing = path_of, root, preprocessing
        self._least_crop = least_crop
        self._pool = ThreadPoolExecutor(workers, "pictures")
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, bool], NDArray[np.uint8]] = {}
        self._room = KEPT_BYTES

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def varied(self, rows: Sequence[int], seed: int, step: int) -> Future[torch.Tensor]:
        """Prepare a step's variations of some images: (B, 3, size, size) float32."""
        return self._batch([(row, seed, step) for row in rows], self._varied)

    def plain(self, rows: Sequence[int]) -> Future[torch.Tensor]:
        """Prepare some images as in evaluation: (B, 3, size, size) float32."""
        return self._batch([(row, 0, 0) for row in rows], self._plain)

    def _batch(
        self, asked: list[tuple[int, int, int]], prepare: Callable[[int, int, int], NDArray[np.float32]]
    ) -> Future[torch.Tensor]:
        import torch

        # A task a few images: one task an image costs as much as small images themselves.
        parts = [asked[start : start + 8] for start in range(0, len(asked), 8)]

        def several(part: list[tuple[int, int, int]]) -> list[NDArray[np.float32]]:
            return [prepare(*each) for each in part]

        futures = [self._pool.submit(several, part) for part in parts]
        found: Future[torch.Tensor] = Future()
        waiting = len(futures)
        lock = threading.Lock()

        def one_is_done(_: object) -> None:
            nonlocal waiting
            with lock:
                waiting -= 1
                last = waiting == 0
            if not last or not found.set_running_or_notify_cancel():
                return
            try:
                arrays = [each for future in futures for each in future.result()]
                found.set_result(torch.from_numpy(np.stack(arrays)))
            except BaseException as error:
                found.set_exception(error)

        for future in futures:
            future.add_done_callback(one_is_done)
        return found

    def _varied(self, row: int, seed: int, step: int) -> NDArray[np.float32]:
        from PIL import Image as images

        pixels = self._pixels(row, varied=True)
        rng = generator(seed, f"picture {row} at {step}")
        height, width = pixels.shape[:2]
        box = _crop(width, height, self._least_crop, rng)
        side = self._preprocessing.size
        shown = images.fromarray(pixels).resize(
            (side, side), images.Resampling.BILINEAR, box=box, reducing_gap=2.0
        )
        array = np.asarray(shown)
        if rng.random() < 0.5:
            array = array[:, ::-1]
        return self._preprocessing.normalised(array)

    def _plain(self, row: int, _: int, __: int) -> NDArray[np.float32]:
        return self._preprocessing.normalised(self._pixels(row, varied=False))

    def _pixels(self, row: int, *, varied: bool) -> NDArray[np.uint8]:
        """Return an image decoded: as large as crops need it, or as evaluation takes it."""
        kept = self._kept.get((row, varied))
        if kept is not None:
            return kept
        path = self._path_of(row)
        if varied:
            side = math.ceil(FINER * self._preprocessing.size / math.sqrt(self._least_crop))
            found = np.asarray(load_image(path, inside=self._root, side=side))
        else:
            found = self._preprocessing.cut(load_image(path, inside=self._root))
        with self._lock:
            if found.nbytes <= self._room:
                self._room -= found.nbytes
                self._kept[row, varied] = found
        return found


def _crop(
    width: int, height: int, least: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw a box of some share of the area and some ratio of sides (Szegedy et al. 2015)."""
    area = width * height
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    for _ in range(ATTEMPTS):
        share, ratio = rng.uniform(least, 1.0), math.exp(rng.uniform(low, high))
        wide, tall = math.sqrt(area * share * ratio), math.sqrt(area * share / ratio)
        if wide <= width and tall <= height:
            left, top = rng.uniform(0, width - wide), rng.uniform(0, height - tall)
            return left, top, left + wide, top + tall
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
