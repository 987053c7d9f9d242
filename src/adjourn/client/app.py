"""`Adjourn`: the registry of an application, and the door to where it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from adjourn.approvals import orchestrator as approval
from adjourn.authoring.registry import Registry
from adjourn.backends.embedded import EmbeddedBackend
from adjourn.backends.protocol import Backend
from adjourn.client.client import Client
from adjourn.errors import RefusedKeyError, RegistrationError, RemoteError
from adjourn.model.approval import APPROVAL
from adjourn.model.privacy import Privacy, Redactor

_FOLDER = re.compile(r"(?:/[a-z0-9_][a-z0-9_-]*)+")
KEY_VARIABLE = "ADJOURN_KEY"
Mounted: TypeAlias = Callable[[Client, Any], Any]
"""Makes an ASGI application of a client and an `Authenticator`."""


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
        self.mounts: dict[str, Mounted] = {}
        """What `mount` was given, by path."""
        self.places: dict[str, str] = {}
        """Their links in the dashboard's head, by name."""
        self.hidden_in_logs: list[Callable[[str], str]] = []
        """What `hide_in_logs` was given."""

    def mount(self, path: str, make: Mounted, *, place: str = "") -> None:
        """Pages of the application's own, which `adjourn run` serves below `path` ("/chat"), beside
        its API and dashboard, and behind the same guard; it takes nothing that the API answers.
        With a `place` ("Talks") the dashboard leads there from its head.

        `make(client, authenticator)` returns an ASGI application, once the file is known and before
        it is open. If that has `state.streams`, `state.streams.end()` is called when the server is
        asked to stop, so that open streams do not hold it up.

        Raises: RegistrationError. A path of Adjourn's own ("/api") is refused by `adjourn run`.
        """
        if not _FOLDER.fullmatch(path):
            raise RegistrationError(
                f"{path!r} is no path like '/chat': a slash, then a-z, 0-9, _ and -."
            )
        if path in self.mounts:
            raise RegistrationError(f"{path} is mounted already: choose another path.")
        self.mounts[path] = make
        if place:
            self.places[place] = f"{path}/"

    def protect(self, privacy: Privacy) -> None:
        """Hide what these rules name, in what people are shown, in what failures and logs tell, and
        encrypt payloads at rest where it names keys. Call it before `open`; what was asked before
        holds too. The variables that it names are read now.

        Inputs and results are stored as they are, for a history must replay: `docs/privacy.md`.
        """
        self.privacy = privacy = self.privacy.and_also(privacy)
        names = [*privacy.secrets_env, privacy.encryption_keys_env]
        secrets = [os.environ.get(name, "").strip() for name in names if name]
        self.redactor = Redactor(privacy.redact, secrets)

    def hide_in_logs(self, hide: Callable[[str], str]) -> None:
        """Whatever `adjourn run` logs while it serves this application goes through `hide`, too:
        each message, traceback and stack. It takes a text, returns what may be written of it, and
        raises nothing."""
        self.hidden_in_logs.append(hide)

    def open(self, where: str | os.PathLike[str], *, key: str | None = None) -> Client:
        """A client, to be used with `async with`. `where` is a file, which this process then owns
        (created if missing), `:memory:`, or the `http://` or `https://` address of `adjourn run`.

        With an address, `key` (or the environment's ADJOURN_KEY; `key=""` sends none) says who
        this program is. It goes to that address alone, and in clear text only to this machine.

        Entering raises: FileLockedError (another process owns the file), FileRefusedError (not
        ours, newer, damaged, read-only), StorageError, EncryptionKeysError; RefusedKeyError for a
        key that was not sent.
        """
        place = os.fspath(where)
        if place.startswith(("http://", "https://")):
            chosen = os.environ.get(KEY_VARIABLE, "").strip() if key is None else key
            return Client(self, _over_http(place, chosen))
        if key:
            raise RefusedKeyError(
                place, "it is a file", "A key is for the address of a server: leave it out."
            )
        return Client(self, EmbeddedBackend(self, where))


def _over_http(address: str, key: str) -> Backend:
    try:
        from adjourn.backends.http import HttpBackend  # only who asks for it needs httpx
    except ImportError as error:
        raise RemoteError(
            f"Talking to {address} needs a part that is not installed ({error.name}): "
            "pip install 'adjourn[server]'"
        ) from error
    return HttpBackend(address, key)
