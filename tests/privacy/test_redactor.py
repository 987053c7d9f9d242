"""What is hidden in values and texts: by names of fields, by form, and what a process was given."""

from __future__ import annotations

import json
import logging
import string
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.properties.profiles  # noqa: F401  as many examples as the other properties take
from adjourn import ActivityFailedError, Adjourn, Context, NonRetryableError, RetryPolicy
from adjourn.model import events
from adjourn.model.failure import FailureDetails
from adjourn.model.privacy import HIDDEN, Privacy, RedactedLogs, Redactor
from adjourn.model.state import Ending, HistoryEntry, InstanceState
from adjourn.model.status import Status
from adjourn.testing import Sandbox
from adjourn.testing.clock import START

PLAIN = Redactor()
SECRET = 'canary/9c+e=1 "quoted" é'


# By the names of fields.


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "userPassword", "old_password", "passwordHash", "passwd", "pwd",
        "db_passwd", "MYSQL_PWD", "cookies",
        "passphrase", "secret", "client_secret", "clientSecret", "Client-Secret", "SECRET_KEY",
        "token", "accessToken", "access_token", "APIToken", "id-token", "x-auth-token",
        "authorization", "Authorization", "Proxy-Authorization", "api_key", "apiKey", "APIKey",
        "x-api-key", "clientAPIKey", "openaiApikey", "private_key", "privateKeyPem", "accessKey",
        "aws_access_key", "credentials", "cookie", "Set-Cookie", "cardNumber", "Card Number", "cvv",
        "CVC", "x" * 300 + "_password",
    ],
)  # fmt: skip
def test_a_field_of_such_a_name_is_hidden_at_any_depth(name: str) -> None:
    given = {"a": [{name: "value-1"}, {"b": {name: {"c": ["value-2"]}}}], name: 7}

    shown = PLAIN.value(given)

    assert shown == {"a": [{name: HIDDEN}, {"b": {name: HIDDEN}}], name: HIDDEN}


@pytest.mark.parametrize(
    "name",
    ["tokens", "max_tokens", "key", "author", "note", "card", "number", "pass",
     "keyboard", "tokenizer", "cookies_accepted", "amount", "name"],
)  # fmt: skip
def test_a_field_of_another_name_is_not(name: str) -> None:
    given = {"a": [{name: "value"}]}

    assert PLAIN.value(given) == given


@pytest.mark.parametrize(
    ("rule", "hides", "leaves"),
    [
        ("iban", {"iban": "x"}, {"ibans": "x"}),
        ("IBAN", {"a": {"iban": "x"}}, {"a": "iban"}),
        ("*_code", {"pin_code": "x", "pinCode": 1}, {"code": "x", "code_pin": "x"}),
        ("card.*", {"card": {"n": 1, "m": [2]}}, {"cards": {"n": 1}, "n": {"card": 1}}),
        ("card.holder", {"card": [{"holder": "x"}]}, {"holder": "x", "card": {"a": {"holder": 1}}}),
        ("*.card.holder", {"b": {"card": {"holder": "x"}}}, {"card": {"name": "x"}}),
        ("bank.*.number", {"bank": {"a": {"number": 1}}}, {"bank": {"number": 1}}),
        ("p?n", {"pin": 1, "pan": 1}, {"pn": 1}),
    ],
)
def test_a_rule_of_an_operator(rule: str, hides: dict[str, Any], leaves: dict[str, Any]) -> None:
    redactor = Redactor([rule])

    assert redactor.value(leaves) is leaves
    assert all_hidden(redactor.value(hides)), redactor.value(hides)
    assert redactor.value({"password": "x"}) == {"password": HIDDEN}, "the built-in rules stay"


def all_hidden(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(all_hidden, value.values() if isinstance(value, dict) else value))
    return value == HIDDEN


@pytest.mark.parametrize("value", [None, ""])
def test_that_there_is_none_may_be_seen(value: object) -> None:
    assert PLAIN.value({"password": value}) == {"password": value}


@pytest.mark.parametrize("value", [0, False, 0.0, [], {}, "x"])
def test_whatever_else_stands_there_is_hidden(value: object) -> None:
    assert PLAIN.value({"password": value}) == {"password": HIDDEN}


def test_rules_join_and_nothing_that_one_hides_is_shown() -> None:
    both = Privacy(redact=["iban"], secrets_env=["A"]).and_also(
        Privacy(redact=["tax_*"], encryption_keys_env="K")
    )

    assert both == Privacy(redact=["iban", "tax_*"], secrets_env=["A"], encryption_keys_env="K")
    assert both.and_also(Privacy()) == both


# In texts.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2", "password=[redacted]"),
        ("password: hunter2, user: ann", "password: [redacted], user: ann"),
        ("?a=1&access_token=abcdef&b=2", "?a=1&access_token=[redacted]&b=2"),
        ('{"password": "hun\\"ter2", "a": 1}', '{"password": "[redacted]", "a": 1}'),
        ("{'clientSecret': 'abc', 'a': 1}", "{'clientSecret': '[redacted]', 'a': 1}"),
        ('"{\\"token\\": \\"abc\\"}"', '"{\\"token\\": \\"[redacted]\\"}"'),
        ("[('authorization', 'Bearer abc')]", "[('authorization', '[redacted]')]"),
        ("[(b'cookie', b'a=b; c=d')]", "[(b'cookie', b'[redacted]')]"),
        ("Authorization: Bearer abcdef", "Authorization: [redacted]"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: [redacted]\nHost: x"),
        ('password="it was cut off', 'password="[redacted]"'),
        ("Payment(card_number='4111', amount=3)", "Payment(card_number='[redacted]', amount=3)"),
        ("sent Bearer abcdefgh12", "sent Bearer [redacted]"),
        ("postgresql://ann:hunter2@db/x", "postgresql://[redacted]@db/x"),
        ("amqp://:hunter2@mq", "amqp://[redacted]@mq"),
        ("a eyJhbGciOiJI.eyJzdWIi.c2ln b", "a [redacted] b"),
        ("adj_Ab12_0123456789abcdefXYZ", "[redacted]"),
        ("sk_live_abcdefgh and sk-proj-abcdefgh1", "[redacted] and [redacted]"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[redacted]"),
        ("ghp_0123456789abcdef", "[redacted]"),
        ("xoxb-0123456789-abc", "[redacted]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----!", "[redacted]!"),
        ("GET /x?code=Zm9vYmFyYmF6==&a=1", "GET /x?code=[redacted]&a=1"),
        ("/links?sig=abcdefgh01 was", "/links?sig=[redacted] was"),
        ("password := hunter2, a", "password := [redacted], a"),
        ("'token' => 'abc', 'a' => 1", "'token' => '[redacted]', 'a' => 1"),
        ("token == abc", "token == [redacted]"),
        ("token=['abc', (1)] and b", "token=[redacted] and b"),
        ('{"credentials": {"a": "}", "b": [1, "x"]}, "c": 2}',
         '{"credentials": [redacted], "c": 2}'),
        ('{\n "secret": {\n  "a": "abc"\n },\n "c": 2}', '{\n "secret": [redacted],\n "c": 2}'),
        ("token=(abc, was cut off\nb", "token=[redacted]\nb"),
        ("it's token=['abc'] isn't it\nb", "it's token=[redacted]\nb"),
        ("DB_PWD=hunter2 db_passwd=hunter2", "DB_PWD=[redacted] db_passwd=[redacted]"),
        ("cookies={'sid': 'abc'}", "cookies=[redacted]"),
        ("amount 6 → 5, card_number 41 → 42, note x", "amount 6 → 5, card_number [redacted]"),
    ],
)  # fmt: skip
def test_what_looks_like_a_credential_is_hidden(text: str, shown: str) -> None:
    assert PLAIN.text(text) == shown
    assert PLAIN.text(shown) == shown, "and hiding it again changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "Refund $600 to Ada, order A-1042",
        "The password was wrong.",
        "exit code=1",
        "?page=2&code=7",
        "http://127.0.0.1:7071/a",
        "see https://example.com/a@b",
        "tokens: 512",
        "Bearer of bad news",
        "keyJournal.is.fine",
        "amount 600 → 500",
        "12:30:05 ok",
        "",
    ],
)
def test_what_does_not_is_left(text: str) -> None:
    assert PLAIN.text(text) is text


@pytest.mark.parametrize(
    "spelled",
    [SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), repr(SECRET),
     quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), f"a={quote_plus(SECRET)}&b"],
)  # fmt: skip
def test_a_secret_that_the_process_was_given_is_hidden_however_it_is_spelled(spelled: str) -> None:
    shown = Redactor(secrets=[SECRET]).text(f"before {spelled} after")

    assert "canary" not in shown and "before" in shown and "after" in shown


def test_a_variable_with_several_secrets_hides_each() -> None:
    several = "0123456789abcdefA,0123456789abcdefB"
    redactor = Redactor(secrets=[several, "-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END"])

    assert redactor.text("got 0123456789abcdefB") == "got [redacted]"
    assert redactor.text("line MIIEvQIBADANBgkqhkiG9w0B") == "line [redacted]"


def test_too_short_ones_are_not_looked_for() -> None:
    assert Redactor(secrets=["abc", ""]).text("abcdef") == "abcdef"


def test_a_secret_of_digits_is_hidden_as_a_number_too() -> None:
    redactor = Redactor(secrets=["424242"])

    assert redactor.value([424242, 424242.0, 1424242, "x424242"]) == [
        HIDDEN, HIDDEN, 1424242, "x[redacted]",
    ]  # fmt: skip


def test_a_secret_in_the_name_of_a_field_is_hidden_and_no_field_is_lost() -> None:
    redactor = Redactor(secrets=["canary-1", "canary-2"])

    shown = redactor.value({"canary-1": 1, "canary-2": 2, "a": 3})

    assert "canary" not in str(shown) and list(shown.values()) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["eyJ-" * 60_000, "adj_" * 60_000, "a=" * 100_000, "password=" * 30_000, "\\" * 200_000,
     "password=\"" * 25_000, "://" * 80_000, "-----BEGIN PRIVATE KEY" * 10_000, " → a" * 60_000,
     "cookie: " * 30_000, "Bearer " * 40_000, "a" * 250_000, "sk_live_" * 30_000,
     "?code=" * 40_000, "token=[" * 30_000, "token=[\n" * 30_000, 'token=["\\"' * 25_000,
     "token=[" + '\\"' * 100_000, "token=[" + "'a" * 100_000, "token={}" * 30_000],
    ids=lambda text: text[:12],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_no_text_of_a_customer_keeps_it_busy(text: str) -> None:
    """A quarter of a megabyte of each: what is not linear takes minutes."""
    PLAIN.text(text)


# As properties.

SECRETS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=6, max_size=30).filter(
    lambda text: not {"[", "]"} & set(text) and text not in HIDDEN
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)


def planted(data: st.DataObject, value: Any, secret: str) -> Any:
    """The value with the secret put into its texts and the names of its fields, here and there."""
    match value:
        case str():
            at = data.draw(st.integers(0, len(value)))
            return value[:at] + secret + value[at:]
        case dict():
            return {
                name + (secret if data.draw(st.booleans()) else ""): planted(data, each, secret)
                for name, each in value.items()
            }
        case list():
            return [planted(data, each, secret) for each in value]
        case _:
            return value


@pytest.mark.slow
@given(st.data(), JSON_VALUES, SECRETS)
def test_a_redacted_value_never_holds_the_secret(
    data: st.DataObject, value: Any, secret: str
) -> None:
    redactor = Redactor(secrets=[secret])
    given = planted(data, value, secret)

    shown = redactor.value(given)

    for text in texts(shown):
        assert secret not in text
    if secret.isascii() and secret.isalnum():
        assert secret not in json.dumps(shown) or secret in json.dumps(HIDDEN)


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for each in value.values() for text in texts(each))]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


@pytest.mark.slow
@given(JSON_VALUES)
def test_its_shape_is_kept(value: Any) -> None:
    redactor = Redactor(["a*"])

    same_shape(value, redactor.value(value))


def same_shape(value: Any, shown: Any) -> None:
    if shown == HIDDEN:
        return
    assert type(shown) is type(value)
    if isinstance(value, dict):
        assert list(shown) == list(value) or len(shown) == len(value)
        for before, after in zip(value.values(), shown.values(), strict=True):
            same_shape(before, after)
    if isinstance(value, list):
        for before, after in zip(value, shown, strict=True):
            same_shape(before, after)


@pytest.mark.slow
@given(JSON_VALUES)
def test_hiding_twice_is_hiding_once(value: Any) -> None:
    redactor = Redactor(["a*"], ["secret-of-mine"])

    assert redactor.value(redactor.value(value)) == redactor.value(value)


HARMLESS = st.recursive(
    st.none() | st.integers() | st.text(string.ascii_lowercase[:5] + " ", max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("fgh", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(HARMLESS)
def test_a_value_without_secrets_is_the_very_same(value: Any) -> None:
    assert PLAIN.value(value) is value
    raw = msgspec.Raw(json.dumps(value, indent=1).encode())
    assert PLAIN.raw(raw) is raw, "to the byte: how a number is written is part of what was decided"


def test_what_is_changed_is_a_copy() -> None:
    value = {"a": [{"password": "x"}], "b": {"c": [1]}}

    shown = PLAIN.value(value)

    assert value == {"a": [{"password": "x"}], "b": {"c": [1]}}
    assert shown["b"] is value["b"], "and no more of it than must be"


def test_text_that_is_no_json_is_hidden_whole() -> None:
    assert bytes(PLAIN.raw(msgspec.Raw(b'{"password": "hun'))) == b'"[redacted]"'


@pytest.mark.slow
@settings(max_examples=200)
@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    shown = PLAIN.text(text)

    assert PLAIN.text(shown) == shown
    assert shown == text or HIDDEN in shown


# What clients are told.

RAW = msgspec.Raw(b'{"password":"canary-7"}')
TOLD = FailureDetails(
    type="ValueError",
    message="password=canary-7",
    stack_trace="token: canary-7",
    inner=FailureDetails(type="KeyError", message="secret=canary-7"),
    properties={"api_key": "canary-7", "note": "pwd=canary-7"},
)
INNER = {"at": START, "sequence": 1}
EVENTS: list[events.Event] = [
    events.InstanceStarted(at=START, name="n", input=RAW, tags={"token": "canary-7"}),
    events.ActivityScheduled(**INNER, name="n", input=RAW),
    events.ActivityRetryScheduled(**INNER, attempt=1, failure=TOLD, retry_at=START),
    events.ActivityInDoubt(**INNER, reason="password=canary-7"),
    events.ActivityCompleted(**INNER, result=RAW),
    events.ActivityFailed(**INNER, failure=TOLD),
    events.SubOrchestrationStarted(**INNER, name="n", instance_id="i", input=RAW),
    events.SubOrchestrationCompleted(**INNER, result=RAW),
    events.SubOrchestrationFailed(**INNER, failure=TOLD),
    events.OrchestrationStarted(**INNER, name="n", instance_id="i", input=RAW),
    events.EventSent(**INNER, instance_id="i", name="n", data=RAW),
    events.ExternalEventReceived(at=START, name="n", data=RAW),
    events.ExternalEventSetAside(at=START, name="n", reason="password=canary-7"),
    events.UpdateReceived(at=START, name="n", update_id="u", data=RAW),
    events.UpdateAccepted(at=START, update_id="u", result=RAW),
    events.UpdateRefused(at=START, update_id="u", reason="password=canary-7", details=RAW),
    events.InstanceSuspended(at=START, reason="password=canary-7"),
    events.InstanceResumed(at=START, reason="password=canary-7"),
    events.InstanceContinuedAsNew(at=START, input=RAW),
    events.InstanceCompleted(at=START, result=RAW),
    events.InstanceFailed(at=START, failure=TOLD),
    events.InstanceTerminated(at=START, reason="password=canary-7"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_is_told_without(event: events.Event) -> None:
    entry = HistoryEntry(execution=1, number=1, event=event, hash="ab")

    told = PLAIN.entry(entry)

    assert b"canary-7" in msgspec.json.encode(entry)
    assert b"canary-7" not in msgspec.json.encode(told)
    assert type(told.event) is type(event) and told.hash == "ab"


def test_there_is_no_event_with_a_text_of_others_that_is_not_in_this_table() -> None:
    """A new field of an event that holds somebody's value must be hidden, and be tried above."""
    known = {
        "at", "name", "version", "parent", "trace_context", "sequence", "attempt", "retry_at",
        "settled_by", "approval", "hosted", "fire_at", "instance_id", "event_id", "carried",
        "update_id", "by", "refusal", "unheard",
    }  # fmt: skip
    hidden = {"input", "result", "data", "details", "failure", "reason", "tags"}
    kinds = [*events.Asked.__args__, *events.Arrived.__args__]

    fields = {field for kind in kinds for field in kind.__struct_fields__}

    assert fields - known == hidden
    assert {type(event) for event in EVENTS} == {
        kind for kind in kinds if not hidden.isdisjoint(kind.__struct_fields__)
    }


def test_an_instance_is_told_without() -> None:
    state = InstanceState(
        id="i", name="n", version="", execution=1, status=Status.FAILED, created_at=START,
        updated_at=START + timedelta(1), input=RAW, output=RAW, failure=TOLD, custom_status=RAW,
        attributes={"api_key": "canary-7", "note": "password=canary-7", "amount": 3},
        problem="password=canary-7",
    )  # fmt: skip
    ending = Ending(id="i", name="n", status=Status.FAILED, output=RAW, failure=TOLD)

    assert b"canary-7" not in msgspec.json.encode([PLAIN.state(state), PLAIN.state(ending)])
    assert PLAIN.state(state).attributes["amount"] == 3


# Logs.


class Written(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def written() -> Written:
    handler = Written()
    handler.addFilter(RedactedLogs(Redactor(secrets=["canary-99"])))
    return handler


def record(message: Any, *arguments: Any, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("n", logging.ERROR, "f", 1, message, arguments, more.pop("exc", None))
    vars(made).update(more)
    return made


def raised(message: str) -> Any:
    try:
        try:
            raise KeyError(f"{message} first")
        except KeyError as error:
            raise ValueError(message) from error
    except ValueError as error:
        return type(error), error, error.__traceback__


@pytest.mark.parametrize(
    "told",
    [
        record("canary-99"),
        record("%s", "canary-99"),
        record("%(a)s", {"a": "canary-99"}),
        record("%r", ["canary-99"]),
        record("it", exc=raised("canary-99")),
        record("it", stack_info="  canary-99"),
        record(ValueError("canary-99")),
        record("%d", "canary-99"),
        record("password=%s", "canary-" + "99"),
    ],
    ids=[
        "message",
        "argument",
        "mapping",
        "repr",
        "exception",
        "stack",
        "object",
        "misfit",
        "field",
    ],
)
def test_a_line_of_a_log_is_written_without(written: Written, told: logging.LogRecord) -> None:
    written.handle(told)

    (line,) = written.lines
    assert "canary" not in line and ("redacted" in line or "do not fit" in line)


def test_what_is_added_to_a_record_is_hidden_too(written: Written) -> None:
    written.setFormatter(logging.Formatter("%(message)s %(request)s %(token)s"))

    written.handle(record("m", request={"cookie": "x", "a": "canary-99"}, token="x"))

    assert written.lines == ["m {'cookie': '[redacted]', 'a': '[redacted]'} [redacted]"]


def test_two_handlers_write_the_same(written: Written) -> None:
    told = record("it is %s", "canary-99", exc=raised("canary-99"))
    written.handle(told)
    written.handle(told)

    assert written.lines[0] == written.lines[1]


# Before anything is stored.


def test_what_a_failure_says_is_hidden_before_it_is_written(tmp_path: Path) -> None:
    """So a secret in an exception is in no file, though nothing is encrypted."""
    app = Adjourn()
    app.protect(Privacy(redact=["iban"]))

    @app.activity(retry=RetryPolicy(max_number_of_attempts=1))
    def connect(told: str) -> None:
        try:
            raise KeyError(f"iban={told[::-1]}")
        except KeyError as error:
            raise NonRetryableError(f"password={told[::-1]}") from error

    @app.orchestrator
    async def case(ctx: Context, told: str) -> None:
        try:
            await ctx.call_activity(connect, told)
        except ActivityFailedError as error:
            raise RuntimeError(f"{error}, secret={told[::-1]}") from error

    file = tmp_path / "a.db"
    with Sandbox(app, str(file)) as box:
        box.start("case", "canary-37"[::-1], id="C-1")
        failure = box.get("C-1").failure
        assert failure is not None and "secret=[redacted]" in failure.message
        kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())

    assert b"canary-37"[::-1] in kept and b"canary-37" not in kept
    assert b"password=[redacted]" in kept and b"iban=[redacted]" in kept
