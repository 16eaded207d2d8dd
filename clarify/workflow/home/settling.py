"""Which encoder a data set has: settled when it is first embedded, and used from then on unasked.

``<home>/encoders/<data set>/settled.json`` says it. A flag, or the environment, names another one for
a command; ``clarify encoder`` makes another one the default.
"""

from __future__ import annotations

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
from clarify.workflow.model.backbones import body_of_run

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "BY_NAMES",
    "PHOTO_NETWORK",
    "SMALL_CLIP",
    "Settled",
    "UnsettledEncoder",
    "encoders_of",
    "is_first",
    "settle",
    "settled",
    "usual_encoder",
]

FILE = "settled.json"
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
        Of images and phrases, by its name.
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
    own = settled(home, manifest.name)
    spec = named.encoder or (own.encoder if own is not None else _of_older_home(home, manifest, usual))
    if not spec:
        nothing = UnsettledEncoder(data_set=manifest.name)
        return nothing, nothing

    def body(run: str) -> ImageEncoder:
        return body_of_run(home, tracking, run)

    imported = imported_folder(home, manifest.name)
    encoder = load_encoder(spec, imported=imported, of_run=body)
    settled_backbone = own.backbone if own is not None and spec == own.encoder else ""
    backbone = named.backbone or settled_backbone
    if backbone in ("", spec):
        return encoder, getattr(encoder, "network", encoder)
    return encoder, load_backbone(backbone, imported=imported)


def is_first(home: Path, manifest: Manifest) -> bool:
    """Whether nothing embedded the data set yet; an older home says so by its features alone."""
    if settled(home, manifest.name) is not None:
        return False
    known = FeatureStore(home).open(manifest, load_encoder(SMALL_CLIP).identity)
    return known is None


def _of_older_home(home: Path, manifest: Manifest, usual: str) -> str:
    """Return the encoder of a data set that nothing was written about; empty if there is none yet."""
    if manifest.drawn and not usual:
        return SMALL_CLIP
    store = FeatureStore(home)
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
    path = imported_folder(home, data_set) / FILE
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
    path = imported_folder(home, data_set) / FILE
    with writing(path.parent, hint="then give the same command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [json.dumps(dataclasses.asdict(chosen), indent=1).encode()])


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
