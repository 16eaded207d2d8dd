"""What only a process of its own may find out for `clarify doctor`: devices, weights, features.

A library that is broken ends this process and not the doctor, and the hub is never asked, so that
nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from clarify.data.manifest import Manifest, find_manifests, read_manifest
from clarify.embed.encoders import ImageEncoder, load_backbone, load_encoder
from clarify.embed.imported import imported_folder
from clarify.embed.store import FeatureStore
from clarify.errors import ClarifyError

__all__ = ["finish_probe", "start_probe"]

SECONDS = 60


def start_probe(home: Path, encoder: str, backbone: str) -> subprocess.Popen[str]:
    """Begin to look, in a process of its own."""
    code = "from clarify.workflow.home.probe import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home), encoder, backbone],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish_probe(probe: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what it found, or ``{"failed": why}``."""
    with probe:
        try:
            out, err = probe.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            probe.kill()
            return {"failed": f"no answer within {SECONDS} s"}
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        last = err.strip().splitlines()[-1:] or [f"exit status {probe.returncode}"]
        return {"failed": last[0][:200]}
    return found


def main() -> None:
    """Look, and print what was found as one line of JSON: home, encoder, backbone are arguments."""
    home, encoder, backbone = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    found = {"devices": _devices(), "encoders": [], "features": {}}
    print(json.dumps(found | _encoders_and_features(home, [encoder, backbone])))


def _devices() -> list[str]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(k) for k in range(count)]


def _encoders_and_features(home: Path, specs: list[str]) -> dict[str, Any]:
    manifests = list(_manifests(home))
    encoders: list[dict[str, str]] = []
    features: dict[str, dict[str, str]] = {manifest.name: {} for manifest in manifests}
    for spec, load in zip(specs, (load_encoder, load_backbone), strict=True):
        if not spec:
            continue
        shared: ImageEncoder | None = None
        if not spec.startswith("imported:"):
            try:
                shared = load(spec)
                encoders.append({"spec": spec, "seen": shared.identity.architecture, "wrong": ""})
            except ClarifyError as error:
                encoders.append({"spec": spec, "seen": "", "wrong": str(error)})
                continue
        for manifest in manifests:
            features[manifest.name][spec] = _features(home, manifest, spec, shared)
    return {"encoders": encoders, "features": features}


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


def _features(home: Path, manifest: Manifest, spec: str, encoder: ImageEncoder | None) -> str:
    """Return how many images have features, ``none``, or what is wrong with them."""
    try:
        known = encoder or load_encoder(spec, imported=imported_folder(home, manifest.name))
        features = FeatureStore(home).open(manifest, known.identity)
    except ClarifyError as error:
        return str(error)
    return "none" if features is None else f"{int(features.valid.sum()):,} images"
