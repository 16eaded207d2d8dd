"""The champion as anybody serves it: images in, labels and probabilities out, and nothing else."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clarify.errors import ClarifyError
from clarify.method.fit.head import Head
from clarify.track.mlflow import TrackingStore
from clarify.track.model_folder import ModelEncoder, write_model
from clarify.track.verdict import Verdict
from tests.conftest import DATA_SET, run_clarify, with_champion
from tests.embed.conftest import CONFIG, PREPROCESS

MODEL = f"models:/{DATA_SET}@champion"
WITHOUT_CLARIFY = """
import json, sys
from pathlib import Path
# What an editable or ordinary installation would bring.
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in repr(each).lower()]
code = Path("clarify", "__init__.py")
sys.path[:] = [each for each in sys.path if not (Path(each or ".") / code).is_file()]
import importlib.util
found = importlib.util.find_spec("clarify")
if found is not None and found.origin:  # an editable installation leaves a folder without code
    sys.exit(f"clarify is importable: {found.origin}")
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
found = model.predict(pd.DataFrame({"image": [Path(each) for each in sys.argv[3:]]}))
import clarify
needed = sorted({name.split(".")[0] for name in sys.modules} & {"streamlit", "plotly"})
print(json.dumps({"code": clarify.__file__, "label": found["label"].tolist(), "needed": needed,
                  "landbird": found["landbird"].tolist()}))
"""


@pytest.fixture(scope="module")
def champion(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion, made by the commands."""
    return with_champion(made_home, tmp_path_factory.mktemp("served") / "home")


@pytest.fixture(scope="module")
def images(champion: Path) -> list[Path]:
    return sorted((champion / "images" / DATA_SET).rglob("*.png"))


@pytest.fixture(scope="module")
def folder(champion: Path) -> Path:
    """The folder of the registered model."""
    (found,) = (champion / "mlruns" / "artifacts").rglob("model-1")
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    import mlflow

    return mlflow.pyfunc.load_model(str(folder))


def ask(model: Any, *cells: object) -> pd.DataFrame:
    found: pd.DataFrame = model.predict(pd.DataFrame({"image": list(cells)}))
    return found


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def predicted(home: Path, *paths: Path) -> pd.DataFrame:
    """What the command answers for the same images."""
    done = run_clarify("predict", DATA_SET, *map(str, paths), "--json", home=home)
    return pd.DataFrame(done.result["images"]).drop(columns="path")


def agree(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found["label"].tolist() == expected["label"].tolist()
    for name in ("landbird", "waterbird"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5)


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": os.environ.get("HOME", "/"),
        # MLflow starts its server by name.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": TrackingStore(home).uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }


@contextlib.contextmanager
def serving(home: Path, model: str = MODEL) -> Iterator[str]:
    """Serve the champion, or another model, as the README says; yields the address that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            model,
            "--env-manager",
            "local",
            "--port",
            str(port),
        ],
        cwd=home,
        env=environment(home),
        start_new_session=True,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, process.communicate()[1]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/ping"):
                break
            time.sleep(0.1)
        yield f"{address}/invocations"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def post(address: str, body: object) -> tuple[int, Any]:
    """Send JSON; returns status and answer."""
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def address(champion: Path) -> Iterator[str]:
    with serving(champion) as found:
        yield found


@pytest.mark.slow
def test_a_real_server_answers_http_as_the_command_does(
    champion: Path, images: list[Path], address: str
) -> None:
    chosen = images[::40]
    body = {"dataframe_records": [{"image": text(path.read_bytes())} for path in chosen]}
    status, answer = post(address, body)
    assert status == 200
    agree(pd.DataFrame(answer["predictions"]), predicted(champion, *chosen))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["no base64!"], r"row 0: .* is not base64"),
        (["/etc/passwd"], r"row 0: .* is not base64"),
        (["path:/etc/passwd"], r"row 0: paths are not taken"),
        ([text(b"GIF8 no more")], r"row 0: the image cannot be used: not an image"),
        ([text(b"")], r"row 0: the image file is empty"),
        ([7], r"row 0: an image is text \(base64\) or bytes, not int"),
        ([None], r"row 0: an image is text"),
        (["AAAA"] * 1025, r"the request has 1025 images; legal are 1 to 1024"),
    ],
)
def test_a_bad_request_gets_a_4xx_and_one_line(address: str, cells: list[Any], said: str) -> None:
    status, answer = post(
        address, {"dataframe_split": {"columns": ["image"], "data": [[cell] for cell in cells]}}
    )
    assert 400 <= status < 500
    line = answer["message"]
    assert "\n" not in line
    assert len(line) < 300
    assert re.match(said, line), line


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["picture"], "data": [["AAAA"]]}},
        {"dataframe_split": {"columns": ["image"], "data": []}},
        {"instances": "AAAA"},
        {},
    ],
)
def test_a_request_of_another_shape_gets_a_4xx(address: str, body: object) -> None:
    assert 400 <= post(address, body)[0] < 500


def test_one_bad_image_refuses_the_batch_and_names_its_row(model: Any, images: list[Path]) -> None:
    good = images[0].read_bytes()
    with pytest.raises(Exception, match=r"^row 70: the image cannot be used: .*truncated"):
        ask(model, *[good] * 70, good[:200], good)


def test_text_bytes_data_urls_and_python_paths_are_answered_alike(model: Any, images: list[Path]) -> None:
    for path in images[:3]:
        content = path.read_bytes()
        url = f"data:image/png;base64,{text(content)}"
        wrapped = base64.encodebytes(content).decode()
        found = ask(model, text(content), content, url, wrapped, path)
        # Images of one batch may differ in the last bit by where in it they stand.
        assert np.ptp(found["landbird"].to_numpy()) < 1e-6


@pytest.mark.slow
def test_a_thousand_images_equal_the_command(champion: Path, model: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(1000):
        small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        small.resize((80, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{number:04}.png")
    out = champion.parent / "thousand.parquet"
    done = run_clarify(
        "predict", DATA_SET, "--folder", str(tmp_path), "--out", str(out), "--json", home=champion
    )
    assert done.result["images"] == 1000
    expected = pd.read_parquet(out)
    found = ask(model, *(text(Path(path).read_bytes()) for path in expected["path"]))
    agree(found, expected)
    assert found["label"].nunique() == 2


def test_pictures_are_read_as_a_person_sees_them(
    champion: Path, model: Any, images: list[Path], tmp_path: Path
) -> None:
    with Image.open(images[0]) as picture:
        upright = picture.convert("RGB").resize((90, 64))
    turned = Image.Exif()
    turned[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=turned)
    upright.convert("CMYK").save(tmp_path / "inks.jpg", quality=95)
    upright.convert("L").save(tmp_path / "grey.tif")
    paths = sorted(tmp_path.iterdir())
    found = ask(model, *(path.read_bytes() for path in paths))
    agree(found, predicted(champion, *paths))
    content = io.BytesIO()
    upright.save(content, "PNG")
    assert found["landbird"][2] == pytest.approx(ask(model, content.getvalue())["landbird"][0])


def test_no_request_is_larger_than_its_bounds(model: Any, images: list[Path]) -> None:
    with pytest.raises(Exception, match="has 1025 images; legal are 1 to 1024"):
        ask(model, *[b"x"] * 1025)
    with pytest.raises(Exception, match="row 0: the image file has 33554433 bytes"):
        ask(model, bytes(32 * 1024**2 + 1))
    with pytest.raises(Exception, match=r"row 0: .* characters of base64; legal are 33554432"):
        ask(model, "A" * (45 * 1024**2))
    header = b"P6 100000 100000 255\n"
    with pytest.raises(Exception, match=r"row 0: the image cannot be used: 1.* pixels, more than"):
        ask(model, header + bytes(64))


@pytest.mark.filterwarnings("ignore:.*Any type hint")  # MLflow's, of our own class, where it is imported
def test_the_images_of_a_request_have_a_number_of_pixels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from clarify.track import served_images

    monkeypatch.setattr(served_images, "MOST_PIXELS", 25_000)
    served = served_images.ServedImages()
    served.encoder = SimpleNamespace(preprocess=lambda image: image.size)
    content = io.BytesIO()
    Image.new("L", (100, 100)).save(content, "PNG")
    assert list(served._inputs([content.getvalue()] * 2)) == [[(100, 100)] * 2]
    with pytest.raises(
        Exception, match=r"row 2: .* more than 5000 allowed; the images of a request may have 25,000"
    ):
        list(served._inputs([content.getvalue()] * 3))
    with pytest.raises(Exception, match=r"row 1: the image cannot be used: not an image[^;]*$"):
        list(served._inputs([content.getvalue(), b"x"]))


def test_paths_are_taken_only_below_the_folder_that_the_server_names(
    model: Any, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shutil.copy(images[0], shared / "a b.png")
    shutil.copy(images[0], tmp_path / "outside.png")
    (shared / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(Exception, match=r"paths are not taken: the server's SERVED_IMAGES_FOLDER"):
        ask(model, "path:a b.png")
    monkeypatch.setenv("SERVED_IMAGES_FOLDER", str(shared))
    assert len(ask(model, "path:a b.png")) == 1
    outside = tmp_path / "outside.png"
    for name in ("../outside.png", str(outside), "link.png", "../nothing.png", "\x00", "x" * 5000):
        with pytest.raises(Exception, match=r"row 0: .* cannot be used") as caught:
            ask(model, f"path:{name}")
        assert str(tmp_path) not in str(caught.value).replace(repr(str(outside)), "")
    with pytest.raises(Exception, match="is not base64"):
        ask(model, str(shared / "a b.png"))


@pytest.mark.slow
def test_it_works_where_clarify_is_not_installed_and_nothing_is_unpickled(
    champion: Path, images: list[Path], tmp_path: Path
) -> None:
    store, chosen = TrackingStore(champion), images[:5]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLARIFY, store.uri, MODEL, *map(str, chosen)],
        cwd=tmp_path,
        env=environment(champion),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "model-1/code/clarify" in found["code"]
    assert found["needed"] == []
    expected = predicted(champion, *chosen)
    assert found["label"] == expected["label"].tolist()
    np.testing.assert_allclose(found["landbird"], expected["landbird"], rtol=0, atol=1e-5)


def test_the_model_has_a_signature_an_example_and_no_pickle(folder: Path, model: Any) -> None:
    metadata = model.metadata
    assert metadata.get_input_schema().input_names() == ["image"]
    assert metadata.get_output_schema().input_names() == ["label", "landbird", "waterbird"]
    example = pd.DataFrame(**json.loads((folder / "input_example.json").read_text()))
    assert list(model.predict(example).columns) == ["label", "landbird", "waterbird"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} & {".pkl", ".pickle", ".pt", ".pth", ".bin"} == set()
    assert sum(path.suffix == ".safetensors" for path in files) == 2  # the head and the encoder
    assert sum(path.stat().st_size for path in (folder / "code").rglob("*.py")) < 1e6
    assert all("==" in line for line in (folder / "requirements.txt").read_text().split())


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**CONFIG).state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def test_an_encoder_that_was_left_out_is_found_by_its_name_and_refused_if_it_changed(
    tiny_folder: Path, tmp_path: Path, images: list[Path]
) -> None:
    import mlflow
    from safetensors.torch import load_file, save_file

    from clarify.embed.encoders import load_backbone
    from clarify.embed.packing import pack

    spec = f"open_clip:tiny:{tiny_folder}"
    encoder = load_backbone(spec)
    rng = np.random.default_rng(0)
    head = Head(
        weight=rng.normal(size=(2, 16)),
        bias=np.zeros(2),
        mean=np.zeros(16),
        scale=np.ones(16),
        class_names=("a", "b"),
    )
    identity = encoder.identity.to_dict()
    made = {}
    for name, writer in {"named": None, "packed": lambda place: pack(encoder, place)}.items():
        place = tmp_path / name
        place.mkdir()
        made[name] = write_model(
            place,
            head=head,
            name="birds",
            identity=identity,
            encoder=ModelEncoder(spec=spec, identity=identity, pack=writer),
            verdict=Verdict(reasons=()),
        )
    named, packed = (mlflow.pyfunc.load_model(str(made[name])) for name in ("named", "packed"))
    cells = [path.read_bytes() for path in images[:4]]
    pd.testing.assert_frame_equal(ask(named, *cells), ask(packed, *cells))
    assert not list(made["named"].rglob("*encoder*.safetensors"))
    weights = tiny_folder / "open_clip_model.safetensors"
    changed = load_file(weights)
    changed["visual.proj"] = changed["visual.proj"] + 1
    save_file(changed, weights)
    with pytest.raises(ClarifyError, match=r"has weights .*the model was registered with"):
        mlflow.pyfunc.load_model(str(made["named"]))
    assert len(ask(mlflow.pyfunc.load_model(str(made["packed"])), *cells)) == 4


def test_promote_leaves_the_encoder_out_when_asked(champion: Path, images: list[Path]) -> None:
    import mlflow

    done = run_clarify("promote", DATA_SET, "--encoder-by-hash", "--json", home=champion)
    assert done.result["version"] == "2"
    (folder,) = (champion / "mlruns" / "artifacts").rglob("model-2")
    assert not (folder / "artifacts" / "encoder").exists()
    model = mlflow.pyfunc.load_model(str(folder))
    agree(ask(model, *(path.read_bytes() for path in images[:5])), predicted(champion, *images[:5]))
