"""An OpenAI-compatible server of our own on loopback: each request gets the next line of a script.

It speaks chat completions, whole or as a stream of events, and misbehaves on demand. It is real
HTTP, so the client, its retries and its time-outs are the ones that run in production.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST_SILENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Say:
    """A text. `usage=False`: as servers that do not say what a request cost."""

    text: str
    usage: bool = True
    finish: str = "stop"


@dataclass(frozen=True)
class Use:
    """Tool calls: (tool, arguments), the arguments as values or as the very text that is sent."""

    calls: Sequence[tuple[str, Mapping[str, Any] | str]]
    ids: Sequence[str] = ()


@dataclass(frozen=True)
class Fail:
    """An HTTP error."""

    status: int
    code: str = "server_error"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """These very bytes, with status 200."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Silence:
    """No answer, until the server closes."""


@dataclass(frozen=True)
class BreakOff:
    """The beginning of a streamed text, and then the connection is gone."""

    text: str


Line = Say | Use | Fail | Raw | Silence | BreakOff
Script = Sequence[Line] | Callable[[dict[str, Any]], Line]


class FakeOpenAI:
    """The server's side of the conversation: what it was asked, and what it says next."""

    def __init__(self, script: Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.closing = threading.Event()
        self._script = script
        self._lock = threading.Lock()
        self.address = ""

    def next_line(self, request: dict[str, Any], headers: Mapping[str, str]) -> Line:
        """What this request gets; after the script's end, its last line again."""
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            if callable(self._script):
                return self._script(request)
            return self._script[min(len(self.requests), len(self._script)) - 1]

    @property
    def settings(self) -> dict[str, str]:
        """What makes the agent speak with this server."""
        return {
            "OPENAI_BASE_URL": f"{self.address}/v1",
            "OPENAI_API_KEY": "sk-loopback",
            "SUPPORT_AGENT_TIMEOUT": "5",
        }


@contextmanager
def serving(script: Script) -> Iterator[FakeOpenAI]:
    """The server, for as long as the block runs."""
    fake = FakeOpenAI(script)
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        fake.address = f"http://127.0.0.1:{server.server_address[1]}"
        # It looks that often whether it is to stop: a test should not wait for it.
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            fake.closing.set()
            server.shutdown()
            thread.join(timeout=LONGEST_SILENCE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOpenAI
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        request = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = self.fake.next_line(request, headers)
        if self.path != "/v1/chat/completions":
            line = Fail(404, "not_found")
        try:
            self._send(line, bool(request.get("stream")))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has stopped waiting

    def _send(self, line: Line, streamed: bool) -> None:
        match line:
            case Fail(status, code, headers):
                error = {"message": "as the script says", "type": code, "code": code}
                self._whole(status, json.dumps({"error": error}).encode(), headers)
            case Raw(body, content_type):
                self._whole(200, body, {"Content-Type": content_type})
            case Silence():
                self.fake.closing.wait(LONGEST_SILENCE_SECONDS)
                self.close_connection = True
            case BreakOff(text):
                self._events([chunk({"role": "assistant", "content": text})], whole=False)
            case Say() | Use() if streamed:
                self._events(chunks(line))
            case Say() | Use():
                self._whole(200, json.dumps(completion(line)).encode(), {})

    def _whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | dict(headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, events: Sequence[dict[str, Any]], *, whole: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            self._chunk(f"data: {json.dumps(event)}\n\n".encode())
        if whole:
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")
        else:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass  # the tests look at `requests`


USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
ABOUT = {"id": "chatcmpl-1", "created": 1_762_776_000, "model": "gpt-4o"}


def completion(line: Say | Use) -> dict[str, Any]:
    """The whole answer at once."""
    if isinstance(line, Say):
        message: dict[str, Any] = {"role": "assistant", "content": line.text}
        finish = line.finish
    else:
        message = {"role": "assistant", "content": None, "tool_calls": tool_calls(line)}
        finish = "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    body = ABOUT | {"object": "chat.completion", "choices": [choice]}
    return body | ({"usage": USAGE} if getattr(line, "usage", True) else {})


def chunks(line: Say | Use) -> list[dict[str, Any]]:
    """The same in pieces: texts word by word, arguments cut in the middle."""
    events = [chunk({"role": "assistant", "content": ""})]
    if isinstance(line, Say):
        words = line.text.split(" ")
        events += [
            chunk({"content": word if at == 0 else f" {word}"}) for at, word in enumerate(words)
        ]
        events.append(chunk({}, line.finish))
    else:
        for index, call in enumerate(tool_calls(line)):
            written = call["function"]["arguments"]
            half = len(written) // 2
            begun = call | {"index": index, "function": call["function"] | {"arguments": ""}}
            events.append(chunk({"tool_calls": [begun]}))
            for piece in (written[:half], written[half:]):
                part = {"index": index, "function": {"arguments": piece}}
                events.append(chunk({"tool_calls": [part]}))
        events.append(chunk({}, "tool_calls"))
    if getattr(line, "usage", True):
        events.append(ABOUT | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    return events


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return ABOUT | {"object": "chat.completion.chunk", "choices": [choice]}


def tool_calls(line: Use) -> list[dict[str, Any]]:
    ids = [*line.ids, *(f"call_{at}" for at in range(len(line.ids), len(line.calls)))]
    return [
        {
            "id": call_id,
            "type": "function",
            "function": {
                "name": tool,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for call_id, (tool, arguments) in zip(ids, line.calls, strict=True)
    ]
