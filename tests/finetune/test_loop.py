"""Training: what it learns, that it goes on bit for bit, and what stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clarify.errors import StoreError, TrainingError
from clarify.finetune.checkpoints import Checkpoints
from clarify.finetune.evaluation import predictions
from clarify.finetune.loop import train
from clarify.finetune.processes import Processes
from clarify.finetune.task import TrainingProgress
from tests.finetune.conftest import COUNT, LABELS, fit, schedule, shuffled, state_of, task_of, tiny


class Stopped(Exception):
    """Raised by a test in the middle of a training."""


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("model", ["timm:test_resnet", "timm:test_vit"])
def test_a_network_learns_what_tells_the_classes_apart(pictures: Any, model: str) -> None:
    network = tiny(model=model)
    done = fit(network, task_of(network, pictures, batches=shuffled()), schedule(epochs=8, rate=3e-3))
    assert done.history[-1]["right"] == 1.0
    assert done.steps == 8 * COUNT // 8
    assert done.best_epoch == 8
    assert done.touched == sum(each.numel() for each in network.module.parameters())
    first, last = (done.history[at]["loss/dark · blue"] for at in (0, -1))
    assert last < first


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(pictures: Any) -> None:
    states = []
    for seed in (3, 3, 4):
        network = tiny()
        fit(network, task_of(network, pictures), schedule(seed=seed))
        states.append(state_of(network))
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


@pytest.mark.parametrize(
    ("stop_at", "own", "objective"),
    [
        (1, {}, "group_dro"),
        (7, {}, "worst_group"),
        (4, {"averaged": True, "patience": 3}, "worst_group"),
        (11, {"averaged": True, "patience": 3}, "group_dro"),
    ],
)
def test_a_training_that_was_stopped_goes_on_to_the_same_weights_bit_for_bit(
    pictures: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
    own: dict[str, Any],
    objective: str,
) -> None:
    plan = schedule(**own)
    whole = tiny(model="timm:test_resnet")
    expected = fit(whole, task_of(whole, pictures, objective=objective), plan)

    def stop(progress: TrainingProgress) -> None:
        if progress.step >= stop_at:
            raise Stopped

    cut = tiny(model="timm:test_resnet")
    task = task_of(cut, pictures, objective=objective)
    monkeypatch.setattr("clarify.finetune.loop.REPORT_S", 0.0)
    with pytest.raises(Stopped):
        fit(cut, task, plan, tmp_path, progress=stop, every_s=0.0)
    resumed = tiny(seed=9, model="timm:test_resnet")  # its own weights do not matter any more
    task = task_of(resumed, pictures, objective=objective)
    found = fit(resumed, task, plan, tmp_path, every_s=0.0)
    assert same(state_of(whole), state_of(resumed))
    assert [each["right"] for each in found.history] == [each["right"] for each in expected.history]
    assert found.best_epoch == expected.best_epoch


def test_with_patience_the_weights_are_those_of_the_best_epoch(pictures: Any) -> None:
    network = tiny()
    scores = iter([0.2, 0.9, 0.5, 0.4, 0.3, 0.1])
    seen: list[dict[str, np.ndarray]] = []

    def score(predicted: np.ndarray) -> dict[str, float]:
        seen.append(state_of(network))
        return {"right": next(scores)}

    task = task_of(network, pictures)
    object.__setattr__(task, "score", score)
    done = fit(network, task, schedule(epochs=6, patience=2))
    assert done.best_epoch == 2
    assert len(done.history) == 4
    assert same(state_of(network), seen[1])


def test_what_is_not_to_change_does_not_its_statistics_included(pictures: Any) -> None:
    network = tiny(model="timm:test_resnet")
    before = state_of(network)
    last = network.layers()[0]
    done = fit(network, task_of(network, pictures, trainable=last), schedule())
    after = state_of(network)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert changed <= set(last)
    assert done.touched == sum(before[name].size for name in last)
    assert all(each.requires_grad for each in network.module.parameters())


def test_layers_are_counted_from_the_last_and_hold_every_parameter_once() -> None:
    network = tiny(model="timm:test_resnet")
    layers = network.layers()
    assert any(name.startswith("fc.") for name in layers[0])
    named = [name for layer in layers for name in layer]
    assert sorted(named) == sorted(name for name, _ in network.module.named_parameters())


def test_a_loss_that_is_no_number_stops_and_names_the_group(pictures: Any, tmp_path: Path) -> None:
    network = tiny()
    task = task_of(network, pictures)
    with torch.no_grad():
        network.layer.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"no number any more, in group '.* · .*'.*--rate"):
        fit(network, task, schedule(), tmp_path)


def test_what_was_kept_before_a_loss_became_no_number_is_whole(pictures: Any, tmp_path: Path) -> None:
    network = tiny()

    def break_it(progress: TrainingProgress) -> None:
        if progress.step == 6:  # the first epoch is kept by then
            with torch.no_grad():
                network.layer.weight.fill_(float("inf"))

    with pytest.raises(TrainingError, match="what was kept last is whole"):
        fit(network, task_of(network, pictures), schedule(epochs=4), tmp_path, progress=break_it)
    tensors, values = Checkpoints(tmp_path).read() or ({}, {})
    assert values["step"] == 6
    assert all(torch.isfinite(each).all() for each in tensors.values() if each.is_floating_point())


def test_memory_that_will_not_do_is_told_beforehand_with_the_size_that_would(
    pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny(model="timm:test_resnet")
    task = task_of(network, pictures, batches=shuffled(48))
    monkeypatch.setattr("clarify.finetune.loop.available_bytes", lambda device: 12 << 20)
    with pytest.raises(TrainingError, match="memory will not do for 48 images") as refused:
        fit(network, task, schedule(batch_size=48))
    size = int(str(refused.value).split("a batch size of ")[1].split()[0])
    assert 1 <= size < 48
    fits = tiny(model="timm:test_resnet")
    fit(fits, task_of(fits, pictures, batches=shuffled(size)), schedule(epochs=1, batch_size=size))
    monkeypatch.setattr("clarify.finetune.loop.available_bytes", lambda device: 1 << 20)
    with pytest.raises(TrainingError, match="not even one image fits"):
        fit(network, task, schedule(batch_size=48))


def test_memory_that_runs_out_in_a_step_is_told_in_one_line(
    pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny()

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("torch.nn.functional.cross_entropy", full)
    with pytest.raises(TrainingError, match=r"memory ran out .* --batch-size 4"):
        fit(network, task_of(network, pictures), schedule())


def test_what_is_told_counts_down_and_holds_every_group(pictures: Any) -> None:
    network, seen = tiny(), []
    fit(network, task_of(network, pictures), schedule(), progress=seen.append)
    assert [each.step for each in seen if each.step % 6 == 0] == [6, 12]
    assert seen[-1].seconds_left == 0
    assert seen[-1].images_a_second > 0
    assert set(seen[-1].losses) == {"dark · red", "dark · blue", "light · red", "light · blue"}
    assert 0 <= seen[-1].figures["right"] <= 1


def test_no_epochs_leave_the_weights_as_they_are(pictures: Any) -> None:
    network = tiny()
    before = state_of(network)
    done = fit(network, task_of(network, pictures), schedule(epochs=0))
    assert same(before, state_of(network))
    assert done.steps == 0
    assert done.history == ()


@pytest.mark.parametrize(
    "own", [{"precision": "bf16"}, pytest.param({"compiled": True}, marks=pytest.mark.slow)]
)
def test_sixteen_bits_and_compiling_come_to_about_the_same(pictures: Any, own: dict[str, Any]) -> None:
    plain, other = tiny(model="timm:test_resnet"), tiny(model="timm:test_resnet")
    fit(plain, task_of(plain, pictures), schedule())
    fit(other, task_of(other, pictures), schedule(**own))
    inputs = pictures(plain).plain(list(range(COUNT))).result()
    with torch.inference_mode():
        expected, found = (each.module(inputs).numpy() for each in (plain, other))
    assert np.abs(found - expected).max() < (0.1 if "precision" in own else 1e-3)


def test_predictions_are_of_every_image_in_order(pictures: Any) -> None:
    network = tiny()
    fit(network, task_of(network, pictures, batches=shuffled()), schedule(epochs=8, rate=3e-3))
    found = predictions(network.module, pictures(network), COUNT)
    np.testing.assert_array_equal(found, LABELS)


def test_a_checkpoint_that_another_training_holds_is_not_touched(tmp_path: Path) -> None:
    place, other = (Checkpoints(tmp_path / "one") for _ in "ab")
    with place.locked(), pytest.raises(StoreError, match="at work already"), other.locked():
        pass
    with place.locked():
        pass


def test_a_disk_that_fills_leaves_the_checkpoint_before_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Checkpoints(tmp_path)
    place.write({"a": torch.arange(3)}, {"step": 1})

    def full(path: Path, parts: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("clarify.finetune.checkpoints.write_atomically", full)
        with pytest.raises(StoreError, match="the checkpoint before is whole"):
            place.write({"a": torch.arange(9)}, {"step": 2})
    tensors, values = place.read() or ({}, {})
    assert values == {"step": 1}
    assert tensors["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"nonsense" * 20])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be read .*; remove it to begin anew"):
        Checkpoints(tmp_path).read()


def test_without_checkpoints_nothing_is_written(pictures: Any, tmp_path: Path) -> None:
    network = tiny()
    train(network, task_of(network, pictures), schedule(), checkpoints=None, processes=Processes())
    assert list(tmp_path.iterdir()) == []
