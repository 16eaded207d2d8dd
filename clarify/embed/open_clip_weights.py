"""Where the weights of an open_clip model lie, and what is known of the architecture they are of."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from clarify.embed.hub import cached_weights, hub_cache, probe_hub
from clarify.embed.image_model import quiet
from clarify.errors import InputError, NotFoundError, nearest, one_line, shown

__all__ = ["CONFIG_FILE", "Source", "cached_clip", "doubt_of", "find_weights"]

CONFIG_FILE = "open_clip_config.json"
DEFAULT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".pth")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of weights, and how to build what it belongs to.

    Parameters
    ----------
    preprocess : dict
        What differs from open_clip's defaults.
    model_folder : Path, optional
        Of an architecture that is described by a file.
    suffix : str
        Of the architecture's name in the encoder's identity.
    tokenizer_in : Path, optional
        Where files of its tokenizer may lie, if not beside the weights.
    described : bool
        Whether a configuration says what the weights alone do not.
    """

    architecture: str
    weights: Path
    preprocess: dict[str, Any]
    quick_gelu: bool = False
    model_folder: Path | None = None
    suffix: str = ""
    tokenizer_in: Path | None = None
    described: bool = True

    @property
    def named(self) -> str:
        """What open_clip calls the architecture."""
        folder = self.model_folder
        return self.architecture if folder is None else f"local-dir:{folder.resolve()}"


def find_weights(spec: str, architecture: str, weights: str) -> Source:
    """Find weights by a tag of open_clip's, a file or a folder; see `load_open_clip` for its errors."""
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
        return Source(
            architecture=architecture,
            weights=path,
            preprocess=dict(config.get("preprocess_cfg", {})),
            quick_gelu=bool(config.get("model_cfg", {}).get("quick_gelu", False)),
            described="model_cfg" in config,
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights.lower().replace("-", "_") not in tags:
        what = "file" if path.suffix in WEIGHT_ENDINGS or "/" in weights else "weights"
        raise NotFoundError(
            f"encoder {spec}: there are no {what} {shown(weights)} for {architecture}; "
            f"{nearest(weights, tags)}; or the path of a .safetensors file"
        )
    config = open_clip.get_pretrained_cfg(architecture, weights)
    return Source(
        architecture=architecture,
        weights=_downloaded(spec, architecture, config),
        preprocess={
            key: config[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in config
        },
        quick_gelu=bool(config.get("quick_gelu", False)),
    )


def _in_folder(spec: str, architecture: str, folder: Path) -> Source:
    config = folder / CONFIG_FILE
    found = [path for ending in WEIGHT_ENDINGS for path in sorted(folder.glob(f"*{ending}"))]
    if not config.is_file() or not found:
        raise NotFoundError(
            f"encoder {spec}: folder {folder} needs {CONFIG_FILE} and a file of weights "
            f"({', '.join(WEIGHT_ENDINGS)})"
        )
    described = hashlib.sha256(config.read_bytes()).hexdigest()[:12]
    return Source(
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


def _downloaded(spec: str, architecture: str, config: dict[str, Any]) -> Path:
    import open_clip

    cached = cached_weights(str(config.get("hf_hub", "")), DEFAULT_FILES)
    if cached is not None:
        return cached
    try:
        probe_hub()
        with quiet():
            return Path(open_clip.download_pretrained(config))
    except Exception as error:  # no network, no room, a proxy ...: the way out is the same
        gelu = f"{architecture}-quickgelu"
        exact = gelu if config.get("quick_gelu") and gelu in open_clip.list_models() else architecture
        what = str(config.get("hf_hub") or config.get("url", "")).rsplit("//", 1)[-1].strip("/")
        raise NotFoundError(
            f"encoder {spec}: its weights ({what}) are not in the cache {hub_cache()} and the hub "
            f"cannot be reached ({one_line(error, 80)}); fetch open_clip_model.safetensors of it "
            "on another machine, copy it here together with its open_clip_config.json, and give "
            f"the encoder open_clip:{exact}:/folder/open_clip_model.safetensors"
        ) from None


def doubt_of(spec: str, architecture: str, source: Source) -> str:
    """Say what a file of weights alone leaves open: which of two activations it was trained with."""
    import open_clip

    gelu = f"{architecture}-quickgelu"
    if source.described or gelu not in open_clip.list_models():
        return ""
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    quick = [tag for tag in tags if open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu")]
    return (
        f"encoder {spec}: weights of {architecture} come with two activations, and no {CONFIG_FILE} beside "
        f"{source.weights.name} says which; if they are of QuickGELU "
        f"({', '.join(quick) or 'as OpenAI trains'}), give open_clip:{gelu}:{source.weights}"
    )


def cached_clip() -> str:
    """Return the name of the first CLIP whose weights the hub's cache has; empty for none."""
    import open_clip

    for architecture, tag in open_clip.list_pretrained():
        config = open_clip.get_pretrained_cfg(architecture, tag)
        if cached_weights(str(config.get("hf_hub") or ""), DEFAULT_FILES) is not None:
            return f"open_clip:{architecture}:{tag}"
    return ""
