"""Who may import whom, read from the source; and that importing costs and does nothing."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DATA_SET

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clarify"

ALLOWED = {
    # part: the parts of ours that it may import
    "": {"version", "errors", "method", "workflow", "face"},  # clarify/__init__.py, lazily
    "version": set(),
    "face": {"errors", "config", "assembly", "data", "method", "embed", "track", "workflow"},
    "errors": set(),
    "config": {"errors"},
    "method": {"errors"},
    "data": {"errors", "method"},
    "embed": {"errors", "method", "data", "demo"},
    "track": {"errors", "method", "data"},
    "demo": {"errors"},
    "discover": {"errors", "method"},
    "finetune": {"errors", "method", "data", "embed"},
    "workflow": {"version", "errors", "method", "data", "embed", "track", "demo", "discover", "finetune"},
    "assembly": {"config", "data", "embed", "track", "workflow"},
    "ui": {"face", "errors", "config", "method", "data", "finetune", "track", "workflow", "assembly"},
    "evidence": {"errors", "method", "discover", "track", "workflow"},
    "cli": {
        "evidence",
        "version",
        "face",
        "errors",
        "config",
        "method",
        "workflow",
        "data",
        "discover",
        "embed",
        "finetune",
        "track",
        "assembly",
    },
}
VENDORS = {
    "mlflow": {
        "track/mlflow.py",
        "track/connection.py",
        "track/registry.py",
        "track/served_head.py",
        "track/served_images.py",
        "track/model_folder.py",
        "track/backend.py",
        "track/run.py",
        "track/sqlite.py",
        "track/postgresql.py",
        "track/server.py",
    },
    "open_clip": {
        "embed/open_clip_models.py",
        "embed/open_clip_weights.py",
        "embed/imagenet.py",
        "demo/small_clip.py",
        "demo/train_clip.py",
    },
    "timm": {"embed/timm_models.py", "embed/networks.py", "embed/imagenet.py"},
    "streamlit": {
        "ui/classes/promises.py",
        "ui/compare/differences.py",
        "ui/compare/figures.py",
        "ui/compare/model_table.py",
        "ui/describe/cuts.py",
        "ui/describe/grid.py",
        "ui/describe/halves.py",
        "ui/describe/phrases.py",
        "ui/describe/task.py",
        "ui/describe/view.py",
        "ui/pieces/blocks.py",
        "ui/pieces/page.py",
        "ui/pieces/script.py",
        "ui/pieces/sidebar.py",
        "ui/registry/actions.py",
        "ui/registry/champion.py",
        "ui/retrain/jobs.py",
        "ui/server/entry.py",  # where its first page lies
        "ui/server/shared.py",  # under which prefix it serves
        "ui/tutorial/lesson.py",
    },
    "sentence_transformers": {"embed/sentences.py"},
    "ray": {"embed/cluster.py"},
    "click": set(),
}
# The seams between parts: only these modules may be imported from outside their part.
DOORS = {
    "data": {
        "clarify.data.manifest",
        "clarify.data.captions",
        "clarify.data.matching",
        "clarify.data.images",
        "clarify.data.files",
        "clarify.data.predictions",
        "clarify.data.checking",
        "clarify.data.copying",
        "clarify.data.names",
        "clarify.data.labels",
        "clarify.data.parallel",
        "clarify.data.pool",
        "clarify.data.sources",
        "clarify.data.thumbnails",
        "clarify.data.archive",
        "clarify.data.opening",
        "clarify.data.sizes",
        "clarify.data.spreadsheets",
    },
    "embed": {
        "clarify.embed.answering",
        "clarify.embed.bridge",
        "clarify.embed.bridging",
        "clarify.embed.cluster",
        "clarify.embed.encoders",
        "clarify.embed.extract",
        "clarify.embed.feature_files",
        "clarify.embed.imagenet",
        "clarify.embed.imported",
        "clarify.embed.networks",
        "clarify.embed.onnx",
        "clarify.embed.preprocessing",
        "clarify.embed.packages",
        "clarify.embed.packing",
        "clarify.embed.sentences",
        "clarify.embed.store",
        "clarify.embed.work",
    },
    "track": {
        "clarify.track.artifacts",
        "clarify.track.figures",
        "clarify.track.carrying",
        "clarify.track.history",
        "clarify.track.listing",
        "clarify.track.live",
        "clarify.track.markdown",
        "clarify.track.mlflow",
        "clarify.track.model_folder",
        "clarify.track.notes",
        "clarify.track.gate_evidence",
        "clarify.track.promotion",
        "clarify.track.record",
        "clarify.track.records",
        "clarify.track.registry",
        "clarify.track.run",
        "clarify.track.runs",
        "clarify.track.verdict",
    },
    "discover": {
        "clarify.discover.collecting",
        "clarify.discover.halves",
        "clarify.discover.mentions",
        "clarify.discover.promise",
        "clarify.discover.settings",
        "clarify.discover.slices",
        "clarify.discover.suggest",
        "clarify.discover.vocabulary",
    },
    "finetune": {
        "clarify.finetune.batches",
        "clarify.finetune.checkpoints",
        "clarify.finetune.evaluation",
        "clarify.finetune.loop",
        "clarify.finetune.pictures",
        "clarify.finetune.processes",
        "clarify.finetune.schedule",
        "clarify.finetune.task",
    },
    "demo": {"clarify.demo.small_clip", "clarify.demo.vocabulary", "clarify.demo.datasets"},
}
# Doors that are closed to one part.
CLOSED = {
    ("embed", "demo"): {"clarify.demo.datasets"},
    ("track", "data"): DOORS["data"] - {"clarify.data.files"},
}
ROOMS = {
    # room: the rooms of the same part that it may import
    "method": {"groups": set(), "phrases": set(), "decisions": set(), "fit": {"groups"}},
    "workflow": {
        "model": set(),
        "describe": {"model"},
        "retrain": {"model", "describe"},
        "decide": {"model", "describe", "retrain"},
        "exchange": {"model", "describe", "decide", "home"},
        "home": {"model"},
        "jobs": {"model", "describe", "retrain"},
        "collect": {"model", "describe", "decide", "exchange", "home"},
        "shows": {"model", "describe", "retrain", "decide"},
    },
    "ui": {
        "server": set(),
        "pieces": {"server"},
        "classes": {"server", "pieces"},
        "describe": {"server", "pieces", "classes"},
        "retrain": {"server", "pieces"},
        "compare": {"server", "pieces", "retrain"},
        "registry": {"server", "pieces", "retrain", "compare"},
        "tutorial": {"server", "pieces"},
    },
}
# MLflow runs it by itself, so nobody hands it what it works with: it ties the parts as a step does.
LIKE = {"track/served_images.py": "workflow"}
HEAVY = {"torch", "open_clip", "timm", "mlflow", "streamlit", "plotly", "scipy", "torchvision"}


def imports(source: str, *, for_types: bool = True) -> set[str]:
    """Return the absolute names of the modules that a source file imports, anywhere in it.

    Without `for_types` those are left out that only a type checker reads.
    """
    found: set[str] = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError("relative imports hide who imports whom")
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return found


def part_of(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def violations(path: str, source: str) -> list[str]:
    """List what a file of the package, `path` relative to clarify/, imports against the plan."""
    own = LIKE.get(path) or path.split("/")[0].removesuffix(".py").replace("__init__", "")
    parts = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or p.is_dir()}
    wrong = []
    for module in imports(source):
        if module.split(".")[0] == "clarify":
            other = part_of(module)
            if other and other not in parts:
                other = ""  # `from clarify import error_score`
            if other not in (own, *ALLOWED[own]):
                wrong.append(f"clarify/{path} imports {module}")
            if other in DOORS and own != other and not through_a_door(own, other, module):
                wrong.append(f"clarify/{path} imports {module} past the doors of {other}")
            if other == own and not within(path, module):
                wrong.append(f"clarify/{path} imports {module} against the plan of {own}")
        vendor = module.split(".")[0]
        if vendor in VENDORS and path not in VENDORS[vendor]:
            wrong.append(f"clarify/{path} imports {module}")
    return wrong


def within(path: str, module: str) -> bool:
    """Whether a module of the same part is of the same room, of no room, or of one below."""
    rooms = ROOMS.get(path.split("/")[0], {})
    own, other = path.split("/")[1], [*module.split("."), "", ""][2]
    return own not in rooms or other not in rooms or other in {own, *rooms[own]}


def through_a_door(own: str, other: str, module: str) -> bool:
    """Whether a module of another part is one that outsiders may import, or a name in it."""
    doors = DOORS[other] - CLOSED.get((own, other), set())
    packages = {door.rsplit(".", 1)[0] for door in doors}
    return module in packages or any(f"{module}.".startswith(f"{door}.") for door in doors)


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def modules() -> dict[str, str]:
    """Return the source of every module of the package by its name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in sources()
    }


def circle(found: dict[str, str]) -> list[str]:
    """Return modules of which each imports the one before, back to the first; none if there are none."""
    graph = {}
    for name, source in found.items():
        others = {other for other in imports(source, for_types=False) if other in found}
        # `from package import module` is about the module.
        graph[name] = {other for other in others if not any(o.startswith(f"{other}.") for o in others)}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_every_import_follows_the_plan_of_the_house() -> None:
    found = [
        line
        for path in sources()
        for line in violations(path.relative_to(PACKAGE).as_posix(), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("method/error_score.py", "import mlflow"),
        ("method/error_score.py", "from clarify.track import records"),
        ("track/records.py", "from clarify.data.manifest import Manifest"),
        ("data/manifest.py", "def f():\n    from clarify.embed.store import FeatureStore"),
        ("embed/store.py", "from clarify.demo.waterbirds import DATASETS"),
        ("workflow/model/project.py", "import clarify.cli"),
        ("workflow/model/project.py", "from clarify.workflow.describe.phrases import try_phrase"),
        ("ui/server/desk.py", "from clarify.ui.pieces import blocks"),
        ("method/phrases/phrases.py", "from clarify.method.fit.head import Head"),
        ("errors.py", "from clarify.config import Settings"),
    ],
)
def test_the_test_of_imports_can_fail(path: str, source: str) -> None:
    assert violations(path, source) != []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(modules()) == []


def test_the_test_of_circles_can_fail() -> None:
    found = {
        "a": "import b",
        "b": "def f():\n    from c import thing",
        "c": "if TYPE_CHECKING:\n    import d\nfrom a import name",
        "d": "import a",
        "e": "from d import x",
    }
    assert set(circle(found)) == {"a", "b", "c"}
    assert circle({**found, "c": "if TYPE_CHECKING:\n    import a"}) == []


def test_importing_every_light_module_loads_nothing_heavy_and_writes_nothing(tmp_path: Path) -> None:
    names = [
        name
        for name, path in zip(modules(), sources(), strict=True)
        if path.name not in {"served_head.py", "served_images.py", "__main__.py"}
        and path.relative_to(PACKAGE).as_posix() not in VENDORS["streamlit"]
    ]
    code = (
        "import importlib, json, sys, logging\n"
        "before = logging.getLogger().handlers[:]\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert logging.getLogger().handlers == before\n"
        "print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert HEAVY & set(json.loads(done.stdout)) == set()
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_loads_no_numbers_before_it_knows_its_command() -> None:
    # Some commands choose how many threads NumPy may take, which it reads when it is first imported.
    code = "import sys, clarify.cli; print(sorted({'numpy', 'polars', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", [("diagnose", DATA_SET), ("history", DATA_SET), ("features", "list")])
def test_what_embeds_nothing_loads_no_network(home: Path, command: tuple[str, ...]) -> None:
    """They took 11 s of processor time to import libraries of networks, and 6 s for their work."""
    code = (
        "import sys\nfrom clarify.cli import main\n"
        f"status = main([*{command!r}, '--home', {str(home)!r}])\n"
        "print(status, sorted({'torch', 'open_clip', 'timm', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
