"""Two processes end in the weights of one with the same batches: torchrun, gloo, this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from clarify.errors import InputError
from clarify.finetune.processes import Processes

OBJECTIVES = ("reweight", "group_dro", "cvar")
SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from clarify.embed.networks import new_network
from clarify.finetune.batches import Balanced
from clarify.finetune.loop import train
from clarify.finetune.pictures import Pictures
from clarify.finetune.processes import joined
from clarify.finetune.schedule import Schedule
from clarify.finetune.task import Task
from clarify.workflow.model.recipe import OBJECTIVES
from tests.finetune.conftest import CLASSES, COUNT, GROUP_OF, GROUPS, LABELS, SIDE

squares, out, objectives = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
with joined() as processes:
    trained = {}
    for objective in objectives:
        network = new_network("timm:test_vit", CLASSES, size=SIDE, seed=0)
        pictures = Pictures(lambda row: squares / f"{row}.png", squares, network.preprocessing, workers=1,
                            least_crop=0.5)
        task = Task(
            pictures=pictures, labels=LABELS, groups=GROUP_OF, group_names=GROUPS,
            batches=Balanced(GROUP_OF, GROUPS, 8, seed=0), trainable=None, validation=pictures,
            objective=OBJECTIVES[objective].batch(np.bincount(GROUP_OF)),
            validation_count=COUNT, score=lambda found: {"right": float((found == LABELS).mean())},
        )
        plan = Schedule(epochs=2, batch_size=8, rate=1e-3, seed=3, patience=2)
        train(network, task, plan, checkpoints=None, processes=processes)
        state = network.module.state_dict()
        trained |= {f"{objective} {name}": each.contiguous() for name, each in state.items()}
        pictures.close()
    if processes.is_first:
        save_file(trained, out)
        print(processes.count)
"""


def run(squares: Path, folder: Path, processes: int) -> dict[str, np.ndarray]:
    script, out = folder / "script.py", folder / f"{processes}.safetensors"
    script.write_text(SCRIPT)
    begin = (
        [sys.executable]
        if processes == 1
        else [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    )
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*begin, str(script), str(squares), str(out), *OBJECTIVES],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[0] == str(processes)
    found: dict[str, np.ndarray] = load_file(out)
    return found


@pytest.mark.slow
def test_two_processes_end_in_the_weights_of_one(squares: Path, tmp_path: Path) -> None:
    alone, together = (run(squares, tmp_path, count) for count in (1, 2))
    assert {name.split()[0] for name in alone} == set(OBJECTIVES)
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        np.testing.assert_allclose(together[name], value, atol=1e-5, err_msg=name)


def test_parts_of_a_batch_are_dealt_out_whole_and_in_order() -> None:
    rows = np.arange(6)
    parts = [Processes(rank, 3).part(rows).tolist() for rank in range(3)]
    assert parts == [[0, 1], [2, 3], [4, 5]]


def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused() -> None:
    with pytest.raises(InputError, match="7 images cannot be dealt out to 2 processes"):
        Processes(0, 2).part(np.arange(7))
