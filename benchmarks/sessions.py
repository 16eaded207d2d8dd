"""The dashboard by Streamlit's own protocol: what the server takes, without browsers on its cores."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Session"]

PATIENCE_S = 120


class Session:
    """A visitor without a browser: sends what a page's widgets are, and reads until the script has run.

    Parameters
    ----------
    address : str
        Of the server, ``http://HOST:PORT``.
    page, query : str
        Which page, and what stands behind ``?`` in its address.
    home : Path
        Whose key signs names.
    name : str
    """

    def __init__(self, address: str, page: str, query: str, *, home: Path, name: str) -> None:
        from clarify.ui.server.shared import read_secret
        from clarify.ui.server.visitors import COOKIE, NameTags

        self._address, self._page, self._query = address, page, query
        self._cookie = f"{COOKIE}={NameTags(read_secret(home)).write(name)}"
        self._states: dict[str, Any] = {}
        self._widgets: dict[str, str] = {}
        self._socket: Any = None

    async def __aenter__(self) -> Session:
        from websockets.asyncio.client import connect

        await asyncio.to_thread(urllib.request.urlopen, f"{self._address}/_stcore/health")
        self._socket = await connect(
            f"ws{self._address.removeprefix('http')}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": self._cookie, "Origin": self._address},
            max_size=None,
        )
        await self._run()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._socket.close()

    async def fill(self, label: str, text: str) -> None:
        """Put a text into a field, and wait for the page."""
        from streamlit.proto.WidgetStates_pb2 import WidgetState

        widget = self._widgets[label]
        self._states[widget] = WidgetState(id=widget, string_value=text)
        await self._run()

    async def press(self, label: str, until: str) -> None:
        """Press a button, and wait until another one is there; the page goes on by itself."""
        from streamlit.proto.WidgetStates_pb2 import WidgetState

        pressed = self._widgets[label]
        self._widgets.pop(until, None)
        await self._run(WidgetState(id=pressed, trigger_value=True), until=until)

    async def _run(self, *pressed: Any, until: str = "") -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ClientState_pb2 import ClientState
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
        from streamlit.proto.WidgetStates_pb2 import WidgetStates

        states = WidgetStates(widgets=[*self._states.values(), *pressed])
        asked = ClientState(query_string=self._query, page_name=self._page, widget_states=states)
        await self._socket.send(BackMsg(rerun_script=asked).SerializeToString())
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = ForwardMsg.FromString(await self._socket.recv())
                kind = told.WhichOneof("type")
                if kind == "page_info_changed":
                    self._query = told.page_info_changed.query_string
                if kind == "delta" and told.delta.WhichOneof("type") == "new_element":
                    element = told.delta.new_element
                    which = element.WhichOneof("type")
                    if which in ("button", "text_input"):
                        self._widgets[getattr(element, which).label] = getattr(element, which).id
                if until in self._widgets or (not until and kind == "script_finished"):
                    return
