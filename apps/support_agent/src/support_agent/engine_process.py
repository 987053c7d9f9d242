"""The engine as a process of its own, started and killed like one, and spoken to over HTTP.

Every wait here is bounded, and every failure says what the process said last.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

from support_agent.clock import stopwatch_seconds

HOST = "127.0.0.1"
BASE = "/runtime/webhooks/durabletask"
POLL_SECONDS = 0.05
START_SECONDS = 20.0
STOP_SECONDS = 5.0
ANSWER_SECONDS = 10.0
LAST_WORDS_LINES = 20

Found = TypeVar("Found")


class EngineTrouble(Exception):
    """The engine did not start, did not answer, or answered something unexpected."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said: the HTTP status and the body."""

    status: int
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """One running engine. Two in a row may serve one file; never two at once."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed, nothing is said."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Ask the process to end, and insist if it does not. Harmless when it has ended."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def start_workflow(self, orchestrator: str, instance_id: str, value: object) -> Answer:
        """Start an instance with a JSON input: 202 when it is on disk."""
        return self._post(f"/orchestrators/{orchestrator}/{quote(instance_id)}", value)

    def raise_event(self, instance_id: str, name: str, value: object, event_id: str) -> Answer:
        """Send an external event: 202 when it is on disk, and also for a repeated event id."""
        path = f"/instances/{quote(instance_id)}/raiseEvent/{quote(name)}?eventId={quote(event_id)}"
        return self._post(path, value)

    def status(self, instance_id: str) -> Answer:
        """How far an instance got: 202 while it runs or waits, 200 when finished, 404 unknown."""
        return self._get(f"/instances/{quote(instance_id)}")

    def _get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def _post(self, path: str, value: object) -> Answer:
        return self._ask("POST", path, json.dumps(value))

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        # Not urllib: it would send a loopback request to a proxy that the environment names.
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, BASE + path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as trouble:
            raise EngineTrouble(
                f"{method} {path} got no answer: {trouble}\n{last_words(self.log)}"
            ) from trouble
        finally:
            connection.close()
        return Answer(response.status, _body(text))


def _body(text: bytes) -> Mapping[str, object]:
    """The JSON object of an answer; anything else is kept as it came, under "text"."""
    try:
        body: object = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        return cast("dict[str, object]", body)
    return {"text": text.decode(errors="replace")}


def start_engine(
    database: Path,
    port: int,
    log: Path,
    environment: Mapping[str, str],
    target: str = "support_agent.workflow:app",
    people: Path | None = None,
) -> EngineProcess:
    """Start `adjourn run` of `target` and come back when it answers over HTTP.

    Raises EngineTrouble, with what the process wrote, when it ends or stays silent; in that case
    no process is left behind.
    """
    command = [sys.executable, "-m", "adjourn", "run", target]
    if people is not None:
        command += ["--people", str(people)]
    with log.open("wb") as words:
        process = subprocess.Popen(
            [*command, "--db", str(database), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    engine = EngineProcess(process, port, log)
    try:
        wait_until(lambda: _answers(engine), "the engine to answer over HTTP", START_SECONDS)
    except EngineTrouble as trouble:
        engine.stop()
        raise EngineTrouble(f"{trouble}\n{last_words(log)}") from None
    except BaseException:  # the person at the keyboard gave up: leave no process behind
        engine.stop()
        raise
    return engine


def _answers(engine: EngineProcess) -> bool:
    if not engine.runs:
        raise EngineTrouble(
            f"The engine ended with code {engine.process.returncode} "
            f"instead of serving port {engine.port}."
        )
    try:
        return engine.status("nobody").status == http.HTTPStatus.NOT_FOUND
    except EngineTrouble:
        return False


def last_words(log: Path) -> str:
    """The end of what the process wrote, for a person who has to find out why."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["It wrote:", *lines[-LAST_WORDS_LINES:]] if lines else ["It wrote nothing."])


def listens(port: int) -> bool:
    """Whether any process accepts connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(ANSWER_SECONDS)
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(look: Callable[[], Found | None], what: str, seconds: float) -> Found:
    """Look again and again until there is something to see; EngineTrouble after `seconds`."""
    give_up = stopwatch_seconds() + seconds
    while not (found := look()):
        if stopwatch_seconds() > give_up:
            raise EngineTrouble(f"Waited {seconds:g} seconds for {what}, in vain.")
        # Another process is watched: there is no signal to wait for, only a look to repeat.
        time.sleep(POLL_SECONDS)
    return found
