"""Which encoder a data set has: settled when it is first embedded, and used from then on unasked.

``<home>/encoders/<data set>/settled.json`` says it. A flag, or the environment, names another one for
a command; ``clarify encoder`` makes another one the default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from clarify.data.files import write_atomically, writing
from clarify.data.manifest import Manifest
from clarify.embed.encoders import (
    Encoder,
    EncoderIdentity,
    ImageEncoder,
    cached_clip,
    load_backbone,
    load_encoder,
)
from clarify.embed.imported import imported_folder
from clarify.embed.packages import EXTRA, NETWORKS, SENTENCES
from clarify.embed.store import FeatureStore
from clarify.errors import FeatureError, NotFoundError
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun
from clarify.workflow.model.backbones import body_of_run

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "BY_NAMES",
    "PHOTO_NETWORK",
    "SETTLED",
    "SMALL_CLIP",
    "Settled",
    "UnsettledEncoder",
    "changed_at",
    "chosen_of",
    "encoders_of",
    "is_first",
    "lasting",
    "settle",
    "settle_first",
    "settled",
    "spec_of",
    "usual_encoder",
]

SETTLED = "settled.json"
SMALL_CLIP = "small-clip"
PHOTO_NETWORK = f"timm:{next(iter(NETWORKS))}"
"""What sees photographs where nothing else was said."""

BY_NAMES = "bridge:names"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a data set is embedded by.

    Parameters
    ----------
    encoder : str
        Of images and phrases, by its name; empty where only features for the models were imported.
    backbone : str
        What the models stand on; empty is the encoder, or the network of a bridge.
    """

    encoder: str
    backbone: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnsettledEncoder:
    """Stands in the place of an `Encoder` until the data set is embedded: whoever asks is told so."""

    data_set: str
    name: str = "none yet"
    domain: str = ""
    unit: bool = True

    @property
    def identity(self) -> EncoderIdentity:
        """Refuse."""
        self._refuse()

    @property
    def width(self) -> int:
        """Refuse."""
        self._refuse()

    def preprocess(self, image: Image) -> torch.Tensor:
        """Refuse."""
        self._refuse()

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Refuse."""
        self._refuse()

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Refuse."""
        self._refuse()

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotFoundError(
            f"data set {self.data_set} was not embedded yet, so nothing says what its encoder is; run: "
            f"clarify embed {self.data_set}"
        )


def encoders_of(
    home: Path, manifest: Manifest, tracking: TrackingStore, *, named: Settled, usual: str = ""
) -> tuple[Encoder, ImageEncoder]:
    """Return a data set's encoder, and the backbone that its models stand on.

    What was named for the command counts first, then what the data set was settled with; a drawn one,
    and one of an older home, has the small CLIP.

    Parameters
    ----------
    named : Settled
        What a flag or the environment named; parts may be empty.
    usual : str
        The encoder of the home's ``clarify.toml``, if it has one.

    Raises
    ------
    InputError, NotFoundError, FeatureError
        As `load_encoder`.
    """
    chosen = chosen_of(home, manifest, named=named, usual=usual)

    def body(run: str) -> ImageEncoder:
        # One that came in a bundle has another id here than the bridge knows it by.
        bases = tracking.runs(manifest.name, BaseRun)
        return body_of_run(home, tracking, next((each.id for each in bases if run in each.ids), run))

    imported = imported_folder(home, manifest.name)
    if chosen.encoder:
        encoder = load_encoder(chosen.encoder, imported=imported, of_run=body)
    else:
        encoder = UnsettledEncoder(data_set=manifest.name)
    if not chosen.backbone:
        return encoder, getattr(encoder, "network", encoder)
    return encoder, load_backbone(chosen.backbone, imported=imported)


def chosen_of(home: Path, manifest: Manifest, *, named: Settled, usual: str = "") -> Settled:
    """Return the names of what embeds a data set; the encoder's is empty where nothing did yet.

    Parameters are those of `encoders_of`; nothing is loaded but what an older home asks for.
    """
    # Where both were named, what is settled is not even read: it may be damaged.
    own = None if named.encoder and named.backbone else settled(home, manifest.name)
    encoder, backbone = named.encoder or spec_of(home, manifest, usual), named.backbone
    if own is not None and own.encoder in ("", encoder):
        backbone = backbone or own.backbone
    return Settled(encoder=encoder, backbone="" if backbone == encoder else backbone)


def spec_of(home: Path, manifest: Manifest, usual: str = "") -> str:
    """Return the name of a data set's own encoder; empty where nothing embedded it yet."""
    own = settled(home, manifest.name)
    if own is not None and own.encoder:
        return own.encoder
    if manifest.drawn and not usual:
        return SMALL_CLIP
    return _of_older_home(home, manifest, usual)


def is_first(home: Path, manifest: Manifest, usual: str = "") -> bool:
    """Whether nothing embedded the data set yet; an older home says so by its features alone."""
    own = settled(home, manifest.name)
    return (own is None or not own.encoder) and not _of_older_home(home, manifest, usual)


def _of_older_home(home: Path, manifest: Manifest, usual: str) -> str:
    """Return whose features a home has that nothing was written in; empty if there are none."""
    store = FeatureStore(home)
    if not any(store.of_data_set(manifest).glob("*/index.json")):
        return ""  # so that the small CLIP is not loaded for them
    for spec in filter(None, (usual, SMALL_CLIP)):
        if store.open(manifest, load_encoder(spec).identity) is not None:
            return spec
    return ""


def settled(home: Path, data_set: str) -> Settled | None:
    """Return what a data set's encoder is; None where it was never embedded.

    Raises
    ------
    FeatureError
        If the file that says it is damaged.
    """
    path = imported_folder(home, data_set) / SETTLED
    try:
        found = json.loads(path.read_bytes())
        return Settled(encoder=str(found["encoder"]), backbone=str(found["backbone"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"{path} is damaged ({error}); say anew what embeds the data set: clarify encoder {data_set} SPEC"
        ) from None


def settle(home: Path, data_set: str, chosen: Settled) -> None:
    """Make an encoder a data set's own."""
    path = imported_folder(home, data_set) / SETTLED
    values = {name: lasting(spec) for name, spec in dataclasses.asdict(chosen).items()}
    with writing(path.parent, hint="then give the same command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [json.dumps(values, indent=1).encode()])


def settle_first(home: Path, data_set: str, chosen: Settled) -> None:
    """Make an encoder the own of a data set that has none; a backbone that it has stays if none is given."""
    own = settled(home, data_set) or chosen
    settle(home, data_set, dataclasses.replace(chosen, backbone=chosen.backbone or own.backbone))


def changed_at(home: Path, data_set: str) -> int:
    """Return when anything of a data set's own encoders was written last, in nanoseconds; 0 for none."""
    newest = 0
    for path in imported_folder(home, data_set).glob("**/*.json"):
        with contextlib.suppress(FileNotFoundError):  # one that is written anew just now
            newest = max(newest, path.stat().st_mtime_ns)
    return newest


def lasting(spec: str) -> str:
    """Return a name that means the same in every folder: a file in it is absolute."""
    kind, _, rest = spec.partition(":")
    model, _, file = rest.partition(":")
    place = Path(file).expanduser()
    return f"{kind}:{model}:{place.resolve()}" if file and place.exists() else spec


def usual_encoder(manifest: Manifest, usual: str = "") -> str:
    """Return what embeds a data set of which nothing was said but perhaps in ``clarify.toml``.

    Raises
    ------
    NotFoundError
        For photographs, where nothing is here that knows them; tells the ways out.
    """
    if usual:
        return usual
    if manifest.drawn:
        return SMALL_CLIP
    if cached := cached_clip():
        return cached
    if NETWORKS[PHOTO_NETWORK.partition(":")[2]].installed() and SENTENCES.installed():
        return BY_NAMES
    raise NotFoundError(
        f"data set {manifest.name}: nothing here knows photographs; {EXTRA}, or name a CLIP with --encoder "
        "open_clip:ARCHITECTURE:TAG_OR_FILE, or bring features: clarify features import"
    )
