"""A connector of Teams of our own on loopback: it keeps each conversation as its readers see it.

It follows what Microsoft documents of the Bot Connector's REST API and of streamed messages: a
message is created and answered with its id, replaced by PUT under that id; a stream begins with a
typing activity and is answered with its id, goes on with the text so far, and ends with a message.
What it refuses, it refuses with the status and the code that are documented.

A test plans faults, one for each coming request; without one, all goes well.
"""

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

BASE_PATH = "/teams"
PATIENCE_SECONDS = 20.0  # for a client that should hang up; bounds every wait of a handler
STREAM_SECONDS = 120.0  # how long Teams lets an answer grow
STREAM_PACE_SECONDS = 1.0
CARD = "application/vnd.microsoft.card.adaptive"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request instead of, or after, what was asked."""

    status: int = 0
    """Answered with it, and nothing done; 0: see `how`."""
    code: str = ""
    """The error's code in the body, such as BotNotInConversationRoster."""
    retry_after: str = ""
    how: Literal["drop", "drop_after", "torn_after", "silence", "no_id", "no_json", ""] = ""
    """drop: the connection closes, nothing was done. drop_after, torn_after: it was done, and the
    answer is lost whole or in half. silence: nothing is done or said until the client hangs up.
    no_id, no_json: it was done, and answered with 201 and no id, or no JSON."""
    taken: Callable[[], None] = lambda: None
    """Called when the request has come."""


LIMITED = Fault(429, retry_after="7")
PRECONDITION = Fault(412)
BROKEN = Fault(500)
BAD_GATEWAY = Fault(502)
REMOVED = Fault(403, code="BotNotInConversationRoster")
GONE = Fault(404, code="ConversationNotFound")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came over the wire."""

    method: str
    conversation: str
    activity: str
    """The id in the path of a PUT, or empty."""
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """message, typing, stream, final, or update."""
        if self.method == "PUT":
            return "update"
        streamed = _stream_info(self.body)
        if streamed is None:
            return str(self.body.get("type"))
        return "final" if streamed.get("streamType") == "final" else "stream"


@dataclass(slots=True)
class Shown:
    """A message as a reader sees it now."""

    id: str
    text: str = ""
    text_format: str = ""
    cards: list[dict[str, Any]] = field(default_factory=list)
    summary: str = ""
    replaced: int = 0
    """How many times it was."""
    growing: bool = False
    growth: list[str] = field(default_factory=list)
    """The texts that it showed while it grew."""
    begun_at: float = 0.0
    sequence: int = 0
    last_at: float = 0.0


class FakeConnector:
    """All conversations of one bot. `with FakeConnector().serving() as service_url:` serves it."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        token: str = "",
        members: Mapping[str, list[dict[str, Any]]] | None = None,
        groups: frozenset[str] = frozenset(),
    ) -> None:
        """`clock`: where given, streams must keep to Teams' pace and limit by it. `token`: where
        given, each request must bear it. `groups`: conversations that are no personal chats."""
        self.clock = clock
        self.token = token
        self.members = dict(members or {})
        self.groups = groups
        self.calls: list[Call] = []
        self.typings: dict[str, int] = {}
        self.gone: set[str] = set()
        """Conversations that answer 404 from now on."""
        self.removed: set[str] = set()
        """Conversations that answer 403 from now on: the bot is no member any more."""
        self._messages: dict[str, list[Shown]] = {}
        self._faults: deque[Fault | None] = deque()
        self._count = 0
        self._changed = threading.Condition()

    # What a test plans, and looks at.

    def plan(self, *faults: Fault | None) -> None:
        """What happens to the coming requests, in turn. None: nothing does."""
        with self._changed:
            self._faults.extend(faults)

    def seen(self, conversation: str) -> list[Shown]:
        """What its readers see now, oldest first."""
        with self._changed:
            return list(self._messages.get(conversation, []))

    def texts(self, conversation: str) -> list[str]:
        return [shown.text for shown in self.seen(conversation)]

    def wait_for_calls(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Call]:
        """Until so many requests came, answered or not."""
        return self.wait_until(lambda: len(self.calls) >= count, seconds)

    def wait_until(
        self, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS
    ) -> list[Call]:
        """Until it holds, looked at after each request."""
        with self._changed:
            arrived = self._changed.wait_for(holds, seconds)
            calls = list(self.calls)
        assert arrived, f"not after {len(calls)} requests: {[call.kind for call in calls]}"
        return calls

    def stop_stream(self, conversation: str) -> None:
        """The reader presses Stop: the stream ends as it stands."""
        with self._changed:
            for shown in self._messages.get(conversation, []):
                shown.growing = False

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Serve on loopback; the service URL that conversations have here."""
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"connector": self}))
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            scheme = "https" if tls else "http"
            yield f"{scheme}://127.0.0.1:{server.server_port}{BASE_PATH}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(PATIENCE_SECONDS)

    # What the connector does.

    def take_fault(self, call: Call) -> Fault | None:
        with self._changed:
            self.calls.append(call)
            fault = self._faults.popleft() if self._faults else None
            if fault is not None:
                fault.taken()
            self._changed.notify_all()
            return fault

    def answer(self, call: Call) -> tuple[int, dict[str, Any] | list[Any]]:
        """Do what the call asks, or refuse it as Teams would."""
        with self._changed:
            try:
                return self._answer(call)
            finally:
                self._changed.notify_all()

    def _answer(self, call: Call) -> tuple[int, dict[str, Any] | list[Any]]:
        if self.token and call.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401, "Unauthorized")
        if call.conversation in self.gone:
            return _error(404, "ConversationNotFound")
        if call.conversation in self.removed:
            return _error(403, "BotNotInConversationRoster")
        match call.kind:
            case _ if call.method == "GET":
                return 200, self.members.get(call.conversation, [])
            case "update":
                return self._update(call)
            case "message":
                return self._message(call)
            case "typing":
                self.typings[call.conversation] = self.typings.get(call.conversation, 0) + 1
                return 202, {}
            case "stream":
                return self._stream(call)
            case "final":
                return self._final(call)
            case _:
                return _error(400, "BadSyntax")

    def _message(self, call: Call) -> tuple[int, dict[str, Any]]:
        if not call.body.get("text") and not call.body.get("attachments"):
            return _error(400, "BadSyntax")
        shown = Shown(self._new_id())
        _draw(shown, call.body)
        self._messages.setdefault(call.conversation, []).append(shown)
        return 201, {"id": shown.id}

    def _update(self, call: Call) -> tuple[int, dict[str, Any]]:
        shown = self._find(call.conversation, call.activity)
        if shown is None:
            return _error(404, "ActivityNotFoundInConversation")
        _draw(shown, call.body)
        shown.replaced += 1
        shown.growing = False
        return 200, {"id": shown.id}

    def _stream(self, call: Call) -> tuple[int, dict[str, Any]]:
        info, text, moment = _stream_info(call.body) or {}, call.body.get("text"), self._now()
        if not text:
            return _error(400, "BadRequest", "Start streaming activities should include text")
        if call.conversation in self.groups:
            return _error(403, "ContentStreamNotAllowed", "Content stream is not allowed")
        if not info.get("streamId"):
            if info.get("streamSequence") != 1:
                return _error(400, "BadRequest")
            shown = Shown(self._new_id(), growing=True, begun_at=moment)
            self._messages.setdefault(call.conversation, []).append(shown)
            answer: tuple[int, dict[str, Any]] = 201, {"id": shown.id}
        else:
            found = self._find(call.conversation, str(info["streamId"]))
            refusal = self._refusal(found, text, moment)
            if found is None or refusal is not None:
                return refusal or _error(404, "ActivityNotFoundInConversation")
            if self.clock is not None and moment - found.last_at < STREAM_PACE_SECONDS:
                return _error(429, "", "API calls quota exceeded")
            if info.get("streamSequence") != found.sequence + 1:
                return _error(400, "BadRequest")
            shown, answer = found, (202, {})
        _draw(shown, call.body)
        shown.growth.append(text)
        shown.sequence, shown.last_at = shown.sequence + 1, moment
        return answer

    def _final(self, call: Call) -> tuple[int, dict[str, Any]]:
        info, text = _stream_info(call.body) or {}, call.body.get("text", "")
        shown = self._find(call.conversation, str(info.get("streamId")))
        refusal = self._refusal(shown, text, self._now())
        if shown is None or refusal is not None:
            return refusal or _error(404, "ActivityNotFoundInConversation")
        if "streamSequence" in info:
            return _error(400, "BadRequest")
        _draw(shown, call.body)
        shown.growing = False
        return 202, {}

    def _refusal(
        self, shown: Shown | None, text: str, moment: float
    ) -> tuple[int, dict[str, Any]] | None:
        words = ""
        if shown is None:
            return _error(404, "ActivityNotFoundInConversation")
        if not shown.growing:
            words = "Content stream is not allowed on an already completed streamed message"
        elif self.clock is not None and moment - shown.begun_at > STREAM_SECONDS:
            words = "Content stream finished due to exceeded streaming time."
        elif not text.startswith(shown.text):
            words = "Request streamed content should contain the previously streamed content"
        return _error(403, "ContentStreamNotAllowed", words) if words else None

    def _find(self, conversation: str, id: str) -> Shown | None:
        return next((one for one in self._messages.get(conversation, []) if one.id == id), None)

    def _new_id(self) -> str:
        self._count += 1
        return f"1:{self._count:04}"

    def _now(self) -> float:
        return self.clock() if self.clock is not None else 0.0


def _draw(shown: Shown, body: Mapping[str, Any]) -> None:
    attachments = body.get("attachments") or []
    shown.text, shown.text_format = body.get("text") or "", body.get("textFormat") or ""
    shown.cards = [one["content"] for one in attachments if one.get("contentType") == CARD]
    shown.summary = body.get("summary") or ""


def _stream_info(body: Mapping[str, Any]) -> dict[str, Any] | None:
    entities = body.get("entities") or []
    return next((one for one in entities if one.get("type") == "streaminfo"), None)


def _error(status: int, code: str, words: str = "") -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": code, "message": words or "said to whoever is named here"}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the usual five, a burst of connections waits for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of these tests."""


class _Handler(BaseHTTPRequestHandler):
    connector: ClassVar[FakeConnector]
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = self._call(body)
        if call is None:
            self._say(404, json.dumps(_error(404, "NoSuchRoute")[1]))
            return
        fault = self.connector.take_fault(call)
        if fault is None:
            status, answer = self.connector.answer(call)
            self._say(status, json.dumps(answer))
        else:
            self._misbehave(fault, call)

    def _call(self, body: bytes) -> Call | None:
        parts = urlsplit(self.path).path.removeprefix(BASE_PATH).split("/")
        match self.command, [unquote(part) for part in parts]:
            case "POST", ["", "v3", "conversations", conversation, "activities"]:
                activity = ""
            case "PUT", ["", "v3", "conversations", conversation, "activities", activity]:
                pass
            case "GET", ["", "v3", "conversations", conversation, "members"]:
                activity = ""
            case _:
                return None
        given = json.loads(body) if body else {}
        return Call(self.command, conversation, activity, dict(self.headers.items()), given)

    def _misbehave(self, fault: Fault, call: Call) -> None:
        if fault.status:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._say(fault.status, json.dumps(_error(fault.status, fault.code)[1]), headers)
            return
        if fault.how == "silence":
            self.rfile.read(1)  # until the client hangs up, or our own patience ends
        elif fault.how != "drop":
            _, answer = self.connector.answer(call)
            if fault.how == "no_id":
                self._say(201, "{}")
            elif fault.how == "no_json":
                self._say(201, "<html>all is well</html>")
            elif fault.how == "torn_after":
                self._say(201, json.dumps(answer), length=len(json.dumps(answer)) + 20)
        self.close_connection = True

    def _say(
        self,
        status: int,
        body: str,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        given = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(given) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(given)

    def log_message(self, format: str, *args: Any) -> None:
        """The calls are kept; the terminal stays quiet."""
