"""`Adjourn`: the registry of an application, and the door to where it runs."""

from __future__ import annotations

import os

from adjourn.approvals import orchestrator as approval
from adjourn.authoring.registry import Registry
from adjourn.backends.embedded import EmbeddedBackend
from adjourn.backends.protocol import Backend
from adjourn.client.client import Client
from adjourn.errors import RemoteError
from adjourn.model.approval import APPROVAL


class Adjourn(Registry):
    """Register functions with `@app.orchestrator` and `@app.activity`; open where they run.

    ```python
    app = Adjourn()
    async with app.open("support.db") as client: ...
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.built_in[APPROVAL] = approval.ORCHESTRATOR

    def open(self, where: str | os.PathLike[str]) -> Client:
        """A client, to be used with `async with`. `where` is a file, which this process then owns
        (created if missing), `:memory:`, or the `http://` address of `adjourn run`.

        Entering raises: FileLockedError (another process owns the file), FileRefusedError (not
        ours, newer, damaged, read-only), StorageError.
        """
        place = os.fspath(where)
        if place.startswith(("http://", "https://")):
            return Client(self, _over_http(place))
        return Client(self, EmbeddedBackend(self, where))


def _over_http(address: str) -> Backend:
    try:
        from adjourn.backends.http import HttpBackend  # only who asks for it needs httpx
    except ImportError as error:
        raise RemoteError(
            f"Talking to {address} needs a part that is not installed ({error.name}): "
            "pip install 'adjourn[server]'"
        ) from error
    return HttpBackend(address)
