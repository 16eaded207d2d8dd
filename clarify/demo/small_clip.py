"""The small CLIP that travels with Clarify: it knows drawn scenes, and them only.

An open_clip model of 3.3 million parameters with a cut tokenizer. Nothing is loaded on import.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.demo.vocabulary import unknown_words

if TYPE_CHECKING:
    import torch

__all__ = ["ASSETS", "MERGES", "build", "cut_tokenizer", "load", "preprocessing", "unknown_words"]

ASSETS = Path(__file__).parent / "small_clip"
"""The folder of the shipped weights, their configuration and their record."""

MERGES = 4000
"""Merges kept of open_clip's own byte-pair list; any text still has tokens."""

CONTEXT = 32

MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": 192,
    "vision_cfg": {"image_size": 64, "layers": [1, 2, 2, 1], "width": 16},
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": 512 + MERGES + 2,
        "width": 192,
        "heads": 6,
        "layers": 2,
    },
}
PREPROCESS_CONFIG: dict[str, Any] = {
    "size": 64,
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


def cut_tokenizer() -> Any:
    """Return open_clip's tokenizer with its first ``MERGES`` merges and ``CONTEXT`` tokens."""
    from open_clip.tokenizer import SimpleTokenizer

    whole = SimpleTokenizer(context_length=CONTEXT)
    ranks = dict(list(whole.bpe_ranks.items())[:MERGES])
    letters = list(whole.encoder)[:512]
    vocabulary = [*letters, *("".join(pair) for pair in ranks)]
    vocabulary += ["<start_of_text>", "<end_of_text>"]
    whole.bpe_ranks = ranks
    whole.encoder = {token: k for k, token in enumerate(vocabulary)}
    whole.decoder = {k: token for token, k in whole.encoder.items()}
    whole.vocab_size = len(vocabulary)
    whole.sot_token_id, whole.eot_token_id = len(vocabulary) - 2, len(vocabulary) - 1
    whole.all_special_ids = [whole.sot_token_id, whole.eot_token_id]
    return whole


def build() -> Any:
    """Return the model with fresh weights, in training mode."""
    from open_clip.model import CLIP

    return CLIP(MODEL_CONFIG["embed_dim"], MODEL_CONFIG["vision_cfg"], MODEL_CONFIG["text_cfg"])


def preprocessing() -> Any:
    """Return the preprocessing of :data:`PREPROCESS_CONFIG`: PIL image -> tensor (3, 64, 64)."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    return image_transform_v2(PreprocessCfg(**PREPROCESS_CONFIG), is_train=False)


def load() -> tuple[torch.nn.Module, Any, Any]:
    """Load the shipped model.

    Returns
    -------
    model
        The open_clip model, float32, in evaluation mode, on the CPU.
    preprocess
        PIL image -> float32 tensor (3, 64, 64).
    tokenize
        str or list of str -> int64 tensor (n, 32).
    """
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(
        f"local-dir:{ASSETS}", precision="fp32", device="cpu"
    )
    model.eval()
    return model, preprocess, cut_tokenizer()
