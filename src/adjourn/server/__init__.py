"""The HTTP API over a client: Durable Functions' routes, and our own under `/api/v1`."""

from adjourn.server.app import create_app
from adjourn.server.listening import Server, listen

__all__ = ["Server", "create_app", "listen"]
