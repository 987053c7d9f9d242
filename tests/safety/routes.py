"""Every route that there is, from the routers themselves."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute

from adjourn import Adjourn
from adjourn.dashboard import create_dashboard
from adjourn.server import create_app
from tests.safety.doors import ACCESS, Doors

STATIC = "/static/dashboard.css"
FILLED = {
    "id": "case-1:1:1",
    "case": "case-1",
    "name": "approve",
    "name:path": "approve",
    "token": "e30.c2lnbmVk",
    "handle": "0123456789abcdef",
}


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute):
                yield one


def every_route() -> list[tuple[str, str]]:
    """Method and path of each route of the API and of the dashboard, with its braces, and of what
    is mounted."""
    client = Adjourn().open(":memory:")
    apps = (create_app(client, access=ACCESS), create_dashboard(client, Doors()))
    found = {
        (method, route.path)
        for app in apps
        for route in routes_of(app)
        for method in route.methods or ()
    }
    return sorted({*found, ("GET", STATIC), ("GET", "/nowhere"), ("POST", "/api/nowhere")})


def filled(path: str) -> str:
    """The path with something in its braces."""
    for name, value in FILLED.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"{path}: say in tests/safety/routes.py what stands there"
    return path
