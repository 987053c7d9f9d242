"""Where the server listens: on loopback, unless people sign in. Nothing turns that off."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adjourn import Adjourn
from adjourn.access.gate import Gate
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.cli import exits, main
from adjourn.cli import run as running
from adjourn.errors import RefusedAddressError
from adjourn.server import Server, create_app, listen
from adjourn.server.guard import check_listening
from tests.access.gated import Gated

SOURCE = Path(running.__file__).parents[1]

WIDE = [
    "0.0.0.0",
    "0",
    "0x0",
    "00.0.0.0",
    "::",
    "[::]",
    "::0",
    "0:0:0:0:0:0:0:0",
    "::ffff:0.0.0.0",
    "::ffff:192.168.1.5",
    "192.168.1.5",
    "10.0.0.1",
    "172.17.0.1",
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "255.255.255.255",
    "128.0.0.1",
    "126.255.255.255",
    "2130706433",
    "127.1",
    "0177.0.0.1",
    "",
    " ",
    "*",
    "example.com",
    "localhost.evil.example",
    "localhost.",
    "127.0.0.1.evil.example",
    "127.0.0.1:80",
    "127.0.0.1/8",
    " 127.0.0.1",
    "127.0.0.1\n",
    "ip6-localhost",
    "adjourn",
    "unix:adjourn.sock",
    "unix:/run/adjourn.sock",
    "/run/adjourn.sock",
    "./adjourn.sock",
    "\0abstract",
    "fd://3",
]
LOOPBACK = ["localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"]


class Unsaid:
    """Says of nobody whether they prove who they are."""


class Claims:
    """Says it in a way that is not a plain no."""

    def __init__(self, local: Any) -> None:
        self.local = local


LOCAL: dict[str, Any] = {
    "none": None,
    "people of this machine": LocalPeople(DEMO_PEOPLE),
    "one that does not say": Unsaid(),
    "one that says nothing": Claims(None),
    "one that says 0": Claims(0),
    "one that says yes": Claims(True),
}


def serves(*arguments: object) -> None:
    """Where nothing should be served: the test ends here, instead of serving."""
    raise AssertionError("it would have served")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gated = Gated(tmp_path)
    yield gated.gate()
    gated.close()


@pytest.mark.parametrize("host", WIDE)
@pytest.mark.parametrize("who", LOCAL)
def test_without_sign_in_nothing_but_loopback_is_listened_on(host: str, who: str) -> None:
    with pytest.raises(RefusedAddressError):
        check_listening(host, LOCAL[who])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("who", LOCAL)
def test_what_listens_asks_before_it_does(host: str, who: str) -> None:
    with pytest.raises(RefusedAddressError):
        listen(host, 0, LOCAL[who]).close()


@pytest.mark.parametrize("host", WIDE)
def test_with_sign_in_the_address_is_the_operators_choice(host: str, gate: Gate) -> None:
    check_listening(host, gate)


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("who", [*LOCAL, "a gate"])
def test_loopback_is_listened_on_with_and_without(host: str, who: str, gate: Gate) -> None:
    check_listening(host, gate if who == "a gate" else LOCAL[who])


def test_with_sign_in_it_really_listens_everywhere(gate: Gate) -> None:
    with listen("0.0.0.0", 0, gate) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize("family", ["every address", "a path"])
def test_a_server_serves_no_socket_that_somebody_else_opened_too_wide(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wide = socket.socket(socket.AF_INET if family == "every address" else socket.AF_UNIX)
    wide.bind(("0.0.0.0", 0) if family == "every address" else "a.sock")
    server = Server(create_app(Adjourn().open(":memory:"), LocalPeople(DEMO_PEOPLE)), serves)

    with wide, pytest.raises(RefusedAddressError):
        asyncio.run(server.serve(sockets=[wide]))


# The command.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "_serve", serves)
    (tmp_path / "bound.py").write_text("from adjourn import Adjourn\napp = Adjourn()\n")
    (tmp_path / "people.json").write_text('[{"id": "ada", "name": "A", "roles": ["admin"]}]')
    (tmp_path / "local.toml").write_text('people_file = "people.json"\nkeys = false\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def flags() -> dict[str, list[str]]:
    """Each further parameter of the command, from its signature, with a value for it."""
    values = {
        "db": "b.db",
        "port": "0",
        "people": "people.json",
        "settings": "local.toml",
    }
    names = inspect.signature(running.run).parameters.keys() - {"target", "database", "host"}
    return {"": []} | {name: [f"--{name}", values[name]] for name in sorted(names)}


@pytest.mark.parametrize("flag", flags())
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_no_flag_of_the_command_lets_it_listen_wider(
    folder: Path, capsys: pytest.CaptureFixture[str], flag: str, host: str
) -> None:
    code = main(["run", "bound:app", "--host", host, *flags()[flag]])

    assert code == exits.USAGE and "loopback only" in capsys.readouterr().err
    assert not list(folder.glob("*.db*"))


def variables() -> list[str]:
    """Every variable that our source names, and a few that somebody may hope for."""
    named = {
        name
        for file in SOURCE.rglob("*.py")
        for name in re.findall(r"\bADJOURN_[A-Z_]+", file.read_text("utf-8"))
    }
    hoped = {
        "ADJOURN_INSECURE",
        "ADJOURN_HOST",
        "ADJOURN_ALLOW_REMOTE",
        "DEBUG",
        "FORWARDED_ALLOW_IPS",
    }
    return sorted(named | hoped)


@pytest.mark.parametrize("variable", variables())
@pytest.mark.parametrize("value", ["1", "true", "0.0.0.0", "*"])
def test_no_variable_of_the_environment_lets_it_listen_wider(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)

    code = main(["run", "bound:app", "--host", "0.0.0.0"])

    assert code == exits.USAGE and "loopback only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('public_url = "http://localhost:7071"', "must be https"),
        ('public_url = "http://adjourn.example.com"', "must be https"),
        ('public_url = "https://adjourn.example.com"\nkeys = false', "let nobody in"),
        ('hosts = ["adjourn.example.com"]', "no public_url"),
        ('[oidc]\nissuer = "https://id.example.com"\nclient_id = "a"', "no public_url"),
        ('public_url = "https://a.example"\nauthentication = false', "unknown field"),
        ('public_url = "https://a.example"\ninsecure = true', "unknown field"),
        ('public_url = "https://a.example"\n[proxy]\ntrusted = []', "people_file"),
        (
            'public_url = "https://a.example"\npeople_file = "people.json"\n[proxy]\ntrusted = []',
            "trusted",
        ),
        (
            'public_url = "https://a.example"\npeople_file = "people.json"\n'
            '[proxy]\ntrusted = ["0.0.0.0/0"]',
            "trusted",
        ),
    ],
)
def test_no_settings_let_it_listen_wider_without_sign_in(
    folder: Path, capsys: pytest.CaptureFixture[str], settings: str, words: str
) -> None:
    (folder / "adjourn.toml").write_text(settings)

    code = main(["run", "bound:app", "--host", "0.0.0.0", "--settings", "adjourn.toml"])

    said = capsys.readouterr().err
    assert code == exits.USAGE and words in said and said.count("\n") == 1
    assert not list(folder.glob("*.db"))


def test_the_check_reads_nothing_of_the_environment() -> None:
    """There is nothing to find: the guard names no variable at all."""
    text = inspect.getsource(check_listening) + inspect.getsource(listen)

    assert not re.search(r"environ|getenv|argv|settings", text)
    assert "ADJOURN_" not in text and os.environ is not None
