"""A backend over the HTTP API of another process: `adjourn run`. The only importer of httpx."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from adjourn import errors
from adjourn.backends.protocol import Action, EventAnswer, SettledAs
from adjourn.engine.messages import OnConflict
from adjourn.errors import AdjournError, NotSignedInError, RefusedKeyError, RemoteError
from adjourn.model.actor import Actor
from adjourn.model.hosts import is_loopback
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page, from_microseconds
from adjourn.model.status import Status
from adjourn.store.protocol import Query

T = TypeVar("T")
Told = TypeVar("Told", Ending, InstanceState)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 45.0  # more than the server lets one request wait
WAIT_SECONDS = 25.0  # how long one request waits for a result before it is asked again

_KEY = re.compile(r"adj_[A-Za-z0-9_-]{1,200}")


def _server_knows() -> RemoteError:
    """Over HTTP nobody says who they are: the server does."""
    return RemoteError(
        "Over HTTP the server decides who acts, so a client cannot act for a person. Use the "
        "dashboard, or open the file in this process."
    )


class _Created(msgspec.Struct):
    created: bool


class _Said(msgspec.Struct):
    answer: EventAnswer


class _Result(msgspec.Struct):
    result: msgspec.Raw


class _Page(msgspec.Struct):
    instances: list[msgspec.Raw]
    next_token: str | None


class _Problem(msgspec.Struct, rename={"message": "Message"}):
    message: str
    code: str
    facts: dict[str, Any] = {}


class _Bearer(httpx.Auth):
    """The key on its way: an object, so that no list of attributes or headers shows it."""

    def __init__(self, key: str) -> None:
        self._header = lambda: f"Bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = self._header()
        yield request


class HttpBackend:
    """`Backend` over `/api/v1` of the server at `address`. Raises the errors that it says.

    The key goes to that address, and nowhere else: redirects are not followed, no proxy of the
    environment is asked, and clear text stays on this machine.
    """

    def __init__(self, address: str, key: str = "", *, for_people: bool = False) -> None:
        """With `for_people` the server answers as it would show things to people: redacted."""
        self._address = address.rstrip("/")
        self._headers = {"adjourn-redact": "yes"} if for_people else {}
        self._bearer = _Bearer(key) if key else None
        self._trouble = _trouble(self._address, key) if key else None
        self._http: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Connects at the first call, not here. Raises: RefusedKeyError, RemoteError."""
        if self._trouble is not None:
            raise self._trouble
        try:
            self._http = httpx.AsyncClient(
                base_url=f"{self._address}/api/v1/",
                headers=self._headers,
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                # Reading the certificates takes longer than most calls, and plain http needs none.
                verify=self._address.startswith("https:"),
                trust_env=False,  # a proxy that the environment names does not know our loopback
                follow_redirects=False,  # wherever they lead, the key is not for there
                auth=self._bearer,
            )
        except httpx.InvalidURL as error:
            raise RemoteError(f"{self._address!r} is no address of a server: {error}.") from error

    async def close(self) -> None:
        """Idempotent."""
        if self._http is not None:
            await self._http.aclose()

    async def start(
        self,
        name: str,
        input: msgspec.Raw,
        id: str,
        *,
        on_conflict: OnConflict,
        start_at: datetime | None,
        tags: dict[str, str],
    ) -> bool:
        query: dict[str, Any] = {"orchestrator": name, "onConflict": on_conflict}
        if start_at is not None:
            query["startAt"] = start_at.isoformat()
        if tags:
            query["tags"] = json.dumps(tags)
        return (await self._post(_path(id), query, input, _Created)).created

    async def raise_event(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        event_id: str,
        *,
        wait: int = 0,
        by: Actor | None = None,
    ) -> EventAnswer:
        if wait or by is not None:
            raise _server_knows()
        query = {"eventId": event_id} if event_id else {}
        return (await self._post(_path(id, "events", name), query, data, _Said)).answer

    async def update(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        update_id: str,
        *,
        by: Actor | None = None,
    ) -> msgspec.Raw:
        if by is not None:
            raise _server_knows()
        query = {"updateId": update_id, "wait": WAIT_SECONDS}
        while True:  # a person may take days to answer; each round is bounded by the server
            response = await self._send("POST", _path(id, "updates", name), query, data)
            if response.status_code == 200:
                return self._read(response, _Result).result

    async def control(self, id: str, action: Action, reason: str, *, recursive: bool) -> None:
        form = {"reason": reason, "recursive": recursive}
        await self._send("POST", _path(id, action), {}, msgspec.json.encode(form))

    async def settle(
        self,
        id: str,
        sequence: int,
        outcome: SettledAs,
        *,
        by: str,
        result: msgspec.Raw,
        reason: str,
    ) -> None:
        form = {
            "step": sequence,
            "outcome": outcome,
            "by": by,
            "result": result,
            "reason": reason,
        }
        await self._send("POST", _path(id, "settle"), {}, msgspec.json.encode(form))

    async def result(self, id: str) -> Ending:
        while True:  # an instance may take days; each round is bounded by the server
            response = await self._send("GET", _path(id, "result"), {"wait": WAIT_SECONDS})
            if response.status_code == 200:
                return self._instance(response, Ending)

    async def get(self, id: str) -> InstanceState:
        return self._instance(await self._send("GET", _path(id), {}), InstanceState)

    async def list(self, query: Query) -> Page:
        response = await self._send("GET", "instances", _words(query))
        page = self._read(response, _Page)
        try:
            states = [_with_payloads(text, InstanceState) for text in page.instances]
        except msgspec.MsgspecError as error:
            raise self._unexpected(response) from error
        return Page(instances=states, next_token=page.next_token)

    async def inbox(self, query: InboxQuery) -> InboxPage:
        raise _server_knows()

    async def inbox_counts(self, query: InboxQuery) -> Counts:
        raise _server_knows()

    async def inbox_row(self, id: str) -> InboxRow | None:
        raise _server_knows()

    async def watch_inbox(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        raise _server_knows()
        yield []

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        query = {} if execution is None else {"execution": execution}
        response = await self._send("GET", _path(id, "history"), query)
        return self._read(response, list[HistoryEntry])

    # Requests and answers.

    async def _post(
        self, path: str, query: Mapping[str, Any], body: msgspec.Raw, kind: type[T]
    ) -> T:
        return self._read(await self._send("POST", path, query, body), kind)

    async def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | msgspec.Raw = b""
    ) -> httpx.Response:
        """A good answer. Raises: the error that the server says; RemoteError."""
        if self._http is None or self._http.is_closed:
            raise RemoteError("It is not open: use `async with app.open(...) as client`.")
        headers = {"content-type": "application/json"} if method == "POST" else {}
        try:
            response = await self._http.request(
                method, path, params=query, content=bytes(body), headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise RemoteError(
                f"Nothing answers at {self._address}. Start it with `adjourn run module:app`, "
                "or correct the address."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(
                f"{self._address} did not answer ({type(error).__name__}): the outcome is "
                "unknown. Is `adjourn run` still up? Repeat the call with the same id."
            ) from error
        if response.is_success:
            return response
        raise self._error_of(response)

    def _read(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise self._unexpected(response) from error

    def _instance(self, response: httpx.Response, kind: type[Told]) -> Told:
        try:
            return _with_payloads(response.content, kind)
        except msgspec.MsgspecError as error:
            raise self._unexpected(response) from error

    def _error_of(self, response: httpx.Response) -> AdjournError:
        if response.status_code == 401:  # whoever says it, this server or a proxy before it
            return _not_signed_in(self._address, with_key=self._bearer is not None)
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except msgspec.MsgspecError:
            return self._unexpected(response)
        kind = _kind_of(problem.code)
        if kind is None:
            text = f"{self._address} answered {response.status_code}: {problem.message}"
            return RemoteError(text)
        return _made_again(kind, problem.message, problem.facts)

    def _unexpected(self, response: httpx.Response) -> RemoteError:
        return RemoteError(
            f"{self._address} answered {response.status_code} with something that `adjourn run` "
            "does not say. Is the address right?"
        )


def _with_payloads(text: bytes | msgspec.Raw, kind: type[Told]) -> Told:
    """msgspec cannot read `Raw | None`, so the payloads are put in by themselves. A null is a
    payload where one must be, and none elsewhere."""
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    payloads: dict[str, msgspec.Raw | None] = {
        name: fields.pop(name) for name in ("input", "output", "custom_status") if name in fields
    }
    told = msgspec.json.decode(msgspec.json.encode(fields), type=kind)
    for name, payload in payloads.items():
        must_be = name == "input" or (name == "output" and told.status is Status.COMPLETED)
        if payload is not None and bytes(payload) == b"null" and not must_be:
            payloads[name] = None
    return msgspec.structs.replace(told, **payloads)


def _trouble(address: str, key: str) -> RefusedKeyError | None:
    """What keeps this key from being sent there. It never says the key."""
    if _KEY.fullmatch(key) is None:
        return RefusedKeyError(
            _plain(address),
            "it has not the form of a key",
            "A key is one line that begins with adj_, as `adjourn keys make` printed it.",
        )
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return None  # as `open` says
    if url.userinfo:
        return RefusedKeyError(
            _plain(address),
            "the address holds a name and a password",
            "Write the address alone: the key says who you are.",
        )
    if url.scheme != "https" and not is_loopback(url.host):
        return RefusedKeyError(
            address,
            "everybody on the way could read it",
            "Use the server's https:// address, or a tunnel to this machine.",
        )
    return None


def _plain(address: str) -> str:
    """The address without a name and a password."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _not_signed_in(address: str, *, with_key: bool) -> NotSignedInError:
    text = (
        f"{address} does not take this key: it is wrong, revoked or expired. `adjourn keys list`, "
        "where the server runs, shows which keys there are."
        if with_key
        else f"{address} asks who you are. Set ADJOURN_KEY to a key of that server, or pass key= "
        "to open(); `adjourn keys make` makes one."
    )
    error = _made_again(NotSignedInError, text, {})
    assert isinstance(error, NotSignedInError)
    return error


def _made_again(kind: type[AdjournError], message: str, facts: Mapping[str, Any]) -> AdjournError:
    # Its constructor would make the text anew, from facts that may not all travel.
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    vars(error).update(facts)
    return error


def _kind_of(code: str) -> type[AdjournError] | None:
    """Our own error of this name. Never anything else, whatever the server says."""
    kind = getattr(errors, code, None)
    return kind if isinstance(kind, type) and issubclass(kind, AdjournError) else None


def _path(id: str, *parts: str) -> str:
    return "/".join(["instances", *(_quoted(part) for part in (id, *parts))])


def _quoted(part: str) -> str:
    # The name ".." would otherwise be a step up, taken by httpx: another route.
    return part.replace(".", "%2E") if not part.strip(".") else quote(part, safe="")


def _words(query: Query) -> dict[str, Any]:
    words: dict[str, Any] = {
        "status": list(query.statuses),
        "name": list(query.names),
        "prefix": query.id_prefix,
        "waitingFor": query.waiting_for,
        "limit": query.limit,
        "newestFirst": query.newest_first,
    }
    if query.tenant is not None:
        words["tenant"] = query.tenant
    if query.created_from is not None:
        words["createdFrom"] = from_microseconds(query.created_from).isoformat()
    if query.created_to is not None:
        words["createdTo"] = from_microseconds(query.created_to).isoformat()
    if query.where:
        words["where"] = json.dumps(dict(query.where))
    if query.after_key is not None:
        words["page"] = str(query.after_key)
    return words
