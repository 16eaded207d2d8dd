"""A timm classifier, cut into a body and a last layer, and put together again."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from clarify.embed.networks import network_of, new_network
from clarify.embed.packing import pack, unpack
from clarify.errors import InputError, NotFoundError

CLASSES = ("ant", "bee", "cat")


def weights_of(tmp_path: Path, model: str = "test_vit", classes: int = 3, **own: Any) -> Path:
    torch.manual_seed(1)
    module = timm.create_model(model, num_classes=classes, **own)
    path = tmp_path / f"{model}-{classes}.safetensors"
    save_file({name: each.contiguous() for name, each in module.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("model", ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"])
def test_body_and_head_together_give_the_networks_own_logits(model: str, tmp_path: Path) -> None:
    network = new_network(f"timm:{model}", CLASSES, size=64, seed=0)
    network.module.eval()
    inputs = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        expected = network.module(inputs).numpy()
    body, head = network.body(), network.head()
    found = head.logits(body.encode_images(inputs))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    pack(body, tmp_path)
    again = unpack(tmp_path)
    assert again.identity == body.identity
    np.testing.assert_array_equal(again.encode_images(inputs), body.encode_images(inputs))
    whole = network_of(again, head)  # type: ignore[arg-type]
    whole.module.eval()
    with torch.inference_mode():
        np.testing.assert_allclose(whole.module(inputs).numpy(), expected, atol=1e-6)


def test_the_same_seed_begins_alike_and_nothing_else_is_drawn_from() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (new_network("timm:test_vit", CLASSES, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.body().identity == second.body().identity
    assert first.body().identity != other.body().identity


def test_its_body_is_another_backbone_than_the_same_weights_given_as_one(tmp_path: Path) -> None:
    from clarify.embed.encoders import load_backbone

    path = weights_of(tmp_path)
    body = new_network("timm:test_vit", CLASSES, weights=str(path)).body()
    backbone = load_backbone(f"timm:test_vit:{path}")
    assert not body.unit
    assert backbone.unit
    assert body.identity.image_digest != backbone.identity.image_digest


def test_weights_of_as_many_classes_are_taken_whole(tmp_path: Path) -> None:
    path = weights_of(tmp_path)
    network = new_network("timm:test_vit", CLASSES, weights=str(path), as_it_is=True)
    state = timm.models.load_state_dict(str(path))
    assert all(torch.equal(each, state[name]) for name, each in network.module.state_dict().items())
    assert network.notes == ()


def test_classes_are_picked_out_of_weights_by_name(tmp_path: Path) -> None:
    path = weights_of(tmp_path, classes=5)
    listed = ("dog", "cat", "ant", "eel", "bee")
    network = new_network("timm:test_vit", CLASSES, weights=str(path), weight_classes=listed, as_it_is=True)
    state = timm.models.load_state_dict(str(path))
    assert torch.equal(network.layer.weight, state["head.weight"][[2, 4, 1]])
    assert torch.equal(network.layer.bias, state["head.bias"][[2, 4, 1]])


def test_another_number_of_classes_is_begun_anew_for_training_and_refused_as_it_is(tmp_path: Path) -> None:
    path = weights_of(tmp_path, classes=5)
    network = new_network("timm:test_vit", CLASSES, weights=str(path))
    assert "has 5 classes: the last layer begins at random" in network.notes[0]
    assert network.layer.weight.shape[0] == 3
    with pytest.raises(InputError, match=r"has 5 classes, the data set 3; .* --classes FILE"):
        new_network("timm:test_vit", CLASSES, weights=str(path), as_it_is=True)


def test_a_pth_of_weights_alone_is_read_and_one_with_code_is_not_run(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = timm.create_model("test_vit", num_classes=3)
    torch.save(module.state_dict(), tmp_path / "plain.pth")
    network = new_network("timm:test_vit", CLASSES, weights=str(tmp_path / "plain.pth"))
    assert torch.equal(network.layer.weight, module.get_classifier().weight)

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "owned"), "w"))

    content = io.BytesIO()
    pickle.dump({"state_dict": Evil()}, content)
    (tmp_path / "evil.pth").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="cannot be read as weights"):
        new_network("timm:test_vit", CLASSES, weights=str(tmp_path / "evil.pth"))
    torch.save(Evil(), tmp_path / "evil2.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        new_network("timm:test_vit", CLASSES, weights=str(tmp_path / "evil2.pth"))
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = weights_of(tmp_path, model="test_resnet")
    with pytest.raises(InputError, match="does not hold weights of timm:test_vit"):
        new_network("timm:test_vit", CLASSES, weights=str(path))


def test_where_its_weights_are_from_is_known(tmp_path: Path) -> None:
    path = weights_of(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert new_network("timm:test_vit", CLASSES, weights=str(path)).began == (
        f"{path.name}, SHA-256 {digest[:12]}"
    )
    assert new_network("timm:test_vit", CLASSES).began == "at random"


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_a_last_layer_made_anew_begins_near_chance(classes: int, tmp_path: Path) -> None:
    """timm begins an EfficientNet's by the number of classes: the fewer, the wider."""
    path = weights_of(tmp_path, model="test_efficientnet", classes=7)
    names = tuple(str(number) for number in range(classes))
    layer = new_network("timm:test_efficientnet", names, weights=str(path)).layer
    assert float(layer.weight.detach().std()) < 2.1 * (3 * layer.in_features) ** -0.5


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        ({"model": "resnet18"}, InputError, "legal is timm:MODEL"),
        ({"model": "timm:resnet8000"}, NotFoundError, "timm has no model 'resnet8000'; nearest: "),
        ({"model": "timm:deit_tiny_distilled_patch16_224"}, InputError, "one linear layer"),
        ({"size": 8}, InputError, "image size is 8; 16 to 1024 pixels are legal"),
        (
            {"size": 33, "model": "timm:maxvit_rmlp_pico_rw_256"},
            InputError,
            "cannot be built for 3 classes and 33 pixels",
        ),
        ({"weights": "none.safetensors"}, NotFoundError, "there is no file none.safetensors"),
        ({"as_it_is": True}, InputError, "without weights knows nothing"),
        ({"weights": "pretrained", "model": "timm:test_vit"}, NotFoundError, "hub"),
        ({"weights": "hub", "model": "timm:test_vit"}, NotFoundError, "hub"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    own: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(error, match=message) as refused:
        new_network(**{"model": "timm:test_vit", "class_names": CLASSES, **own})
    assert "\n" not in str(refused.value)


def test_lists_of_classes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = str(weights_of(tmp_path, classes=5))
    with pytest.raises(InputError, match=r"2 classes are listed, .* has 5 outputs"):
        new_network("timm:test_vit", CLASSES, weights=path, weight_classes=("ant", "bee"))
    listed = ("ant", "bee", "cats", "dog", "eel")
    with pytest.raises(InputError, match=r"class 'cat' is none of the 5 .*nearest: cats"):
        new_network("timm:test_vit", CLASSES, weights=path, weight_classes=listed)


def test_a_head_that_was_fitted_by_itself_makes_no_network() -> None:
    from clarify.method.fit.head import Head

    body = new_network("timm:test_vit", CLASSES).body()
    width = body.width
    fitted = Head(
        weight=np.zeros((3, width)),
        bias=np.zeros(3),
        mean=np.zeros(width),
        scale=np.ones(width),
        class_names=CLASSES,
    )
    with pytest.raises(InputError, match="no network that could be trained on"):
        network_of(body, fitted)


@pytest.mark.parametrize(
    ("wrap", "wrapping"),
    [
        (lambda state: {"state_dict": under("module.", state)}, ""),
        (lambda state: {"state_dict": under("model.", state), "epoch": 3}, "'model.'"),
        (
            lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
            "'model_state_dict'",
        ),
        (lambda state: {"net": under("module.backbone.", state)}, "'net', 'module.backbone.'"),
        (lambda state: under("encoder.", state) | {"criterion.weight": torch.ones(2)}, "'encoder.'"),
    ],
)
def test_what_a_trainer_wrapped_weights_in_is_taken_off_and_named(
    wrap: Callable[[dict[str, torch.Tensor]], object], wrapping: str, tmp_path: Path
) -> None:
    saved = timm.create_model("test_resnet", num_classes=2).state_dict()
    torch.save(wrap(saved), tmp_path / "weights.pth")
    found = new_network(
        "timm:test_resnet", ["a", "b"], weights=str(tmp_path / "weights.pth"), size=32, as_it_is=True
    )
    assert all(torch.equal(value, saved[name]) for name, value in found.module.state_dict().items())
    assert found.notes == ((f"weights.pth: the weights under {wrapping} were taken",) if wrapping else ())


def test_of_a_student_and_its_teacher_neither_is_taken(tmp_path: Path) -> None:
    saved = timm.create_model("test_resnet", num_classes=2).state_dict()
    torch.save({"student": saved, "teacher": under("module.", saved)}, tmp_path / "weights.pth")
    with pytest.raises(
        InputError, match=r"2 times, under 'student' and under 'teacher', 'module\.'; save one"
    ):
        new_network("timm:test_resnet", ["a", "b"], weights=str(tmp_path / "weights.pth"), size=32)


def test_a_last_layer_outside_the_wrapping_is_told_as_missing_under_it(tmp_path: Path) -> None:
    saved = timm.create_model("test_resnet", num_classes=0).state_dict()
    torch.save(under("backbone.", saved) | {"head.weight": torch.ones(2, 8)}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"has no last layer under 'backbone\.'"):
        new_network(
            "timm:test_resnet", ["a", "b"], weights=str(tmp_path / "weights.pth"), size=32, as_it_is=True
        )


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}
