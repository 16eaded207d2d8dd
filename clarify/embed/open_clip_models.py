"""CLIP models of open_clip, and the small CLIP: images and phrases in one space."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.deferred import DeferredClip
from clarify.embed.hub import cached_weights, probe_hub
from clarify.embed.identity import Encoder, EncoderIdentity
from clarify.embed.image_model import ImageModel, NetworkConfig, file_digest, quiet
from clarify.embed.open_clip_weights import CONFIG_FILE, Source, doubt_of, find_weights
from clarify.embed.preprocessing import Preprocessing
from clarify.embed.wrapped import raw_weights, unwrapped
from clarify.errors import ClarifyError, InputError, NotFoundError, PhraseError, one_line, shown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["SMALL_CLIP", "build_image_half", "load_open_clip", "load_small_clip"]

SMALL_CLIP = "small-clip"
PHRASES_AT_ONCE = 256
FEW_PHRASES, MOST_KNOWN = 8, 1_000
"""What a person tries is embedded once: each phrase is needed for several splits."""

TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "tokenizer.model", "sentencepiece.model", "vocab.txt")
"""Any of these is a tokenizer of Hugging Face's."""

TEXT_HALF = (
    "text",
    "text_decoder",
    "transformer",
    "token_embedding",
    "positional_embedding",
    "ln_final",
    "text_projection",
)
"""What open_clip's models call the parts that only phrases need."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenClipEncoder(ImageModel):
    """An `Encoder` made of an open_clip model.

    Parameters
    ----------
    encode_text : callable
        From tokens (P, context) to embeddings (P, D) of unit length.
    tokenize : callable
        From a list of texts to (P, context) int64; takes another ``context_length`` as well.
    vocabulary : callable or None
        From a phrase to the words in it that were never taught.
    doubt : str
        For people: what is not known of the weights; empty if nothing is open.
    """

    encode_text: Callable[[torch.Tensor], torch.Tensor]
    tokenize: Callable[..., torch.Tensor]
    vocabulary: Callable[[str], tuple[str, ...]] | None
    doubt: str = ""
    _known: dict[str, NDArray[np.float32]] = dataclasses.field(default_factory=dict, repr=False)

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embed P phrases in the template; returns (P, D) float32 of unit length.

        Raises
        ------
        PhraseError
            If one is longer than the encoder reads, so that its end would be ignored.
        """
        if len(phrases) > FEW_PHRASES:
            return self._encoded(phrases)
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        known = {phrase: self._known[phrase] for phrase in phrases if phrase not in new}
        known |= zip(new, self._encoded(new), strict=True)
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update(known)
        return np.array([known[each] for each in phrases], np.float32).reshape(-1, self.width)

    def _encoded(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        import torch

        texts = [self.identity.template.replace("{}", phrase) for phrase in phrases]
        found = [np.empty((0, self.width), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), PHRASES_AT_ONCE):
                part = texts[start : start + PHRASES_AT_ONCE]
                tokens = self.tokenize(part)
                self._check_whole(phrases[start : start + PHRASES_AT_ONCE], part, tokens)
                embeddings = self.encode_text(tokens.to(self.device))
                found.append(embeddings.float().cpu().numpy())
        return np.concatenate(found)

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each phrase the words that the encoder was never taught."""
        return [() if self.vocabulary is None else self.vocabulary(each) for each in phrases]

    def _check_whole(self, phrases: Sequence[str], texts: list[str], tokens: torch.Tensor) -> None:
        """Refuse a text that was cut: in a row with room for all of it, it goes on, or otherwise.

        So it is told whatever the tokenizer: each has its own tokens for beginning, end and padding.
        """
        most = tokens.shape[1]
        room = most + 4 * max(len(text.encode()) for text in texts)
        whole = self.tokenize(texts, context_length=room)
        if getattr(self.tokenize, "tokenizer_mode", "") == "clips":  # its last token stands after the padding
            most, tokens, whole = most - 1, tokens[:, :-1], whole[:, :-1]
        padding = whole == whole[:, -1:]
        cut = (whole[:, :most] != tokens).any(dim=1) | ~padding[:, most:].all(dim=1)
        for row in cut.nonzero()[:, 0].tolist():
            used = int((~padding[row]).nonzero()[-1]) + 1
            raise PhraseError(
                f"phrase {shown(phrases[row])} is {max(used, most + 1)} tokens long with its template; "
                f"encoder {self.name} reads {most}: shorten it"
            )


@functools.cache
def load_small_clip(*, template: str, device: str) -> Encoder:
    """Return the small CLIP that Clarify brings along, once; its network is loaded when it is needed."""
    from clarify.demo import small_clip, vocabulary

    weights = small_clip.ASSETS / "open_clip_model.safetensors"
    config = json.loads((small_clip.ASSETS / CONFIG_FILE).read_text())
    domain = "drawn scenes only"

    def load() -> Encoder:
        model, _, tokenize = small_clip.load()
        found = _Loaded(
            model=model.to(device), tokenize=tokenize, weights=weights, model_config=config["model_cfg"]
        )
        taught = vocabulary.unknown_words
        return _wrapped(SMALL_CLIP, SMALL_CLIP, found, template, device, vocabulary=taught, domain=domain)

    return DeferredClip(
        name=SMALL_CLIP,
        identity=EncoderIdentity(
            architecture=SMALL_CLIP,
            weights=file_digest(weights),
            preprocessing=Preprocessing.from_open_clip(config["preprocess_cfg"]).describe(),
            template=template,
        ),
        domain=domain,
        width=config["model_cfg"]["embed_dim"],
        unit=True,
        load=load,
        vocabulary=vocabulary.unknown_words,
    )


def load_open_clip(spec: str, rest: str, *, template: str, device: str) -> Encoder:
    """Load ``open_clip:ARCHITECTURE:TAG_OR_PATH``; `rest` is what follows ``open_clip:``.

    Raises
    ------
    InputError
        If the name is malformed, or the weights do not fit the architecture.
    NotFoundError
        If there is no such architecture, tag or file, or the weights are neither cached nor
        reachable: the message says how to place them by hand.
    """
    architecture, _, weights = rest.partition(":")
    if not architecture or not weights:
        raise InputError(
            f"encoder {shown(spec)}; legal is open_clip:ARCHITECTURE:TAG_OR_PATH, as in open_clip:RN50:openai"
        )
    source = find_weights(spec, architecture, weights)
    try:
        with quiet():
            loaded = _built(source, device)
    except ClarifyError:
        raise
    except Exception as error:  # whatever a foreign file or tokenizer provokes is told in one line
        raise InputError(
            f"encoder {spec}: {source.weights} cannot be loaded as weights of {architecture} "
            f"({one_line(error, 200)}); give a .safetensors file saved from that architecture"
        ) from None
    doubt = doubt_of(spec, architecture, source)
    return _wrapped(spec, architecture + source.suffix, loaded, template, device, doubt=doubt)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    model: Any
    tokenize: Callable[[list[str]], torch.Tensor]
    weights: Path
    model_config: dict[str, Any]


def _built(source: Source, device: str) -> _Loaded:
    """Build a model; where its weights do not fit, without what a trainer wrapped them in."""
    try:
        return _build(source, device)
    except ClarifyError:
        raise
    except Exception:
        with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
            own = _unwrapped(source, Path(folder))
            if own is None:
                raise
            return dataclasses.replace(_build(own, device), weights=source.weights)


def _unwrapped(source: Source, folder: Path) -> Source | None:
    """Write the weights as open_clip saves them into a folder; None if nothing was around them."""
    import open_clip
    import safetensors.torch

    names = open_clip.create_model(source.named, load_weights=False).state_dict()
    weights, wrapping = unwrapped(raw_weights(source.weights), names, source.weights)
    if not wrapping:
        return None
    plain = folder / "weights.safetensors"
    # Copies: parts that share memory cannot be saved side by side.
    safetensors.torch.save_file({name: part.clone().contiguous() for name, part in weights.items()}, plain)
    return dataclasses.replace(source, weights=plain, tokenizer_in=source.weights.parent)


def _build(source: Source, device: str) -> _Loaded:
    import open_clip

    if source.model_folder is not None:
        # The file whose hash is the identity, and no other that may lie in the folder.
        model = open_clip.create_model(source.named, device=device, load_weights=False)
        open_clip.load_checkpoint(model, str(source.weights), strict=True, weights_only=True)
        config = json.loads((source.model_folder / CONFIG_FILE).read_text())["model_cfg"]
    else:
        extra = {"force_quick_gelu": True} if source.quick_gelu else {}
        model = open_clip.create_model(
            source.architecture,
            pretrained=str(source.weights),
            device=device,
            weights_only=True,
            force_preprocess_cfg=source.preprocess,
            **extra,
        )
        config = {**open_clip.get_model_config(source.architecture)}
        if source.quick_gelu:
            config["quick_gelu"] = True
    tokenize = _tokenizer(source, config)
    return _Loaded(model=model.eval(), tokenize=tokenize, weights=source.weights, model_config=config)


def _tokenizer(source: Source, model_config: Mapping[str, Any]) -> Any:
    """Return what cuts texts into tokens: by the files beside the weights, in the cache, or of the hub.

    Raises
    ------
    NotFoundError
        If it needs files, and they are nowhere.
    """
    import open_clip

    text = model_config.get("text_cfg", {})
    name = str(text.get("hf_tokenizer_name") or "")
    if not name:
        return open_clip.get_tokenizer(source.named)
    beside = source.tokenizer_in or source.weights.parent
    cached = cached_weights(f"{name}/", TOKENIZER_FILES)
    here = any((beside / each).is_file() for each in TOKENIZER_FILES)
    folder = beside if here else cached and cached.parent
    try:
        if folder is None:
            probe_hub()
        return open_clip.tokenizer.HFTokenizer(
            str(folder or name),
            context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text.get("tokenizer_mode"),
            **text.get("tokenizer_kwargs", {}),
        )
    except Exception as error:  # no network, files that are cut ...: the way out is the same
        raise NotFoundError(
            f"the tokenizer of {source.architecture} ({name}) cannot be had from {folder or 'the hub'} "
            f"({one_line(error, 80)}); fetch {TOKENIZER_FILES[0]} and tokenizer_config.json of it on another "
            f"machine and put them in {beside}"
        ) from None


def _wrapped(
    spec: str,
    architecture: str,
    loaded: _Loaded,
    template: str,
    device: str,
    *,
    vocabulary: Callable[[str], tuple[str, ...]] | None = None,
    domain: str = "",
    doubt: str = "",
) -> OpenClipEncoder:
    model = loaded.model
    preprocessing = Preprocessing.from_open_clip(model.visual.preprocess_cfg)
    return OpenClipEncoder(
        name=spec,
        identity=EncoderIdentity(
            architecture=architecture,
            weights=file_digest(loaded.weights),
            preprocessing=preprocessing.describe(),
            template=template,
        ),
        domain=domain,
        doubt=doubt,
        preprocessing=preprocessing,
        tower=model.visual,
        forward=model.encode_image,
        recipe=NetworkConfig(kind="open_clip", config=loaded.model_config),
        device=device,
        encode_text=functools.partial(model.encode_text, normalize=True),
        tokenize=loaded.tokenize,
        vocabulary=vocabulary,
    )


def build_image_half(config: Mapping[str, Any], device: str) -> tuple[Any, Any]:
    """Build a network of a `NetworkConfig` without weights; returns its image half and its forward."""
    import open_clip

    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        described = {"model_cfg": dict(config), "preprocess_cfg": {}}
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(described), encoding="utf-8")
        with quiet():
            model = open_clip.create_model(f"local-dir:{folder}", device=device, load_weights=False)
    for name in TEXT_HALF:
        if hasattr(model, name):
            setattr(model, name, None)
    model.eval()
    return model.visual, model.encode_image
