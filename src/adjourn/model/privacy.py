"""What is hidden when values are shown, logged, or told in an exception.

Best effort, by the names of fields, the forms of well-known credentials, and the secrets that this
process was given. It changes no input and no result that is stored: a history must replay. What
must not be read in the file at all is encrypted there (`adjourn.store.rows`).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from operator import is_
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote, quote_plus

import msgspec

from adjourn.model.events import Event, InstanceStarted
from adjourn.model.failure import FailureDetails
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page

Told = TypeVar("Told", InstanceState, Ending)

HIDDEN = "[redacted]"
SHORTEST_SECRET = 6  # characters; hiding shorter ones would tear every other text apart
LONGEST_NAME = 200  # characters of a field's name; of a longer one its beginning and its end count
KNOWN_NAMES = 10_000  # that a redactor remembers: names may come from customers
SHORTEST_PART = 16  # of a variable that holds several secrets, or a secret of several lines

DEFAULT_RULES = (
    "*password*", "*passwd", "pwd", "*_pwd", "*passphrase*", "*secret*", "token", "*_token",
    "authorization", "*_authorization", "*api_key*", "*apikey*", "*private_key*", "access_key",
    "*_access_key", "credential", "credentials", "cookie", "cookies", "*_cookie", "card_number",
    "cvv", "cvc",
)  # fmt: skip
"""Always hidden, whatever an operator adds."""


class Privacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[privacy]`: what is hidden besides what always is, and the keys for payloads at rest."""

    redact: list[str] = []
    """Names of fields whose values people and logs are not shown: `iban`, `card.*`, `*_code`.
    A rule holds at any depth. Dots divide the names of fields in one another, `*` stands for any
    part of a name; letter case, `-`, `_` and camelCase make no difference, lists count for
    nothing."""
    secrets_env: list[str] = []
    """Environment variables whose values are hidden wherever they stand in a text."""
    encryption_keys_env: str = ""
    """The variable that holds the keys for payloads at rest, the newest first: `k2:...,k1:...`;
    each is 32 random bytes in base64. Without one payloads are not encrypted."""

    def and_also(self, other: Privacy) -> Privacy:
        """Both: nothing that one of them hides is shown."""
        return Privacy(
            redact=[*self.redact, *other.redact],
            secrets_env=[*self.secrets_env, *other.secrets_env],
            encryption_keys_env=other.encryption_keys_env or self.encryption_keys_env,
        )


class _Name(NamedTuple):
    """What is known of the name of a field."""

    normal: str
    hidden: bool
    shown: str
    """Without secrets in the name itself."""


class Redactor:
    """Hides what its rules name. Values go in and come out; nothing is changed in place."""

    def __init__(self, rules: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        """`secrets` are values that are hidden wherever they stand."""
        every = [_normal(rule).removeprefix("*.") for rule in (*DEFAULT_RULES, *rules)]
        split = [[part for part in rule.split(".") if part] for rule in every]
        simple = [parts[0] for parts in split if len(parts) == 1]
        self._names = re.compile("|".join(map(translate, simple)))
        self._paths = [
            [re.compile(translate(part)) for part in parts] for parts in split if len(parts) > 1
        ]
        self._known: dict[str, _Name] = {}
        each = {part for secret in secrets for part in _parts(secret)}
        self._digits = {int(part) for part in each if part.isdecimal() and part[0] != "0"}
        spelled = {form for part in each for form in _spellings(part)}
        self._secrets = (
            re.compile("|".join(map(re.escape, sorted(spelled, key=len, reverse=True))))
            if spelled
            else None
        )

    # Values.

    def value(self, value: Any) -> Any:
        """A plain JSON value with the fields hidden that a rule names, and texts as in `text`. What
        holds nothing to hide is the very same object."""
        return self._value(value, ())

    def texts(self, value: Any) -> Any:
        """As `value`, but whatever its fields are called: for what we ourselves have named."""
        match value:
            case str():
                return self.text(value)
            case dict():
                fields = cast("dict[str, Any]", value)
                return {name: self.texts(item) for name, item in fields.items()}
            case list() | tuple():
                return [self.texts(item) for item in cast("list[Any]", value)]
            case _:
                return value

    def _value(self, value: Any, path: tuple[str, ...]) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return self._object(cast("dict[str, Any]", value), path)
            case list() | tuple():
                items = cast("list[Any]", value)
                shown = [self._value(item, path) for item in items]
                return items if all(map(is_, items, shown)) else shown
            case int() | float() if value in self._digits:
                return HIDDEN
            case _:
                return value

    def _object(self, value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        changed = False
        for name, item in value.items():
            known = self._name(str(name))
            told = known.shown
            if told != name:
                changed = True
                while told in shown or told in value:  # each field stays a field
                    told += "+"
            after = self._field(item, known, (*path, known.normal))
            changed = changed or after is not item
            shown[told] = after
        return shown if changed else value

    def _field(self, value: Any, name: _Name, path: tuple[str, ...]) -> Any:
        if value is None or value == "":
            return value
        return HIDDEN if name.hidden or self._path_hides(path) else self._value(value, path)

    def _name(self, name: str) -> _Name:
        known = self._known.get(name)
        if known is None:
            normal = _normal(name)
            known = _Name(normal, self._names.fullmatch(normal) is not None, self.text(name))
            if len(self._known) < KNOWN_NAMES:
                self._known[name] = known
        return known

    def _path_hides(self, path: tuple[str, ...]) -> bool:
        return any(
            len(path) >= len(rule)
            and all(p.match(n) for p, n in zip(rule, path[-len(rule) :], strict=True))
            for rule in self._paths
        )

    def hides(self, name: str) -> bool:
        """Whether a field of this name is hidden, wherever it stands."""
        return self._names.fullmatch(_normal(name)) is not None

    def raw(self, text: msgspec.Raw) -> msgspec.Raw:
        """As `value`, of JSON, to the byte where nothing is hidden; what is no JSON is hidden
        whole."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            return msgspec.Raw(msgspec.json.encode(HIDDEN))
        shown = self.value(value)
        return text if shown is value else msgspec.Raw(msgspec.json.encode(shown))

    # Texts.

    def text(self, text: str) -> str:
        """Free text without the secrets that this process knows, without what has the form of a
        credential, and without what is written as `password=...` or `"token": "..."`."""
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        text = _FORMS.sub(_without_form, self._without_fields(text))
        return self._without_changes(text) if _BECAME in text else text

    def _without_changes(self, text: str) -> str:
        """`amount 600 -> 500, card_number ...`, as an audit tells what somebody changed: from the
        first name on that is hidden, for a value may look like the next name."""
        for found in _CHANGED.finditer(text):
            if self.hides(found["name"]):
                return text[: found.end()] + HIDDEN
        return text

    def _without_fields(self, text: str) -> str:
        parts: list[str] = []
        closed: dict[int, int] | None = None
        copied = looked = 0
        while (found := _NAME.search(text, looked)) is not None:
            looked = found.end()
            name = _normal(found["name"])
            if self._names.fullmatch(name) is None:
                continue
            shape = _WHOLE_LINE if name.endswith(("cookie", "authorization")) else _VALUE
            value = shape.match(text, looked) or _VALUE.match(text, looked)
            if value is not None:
                quotes = _QUOTES.match(value.group())
                mark = quotes.group() if quotes else ""
                parts += [text[copied:looked], mark, HIDDEN, mark]
                copied = looked = value.end()
            elif text[looked] in _OPENS:
                closed = _closed(text) if closed is None else closed
                parts += [text[copied:looked], HIDDEN]
                copied = looked = closed.get(looked) or _end_of_line(text, looked)
        return "".join([*parts, text[copied:]]) if parts else text

    # What a client is told.

    def failure(self, failure: FailureDetails) -> FailureDetails:
        """A failure and what caused it, each text as in `text`."""
        return msgspec.structs.replace(
            failure,
            message=self.text(failure.message),
            stack_trace=self.text(failure.stack_trace),
            inner=None if failure.inner is None else self.failure(failure.inner),
            properties=self.value(failure.properties),
        )

    def state(self, state: Told) -> Told:
        """An instance, or how it ended, for people."""
        changed: dict[str, Any] = {
            name: self.raw(text)
            for name in ("input", "output", "custom_status")
            if isinstance(text := getattr(state, name, None), msgspec.Raw)
        }
        if state.failure is not None:
            changed["failure"] = self.failure(state.failure)
        if isinstance(state, InstanceState):
            changed["attributes"] = self.value(state.attributes)
            changed["problem"] = None if state.problem is None else self.text(state.problem)
        return msgspec.structs.replace(state, **changed)

    def page(self, page: Page) -> Page:
        return Page(
            instances=[self.state(state) for state in page.instances], next_token=page.next_token
        )

    def entry(self, entry: HistoryEntry) -> HistoryEntry:
        """A row of history; its hash stays that of the row as it is stored."""
        return msgspec.structs.replace(entry, event=self.event(entry.event))

    def event(self, event: Event) -> Event:
        changed: dict[str, Any] = {}
        for name in ("input", "result", "data", "details"):
            text = getattr(event, name, None)
            if isinstance(text, msgspec.Raw):
                changed[name] = self.raw(text)
        failure, reason = getattr(event, "failure", None), getattr(event, "reason", None)
        if isinstance(failure, FailureDetails):
            changed["failure"] = self.failure(failure)
        if isinstance(reason, str):
            changed["reason"] = self.text(reason)
        if isinstance(event, InstanceStarted) and event.tags:
            changed["tags"] = self.value(event.tags)
        return msgspec.structs.replace(event, **changed) if changed else event


class RedactedLogs(logging.Filter):
    """Hides secrets in each record: its message, its traceback, its stack, its extra texts; `also`
    goes over all of these but the extra ones.

    Add it to handlers: a filter on a logger does not see what that logger's children log.
    """

    def __init__(self, redactor: Redactor, also: Iterable[Callable[[str], str]] = ()) -> None:
        super().__init__()
        self._redactor = redactor
        self._texts = (redactor.text, *also)

    def _text(self, text: str) -> str:
        for hide in self._texts:
            text = hide(text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        redact = self._text
        record.msg, record.args = redact(_message(record)), None
        if record.exc_info and not record.exc_text:
            # The formatter writes `exc_text` where there is one, and looks no further.
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
            record.exc_info = None  # for formatters that would draw it anew
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name, value in list(vars(record).items()):
            if name not in _OF_EVERY_RECORD:
                setattr(record, name, self._redactor.value({name: value})[name])
        return True


_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _message(record: logging.LogRecord) -> str:
    """What raises in a filter raises where the line was logged; a handler would only grumble."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg!r} with arguments that do not fit it ({type(error).__name__})"


# Names and forms.

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def _normal(name: str) -> str:
    """`cardNumber`, `Card-Number` and `card_number` are one name; so are `APIKey` and `api_key`."""
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME // 2] + name[-LONGEST_NAME // 2 :]
    return _CAMEL.sub("_", name).replace("-", "_").replace(" ", "_").casefold()


_NAME = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]{1,80})
        (?: \\*["']? \s{0,3} (?: :=|=>|==|[:=] ) \s{0,3} b?(?=["'\\\S])  # name = value
          | ["'] ,\s? b?(?=["']) )  # ("name", "value")""",
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""  \\+"[^"]*"                                          # "value" within JSON in JSON
      | "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+'
      | ["'\\][^\n]*                                       # a quotation that was cut off
      | (?:Bearer|Basic|Digest|Negotiate)\s+[^\s"',;]+      # a header's two words
      | [^\s,;&"'\\{}\[\]()<>]+""",
    re.VERBOSE | re.IGNORECASE,
)
_WHOLE_LINE = re.compile(r"[^\n\"'\\{}\[\]]+")
"""The value of a header that has several parts, where no quotes say where it ends."""
_OPENS, _CLOSES = "[({", "])}"
_BRACKET = re.compile(r""""(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|[\[\](){}]""")
"""Or a quotation, whose brackets do not count."""


def _end_of_line(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _closed(text: str) -> dict[int, int]:
    """Where what each bracket opens has ended, for those that are closed."""
    opened: list[int] = []
    closed: dict[int, int] = {}
    for found in _BRACKET.finditer(text):
        if found.group() in _OPENS:
            opened.append(found.start())
        elif opened and found.group() in _CLOSES:
            closed[opened.pop()] = found.end()
    return closed


_BECAME = " \u2192 "
_CHANGED = re.compile(r"(?:^|[\s,(])(?P<name>[\w-]{1,80}) ")
_QUOTES = re.compile(r"""\\*["']""")


# Texts come from customers: each alternative goes over a text once, however it is made. Hence the
# quantifiers that give nothing back, and beginnings that cannot stand within a match.
_FORMS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
  | (?P<scheme>\b(?:Bearer|Basic)\ )[\w.~+/=-]{8,}
  | (?<=://)[^\s/:@"']{0,100}:(?P<at>[^\s/@"']{1,200})@  # a password in an address
  | (?P<query>[?&](?:code|sig|signature|ticket)=)[^\s&\#"'<>\\]{8,}  # a key in an address
  | (?<![\w-])eyJ[\w-]{8,}+\.[\w-]{4,}+\.[\w-]*        # a signed token
  | \badj_[A-Za-z0-9]+_[\w-]{16,}                      # one of our keys
  | \b[sr]k[_-](?:live|test|proj|ant)[_-][\w-]{8,}
  | \b(?:gh[pousr]_|github_pat_|xox[abprs]-|whsec_)[\w+/=-]{10,}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def _without_form(found: re.Match[str]) -> str:
    if found["at"]:
        return f"{HIDDEN}@"
    return f"{found['scheme'] or found['query'] or ''}{HIDDEN}"


_IN_ADDRESS = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")


def _parts(secret: str) -> set[str]:
    """A variable may hold several secrets, with names before them, an address with a password in
    it, or a key of many lines: each part that cannot be a common word is looked for as well."""
    parts = {secret, *_IN_ADDRESS.findall(secret)}
    return parts | {part for part in re.split(r"[\s,;:]+", secret) if len(part) >= SHORTEST_PART}


def _spellings(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, in JSON, in a repr, in an address."""
    if len(secret) < SHORTEST_SECRET:
        return set()
    forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}
    forms |= {quote(secret), quote_plus(secret)}
    return forms | {json.dumps(secret, ensure_ascii=False)[1:-1]}
