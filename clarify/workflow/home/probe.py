"""What only a process of its own may find out for `clarify doctor`: devices, weights, features.

A library that is broken ends this process and not the doctor, and the hub is never asked, so that
nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clarify.data.manifest import Manifest, find_manifests, read_manifest
from clarify.embed.bridge import BridgeEncoder
from clarify.embed.encoders import ImageEncoder, load_backbone, load_encoder, loaded
from clarify.embed.imported import imported_folder
from clarify.embed.store import FeatureStore
from clarify.errors import ClarifyError
from clarify.workflow.home.settling import Settled, chosen_of

__all__ = ["finish_probe", "start_probe", "what_is_missing"]

SECONDS = 60
UNSEALED = ", without hashes"
BUSY = "nothing was found to be wrong: run it again when the machine is less busy or has more free memory"
REINSTALL = "reinstall torch and torchvision together: pip install --force-reinstall torch torchvision"
OWN = ("imported:", "bridge:")
"""How the names of encoders begin that belong to one data set."""


def start_probe(
    home: Path, named: Settled, *, usual: str = "", data_set: str = "", deep: bool = False
) -> subprocess.Popen[str]:
    """Begin to look, in a process of its own.

    Parameters
    ----------
    named : Settled
        What was named for the command; parts may be empty.
    usual : str
        The encoder of ``clarify.toml``.
    data_set : str
        The one to look at; all unless given.
    deep : bool
        Hash the features.
    """
    code = "from clarify.workflow.home.probe import main; main()"
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            str(home),
            named.encoder,
            named.backbone,
            usual,
            data_set,
            "deep" * deep,
        ],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish_probe(probe: subprocess.Popen[str], *, seconds: float | None = SECONDS) -> dict[str, Any]:
    """Return what it found in time, or ``{"failed": why}`` with ``state`` and ``remedy`` as of a finding."""
    with probe:
        try:
            out, err = probe.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            probe.kill()
            return _failed("note", f"torch and the encoders gave no answer within {seconds:g} s", BUSY)
    if probe.returncode == -signal.SIGKILL:  # as the system does where memory runs out
        return _failed("note", "the process that looks at torch and the encoders was killed (signal 9)", BUSY)
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        last = err.strip().splitlines()[-1:] or [f"exit status {probe.returncode}"]
        return _failed("wrong", f"torch or the encoder failed: {last[0][:200]}", REINSTALL)
    return found


def _failed(state: str, why: str, remedy: str) -> dict[str, Any]:
    return {"failed": why, "state": state, "remedy": remedy}


def what_is_missing(home: Path, data_set: str) -> list[str]:
    """Return in a line each what a data set's own encoder needs and is not here, and what brings it."""
    found = finish_probe(start_probe(home, Settled(encoder=""), data_set=data_set))
    if "failed" in found:
        return [f"its encoder could not be looked at: {found['failed']}"]
    return [f"{each['what']}: {each['wrong']}" for each in found["parts"] if each["wrong"]]


def main() -> None:
    """Look, and print what was found as one line of JSON; `start_probe` gives the arguments."""
    home, encoder, backbone, usual, data_set, deep = sys.argv[1:]
    named = Settled(encoder=encoder, backbone=backbone)
    manifests = [each for each in _manifests(Path(home)) if data_set in ("", each.name)]
    looking = _Looking(Path(home), deep=bool(deep))
    for spec in filter(None, (encoder, backbone)):
        looking.shared(spec)
    for manifest in manifests:
        looking.look_at(manifest, named, usual)
    print(json.dumps({"devices": _devices(), "parts": looking.parts, "features": looking.features}))


def _devices() -> list[str]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(k) for k in range(count)]


class _Looking:
    """What was found so far: of each part what was seen or what is wrong, and features by data set."""

    def __init__(self, home: Path, *, deep: bool) -> None:
        self.parts: list[dict[str, str]] = []
        self.features: dict[str, dict[str, str]] = {}
        self._home, self._deep = home, deep
        self._shared: dict[str, ImageEncoder | None] = {}

    def look_at(self, manifest: Manifest, named: Settled, usual: str) -> None:
        """Look at what embeds a data set, and at the features by it."""
        name, found = manifest.name, self.features.setdefault(manifest.name, {})
        try:
            chosen = chosen_of(self._home, manifest, named=named, usual=usual)
        except ClarifyError as error:
            self._add(f"encoder of {name}", wrong=error)
            return
        if not chosen.encoder:
            found[""] = "none"
        for spec in filter(None, (chosen.encoder, chosen.backbone)):
            encoder = self._own(name, spec) if spec.startswith(OWN) else self.shared(spec)
            # Models on a bridge stand on its network.
            for each in filter(None, (encoder, getattr(encoder, "network", None))):
                found[each.name] = _features(self._home, manifest, each, deep=self._deep)

    def shared(self, spec: str) -> ImageEncoder | None:
        """Load one that any data set may have, once; None if that cannot be."""
        if spec.startswith(OWN):
            return None
        if spec not in self._shared:
            self._shared[spec] = self._tried(
                f"weights of {spec}", lambda: loaded(load_backbone(spec)), "found: "
            )
        return self._shared[spec]

    def _own(self, name: str, spec: str) -> ImageEncoder | None:
        """Load one of a data set's own, and look for what a bridge stands on."""
        folder = imported_folder(self._home, name)
        encoder = self._tried(f"{spec} of {name}", lambda: load_encoder(spec, imported=folder))
        if isinstance(encoder, BridgeEncoder):
            bridge = encoder
            if not bridge.network.name.startswith(
                "run:"
            ):  # one that was trained here is a run's, no package's
                self._tried(f"network of {name}", lambda: loaded(bridge.network))
            try:
                self._add(f"text model of {name}", seen=bridge.sentences.name)
            except ClarifyError as error:
                self._add(f"text model of {name}", wrong=error)
        return encoder

    def _tried(self, what: str, load: Callable[[], ImageEncoder], found: str = "") -> ImageEncoder | None:
        try:
            encoder = load()
        except ClarifyError as error:
            self._add(what, wrong=error)
            return None
        self._add(what, seen=found + encoder.identity.architecture)
        return encoder

    def _add(self, what: str, *, seen: str = "", wrong: ClarifyError | str = "") -> None:
        self.parts.append({"what": what, "seen": seen, "wrong": str(wrong)})


def _manifests(home: Path) -> list[Manifest]:
    """Return those that can be read; the doctor itself says what is wrong with the others."""
    found = []
    try:
        places = find_manifests(home)
    except ClarifyError:
        return []
    for place in places.values():
        try:
            found.append(read_manifest(place))
        except ClarifyError:
            continue
    return found


def _features(home: Path, manifest: Manifest, encoder: ImageEncoder, *, deep: bool) -> str:
    """Return how many images have features, ``none``, or what is wrong with them."""
    store = FeatureStore(home)
    try:
        features = store.open(manifest, encoder.identity)
        if features is None:
            return store.changed(manifest) or "none"
        if deep:
            features.seal.check(features.array)
    except ClarifyError as error:
        return str(error)
    return f"{int(features.valid.sum()):,} images" + ("" if features.seal.hashes else UNSEALED)
