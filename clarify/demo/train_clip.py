"""Train the small CLIP from scratch on rendered scenes: `python -m clarify.demo.train_clip`.

Three ideas make a small model learn in minutes what a plain CLIP loss does not: exact
multi-positive targets (which captions are true of which scenes is known), throw-away linear
heads for every attribute, and a fresh caption each time a scene is seen. Steps and seeds are
given, never seconds, so that the run can be repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clarify.demo.captions import ATTRIBUTES, Captioner, code_of, truth
from clarify.demo.scenes import RENDERER_VERSION, render, renderer_means, sample_scene
from clarify.demo.shapes import seeded
from clarify.demo.vocabulary import VALUES, WORDS

if TYPE_CHECKING:
    import torch

_CHUNK = 2000
_SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """Everything that decides the trained weights, apart from the code."""

    steps: int = 12_000
    samples: int = 300_000
    seed: int = 0
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05
    clip_norm: float = 1.0
    head_weight: float = 0.5
    largest_scale: float = 50.0


def picture(number: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a training picture (64, 64, 3) and its code; sizes 64, 96 and 128 take turns."""
    from PIL import Image

    scene = sample_scene(rng)
    drawn = render(scene, (_SIDE, 96, 128)[number % 3])
    if drawn.shape[0] != _SIDE:
        small = Image.fromarray(drawn).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        drawn = np.asarray(small)
    return drawn, code_of(scene)


def _draw_chunk(path: Path, samples: int, seed: int, chunk: int) -> NDArray[np.uint8]:
    """Draw one chunk of the pictures into the file and return its codes (n, A)."""
    pictures = np.memmap(path, dtype=np.uint8, mode="r+", shape=(samples, _SIDE, _SIDE, 3))
    rng = seeded("training scenes", seed, chunk)
    first, codes = chunk * _CHUNK, []
    for k in range(first, min(first + _CHUNK, samples)):
        pictures[k], code = picture(k, rng)
        codes.append(code)
    pictures.flush()
    return np.stack(codes)


def draw_pictures(folder: Path, recipe: ClipSettings, workers: int) -> tuple[Path, NDArray[np.uint8]]:
    """Draw all training pictures once; return their file and their codes (N, A) uint8."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"pictures-{recipe.seed}-{recipe.samples}.u8"
    codes_path = path.with_suffix(".codes.npy")
    if codes_path.exists():
        return path, np.load(codes_path, allow_pickle=False)
    with path.open("wb") as file:
        file.truncate(recipe.samples * _SIDE * _SIDE * 3)
    chunks = range(math.ceil(recipe.samples / _CHUNK))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = [pool.submit(_draw_chunk, path, recipe.samples, recipe.seed, c) for c in chunks]
        codes = np.concatenate([job.result() for job in jobs])
    np.save(codes_path, codes)
    return path, codes


class CaptionBatches:
    """Endless batches of pictures, tokens and exact targets."""

    def __init__(self, path: Path, codes: NDArray[np.uint8], recipe: ClipSettings, tokenizer: Any) -> None:
        self._codes, self._recipe = codes, recipe
        shape = (recipe.samples, _SIDE, _SIDE, 3)
        self._pictures = np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
        self._captioner = Captioner(recipe.seed)
        self._tokenizer = tokenizer
        self._tokens: dict[str, list[int]] = {}

    def _encode(self, caption: str) -> list[int]:
        found: list[int] = [self._tokenizer.sot_token_id]
        for word in caption.split():
            if word not in self._tokens:
                self._tokens[word] = self._tokenizer.encode(word)
            found += self._tokens[word]
        return [*found[: self._tokenizer.context_length - 1], self._tokenizer.eot_token_id]

    def order(self) -> Iterator[NDArray[np.int64]]:
        """Yield rows of each batch, going through all pictures again and again."""
        rng = seeded("order", self._recipe.seed)
        size = self._recipe.batch
        while True:
            rows = rng.permutation(self._recipe.samples)
            for k in range(0, len(rows) - size + 1, size):
                yield np.sort(rows[k : k + size])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield batches: pictures, codes, tokens and both targets, for ever."""
        for rows in self.order():
            codes = self._codes[rows]
            written = [self._captioner.caption(code) for code in codes]
            true = truth(np.array([claims for _, claims in written], dtype=np.int64), codes)
            yield {
                "pictures": self._pictures[rows],
                "codes": codes.astype(np.int64),
                "tokens": [self._encode(text) for text, _ in written],
                "of_captions": true / true.sum(axis=1, keepdims=True),
                "of_pictures": rare_first(true).T,
            }


def rare_first(true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weigh captions (C, S) that hold of a scene by one over the scenes they hold of.

    Each column (scene) sums to 1.
    """
    weights = true / true.sum(axis=1, keepdims=True)
    result: NDArray[np.float64] = weights / weights.sum(axis=0, keepdims=True)
    return result


def encode_captions(model: Any, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return L2-normalised text embeddings (C, D), the short half apart from the long one."""
    import torch
    from torch.nn import functional

    order = sorted(range(len(tokens)), key=lambda k: len(tokens[k]))
    parts = []
    third = math.ceil(len(order) / 3)
    for k in range(0, len(order), third):
        chosen = order[k : k + third]
        longest = len(tokens[chosen[-1]])
        ids = torch.zeros(len(chosen), longest, dtype=torch.long)
        for row, j in enumerate(chosen):
            ids[row, : len(tokens[j])] = torch.tensor(tokens[j])
        x = model.token_embedding(ids) + model.positional_embedding[:longest]
        x = model.transformer(x, attn_mask=model.attn_mask[:longest, :longest])
        x = model.ln_final(x)[torch.arange(len(chosen)), ids.argmax(dim=-1)]
        parts.append(functional.normalize((x @ model.text_projection).float(), dim=-1))
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(parts)[back]


class Trainer:
    """The model, its throw-away heads and the optimiser."""

    def __init__(self, recipe: ClipSettings) -> None:
        import torch

        from clarify.demo.small_clip import MODEL_CONFIG, build

        torch.manual_seed(recipe.seed)
        width = MODEL_CONFIG["embed_dim"]
        self.recipe, self.model = recipe, build()
        self.model.train()
        self.model.visual.to(memory_format=torch.channels_last)
        self.norm = torch.nn.LayerNorm(width)
        self.heads = torch.nn.ModuleList(torch.nn.Linear(width, len(VALUES[name])) for name in ATTRIBUTES)
        self.parameters = [*self.model.parameters(), *self.norm.parameters(), *self.heads.parameters()]
        groups = [
            {"params": [p for p in self.parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
            {"params": [p for p in self.parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then a cosine to zero."""
        warm = max(1, round(self.recipe.warm_up * self.recipe.steps))
        if step < warm:
            return self.recipe.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1, self.recipe.steps - warm)
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def losses(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the contrastive loss and the sum of the heads' cross-entropies."""
        import torch
        from torch.nn import functional

        pictures = torch.from_numpy(batch["pictures"]).permute(0, 3, 1, 2)
        pixels = pictures.float().div_(63.75).sub_(2.0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen = self.model.visual(pixels.contiguous(memory_format=torch.channels_last))
            read = encode_captions(self.model, batch["tokens"])
        seen = seen.float()
        codes = torch.from_numpy(batch["codes"])
        normed = self.norm(seen)
        heads = torch.stack(
            [functional.cross_entropy(h(normed), codes[:, k]) for k, h in enumerate(self.heads)]
        ).sum()
        logits = self.model.logit_scale.exp() * read @ functional.normalize(seen, dim=-1).T
        to_pictures = torch.from_numpy(batch["of_captions"]).float()
        to_captions = torch.from_numpy(batch["of_pictures"]).float()
        contrast = functional.cross_entropy(logits, to_pictures)
        contrast = (contrast + functional.cross_entropy(logits.T, to_captions)) / 2
        return contrast, heads

    def step(self, number: int, batch: dict[str, Any]) -> tuple[float, float]:
        """Take one step of the optimiser; return both losses."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(number)
        contrast, heads = self.losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss = contrast + self.recipe.head_weight * heads
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0.0, math.log(self.recipe.largest_scale))
        return float(contrast.detach()), float(heads.detach())


def export(model: Any, folder: Path) -> None:
    """Write weights (float16 safetensors) and configuration as open_clip reads them."""
    import torch
    from safetensors.torch import save_file

    from clarify.demo.small_clip import MODEL_CONFIG, PREPROCESS_CONFIG

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (value.half() if value.is_floating_point() else value).clone(
            memory_format=torch.contiguous_format
        )
        for name, value in model.state_dict().items()
    }
    config = {"model_cfg": MODEL_CONFIG, "preprocess_cfg": PREPROCESS_CONFIG}
    text = json.dumps(config, indent=2) + "\n"
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
    part = folder / "open_clip_model.safetensors.part"
    save_file(tensors, part)
    part.chmod(0o644)
    part.replace(folder / "open_clip_model.safetensors")


def write_record(folder: Path, recipe: ClipSettings, seconds: float, date: str) -> None:
    """Write ``record.json``: what the weights are, how they were made, and their licence."""
    from importlib.metadata import version

    record = {
        "schema_version": 1,
        "title": "Clarify's small CLIP",
        "domain": "drawn scenes only: it has never seen a photograph",
        "licence": "Apache-2.0",
        "date": date,
        "data": {
            "source": "clarify.demo.scenes, rendered by this project; no other data",
            "renderer_version": RENDERER_VERSION,
            "renderer_means": renderer_means(),
        },
        "recipe": asdict(recipe),
        "command": "python -m clarify.demo.train_clip --out OUT "
        f"--steps {recipe.steps} --samples {recipe.samples} --seed {recipe.seed}",
        "training_seconds": round(seconds),
        "software": {name: version(name) for name in ("torch", "open_clip_torch", "numpy")},
        "taught_words": len(WORDS),
    }
    text = json.dumps(record, indent=2) + "\n"
    (folder / "record.json").write_text(text, encoding="utf-8")


def _quick_figures(model: Any, tokenizer: Any, pictures: Any, scenes: Any) -> dict[str, float]:
    """Return accuracies on a few held-out scenes, for the log alone."""
    from clarify.demo.evaluate_clip import PHRASES, Measurement

    model.eval()
    measured = Measurement(model, pictures, tokenizer, scenes)
    found = {name: round(measured.accuracy(name), 3) for name in PHRASES}
    model.train()
    return found


def train(out: Path, data: Path, recipe: ClipSettings, *, workers: int, every: int) -> float:
    """Draw, train, and write the model; the log goes to standard output and ``log.jsonl``.

    Returns
    -------
    float
        Seconds it took, drawing included.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from clarify.demo.evaluate_clip import held_out
    from clarify.demo.small_clip import cut_tokenizer, preprocessing

    begun = time.monotonic()
    path, codes = draw_pictures(data, recipe, workers)
    tokenizer, trainer = cut_tokenizer(), Trainer(recipe)
    batches = iter(CaptionBatches(path, codes, recipe, tokenizer))
    scenes, preprocess = held_out(500), preprocessing()
    out.mkdir(parents=True, exist_ok=True)
    sums = np.zeros(2)
    torch.set_num_threads(workers)
    # the CPU's flash kernel is slow backwards at these sizes
    with sdpa_kernel(SDPBackend.MATH), (out / "log.jsonl").open("a", encoding="utf-8") as log:
        for done in range(1, recipe.steps + 1):
            sums += trainer.step(done - 1, next(batches))
            if done % 100 and done != recipe.steps:
                continue
            contrast, heads = (sums / 100).round(4).tolist()
            sums[:] = 0
            line = {"step": done, "seconds": round(time.monotonic() - begun, 1)}
            line |= {"contrast": contrast, "heads": heads}
            if done % every == 0 or done == recipe.steps:
                export(trainer.model, out)
                line |= _quick_figures(trainer.model, tokenizer, preprocess, scenes)
            for shown in (log, sys.stdout):
                print(json.dumps(line), file=shown, flush=True)
    return time.monotonic() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m clarify.demo.train_clip", description=__doc__)
    default = ClipSettings()
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--data", type=Path, help="folder for drawn pictures (default: OUT/data)")
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--samples", type=int, default=default.samples)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--workers", type=int, default=2, help="processes and threads")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    given = parser.parse_args(arguments)
    recipe = ClipSettings(steps=given.steps, samples=given.samples, seed=given.seed)
    data = given.data or given.out / "data"
    seconds = train(given.out, data, recipe, workers=given.workers, every=given.every)
    write_record(given.out, recipe, seconds, datetime.now(UTC).date().isoformat())


if __name__ == "__main__":
    main()
