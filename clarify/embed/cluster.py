"""An engine on Ray: shards embedded by processes on many machines, what is done kept by the one that asked.

Plain actors rather than Ray Data. What is to be passed on is a shard, a few megabytes, known by its number;
resuming is the list of numbers that are missing, and every write is this process's own, under its lock, by
temporary file, rename and hash, as without Ray. Ray Data would add a plan of blocks whose borders are its
own, and its checkpoints keep the id of every row in memory and read all input again. Workers write nothing,
so a worker or a node that is gone leaves nothing half done: its shard is given to another.

A worker is a process of one core that decodes and embeds in turn: nothing in it waits for the other. It sees
the images under the same root as here.
"""

from __future__ import annotations

import dataclasses
import itertools
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from clarify.data.images import BadImage
from clarify.embed.deferred import loaded
from clarify.embed.shards import BadRow, ShardLayout
from clarify.embed.work import Batch, ImageRows, MadeShard, ShardWork, bad_rows, embedded, input_of
from clarify.errors import ClarifyError, InputError, StoreError, one_line, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.embed.encoders import ImageEncoder

__all__ = ["IMAGE_SECONDS", "OnRay"]

IMAGE_SECONDS = 60.0
"""A picture that takes longer is left out and named: a disk that hangs stops no other picture."""

RETRIES = 3
CONNECT_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OnRay:
    """An `ShardEngine` of workers on Ray.

    Parameters
    ----------
    address : str
        Of a cluster, ``HOST:PORT`` or ``ray://HOST:PORT``, whose cores are all used; empty starts Ray on this
        machine, with as many workers as the work says.
    image_seconds : float
        See `IMAGE_SECONDS`.
    """

    address: str = ""
    image_seconds: float = IMAGE_SECONDS

    def __call__(
        self, work: ShardWork, todo: Sequence[int], tell: Callable[[int, int], None]
    ) -> Generator[MadeShard, None, None]:
        """Embed shards, each on the worker that is free first.

        Raises
        ------
        InputError, StoreError
            Without Ray, or if nothing answers at the address; if workers end at one shard again and again.
        """
        if not todo:
            return
        ray = _ray()
        own = not ray.is_initialized()
        if own:
            _connect(ray, self.address, work.workers)
        try:
            yield from self._embedded(ray, work, todo, tell)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ClarifyError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise StoreError(
                f"workers on Ray end at their work ({_cause(error)}): look at their memory, then give the "
                "same command again; what is embedded is kept"
            ) from None
        finally:
            if own:
                ray.shutdown()

    def _embedded(
        self, ray: Any, work: ShardWork, todo: Sequence[int], tell: Callable[[int, int], None]
    ) -> Generator[MadeShard, None, None]:
        """Keep one shard at each worker: no more wait than are worked at."""
        count = int(ray.cluster_resources().get("CPU", 1)) if self.address else work.workers
        worker = ray.remote(_Worker).options(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)
        # Once in the store of the cluster, from where each node fetches it once. A worker is given it with
        # each shard, so that one that is started again needs nothing of the one before.
        encoder = ray.put(loaded(work.encoder))
        workers = [worker.remote(work.plan, self.image_seconds) for _ in range(min(count, len(todo)))]
        left, at = iter(todo), {}

        def give(to: Any) -> None:
            for shard in left:
                images = work.images.of(work.plan.rows_of(shard))
                at[to.shard.remote(encoder, images, work.batches_of(shard))] = (to, shard)
                return

        for each in workers:
            give(each)
        while at:
            (done,), _ = ray.wait([*at], num_returns=1)
            free, shard = at.pop(done)
            rows, found, bad = ray.get(done)
            give(free)
            features = work.begun(shard)
            features[rows - work.plan.rows_of(shard).start] = found
            tell(len(features), len(bad))
            yield MadeShard(shard=shard, features=features, bad=bad)


class _Worker:
    """Embeds shards, one at a time, in a process of its own."""

    def __init__(self, plan: ShardLayout, image_seconds: float) -> None:
        self._plan, self._seconds = plan, image_seconds

    def shard(
        self, encoder: ImageEncoder, images: ImageRows, batches: list[list[int]]
    ) -> tuple[NDArray[np.int64], NDArray[Any], list[BadRow]]:
        """Return the rows that were embedded (M,), their features (M, D), and those that are bad."""
        features, bad = [np.zeros((0, self._plan.width), dtype=self._plan.dtype)], list[BadRow]()
        for rows in batches:
            batch = Batch(rows=rows, inputs=[self._input(row, images, encoder) for row in rows])
            features.append(embedded(batch, self._plan, encoder, images))
            bad += bad_rows(batch, images)
        return np.fromiter(itertools.chain(*batches), dtype=np.int64), np.concatenate(features), bad

    def _input(self, row: int, images: ImageRows, encoder: ImageEncoder) -> torch.Tensor | BadImage:
        """Prepare a picture in a thread that can be left behind: nothing ends one that waits for a disk."""
        found: list[torch.Tensor | BadImage | BaseException] = []

        def prepare() -> None:
            try:
                found.append(input_of(row, images, encoder))
            except BaseException as error:  # raised again below, where it is waited for
                found.append(error)

        thread = threading.Thread(target=prepare, daemon=True)
        thread.start()
        thread.join(self._seconds)
        if not found:
            why = f"takes longer than {self._seconds:g} seconds; it was left out"
            return BadImage(images.root / images.path(row), why)
        (prepared,) = found
        if isinstance(prepared, BaseException) and not isinstance(prepared, BadImage):
            raise prepared
        return prepared


def _cause(error: BaseException) -> str:
    """Return the last line of what Ray says: those before it tell where it was."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()[:160]


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError(
            "--engine ray needs Ray, which is not installed; give: pip install 'clarify[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str, workers: int) -> None:
    """Join a cluster, or start one of this machine; Ray itself waits a minute for one that is away."""
    if not address:
        ray.init(
            "local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        return
    try:
        place = urlsplit(address if "//" in address else f"//{address}")
        where = (place.hostname or "", place.port or 0)
    except ValueError:
        where = ("", 0)
    if not all(where):
        raise InputError(f"address {shown(address)}; HOST:PORT is legal, and ray://HOST:PORT")
    try:
        socket.create_connection(where, CONNECT_SECONDS).close()
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(
            f"no Ray cluster answers at {address} ({one_line(error)}): start it, or give another --address; "
            "without one, Ray runs on this machine"
        ) from None
