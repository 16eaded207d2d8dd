"""List the benchmarks, or run some: `python -m benchmarks [NAME ...|--all] [--json]`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import pkgutil
import sys

import benchmarks

NOT_BENCHMARKS = {
    "__main__",
    "evidence_curves",
    "evidence_findings",
    "evidence_page",
    "measurement",
    "real_features",
}


def names() -> list[str]:
    """Return the benchmarks' names: the modules of this folder."""
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    return sorted(found - NOT_BENCHMARKS)


def main() -> int:
    """Run what was asked for; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names()], help="which to run")
    parser.add_argument("--all", action="store_true", help="run every one")
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    asked = parser.parse_args()
    chosen = names() if asked.all else asked.name
    if not chosen:
        for name in names():
            doc = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
            print(f"{name:16} {doc.strip().splitlines()[0]}")
        return 0
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    missed = 0
    for name in chosen:
        for measured in importlib.import_module(f"benchmarks.{name}").measure():
            missed += measured.holds is False
            if asked.json:
                print(json.dumps(dataclasses.asdict(measured)), flush=True)
            else:
                target = "" if measured.target is None else f"target {measured.target:g}"
                verdict = {True: "holds", False: "MISSED", None: ""}[measured.holds]
                print(
                    f"{measured.name:58} {measured.figure:12.6g} {measured.unit:8} {target:16} {verdict}",
                    flush=True,
                )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
