"""`adjourn run` as a process: started, refused and stopped like one."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from adjourn import Adjourn
from adjourn.cli import exits
from adjourn.errors import RegistrationError

WORKFLOW = """
import time
from adjourn import Adjourn, Context
app = Adjourn()
other = 7

@app.activity
def sleep_on() -> None:
    time.sleep(60)

@app.orchestrator
async def stubborn(ctx: Context) -> None:
    await ctx.call_activity(sleep_on)

@app.orchestrator
async def wait(ctx: Context) -> str:
    return await ctx.wait_for_external_event("Go", str)

def hello(client, authenticator):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})
    return page

app.mount("/hello", hello, place="Greetings")
app.mount("/api/hello", hello)
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    # The tests' own warning filters are for the tests.
    return {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    (tmp_path / "broken.py").write_text("import flow\n1 / 0\n")
    (tmp_path / "lacking.py").write_text("import nowhere_at_all\n")
    (tmp_path / "nameless.json").write_text('[{"id": "", "name": "N", "roles": ["lead"]}]')
    (tmp_path / "twice.json").write_text('[{"id": "ada", "name": "A"}, {"id": "ada", "name": "B"}]')
    shared = [
        {"id": id, "name": id, "roles": ["approver"], "accounts": {"teams": "t/o"}}
        for id in ("ada", "bob")
    ]
    (tmp_path / "shared.json").write_text(json.dumps(shared))
    return tmp_path


@pytest.fixture
def command(folder: Path) -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "adjourn", *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    return run


@pytest.fixture
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "adjourn", "run", "flow:app", "--db", "a.db", "--port", "0"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert "file a.db" in line, line + process.stdout.read()
            yield process, line.split(" at ")[1].split(",")[0]
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_asked_to_stop_and_then_ends_well(
    running: tuple[subprocess.Popen[str], str], command: Command, number: signal.Signals
) -> None:
    process, address = running
    assert command("start", "wait", "--id", "a", "--at", address).returncode == 0
    refused = command("run", "flow:app", "--db", "a.db", "--port", "0")
    taken = command("run", "flow:app", "--db", "b.db", "--port", address.rpartition(":")[2])

    process.send_signal(number)

    assert process.wait(10) == 0
    assert process.stdout is not None and process.stdout.read() == ""
    assert refused.returncode == exits.UNREACHABLE
    assert f"in use by process {process.pid}" in refused.stderr
    assert taken.returncode == exits.UNREACHABLE
    assert "in use" in taken.stderr and "--port" in taken.stderr


@pytest.mark.slow
def test_a_request_that_waits_does_not_hold_up_the_stop(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = running
    with httpx.Client(base_url=address, trust_env=False) as http:
        http.post("/runtime/webhooks/durabletask/orchestrators/wait/a")
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(f"GET /api/v1/instances/a/result HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        with httpx.Client(base_url=address, trust_env=False) as http:
            assert http.get("/healthz").status_code == 200  # so the other one has arrived

        process.send_signal(signal.SIGTERM)

        assert raw.recv(1000).startswith(b"HTTP/1.1 202 ")
    assert process.wait(10) == 0


@pytest.mark.slow
def test_an_applications_own_pages_are_served_behind_the_guard_and_linked(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    _, address = running
    with httpx.Client(base_url=address, trust_env=False, follow_redirects=True) as http:
        assert http.get("/hello/there").text == "/hello/there"
        assert http.get("/hello").text == "/hello/"
        assert http.get("/hello/there", headers={"host": "evil.example"}).status_code == 421
        http.cookies.set("adjourn-person", "lena")
        assert '<a href="/hello/">' in http.get("/").text


@pytest.mark.slow
def test_an_application_may_answer_below_the_api_and_takes_nothing_from_it(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    _, address = running
    with httpx.Client(base_url=address, trust_env=False) as http:
        posted = http.post("/api/hello")
        assert (posted.status_code, posted.text) == (200, "/api/hello/"), "what acts is not led on"
        foreign = {"origin": "https://evil.example"}
        assert http.post("/api/hello", headers=foreign).status_code == 403
        assert http.get("/api/v1/instances").json()["instances"] == []
        assert http.get("/api/other").status_code == 404


@pytest.mark.parametrize(
    "path", ["hello", "/hello/", "/hello", "/", "//x", "/a b", "/{x}", "/../x", "/hello//there"]
)
def test_a_path_that_is_none_or_taken_is_refused(path: str) -> None:
    app = Adjourn()
    app.mount("/hello", lambda client, authenticator: None)

    with pytest.raises(RegistrationError, match=r"no path like|mounted already"):
        app.mount(path, lambda client, authenticator: None)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api", "/runtime", "/healthz", "/people", "/approvals"])
def test_pages_take_no_path_of_the_api_or_the_dashboard(
    command: Command, folder: Path, path: str
) -> None:
    lines = f'import flow\napp = flow.Adjourn()\napp.mount("{path}", flow.hello)\n'
    (folder / "greedy.py").write_text(lines)

    refused = command("run", "greedy:app", "--port", "0")

    assert refused.returncode == exits.USAGE and f"{path} is Adjourn's own" in refused.stderr


@pytest.mark.slow
def test_an_activity_that_does_not_end_delays_the_stop_by_its_grace_only(
    running: tuple[subprocess.Popen[str], str], command: Command
) -> None:
    process, address = running
    command("start", "stubborn", "--at", address)

    process.send_signal(signal.SIGTERM)

    assert process.wait(15) == 0
    assert process.stdout is not None and "1 activities still ran" in process.stdout.read()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing:app"], "There is no module 'nothing'"),
        (["flow"], "module:app"),
        (["flow:nobody"], "It has flow:app."),
        (["flow:other"], "it is a int"),
        (["broken:app"], "ZeroDivisionError"),
        (["lacking:app"], "nowhere_at_all"),
        (["flow:app", "--host", "0.0.0.0"], "loopback only"),
        (["flow:app", "--port", "70000"], "no port"),
        (["flow:app", "--people", "nameless.json"], "has a person with the id ''"),
        (["flow:app", "--people", "twice.json"], "has a person with the id 'ada'"),
        (["flow:app", "--people", "shared.json"], "'t/o' belongs to 'ada' and to 'bob'"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "flow", raising=False)
    from adjourn.cli import main

    code = main(["run", *arguments, "--db", "x.db"])

    said = capsys.readouterr()
    assert code == exits.USAGE
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert words in said.err
    assert not (folder / "x.db").exists()


@pytest.mark.slow
def test_other_commands_do_not_import_the_server(folder: Path) -> None:
    probe = (
        "import sys, adjourn.cli as cli; cli.main(['list', '--at', 'http://127.0.0.1:9']); "
        "print([name for name in ('fastapi', 'uvicorn', 'starlette') if name in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-c", probe],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )

    assert said.stdout == "[]\n"
