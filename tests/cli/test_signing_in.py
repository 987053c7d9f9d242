"""Signed-in mode from the command line: what is printed, kept, swept, and done from outside."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from adjourn.access.directory import Directory
from adjourn.access.links import LinkRefusedError, Links
from adjourn.access.sessions import COOKIE, Sessions, SignedIn
from adjourn.access.settings import SessionRules
from adjourn.cli import exits, main
from adjourn.cli.settings import read_settings
from adjourn.cli.signing_in import sweep
from adjourn.engine.clock import SystemClock
from adjourn.store.records import Records
from tests.access.gated import Clock

APP = """
from adjourn import Adjourn
app = Adjourn()

def hello(client, authenticator):
    async def page(scope, receive, send):
        actor = scope["state"]["actor"]
        said = actor.id if actor is not None else "nobody"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said.encode()})
    return page

app.mount("/hello", hello)
"""
SETTINGS = """
public_url = "http://localhost:7071"
people_file = "people.json"

[proxy]
trusted = ["127.0.0.1"]
"""
ASKED = {"host": "localhost:7071"}  # as a browser at `public_url` asks
ADA = '{"id": "ada", "name": "Ada", "roles": ["admin"]}'
LENA = '{"id": "lena", "name": "Lena", "roles": ["approver"]}'
RUN = ("run", "signed:app", "--db", "a.db", "--port", "0")
LOCAL = "No sign-in: anyone on this machine can act."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "signed.py").write_text(APP)
    (tmp_path / "adjourn.toml").write_text(SETTINGS)
    (tmp_path / "people.json").write_text(f"[{LENA}]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """A server in a process of its own: what it said, its address, itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "adjourn", *RUN, *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line, line.split(" at ")[1].split(",")[0], process
        finally:
            process.kill()


async def come(folder: Path, person: str) -> str:
    """A session of theirs, made by another process on the same records."""
    now = SystemClock().now
    records = Records(folder / "a.db.access", now)
    signed_in = SignedIn(person=person, how="oidc", at=now())
    id = await Sessions(records, SessionRules(), now).begin(signed_in, address="10.0.0.1")
    records.close()
    return id


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


Say = Callable[..., tuple[int, str]]


@pytest.mark.slow
def test_without_settings_it_says_that_nobody_signs_in_and_keeps_no_records(folder: Path) -> None:
    with running(folder) as (line, address, _):
        assert LOCAL in line and line.startswith("Adjourn serves signed:app at http://127.0.0.1:")
        assert httpx.get(f"{address}/hello/", trust_env=False).text == "nobody"
    assert not (folder / "a.db.access").exists()


@pytest.mark.slow
def test_with_settings_people_sign_in_and_what_is_done_outside_counts_at_once(
    folder: Path, say: Say
) -> None:
    with (
        running(folder, "--settings", "adjourn.toml") as (line, address, process),
        httpx.Client(base_url=address, trust_env=False, headers=ASKED) as http,
    ):
        assert LOCAL not in line and "People sign in at the proxy in front" in line
        assert process.stdout is not None
        told, token = process.stdout.readline(), process.stdout.readline().strip()
        assert "http://localhost:7071/set-up" in told and re.fullmatch(r"[\w-]{43}", token)
        assert (folder / "a.db.access").stat().st_mode & 0o777 == 0o600

        id = asyncio.run(come(folder, "lena"))
        cookie = {"cookie": f"{COOKIE}={id}"}
        assert http.get("/hello/", headers=cookie).text == "lena"
        assert http.get("/hello/", headers={"x-forwarded-user": "lena"}).text == "lena"
        assert http.get("/hello/").text == "nobody"
        assert http.get("/api/v1/instances").status_code == 401
        assert http.get("/api/v1/instances", headers=cookie).status_code == 200

        code, said = say("sessions", "list", "--db", "a.db")
        assert code == 0 and "lena" in said and "10.0.0.1" in said and id not in said
        assert say("sessions", "end", "lena", "--db", "a.db") == (0, "Ended 1 session.\n")
        assert http.get("/hello/", headers=cookie).text == "nobody"

        cookie = {"cookie": f"{COOKIE}={asyncio.run(come(folder, 'lena'))}"}
        assert http.get("/hello/", headers=cookie).text == "lena"
        where = ("--db", "a.db", "--settings", "adjourn.toml")
        code, said = say("people", "disable", "lena", *where)
        assert code == 0 and "lena is out" in said
        assert http.get("/hello/", headers=cookie).text == "nobody"
        assert http.get("/hello/", headers={"x-forwarded-user": "lena"}).text == "nobody"
        assert say("people", "enable", "lena", *where)[0] == 0
        assert http.get("/hello/", headers={"x-forwarded-user": "lena"}).text == "lena"

        (folder / "people.json").write_text(f"[{LENA}, {ADA}]")
        assert http.get("/hello/", headers={"x-forwarded-user": "ada"}).text == "ada"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.slow
def test_with_an_administrator_no_token_is_printed(folder: Path) -> None:
    (folder / "people.json").write_text(f"[{ADA}]")
    with running(folder, "--settings", "adjourn.toml") as (_, _, process):
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None and process.stdout.read() == ""


@pytest.mark.slow
def test_a_start_that_fails_leaves_the_token_that_was_printed(folder: Path, say: Say) -> None:
    with running(folder, "--settings", "adjourn.toml") as (_, _, process):
        assert process.stdout is not None
        token = [process.stdout.readline(), process.stdout.readline().strip()][1]
        second = subprocess.run(
            [sys.executable, "-m", "adjourn", *RUN, "--settings", "adjourn.toml"],
            cwd=folder, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert second.returncode == exits.UNREACHABLE and "in use by" in second.stderr

        async def held() -> bool:
            from adjourn.access.setup import SetUp

            now = SystemClock().now
            records = Records(folder / "a.db.access", now)
            setup = SetUp(records, Directory(records, "people.json", now), now)
            try:
                return await setup.holds(token)
            finally:
                records.close()

        assert asyncio.run(held())


# The commands, by themselves.


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "list"],
        ["sessions", "end", "lena"],
        ["people", "disable", "lena"],
        ["people", "enable", "lena"],
    ],
)
def test_a_file_that_no_server_has_used_is_said_so_and_not_made(
    folder: Path, say: Say, arguments: list[str]
) -> None:
    code, said = say(*arguments, "--db", "other.db")

    assert code == exits.USAGE and "no other.db.access" in " ".join(said.split())
    assert not list(folder.glob("other*"))


@pytest.fixture
def kept(folder: Path) -> Path:
    asyncio.run(come(folder, "lena"))
    asyncio.run(come(folder, "ada"))
    return folder


def test_sessions_are_listed_and_ended(kept: Path, say: Say) -> None:
    where = ("--db", "a.db")
    assert say("sessions", "list", "vic", *where) == (0, "vic is not signed in.\n")
    _, said = say("sessions", "list", "lena", *where)
    assert "lena" in said and "ada" not in said
    assert say("sessions", "end", *where)[0] == exits.USAGE
    assert say("sessions", "end", "lena", "--everybody", *where)[0] == exits.USAGE
    assert say("sessions", "end", "lana", *where) == (0, "lana is not signed in: nothing to end.\n")
    assert say("sessions", "end", "--everybody", *where) == (0, "Ended 2 sessions.\n")
    assert say("sessions", "list", *where) == (0, "Nobody is signed in.\n")


def test_people_are_listed_with_who_is_kept_out_and_who_is_away(kept: Path, say: Say) -> None:
    where = ("--db", "a.db", "--settings", "adjourn.toml")
    assert "Nobody is known" in say("people", "list", "--db", "a.db")[1]
    (kept / "people.json").write_text(f"[{LENA}, {ADA}]")
    records = Records(kept / "a.db.access", SystemClock().now)
    directory = Directory(records, str(kept / "people.json"), SystemClock().now)
    asyncio.run(directory.set_absence("lena", "ada", SystemClock().now() + timedelta(days=3)))
    records.close()
    assert say("people", "disable", "ada", *where)[0] == 0

    code, said = say("people", "list", *where)

    ada, lena = (next(s for s in said.splitlines() if s.startswith(id)) for id in ("ada", "lena"))
    assert code == 0 and "admin" in ada and "disabled" in ada
    assert "approver" in lena and "away" in lena and "disabled" not in lena


def test_whom_nobody_knows_is_not_disabled(kept: Path, say: Say) -> None:
    where = ("--db", "a.db", "--settings", "adjourn.toml")
    code, said = say("people", "disable", "lenna", *where)
    assert code == exits.NOT_FOUND and "'lenna'" in said
    assert say("people", "disable", "lena", *where)[0] == 0
    assert "ada" in say("sessions", "list", "--db", "a.db")[1]


def test_without_the_people_file_it_is_said_why_nobody_is_known(kept: Path, say: Say) -> None:
    code, said = say("people", "disable", "lena", "--db", "a.db")
    assert code == exits.NOT_FOUND and "name the settings with --settings" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["adjourn.toml cannot be read (No such file or directory)", "docs/settings.md"]),
        ("[oidcc]\n", ["unknown field `oidcc`", "Did you mean `oidc`?"]),
        ('[oidc]\nisuer = "a"\nclient_id = "a"\n', ["Did you mean `issuer`?", "$.oidc"]),
        ("[[webhooks]]\nsecrets_env = 'A'\n", ["Did you mean `secret_env`?"]),
        ("nothing_like_it = 1\n", ["`nothing_like_it`. docs/settings.md lists every word."]),
    ],
)
def test_settings_that_cannot_be_read_say_the_next_move(
    folder: Path, say: Say, text: str | None, words: list[str]
) -> None:
    file = folder / "adjourn.toml"
    file.unlink() if text is None else file.write_text(text)

    code, said = say(*RUN, "--settings", "adjourn.toml")

    assert code == exits.USAGE and said.count("\n") == 1
    assert not [each for each in words if each not in said]


def test_a_people_file_is_named_once(folder: Path, say: Say) -> None:
    both = ["run", "signed:app", "--people", "people.json", "--settings"]
    code, said = say(*both, "adjourn.toml")
    assert code == exits.USAGE and "people_file" in said
    (folder / "local.toml").write_text('people_file = "people.json"\n')
    code, said = say(*both, "local.toml")
    assert code == exits.USAGE and "use one" in said


@pytest.mark.parametrize("now", [False, True])
def test_links_are_signed_with_a_new_key_while_a_server_runs(
    folder: Path, say: Say, now: bool
) -> None:
    """The other process of the same records is told by nobody."""
    records = Records(folder / "a.db.access", SystemClock().now)
    served = Links(records, SystemClock().now)

    async def make() -> str:
        return (await served.make("lena", "case-1:1:1", 1, "approve"))[0]

    before = asyncio.run(make())
    code, said = say("links", "rotate", "--db", "a.db", *(["--now"] if now else []))
    assert code == 0 and "new key" in said and ("have ended" in said) is now
    after = asyncio.run(make())

    assert asyncio.run(served.read(after)).person == "lena"
    if now:
        with pytest.raises(LinkRefusedError):
            asyncio.run(served.read(before))
    else:
        assert asyncio.run(served.read(before)).person == "lena"
    records.close()


def test_where_no_server_was_there_are_no_links_to_rotate(folder: Path, say: Say) -> None:
    code, said = say("links", "rotate", "--db", "none.db")

    assert code == exits.USAGE and "none.db.access" in said
    assert not (folder / "none.db.access").exists()


@pytest.mark.parametrize("cwd", ["etc", "."])
def test_files_that_settings_name_stand_beside_the_settings(
    folder: Path, say: Say, monkeypatch: pytest.MonkeyPatch, cwd: str
) -> None:
    """Wherever the command is called from: a service manager calls it from somewhere else."""
    etc = folder / "etc"
    etc.mkdir()
    (etc / "adjourn.toml").write_text(SETTINGS)
    (etc / "people.json").write_text(f"[{ADA}]")
    Records(folder / "a.db.access", Clock()).close()
    monkeypatch.chdir(folder / cwd)
    settings = "adjourn.toml" if cwd == "etc" else "etc/adjourn.toml"
    where = ("--db", str(folder / "a.db"), "--settings", settings)

    assert say("people", "disable", "ada", *where)[0] == 0
    assert say("people", "disable", "lena", *where)[0] == exits.NOT_FOUND


def test_an_absolute_path_of_the_settings_stays_as_it_is(folder: Path) -> None:
    (folder / "etc").mkdir()
    file = folder / "etc" / "adjourn.toml"
    file.write_text(
        f"""
        people_file = "{folder}/people.json"

        [mail]
        host = "mail.example.com"
        sender = "a@example.com"
        ca_file = "ca.pem"

        [[webhooks]]
        name = "one"
        url = "https://hooks.example.com/"
        secret_env = "SECRET"
        ca_file = "{folder}/ca.pem"

        [[webhooks]]
        name = "two"
        url = "https://hooks.example.com/"
        secret_env = "SECRET"
        """
    )

    settings = read_settings(str(file))

    assert settings.people_file == f"{folder}/people.json"
    assert settings.mail is not None and settings.mail.ca_file == f"{folder}/etc/ca.pem"
    assert [each.ca_file for each in settings.webhooks] == [f"{folder}/ca.pem", ""]


def test_what_has_ended_is_swept_now_and_then() -> None:
    async def story() -> None:
        clock = Clock()
        records = Records(":memory:", clock)
        await records.put("sessions", "a", 1, ends_at=clock.at)
        task = asyncio.create_task(sweep(records, every_seconds=0))
        clock.at -= timedelta(minutes=1)  # so that it is there again, unless it was deleted
        async with asyncio.timeout(10):
            while await records.get("sessions", "a", int) is not None:
                clock.at += timedelta(minutes=1)
                await records.mark()  # whoever sweeps gets their turn
                clock.at -= timedelta(minutes=1)
        task.cancel()
        records.close()

    asyncio.run(story())


WITHOUT = """
import sys
for missing in ("starlette", "fastapi", "uvicorn", "argon2", "itsdangerous"):
    sys.modules[missing] = None
from adjourn.cli import main
for command in sys.argv[1:]:
    print(main([*command.split(), "--db", "a.db"]))
"""


@pytest.mark.slow
def test_without_the_part_that_serves_a_command_says_what_to_install(folder: Path) -> None:
    Records(folder / "a.db.access", Clock()).close()
    commands = [
        *("sessions list", "sessions end lena", "people disable lena", "people enable lena"),
        *("links rotate", "keys list"),
    ]

    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, *commands], capture_output=True, text=True, check=False
    )

    assert ran.stdout.split() == [str(exits.USAGE)] * len(commands)
    assert ran.stderr.count("pip install 'adjourn[server]'") == len(commands)
