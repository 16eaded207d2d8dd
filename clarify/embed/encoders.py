"""Models that embed images and phrases in one space: the only module that imports open_clip.

An encoder is named by a text: ``small-clip``, the one that Clarify brings along, or
``open_clip:ARCHITECTURE:TAG_OR_PATH``, for example ``open_clip:RN50:openai``,
``open_clip:ViT-B-32:/models/open_clip_model.safetensors``, or a folder that holds
``open_clip_config.json`` and the weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.hub import cached_weights, hub_cache, probe_hub
from clarify.embed.identity import DEFAULT_TEMPLATE, Encoder, EncoderIdentity, check_template
from clarify.embed.preprocessing import Preprocessing
from clarify.errors import ClarifyError, InputError, NotFoundError, PhraseError, nearest, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Encoder", "EncoderIdentity", "load_encoder"]

SMALL_CLIP = "small-clip"
PHRASES_AT_ONCE = 256
CONFIG_FILE = "open_clip_config.json"
WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".pth")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenClipEncoder:
    """An `Encoder` made of an open_clip model.

    Parameters
    ----------
    name : str
        The text that named it.
    identity : EncoderIdentity
    width : int
        Length D of an embedding.
    domain : str
        Its limits, or empty.
    model : torch.nn.Module
        With ``encode_image`` and ``encode_text``, in evaluation mode.
    preprocessing : Preprocessing
    tokenize : callable
        From a list of texts to (P, context) int64.
    vocabulary : callable or None
        From a phrase to the words in it that were never taught.
    device : str
        Where the model is.
    """

    name: str
    identity: EncoderIdentity
    width: int
    domain: str
    model: Any
    preprocessing: Preprocessing
    tokenize: Callable[[list[str]], torch.Tensor]
    vocabulary: Callable[[str], tuple[str, ...]] | None
    device: str

    def preprocess(self, image: Image) -> torch.Tensor:
        """Return the input for an RGB picture, shape (3, size, size) float32."""
        import torch

        return torch.from_numpy(self.preprocessing(image))

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Embed inputs of shape (B, 3, size, size); returns (B, D) float32 of unit length."""
        import torch

        with torch.inference_mode():
            embeddings = self.model.encode_image(batch.to(self.device), normalize=True)
            return _as_numpy(embeddings)

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embed P phrases in the template; returns (P, D) float32 of unit length.

        Raises
        ------
        PhraseError
            If one is longer than the encoder reads, so that its end would be ignored.
        """
        import torch

        texts = [self.identity.template.replace("{}", phrase) for phrase in phrases]
        for phrase, text in zip(phrases, texts, strict=True):
            self._check_length(phrase, text)
        found = [np.empty((0, self.width), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), PHRASES_AT_ONCE):
                tokens = self.tokenize(texts[start : start + PHRASES_AT_ONCE])
                embeddings = self.model.encode_text(tokens.to(self.device), normalize=True)
                found.append(_as_numpy(embeddings))
        return np.concatenate(found)

    def unknown_words(self, phrase: str) -> tuple[str, ...]:
        """Return the words of a phrase that the encoder was never taught."""
        return self.vocabulary(phrase) if self.vocabulary is not None else ()

    def _check_length(self, phrase: str, text: str) -> None:
        encode = getattr(self.tokenize, "encode", None)
        most = getattr(self.tokenize, "context_length", None)
        if encode is None or most is None:
            return
        tokens = len(encode(text)) + 2  # begin and end
        if tokens > most:
            raise PhraseError(
                f"phrase {shown(phrase)} is {tokens} tokens long with its template; encoder "
                f"{self.name} reads {most}: shorten it"
            )


def _as_numpy(embeddings: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = embeddings.float().cpu().numpy()
    return array


def load_encoder(
    spec: str,
    *,
    template: str | None = None,
    cache_dir: Path | None = None,
    device: str = "cpu",
) -> Encoder:
    """Load an encoder by its name.

    Parameters
    ----------
    spec : str
        ``small-clip`` or ``open_clip:ARCHITECTURE:TAG_OR_PATH``.
    template : str, optional
        Prompt with exactly one ``{}``; ``an image of a {}`` unless given.
    cache_dir : Path, optional
        Where downloaded weights are kept; the hub's own cache unless given.
    device : str
        ``cpu``, ``cuda`` ...

    Returns
    -------
    Encoder

    Raises
    ------
    InputError
        If the name or the template is malformed, or the weights do not fit the architecture.
    NotFoundError
        If there is no such architecture, tag or file, or the weights are neither cached nor
        reachable: the message says how to place them by hand.
    """
    template = DEFAULT_TEMPLATE if template is None else template
    check_template(template)
    if spec == SMALL_CLIP:
        return _small_clip(template, device)
    kind, _, rest = spec.partition(":")
    architecture, _, weights = rest.partition(":")
    if kind != "open_clip" or not architecture or not weights:
        raise InputError(
            f"encoder {shown(spec)} is not known; legal are {SMALL_CLIP} and "
            "open_clip:ARCHITECTURE:TAG_OR_PATH, as in open_clip:RN50:openai"
        )
    source = _find_weights(spec, architecture, weights, cache_dir)
    try:
        with _quiet():
            model, tokenize = _build(source, device)
    except ClarifyError:
        raise
    except Exception as error:  # whatever a foreign file or tokenizer provokes is told in one line
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"encoder {spec}: {source.weights} cannot be loaded as weights of {architecture} "
            f"({why}); give a .safetensors file saved from that architecture"
        ) from None
    return _wrapped(
        spec, architecture + source.suffix, source.weights, model, tokenize, template, device
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    architecture: str
    weights: Path
    preprocess: dict[str, Any]  # what differs from open_clip's defaults
    quick_gelu: bool = False
    model_folder: Path | None = None  # of an architecture described by a file
    suffix: str = ""


def _find_weights(spec: str, architecture: str, weights: str, cache_dir: Path | None) -> _Source:
    import open_clip

    path = Path(weights).expanduser()
    if path.is_dir():
        return _in_folder(spec, architecture, path)
    known = open_clip.list_models()
    if architecture not in known:
        raise NotFoundError(
            f"encoder {spec}: open_clip has no architecture {shown(architecture)}; "
            f"{nearest(architecture, known)}"
        )
    if path.is_file():
        config = _config_beside(path)
        return _Source(
            architecture=architecture,
            weights=path,
            preprocess=dict(config.get("preprocess_cfg", {})),
            quick_gelu=bool(config.get("model_cfg", {}).get("quick_gelu", False)),
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights.lower().replace("-", "_") not in tags:
        what = "file" if path.suffix in WEIGHT_ENDINGS or "/" in weights else "weights"
        raise NotFoundError(
            f"encoder {spec}: there are no {what} {shown(weights)} for {architecture}; "
            f"{nearest(weights, tags)}; or the path of a .safetensors file"
        )
    config = open_clip.get_pretrained_cfg(architecture, weights)
    return _Source(
        architecture=architecture,
        weights=_downloaded(spec, architecture, config, cache_dir),
        preprocess={
            key: config[key]
            for key in ("mean", "std", "interpolation", "resize_mode")
            if key in config
        },
        quick_gelu=bool(config.get("quick_gelu", False)),
    )


def _in_folder(spec: str, architecture: str, folder: Path) -> _Source:
    config = folder / CONFIG_FILE
    found = [path for ending in WEIGHT_ENDINGS for path in sorted(folder.glob(f"*{ending}"))]
    if not config.is_file() or not found:
        raise NotFoundError(
            f"encoder {spec}: folder {folder} needs {CONFIG_FILE} and a file of weights "
            f"({', '.join(WEIGHT_ENDINGS)})"
        )
    described = hashlib.sha256(config.read_bytes()).hexdigest()[:12]
    return _Source(
        architecture=architecture,
        weights=found[0],
        preprocess={},
        model_folder=folder,
        suffix=f"@{described}",
    )


def _config_beside(path: Path) -> dict[str, Any]:
    """Read the configuration that a hub's folder keeps beside the weights, if it is there."""
    config = path.parent / CONFIG_FILE
    if not config.is_file():
        return {}
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{config} is not readable as JSON: {error}; mend or remove it") from None
    return found if isinstance(found, dict) else {}


def _downloaded(
    spec: str, architecture: str, config: dict[str, Any], cache_dir: Path | None
) -> Path:
    import open_clip

    cache_name = None if cache_dir is None else str(cache_dir)
    cached = cached_weights(str(config.get("hf_hub", "")), cache_name)
    if cached is not None:
        return cached
    try:
        probe_hub()
        with _quiet():
            return Path(open_clip.download_pretrained(config, cache_dir=cache_name))
    except Exception as error:  # no network, no room, a proxy ...: the way out is the same
        cache = cache_dir or hub_cache()
        gelu = f"{architecture}-quickgelu"
        exact = (
            gelu if config.get("quick_gelu") and gelu in open_clip.list_models() else architecture
        )
        what = str(config.get("hf_hub") or config.get("url", "")).rsplit("//", 1)[-1].strip("/")
        raise NotFoundError(
            f"encoder {spec}: its weights ({what}) are not in the cache {cache} and the hub "
            f"cannot be reached ({_why(error)}); fetch open_clip_model.safetensors of it "
            "on another machine, copy it here together with its open_clip_config.json, and give "
            f"the encoder open_clip:{exact}:/folder/open_clip_model.safetensors"
        ) from None


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _build(source: _Source, device: str) -> tuple[Any, Callable[[list[str]], torch.Tensor]]:
    import open_clip

    if source.model_folder is not None:
        named = f"local-dir:{source.model_folder.resolve()}"
        # The file whose hash is the identity, and no other that may lie in the folder.
        model = open_clip.create_model(named, device=device, load_weights=False)
        open_clip.load_checkpoint(model, str(source.weights), strict=True, weights_only=True)
        return model.eval(), open_clip.get_tokenizer(named)
    extra = {"force_quick_gelu": True} if source.quick_gelu else {}
    model = open_clip.create_model(
        source.architecture,
        pretrained=str(source.weights),
        device=device,
        weights_only=True,
        force_preprocess_cfg=source.preprocess,
        **extra,
    )
    return model.eval(), open_clip.get_tokenizer(source.architecture)


def _small_clip(template: str, device: str) -> Encoder:
    from clarify.demo import small_clip, vocabulary

    model, _, tokenize = small_clip.load()
    weights = small_clip.ASSETS / "open_clip_model.safetensors"
    return _wrapped(
        SMALL_CLIP,
        SMALL_CLIP,
        weights,
        model.to(device),
        tokenize,
        template,
        device,
        vocabulary=vocabulary.unknown_words,
        domain="drawn scenes only",
    )


def _wrapped(
    spec: str,
    architecture: str,
    weights: Path,
    model: Any,
    tokenize: Callable[[list[str]], torch.Tensor],
    template: str,
    device: str,
    *,
    vocabulary: Callable[[str], tuple[str, ...]] | None = None,
    domain: str = "",
) -> OpenClipEncoder:
    import torch

    preprocessing = Preprocessing.from_open_clip(model.visual.preprocess_cfg)
    side = preprocessing.size
    with torch.inference_mode():
        width = model.encode_image(torch.zeros(1, 3, side, side, device=device)).shape[1]
    return OpenClipEncoder(
        name=spec,
        identity=EncoderIdentity(
            architecture=architecture,
            weights=_sha256(weights),
            preprocessing=preprocessing.describe(),
            template=template,
        ),
        width=int(width),
        domain=domain,
        model=model,
        preprocessing=preprocessing,
        tokenize=tokenize,
        vocabulary=vocabulary,
        device=device,
    )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's calls of the root logger from setting up logging for the whole process."""
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
