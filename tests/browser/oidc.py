"""An OpenID Connect provider of one user at a time, on this machine, for as long as a test runs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

CLIENT, SECRET = "clarify", "not so secret"


class Provider:
    """Logs everybody in as `claims` say; counts how often it was asked."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        from joserfc.jwk import RSAKey

        self.address = f"http://localhost:{server.server_address[1]}"
        self.claims: dict[str, Any] = {}
        self.nonce = ""
        self.logins = 0
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)

    def metadata(self) -> dict[str, Any]:
        ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        return {
            "issuer": self.address,
            **{f"{name}_endpoint": f"{self.address}/{path}" for name, path in ends.items()},
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self) -> dict[str, Any]:
        from joserfc import jwt

        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 600,
            "nonce": self.nonce,
            **self.claims,
        }
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@contextlib.contextmanager
def providing() -> Iterator[Provider]:
    """Run a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                asked = {name: each[0] for name, each in parse_qs(parts.query).items()}
                provider.nonce, provider.logins = asked.get("nonce", ""), provider.logins + 1
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?code=c&state={quote(asked['state'])}")
                self.end_headers()
            elif parts.path.startswith("/.well-known/"):
                self.answer(provider.metadata())
            elif parts.path == "/keys":
                self.answer({"keys": [provider.key.as_dict(private=False)]})
            else:
                self.answer(provider.claims)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(provider.token())

        def answer(self, value: object) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    provider = Provider(server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
