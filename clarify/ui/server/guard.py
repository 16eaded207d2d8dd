"""What every answer of the server says to browsers, and which of Streamlit's routes it does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

CLOSED = ("_stcore/upload_file", "_stcore/metrics")
"""Anybody may ask these without a login: the one keeps what it is sent in memory, and no page takes files;
the other tells who is here how often."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Streamlit starts by a script in its page, and runs components' scripts, and plotly, as they come.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' ws: wss: data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class Guard:
    """Stands before the whole application, as Starlette's middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is closed; else answer as the application does, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if any(each in scope["path"] for each in CLOSED):
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("This is not open.", 403)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in HEADERS}
                kept = [each for each in message["headers"] if each[0].lower() not in own]
                message["headers"] = [*kept, *HEADERS]
            await send(message)

        await self._app(scope, receive, answer)
