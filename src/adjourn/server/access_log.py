"""One line a request, for operators: who asked for what, and how it was answered.

What may be a secret never gets into it: no query (Durable Functions' clients send their key there),
no header, no cookie, no body, and of a path only the names of its route, where one answered. Lines
are JSON in ASCII, so nothing that a client sends can begin a line of its own or steer a terminal.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.model.actor import Actor
from adjourn.server.guard import KNOWN_METHODS
from adjourn.server.problems import request_id

log = logging.getLogger("adjourn.access.requests")
_server = logging.getLogger("adjourn.server")

PATH_LIMIT = 200  # characters of a path that no route answered
_LONG = re.compile(r"[^/]{21,}")
"""A part of a path that may be a key, a token or the name of somebody's talk."""


class AccessLog:
    """ASGI middleware around all others: it names each request (`request_id` of the scope's state)
    and logs it to `adjourn.access.requests`, at INFO, when it has been answered.

    Where those lines are turned off, `adjourn.server` still has one, at INFO, for what was
    refused: whoever is answered so is given an id, and somebody must be able to look it up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id(scope)
        path, root = str(scope["path"]), str(scope.get("root_path", ""))
        clock = asyncio.get_running_loop().time
        status, began = 0, clock()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and not log.isEnabledFor(logging.INFO):
                    _note(scope, status)  # before whoever was refused can ask for it
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception:  # answered outside of all middleware
            status = status or 500
            raise
        finally:
            if log.isEnabledFor(logging.INFO):
                _write(scope, route_of(scope, path, root), status, (clock() - began) * 1000)


def _write(scope: Scope, route: str, status: int, milliseconds: float) -> None:
    state = scope["state"]
    actor = cast("Actor | None", state.get("actor"))
    client = scope.get("client")
    line = {
        "method": scope["method"][:20],
        "route": route,
        "status": status,  # 0: whoever asked went away before there was one
        "ms": round(milliseconds, 1),
        "actor": None if actor is None else actor.id,
        "request": state["request_id"],
        "peer": client[0] if client else None,
    }
    log.info("%s", json.dumps(line), extra={"access": line})


def _note(scope: Scope, status: int) -> None:
    """Who has turned the lines off gets no word of a stranger either: no path that nothing
    answered, no method that nobody knows."""
    method = scope["method"] if scope["method"] in KNOWN_METHODS else "?"
    route = getattr(scope.get("route"), "path", "no route")
    _server.info("request %s: %d for %s %s", scope["state"]["request_id"], status, method, route)


def route_of(scope: Scope, path: str, root: str) -> str:
    """The route as it is written down, `/links/{token}`; where none is known, the path without what
    may be a secret in it. `path` and `root` are those that the request came with."""
    route: Any = scope.get("route")
    template = getattr(route, "path", None)
    if isinstance(template, str) and template:
        return str(scope.get("root_path", "")).removeprefix(root) + template
    return _LONG.sub("*", path[:PATH_LIMIT])
