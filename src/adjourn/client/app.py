"""`Adjourn`: the registry of an application, and the door to where it runs."""

from __future__ import annotations

import os

from adjourn.authoring.registry import Registry
from adjourn.backends.embedded import EmbeddedBackend
from adjourn.client.client import Client


class Adjourn(Registry):
    """Register functions with `@app.orchestrator` and `@app.activity`; open where they run.

    ```python
    app = Adjourn()
    async with app.open("support.db") as client: ...
    ```
    """

    def open(self, where: str | os.PathLike[str]) -> Client:
        """A client, to be used with `async with`. `where` is a file, which this process then owns
        (created if missing), `:memory:`, or the `http://` address of `adjourn run`.

        Entering raises: FileLockedError (another process owns the file), FileRefusedError (not
        ours, newer, damaged, read-only), StorageError.
        """
        return Client(self, EmbeddedBackend(self, where))
