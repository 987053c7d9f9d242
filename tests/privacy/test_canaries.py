"""Secrets planted wherever one may come in, and looked for wherever one may come out.

A real process, asked over a real socket by everybody who may ask. Two are run: as it is without
settings on privacy, and with payloads encrypted. What docs/privacy.md says about where a thing is
kept is this table, row by row: a secret that is not where the table says would mean that the test
had planted nothing.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from adjourn import Adjourn
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard import create_dashboard
from adjourn.server import create_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
PEOPLE: list[dict[str, Any]] = [
    {"id": "lena", "name": "Lena", "groups": ["support"], "roles": ["approver"],
     "email": "lena@example.com"},
    {"id": "vic", "name": "Vic", "roles": ["viewer"]},
    {"id": "grace", "name": "Grace", "groups": ["support"], "roles": ["approver", "lead"]},
    {"id": "ivo", "name": "Ivo", "roles": ["auditor"]},
    {"id": "ada", "name": "Ada", "roles": ["admin"]},
]  # fmt: skip
RAW = frozenset({"api:ada", "api:program"})
"""Who gets values as they are: administrators and programs, over the API."""
FILE = frozenset({"engine's file"})
NOWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """One thing that somebody plants: where it is found, and where with payloads encrypted."""

    name: str
    clear: frozenset[str] = NOWHERE
    sealed: frozenset[str] = NOWHERE


STORED, LISTED = (FILE | RAW, RAW), (FILE | RAW, FILE | RAW)
ROWS = [
    # In the environment: said by exceptions of activities, of orchestrators, of handlers, and logs.
    Row("env:SHOP_DSN"), Row("env:OIDC_IN"), Row("env:SMTP_IN"), Row("env:HOOKS_IN"),
    Row("env:HOOKS_OLD"), Row("env:KEYS_IN"),
    # In headers and queries of every request there is.
    Row("header:authorization"), Row("header:cookie"), Row("header:x-api-key"),
    Row("header:x-functions-key"), Row("header:x-anything"), Row("header:referer"),
    Row("header:user-agent"), Row("query:code"), Row("query:token"), Row("query:anything"),
    # In headers and queries that a handler quotes when it breaks.
    Row("quoted:authorization"), Row("quoted:cookie"), Row("quoted:x-shop-token"),
    Row("quoted:code"), Row("quoted:access_token"),
    # What is said only when something breaks, or to a log.
    Row("logged"), Row("broken"), Row("failed"),
    # What workflows are given and answer.
    Row("status", *STORED), Row("argument", *STORED), Row("result", *STORED), Row("card", *STORED),
    Row("input", *STORED), Row("iban", *STORED), Row("proposal", *STORED), Row("evidence", *STORED),
    Row("refused", *STORED), Row("accepted", *STORED), Row("event", *STORED),
    Row("update", *STORED), Row("reason", *STORED), Row("suspended", *STORED),
    Row("terminated", *STORED),
    # By what things are found: never encrypted.
    Row("attribute", *LISTED), Row("title", *LISTED),
]  # fmt: skip
INSIDE = [
    "status", "argument", "result", "card", "input", "iban", "proposal", "evidence", "refused",
    "accepted", "attribute", "title",
]  # fmt: skip
BACKWARDS = ["logged", "broken", "failed"]


def canary(name: str) -> str:
    """Looks like nothing in particular, but where its form is what is tried."""
    word = f"cnry7{sum(map(ord, name)):x}{re.sub('[^a-z]', '', name.lower())}"
    if name.startswith("env:HOOKS"):
        return "whsec_" + base64.b64encode(word.ljust(32, "0").encode()).decode()
    if name == "env:KEYS_IN":
        return base64.b64encode(word.ljust(32, "0").encode()[:32]).decode()
    return f"postgresql://shop:{word}@db.example/x" if name == "env:SHOP_DSN" else word


def looked_for(name: str) -> list[bytes]:
    """It, and how it may be written down."""
    found = canary(name)
    if name == "env:SHOP_DSN":
        found = found.split(":")[2].partition("@")[0]
    plain = found.encode()
    return [plain, plain.hex().encode(), base64.b64encode(plain)[:-4], quote(plain).encode()]


@dataclass
class Shop:
    """A process that serves, and everything that came out of it, by the place."""

    folder: Path
    encrypted: bool
    port: int = 0
    found: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self) -> None:
        self._write_down()
        key = self._make_key()
        with open(self.folder / "err", "wb") as err:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "adjourn", "run", "tests.privacy.served:app"),
                    *("--db", self.folder / "shop.db", "--port", str(self.port)),
                    *("--settings", self.folder / "adjourn.toml"),
                ],
                cwd=ROOT,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=err,
            )
            assert process.stdout is not None
            try:
                self.keep("standard output", process.stdout.readline())
                self._play(key)
                self._read_files()  # with all that a process that dies would leave
            finally:
                process.send_signal(signal.SIGTERM)
                self.keep("standard output", process.communicate(timeout=PATIENCE_SECONDS)[0])
        assert process.returncode == 0
        self._read_files()

    def keep(self, place: str, text: bytes) -> None:
        self.found.setdefault(place, []).append(text)

    def _environment(self) -> dict[str, str]:
        names = ["SHOP_DSN", "OIDC_IN", "SMTP_IN"]
        given = {name: canary(f"env:{name}") for name in names}
        given["HOOKS_IN"] = f"{canary('env:HOOKS_IN')} {canary('env:HOOKS_OLD')}"
        given["KEYS_IN"] = f"k1:{canary('env:KEYS_IN')}"
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**kept, **given}

    def _write_down(self) -> None:
        with socket.socket() as free, socket.socket() as closed:
            free.bind(("127.0.0.1", 0))
            closed.bind(("127.0.0.1", 0))
            self.port, nobody = free.getsockname()[1], closed.getsockname()[1]
        (self.folder / "people.json").write_text(json.dumps(PEOPLE))
        privacy = 'encryption_keys_env = "KEYS_IN"' if self.encrypted else 'secrets_env=["KEYS_IN"]'
        (self.folder / "adjourn.toml").write_text(
            f"""
            public_url = "{self.address}"
            people_file = "{self.folder}/people.json"
            [proxy]
            trusted = ["127.0.0.1"]
            [oidc]
            issuer = "https://127.0.0.1:{nobody}"
            client_id = "adjourn"
            client_secret_env = "OIDC_IN"
            [mail]
            host = "127.0.0.1"
            port = {nobody}
            tls = "none"
            sender = "adjourn@example.com"
            user = "adjourn"
            password_env = "SMTP_IN"
            [[webhooks]]
            name = "ledger"
            url = "http://127.0.0.1:{nobody}/"
            secret_env = "HOOKS_IN"
            allow_private = ["127.0.0.1:{nobody}"]
            [limits]
            failures = 100000
            [privacy]
            {privacy}
            [log]
            level = "debug"
            """
        )

    def _make_key(self) -> str:
        said = subprocess.run(
            [
                *(sys.executable, "-m", "adjourn", "keys", "make", "robot", "--json"),
                *("--db", self.folder / "shop.db"),
                *(f"--scope={scope}:read" for scope in ("instances", "approvals")),
                *("--scope=instances:start", "--scope=instances:signal"),
                "--scope=instances:control",
            ],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        return str(json.loads(said.stdout)["key"])

    # What is planted.

    def _play(self, key: str) -> None:
        program = {"authorization": f"Bearer {key}"}
        kept = httpx.Limits(max_keepalive_connections=0)  # a handler that breaks ends its own
        with httpx.Client(base_url=self.address, trust_env=False, timeout=30, limits=kept) as http:
            self._plant_inside(http, program)
            self._plant_around(http)
            for who, headers in self._everybody(program).items():
                self._crawl(http, who, headers)

    def _everybody(self, program: dict[str, str]) -> dict[str, dict[str, str]]:
        people = {str(each["id"]): {"x-forwarded-user": str(each["id"])} for each in PEOPLE}
        return {**people, "program": program, "nobody": {}}

    def _plant_inside(self, http: httpx.Client, program: dict[str, str]) -> None:
        given = {f"{name}_token": canary(name) for name in INSIDE}
        given |= {f"{name}_token": canary(name)[::-1] for name in BACKWARDS}
        base = "/api/v1/instances"
        for id in ("done", "open"):
            self._post(http, f"{base}/{id}?orchestrator=shop", given, program)
            tell = f"{base}/{id}/updates/tell?updateId="
            said = {"secret": canary("update")}
            self._post(http, f"{tell}1", said, program, 409)
            self._post(http, f"{tell}2", said, program)
            self._post(http, f"{base}/{id}/events/Go", {"token": canary("event")}, program)
        for id, action in (("held", "suspend"), ("ended", "terminate")):
            self._post(http, f"{base}/{id}?orchestrator=wait", None, program)
            name = {"suspend": "suspended", "terminate": "terminated"}[action]
            reason = {"reason": f"password={canary(name)}"}
            self._post(http, f"{base}/{id}/{action}", reason, program, 204)
        self._reject(http)
        http.get(f"{base}/done/result?wait=20", headers=program)

    def _reject(self, http: httpx.Client) -> None:
        lena = {"x-forwarded-user": "lena", "origin": self.address}
        rows: list[dict[str, Any]] = []
        for _ in range(500):
            rows = http.get("/api/v1/inbox", headers=lena).json()["rows"]
            if len(rows) == 2:
                break
        (row,) = [each for each in rows if each["case"] == "done"]
        reason = f"password={canary('reason')}"
        action = {"do": "reject", "version": row["version"], "reason": reason}
        self._post(http, f"/api/v1/approvals/{row['id']}/actions", action, lena)
        self._post(http, f"/api/v1/approvals/{row['id']}/actions", action, lena, 409)

    def _post(
        self, http: httpx.Client, path: str, body: Any, headers: dict[str, str], status: int = 200
    ) -> None:
        answer = http.post(
            path, content=json.dumps(body), headers={"content-type": "application/json", **headers}
        )
        assert answer.status_code in (status, 200 if status == 204 else status, 201), answer.text
        self.keep("answer to who planted it", answer.content)

    def _plant_around(self, http: httpx.Client) -> None:
        """Where nothing should ever be kept of it. The answer to whoever sent it is their own."""
        names = ["x-api-key", "x-functions-key", "x-anything", "referer", "user-agent"]
        sent = {name: canary(f"header:{name}") for name in names}
        sent["cookie"] = f"a={canary('header:cookie')}"
        query = "&".join(
            f"{name}={canary(f'query:{name}')}" for name in ("code", "token", "anything")
        )
        bad = {"authorization": f"Bearer {canary('header:authorization')}"}
        for path in addresses(["done"]):
            for more in (bad, {"x-forwarded-user": "ada"}, {}):
                self._look(
                    http, "", f"{path}{'&' if '?' in path else '?'}{query}", {**sent, **more}
                )
        quoted = {
            "authorization": f"Basic {canary('quoted:authorization')}",
            "cookie": f"session={canary('quoted:cookie')}",
            "x-shop-token": canary("quoted:x-shop-token"),
        }
        code, token = canary("quoted:code"), canary("quoted:access_token")
        answer = http.get(f"/broken/x?code={code}&access_token={token}", headers=quoted)
        assert answer.status_code == 500

    def _crawl(self, http: httpx.Client, who: str, headers: dict[str, str]) -> None:
        ids = ["done", "open", "held", "ended"]
        page = http.get("/api/v1/instances?limit=100", headers={"x-forwarded-user": "ada"}).json()
        ids += [each["id"] for each in page["instances"] if each["id"] not in ids]
        assert len(ids) >= 6, "the two approvals are instances, too"
        for path in addresses(ids):
            place = "api" if path.startswith(("/api", "/runtime")) else "pages"
            self._look(http, f"{place}:{who}", path, headers)

    def _look(self, http: httpx.Client, place: str, path: str, headers: dict[str, str]) -> None:
        with http.stream("GET", path, headers=headers) as answer:
            text = b"".join(f"{name}: {value}\n".encode() for name, value in answer.headers.items())
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                text += next(answer.iter_raw(), b"")  # it goes on for ever
            else:
                text += answer.read()
        if place:
            self.keep(place, text)

    def _read_files(self) -> None:
        places = {"err": "standard error"}
        for file in self.folder.iterdir():
            if file.name in ("adjourn.toml", "people.json"):
                continue
            records = file.name.startswith("shop.db.access")
            place = places.get(file.name, "records" if records else "engine's file")
            self.keep(place, file.read_bytes())


def addresses(ids: list[str]) -> list[str]:
    """Everything that answers a GET, of API and dashboard, by each of these ids."""
    client, people = Adjourn().open(":memory:"), LocalPeople(DEMO_PEOPLE)
    paths: list[str] = []
    for site in (create_app(client, people), create_dashboard(client, people)):
        for route in site.routes:
            for one in getattr(getattr(route, "original_router", None), "routes", [route]):
                if "GET" in (getattr(one, "methods", None) or ()):
                    paths.append(getattr(one, "path", ""))
    assert len(paths) > 20
    paths = [f"{path}?wait=0" if path.endswith("/result") else path for path in paths]
    each = [path.replace("{id}", id) for path in paths for id in ids]
    history = "showHistory=true&showHistoryOutput=true&showInput=true"
    more = [f"{path}?{history}" for path in each if path.startswith("/runtime") and path[-1] != "s"]
    more += [f"/?view={view}" for view in ("all", "recent", "decided")]
    return list(dict.fromkeys([*each, *more]))


@pytest.fixture(scope="module", params=[False, True], ids=["in clear", "encrypted"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop"), request.param)
    made.run()
    yield made


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_secret_is_where_it_is_said_to_be_and_nowhere_else(shop: Shop, row: Row) -> None:
    wanted = row.sealed if shop.encrypted else row.clear
    own = {"answer to who planted it"}

    found = {
        place
        for place, texts in shop.found.items()
        if any(form in text for text in texts for form in looked_for(row.name))
    }

    assert found - own == wanted


def test_everything_was_looked_at(shop: Shop) -> None:
    """Of pages that say what is there, and files with something in them."""
    whole = {place: b"".join(texts) for place, texts in shop.found.items()}

    assert whole.keys() >= {f"pages:{each['id']}" for each in PEOPLE}
    assert whole.keys() >= {f"api:{who}" for who in ("lena", "ivo", "ada", "program", "nobody")}
    assert b"[redacted]" in whole["pages:lena"] and b"[redacted]" in whole["api:ivo"]
    assert b"[redacted]" in whole["standard error"] and b"Traceback" in whole["standard error"]
    assert b"[redacted]" in whole["pages:ada"] and b"Rejected" in whole["pages:grace"]
    assert b'"route": "/api/v1/instances/{id}"' in whole["standard error"]
    assert b"robot" in whole["records"] and b"Adjourn serves" in whole["standard output"]
    assert b"ConnectionError" in whole["api:ada"]
    assert (b'"$encrypted"' in whole["engine's file"]) is shop.encrypted
