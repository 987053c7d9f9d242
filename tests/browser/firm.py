"""A firm that has put Adjourn on its network: settings, provider, mail server, endpoint, commands.

Everything is real, and a process or a socket of its own. The settings say what the pages of `docs/`
say, and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from standardwebhooks.webhooks import Webhook

from adjourn.engine.clock import SystemClock
from tests.browser.serving import ROOT, ServerProcess
from tests.notify.hooks import Hooks, some_hooks
from tests.notify.post import Post, Received, a_post, closed_port

T = TypeVar("T")

SECRET = "whsec_" + "c3Rvcnktb2YtYS1maXJtLXRoYXQtcGF5cw=="
PATIENCE_LOOKS, PAUSE_SECONDS = 1500, 0.02
LINK = re.compile(r"http://\S+/approvals/\S+")
TOKEN = re.compile(r"  ([\w-]{40,})")

ACCOUNTS: dict[str, dict[str, Any]] = {
    "ada-1": {"name": "Ada Lovelace", "email": "ada@example.com", "email_verified": True},
    "lena-1": {"name": "Lena Fischer", "email": "lena@example.com", "email_verified": True},
    "vic-1": {"name": "Vic Plain", "email": "vic@example.com", "email_verified": True},
    "eve-1": {"name": "Eve", "email": "eve@example.com", "email_verified": True},
}
"""At the provider, which asks nobody for a password."""

PEOPLE = [
    {
        "id": "lena",
        "name": "Lena Fischer",
        "email": "lena@example.com",
        "groups": ["finance"],
        "roles": ["approver"],
    },
    {"id": "vic", "name": "Vic Plain", "email": "vic@example.com"},
]

SETTINGS = """
public_url = "http://127.0.0.1:{port}"
people_file = "{people}"

[oidc]
issuer = "{issuer}"
client_id = "adjourn"
client_secret_env = "OIDC_SECRET"
name = "Example"

[mail]
host = "127.0.0.1"
port = {mail}
tls = "none"
sender = "adjourn@example.com"

[[webhooks]]
name = "ledger"
url = "http://{hooks}/"
secret_env = "LEDGER_SECRETS"
allow_private = ["{hooks}"]
"""


class Firm:
    """What a test asks of it."""

    def __init__(
        self, folder: Path, issuer: str, post: Post, hooks: Hooks, server: ServerProcess
    ) -> None:
        self.server = server
        self.post = post
        self.hooks = hooks
        self.key = ""
        self.settings = folder / "adjourn.toml"
        self._issuer = issuer
        self._database = folder / "firm.db"

    @property
    def address(self) -> str:
        return self.server.address

    def token(self) -> str:
        """The set-up token that the server printed."""

        def printed() -> list[str]:
            return [found[1] for line in self.server.said if (found := TOKEN.fullmatch(line))]

        return until(printed)[-1]

    def command(self, *words: str, code: int = 0) -> str:
        """What `adjourn ...` prints, with the program's key in the environment."""
        ran = subprocess.run(
            [sys.executable, "-m", "adjourn", *words],
            cwd=ROOT,
            env={**os.environ, "ADJOURN_KEY": self.key, "COLUMNS": "200", **SECRETS},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def operator(self, *words: str, code: int = 0) -> str:
        """As `command`, on the file that the server has."""
        return self.command(*words, "--db", str(self._database), code=code)

    def ask(self, id: str, to: str, amount: str, orchestrator: str = "payout") -> str:
        """The program with the key starts a case; its approval's id, once it waits."""
        payment = json.dumps({"to": to, "amount": amount})
        self.command("start", orchestrator, payment, "--id", id, "--at", self.address)
        approval = f"{id}:1:1"

        def waits() -> bool:
            assert self._status(id) != "Completed"
            return self._get(f"/api/v1/approvals/{approval}").status_code == 200

        until(waits)
        return approval

    def ends(self, id: str) -> str:
        """The result of a case, as the program reads it."""

        until(lambda: self._status(id) == "Completed")
        return self._get(f"/api/v1/instances/{id}").json()["output"]

    def _status(self, id: str) -> str:
        said = self._get(f"/api/v1/instances/{id}").json()
        assert said["status"] in ("Pending", "Running", "Completed"), said
        return said["status"]

    def _get(self, path: str) -> httpx.Response:
        return self.server.http.get(path, headers={"authorization": f"Bearer {self.key}"})

    def mail_about(self, title: str) -> Received:
        """The mail that says that this waits; there is exactly one."""

        def came() -> list[Received]:
            return [each for each in self.post.taken if title in each.subject]

        until(came)
        (mail,) = came()
        return mail

    def told(self, approval: str, kind: str) -> dict[str, Any]:
        """What the endpoint was told, verified as any receiver would; there is exactly one."""

        def came() -> list[dict[str, Any]]:
            verified = (
                Webhook(SECRET).verify(each.body, each.headers) for each in self.hooks.calls
            )
            return [each for each in verified if matches(each)]

        def matches(each: dict[str, Any]) -> bool:
            return each["type"] == kind and each["data"].get("id") == approval

        until(came)
        (event,) = came()
        return event["data"]

    def proved(self, account: str, at: datetime | None) -> None:
        """When they last proved who they are at the provider; None is at each sign-in."""
        claims = dict(ACCOUNTS[account])
        if at is not None:
            claims["auth_time"] = int(at.timestamp())
        httpx.put(f"{self._issuer}/users/{account}", json=claims).raise_for_status()


SECRETS = {"OIDC_SECRET": "this provider takes any", "LEDGER_SECRETS": SECRET}

now = SystemClock().now


def until(look: Callable[[], T]) -> T:
    """What it sees, once there is something to see."""
    pause = threading.Event()
    for _ in range(PATIENCE_LOOKS):
        if found := look():
            return found
        pause.wait(PAUSE_SECONDS)
    raise AssertionError("It did not come.")


@contextmanager
def a_provider() -> Iterator[str]:
    """The issuer: a provider that others keep."""
    with warnings.catch_warnings():  # it uses a part of authlib that will go
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread

        users = [User(sub=account, claims=claims) for account, claims in ACCOUNTS.items()]
        with run_server_in_thread(user_claims=users) as server:
            yield f"http://localhost:{server.server_port}"


@contextmanager
def a_firm(folder: Path) -> Iterator[Firm]:
    """All of it, serving."""
    with ExitStack() as stack:
        issuer = stack.enter_context(a_provider())
        post, hooks = stack.enter_context(a_post()), stack.enter_context(some_hooks())
        people, port = folder / "people.json", closed_port()
        people.write_text(json.dumps(PEOPLE))
        words = {"port": port, "people": people, "issuer": issuer}
        text = SETTINGS.format(**words, mail=post.port, hooks=hooks.place)
        (folder / "adjourn.toml").write_text(text)
        server = ServerProcess(
            "tests.browser.payouts:app",
            folder / "firm.db",
            port=port,
            settings=folder / "adjourn.toml",
            environment=SECRETS,
        )
        yield Firm(folder, issuer, post, hooks, stack.enter_context(server))
