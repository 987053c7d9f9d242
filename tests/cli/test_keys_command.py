"""`adjourn keys` on a file, and the other commands with a key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from adjourn.access.scopes import ALL
from adjourn.cli import exits, main
from adjourn.engine.clock import SystemClock
from tests.access.keyed import serving_keys
from tests.cli.conftest import Cli, Ran
from tests.server.serving import Serving


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """In a folder of its own, and with a hash that is cheap."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(PasswordHasher, "from_parameters", lambda *_: cheap)
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS", "ADJOURN_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    people, close = serving_keys(tmp_path / "adjourn.db.access", SystemClock().now)
    made = Serving(tmp_path / "adjourn.db", people=people)  # pyright: ignore[reportArgumentType]  # any Authenticator does
    yield made
    made.stop()
    close()


def make(cli: Cli, name: str = "ci", *more: str) -> str:
    return cli("keys", "make", name, "--scope", "instances:read", *more).out.strip()


def test_make_prints_the_key_alone_so_that_a_script_can_take_it(cli: Cli) -> None:
    said = cli("keys", "make", "ci", "--scope", "instances:read", "--scope", "instances:start")

    assert said.code == 0
    assert said.out.count("\n") == 1 and said.out.startswith("adj_") and len(said.out) == 65
    assert "shown this once" in said.err and "adj_" not in said.err
    assert "adjourn.db is not there yet" in said.err


def test_list_shows_everything_but_the_key(cli: Cli) -> None:
    key = make(cli, "ci", "--tenant", "acme")

    table = cli("keys", "list").out
    (told,) = json.loads(cli("keys", "list", "--json").out)

    assert table.splitlines()[0].split()[:4] == ["NAME", "KEY", "SCOPES", "TENANT"]
    assert table.splitlines()[1].split()[:4] == ["ci", f"{key[:20]}_...", "instances:read", "acme"]
    assert "never" in table and "valid" in table
    assert told["ids"] == [key[:20]] and told["scopes"] == ["instances:read"]
    assert key[21:] not in table + json.dumps(told) and "argon2" not in table + json.dumps(told)


def test_without_keys_list_says_how_to_make_one_and_makes_no_file(cli: Cli, tmp_path: Path) -> None:
    assert "adjourn keys make NAME" in cli("keys", "list").out
    assert cli("keys", "list", "--json").out == "[]\n"
    assert cli("keys", "rotate", "ci").code == exits.NOT_FOUND
    assert cli("keys", "revoke", "ci").code == exits.NOT_FOUND
    assert list(tmp_path.iterdir()) == []


def test_json_of_a_new_key_holds_it(cli: Cli) -> None:
    said = cli("keys", "make", "ci", "--scope", "instances:read", "--days", "30", "--json")
    told = json.loads(said.out)

    assert told["key"].startswith(told["ids"][0]) and told["old_until"] is None
    assert said.err == ""


def test_rotate_says_how_long_the_old_one_works(cli: Cli) -> None:
    first = make(cli)

    overlapping = cli("keys", "rotate", "ci")
    table = cli("keys", "list").out
    at_once = cli("keys", "rotate", "ci", "--overlap-hours", "0")

    assert overlapping.out.startswith("adj_") and overlapping.out.strip() != first
    assert "The old one works until" in overlapping.err and "old one until" in table
    assert "The old one" not in at_once.err


def test_each_file_has_its_own_keys(cli: Cli) -> None:
    make(cli, "ci", "--db", "other.db")

    assert "No keys for adjourn.db" in cli("keys", "list").out
    assert "ci" in cli("keys", "list", "--db", "other.db").out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["make", "CI", "--scope", "instances:read"], exits.USAGE, "a-z 0-9"),
        (["make", "ci"], exits.USAGE, "--scope"),
        (["make", "ci", "--scope", "all"], exits.USAGE, "Choose of approvals:read"),
        (["make", "ci", "--scope", "instances:read", "--days", "0"], exits.USAGE, "1 to 730"),
        (["make", "ci", "--scope", "instances:read", "--days", "731"], exits.USAGE, "1 to 730"),
        (["make", "ci", "--scope", "instances:read", "--days", "never"], exits.USAGE, "days"),
        (["make", "there", "--scope", "instances:read"], exits.CONFLICT, "keys rotate there"),
        (["make", "ci", "--scope", "instances:read", "--db", "no/where"], exits.UNREACHABLE, "no/"),
        (["rotate", "nobody"], exits.NOT_FOUND, "adjourn keys list"),
        (["rotate", "there", "--overlap-hours", "9999"], exits.USAGE, "0 to 720"),
        (["rotate", "there", "--overlap-hours", "-1"], exits.USAGE, "0 to 720"),
        (["revoke", "nobody"], exits.NOT_FOUND, "adjourn keys list"),
        (["revoke", "\x1b[31m"], exits.NOT_FOUND, "x1b"),
        (["sing"], exits.USAGE, "sing"),
    ],
)
def test_a_mistake_is_one_line_with_the_next_move(
    cli: Cli, arguments: list[str], code: int, words: str
) -> None:
    make(cli, "there")

    said = cli("keys", *arguments)

    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert words in said.err and "\x1b" not in said.err


def test_a_file_that_holds_something_else_is_left_as_it_is(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "a.db.access"
    other.write_bytes(b"somebody's own notes, which are no records" * 40)
    before = other.read_bytes()

    said = cli("keys", "make", "ci", "--scope", "instances:read", "--db", "a.db")

    assert (said.code, said.out) == (exits.UNREACHABLE, "")
    assert other.read_bytes() == before


def test_help_names_every_scope(cli: Cli) -> None:
    help = "".join(cli("keys", "make", "--help").out.replace("│", " ").split())
    assert all(scope in help for scope in ALL)


# While a server runs.


@pytest.mark.slow
def test_a_running_server_takes_a_key_at_once_and_lets_it_go_at_once(
    cli: Cli, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--at", serving.address)

    def rule(key: str) -> int:
        """An event "Approval" is a person's: a program is told so, and so was known."""
        monkeypatch.setenv("ADJOURN_KEY", key)
        return cli("raise", "a", "Approval", '{"approved": true}', *at).code

    key = make(cli, "ci", "--scope", "instances:signal")
    assert cli("start", "approve", "{}", "--id", "a", *at).code == exits.REFUSED
    starts = cli("keys", "make", "starts", "--scope", "instances:start").out.strip()
    monkeypatch.setenv("ADJOURN_KEY", starts)
    assert cli("start", "approve", "{}", "--id", "a", *at).code == 0
    assert rule(starts) == exits.REFUSED
    assert rule(key) == exits.CONFLICT
    assert "never" not in cli("keys", "list").out.replace("starts", "")

    new = cli("keys", "rotate", "ci", "--overlap-hours", "0").out.strip()
    assert rule(new) == exits.CONFLICT
    assert cli("keys", "revoke", "ci").out == "Revoked ci: it opens nothing any more.\n"
    assert " ci " not in cli("keys", "list").out
    assert rule(new) == exits.REFUSED


def test_a_command_sends_no_key_over_plain_http(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make(cli)
    monkeypatch.setenv("ADJOURN_KEY", key)

    said = cli("list", "--at", "http://adjourn.example.com")

    assert said.code == exits.USAGE
    assert "https://" in said.err and key[21:] not in said.err


def test_the_file_of_a_command_holds_no_secret(cli: Cli, tmp_path: Path) -> None:
    keys = [make(cli), cli("keys", "rotate", "ci").out.strip()]
    watching = sqlite3.connect(tmp_path / "adjourn.db.access")
    watching.execute("SELECT count(*) FROM records").fetchone()
    keys.append(cli("keys", "rotate", "ci").out.strip())  # stays in the WAL meanwhile

    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    watching.close()
    assert (tmp_path / "adjourn.db.access").stat().st_mode & 0o777 == 0o600
    assert b"argon2id" in held
    assert not any(key[21:].encode() in held for key in keys)
