"""A server that answers a byte at a time is noticed in time, and what was described is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from clarify.errors import AwayError
from clarify.track.deadline import OverdueError, within
from clarify.track.mlflow import TrackingStore
from clarify.track.run import WAITING
from tests.track.conftest import model, phrase_tried


class Drips(BaseHTTPRequestHandler):
    """Says at once that it is an MLflow server, if it is patient, and all else a byte at a time."""

    patient = True

    def do_GET(self) -> None:
        if self.patient and self.path == "/version":
            self._say(200, mlflow.__version__)
        elif self.patient and self.path.endswith("experiment_name=clarify"):
            self._say(404, '{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
        else:
            self.do_POST()

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(200):
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.1)

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


class DripsAlways(Drips):
    patient = False


@pytest.fixture(params=[Drips, DripsAlways], ids=["later", "always"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_drips_is_away_and_a_description_waits(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarify.track.server.ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("clarify.track.mlflow.FILES_S", 1.0)
    store = TrackingStore(tmp_path, uri=address, patience=0.5)
    began = time.monotonic()
    assert store.log(phrase_tried("forest")).startswith(WAITING)
    with pytest.raises(AwayError, match="to answer"):
        TrackingStore(tmp_path, uri=address, patience=0.5).log(model())
    assert time.monotonic() - began < 15  # each byte comes long before a limit for one
    assert [each.record.tags["phrase"] for each in store.outbox.waiting()] == ["forest"]


def test_what_a_call_returns_or_raises_is_its_own() -> None:
    assert within(5.0, lambda: 7) == 7
    assert within(5.0, lambda: None) is None
    with pytest.raises(KeyError, match="x"):
        within(5.0, lambda: {}["x"])
    with pytest.raises(OverdueError):
        within(0.05, threading.Event().wait)
