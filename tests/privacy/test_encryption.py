"""Payloads at rest: unreadable without a key, where they stand and nowhere else, for ever."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adjourn import (
    ActivityFailedError,
    Adjourn,
    Context,
    Facts,
    InstanceExistsError,
    InstanceFailedError,
    RetryPolicy,
)
from adjourn.cli.verifying import verify_file
from adjourn.errors import AdjournError, EncryptionKeysError, SealedError
from adjourn.model import events
from adjourn.model.privacy import Privacy
from adjourn.store.rows import Rows
from adjourn.store.sealing import Sealer, parse_keys
from adjourn.store.sqlite import SQLiteStore
from adjourn.store.verify import verify
from adjourn.testing import Sandbox
from adjourn.testing.clock import START

K1, K2, K3 = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))


@dataclass
class Refund:
    note: str


CANARY = "canary-4f1d-payload"


def workflow(keys_in: str = "ADJOURN_KEYS") -> Adjourn:
    """Every kind of payload: input, arguments, results, events, updates, failures, statuses."""
    app = Adjourn()
    if keys_in:
        app.protect(Privacy(encryption_keys_env=keys_in))

    @app.activity(retry=RetryPolicy(max_number_of_attempts=1))
    def echo(text: str) -> str:
        if text.startswith("fail"):
            raise ValueError(text)
        return text

    @app.orchestrator
    async def case(ctx: Context, text: str) -> str:
        ctx.set_custom_status({"at": text})
        first = await ctx.call_activity(echo, text)
        try:
            await ctx.call_activity(echo, f"fail {text}")
        except ActivityFailedError as error:
            first += str(error)
        told = await ctx.wait_for_external_event("Go", str)
        update = await ctx.wait_for_update("Tell", str)
        update.accept(f"answer {update.value}")
        if told == "fail":
            raise RuntimeError(f"case {text}")
        return first + told

    return app


def keys(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ADJOURN_KEYS", text)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "case.db")


def everything_in(file: str) -> bytes:
    """All that is on disk of it: the database, its write-ahead log, what stands beside it."""
    return b"".join(each.read_bytes() for each in Path(file).parent.iterdir())


def bodies(file: str) -> Iterator[str]:
    with closing(sqlite3.connect(file)) as db:
        yield from (body for (body,) in db.execute("SELECT body FROM history ORDER BY rowid"))


def tamper(file: str, *statements: str) -> None:
    """As somebody who may write the file and can recompute every hash of it."""
    with closing(sqlite3.connect(file)) as db, db:
        for name in ("update", "delete"):
            db.execute(f"DROP TRIGGER IF EXISTS history_is_append_only_{name}")
        for statement in statements:
            db.execute(statement)


def play(app: Adjourn, file: str, told: str = CANARY) -> None:
    with Sandbox(app, file) as box:
        box.start("case", CANARY, id="C-1")
        box.raise_event("C-1", "Go", told)
        box.update("C-1", "Tell", CANARY, update_id="u1")


def test_no_payload_is_on_disk_in_clear(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", CANARY, id="C-1")
        assert CANARY.encode() not in everything_in(file)  # the log, too
        box.raise_event("C-1", "Go", CANARY)
        assert box.update("C-1", "Tell", CANARY, update_id="u1") == f"answer {CANARY}"
        box.terminate(box.start("case", CANARY, id="C-2").id, CANARY)
        box.suspend(box.start("case", CANARY, id="C-3").id, CANARY)
        assert CANARY in box.result("C-1")

    found = everything_in(file)
    assert CANARY.encode() not in found
    assert base64.b64encode(CANARY.encode())[:20] not in found


def test_without_keys_it_stands_there_as_before(file: str) -> None:
    play(workflow(""), file)

    assert CANARY.encode() in everything_in(file)
    assert not any("$encrypted" in body for body in bodies(file))


def test_rows_stay_json_that_says_what_happened(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, f"k1:{K1}")
    play(workflow(), file)

    with closing(sqlite3.connect(file)) as db:
        told = db.execute(
            "SELECT kind, body ->> 'name', body ->> '$.\"$encrypted\".key' FROM timeline"
        ).fetchall()
    assert ("ActivityScheduled", "echo", "k1") in told
    assert ("ExternalEventReceived", "Go", "k1") in told
    assert [key for kind, _, key in told if kind == "ActivityFailed"] == ["k1"]


def test_what_was_encrypted_replays_and_is_shown(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", CANARY, id="C-1")
        box.raise_event("C-1", "Go", "on")

    with Sandbox(workflow(), file) as box:
        assert bytes(box.get("C-1").custom_status or b"") == b'{"at":"%b"}' % CANARY.encode()
        assert box.update("C-1", "Tell", "x", update_id="u1") == "answer x"
        assert box.update("C-1", "Tell", "x", update_id="u1") == "answer x"  # from its receipt
        assert CANARY in box.result("C-1")
        started = box.history("C-1")[0].event
    assert isinstance(started, events.InstanceStarted)
    assert bytes(started.input) == f'"{CANARY}"'.encode()


def test_a_failure_is_encrypted_with_its_trace(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, f"k1:{K1}")
    play(workflow(), file, told="fail")

    assert CANARY.encode() not in everything_in(file)
    with Sandbox(workflow(), file) as box, pytest.raises(InstanceFailedError, match=CANARY):
        box.result("C-1")


def test_keys_rotate(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", CANARY, id="C-1")

    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.raise_event("C-1", "Go", "on")
        box.update("C-1", "Tell", "x", update_id="u1")
        assert CANARY in box.result("C-1")

    used = [body.partition('"$encrypted":{"key":"')[2][:2] for body in bodies(file)]
    used = [key for key in used if key]
    assert used == sorted(used)
    assert set(used) == {"k1", "k2"}
    report = [checked.keys for checked in verify(file)]
    assert report[0].keys() == {"k1", "k2"} and min(report[0].values()) > 0


def test_a_file_that_began_in_clear_goes_on_encrypted(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(workflow(""), file) as box:
        box.start("case", "begun in clear", id="C-1")
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.raise_event("C-1", "Go", CANARY)
        box.update("C-1", "Tell", CANARY, update_id="u1")
        assert box.result("C-1").endswith(CANARY)

    assert CANARY.encode() not in everything_in(file)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (f"k3:{K3}", "'k2', and that is none of those given"),
        (f"k3:{K3},k1:{K1}", "'k2', and that is none of those given"),
        (f"k2:{K3},k1:{K1}", "'k2', and the key of that name is another one"),
        (None, "'k2', and no encryption keys were given"),
    ],
    ids=["missing", "only the older", "another under its name", "none at all"],
)
def test_the_newest_key_is_asked_for_at_the_opening(
    file: str, monkeypatch: pytest.MonkeyPatch, given: str | None, named: str
) -> None:
    keys(monkeypatch, f"k2:{K2}")
    play(workflow(), file)
    before = Path(file).read_bytes()

    keys(monkeypatch, given or "")
    with pytest.raises(EncryptionKeysError, match=named):
        Sandbox(workflow("ADJOURN_KEYS" if given else ""), file).__enter__()

    assert Path(file).read_bytes() == before


def test_an_instance_whose_older_key_is_missing_is_quarantined_and_resumes(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", CANARY, id="C-1")
    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", "other", id="C-2")

    keys(monkeypatch, f"k2:{K2}")
    with Sandbox(workflow(), file) as box:
        box.raise_event("C-1", "Go", "kept")
        assert [(each.id, each.status) for each in box.list().instances] == [
            ("C-1", "Quarantined"),
            ("C-2", "Running"),
        ]
        state = box.get("C-1")
        assert state.input is None and "'k1'" in (state.problem or "")
        with pytest.raises(SealedError) as refused:
            box.history("C-1")
        assert refused.value.key_id == "k1"
        box.raise_event("C-2", "Go", "on")
        assert box.get("C-2").status == "Running"

    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.update("C-1", "Tell", "x", update_id="u1")
        assert box.result("C-1").endswith("kept")


def test_a_finished_one_whose_key_is_missing_gives_no_wrong_result(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch, f"k1:{K1}")
    play(workflow(), file)
    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", "other", id="C-2")

    keys(monkeypatch, f"k2:{K2}")
    with Sandbox(workflow(), file) as box:
        state = box.get("C-1")
        assert (state.status, state.output) == ("Completed", None)
        assert "'k1'" in (state.problem or "")
        with pytest.raises(SealedError):
            box.update("C-1", "Tell", CANARY, update_id="u1")


def test_an_event_that_was_put_off_waits_for_its_key(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Adjourn()
    app.protect(Privacy(encryption_keys_env="ADJOURN_KEYS"))

    @app.orchestrator
    async def sender(ctx: Context) -> None:
        ctx.raise_event("R-1", "Go", CANARY)

    @app.orchestrator
    async def receiver(ctx: Context) -> str:
        return await ctx.wait_for_external_event("Go", str)

    monkeypatch.setattr("adjourn.engine.engine.EVENT_LIMIT", 0)  # so it is put off
    monkeypatch.setattr(SQLiteStore, "_refuse_other_keys", lambda _: None)
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(app, file) as box:
        box.start("receiver", id="R-1")
        keys(monkeypatch, f"k2:{K2}")
        box.crash_at("committed")
        with pytest.raises(AdjournError, match="Nobody has answered"):
            box.start("sender", id="S-1")
        assert box.crashes == 1
        box.advance(minutes=5)
        assert box.get("R-1").status == "Running"

    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(app, file, start=START + timedelta(minutes=10)) as box:
        assert box.result("R-1") == CANARY


# What can be done to the file by whoever has it and no key.


def sealed_app(file: str, monkeypatch: pytest.MonkeyPatch) -> Adjourn:
    keys(monkeypatch, f"k1:{K1}")
    app = workflow()
    with Sandbox(app, file) as box:
        box.start("case", "small", id="C-1")
        box.start("case", "large", id="C-2")
    return app


BODY = "(SELECT body FROM history WHERE instance = {} AND number = {})"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET body = " + BODY.format(2, 1) + " WHERE instance = 1 AND number = 1",
        "UPDATE history SET body = replace(body, '\"name\":\"case\"', '\"name\":\"cash\"')"
        " WHERE instance = 1 AND number = 1",
        "UPDATE history SET body = json_set(body, '$.\"$encrypted\".text', "
        "json_extract(" + BODY.format(1, 3) + ", '$.\"$encrypted\".text')) "
        "WHERE instance = 1 AND number = 1",
        "UPDATE history SET body = json_set(body, '$.\"$encrypted\".nonce', 'AAAAAAAAAAAAAAAA') "
        "WHERE instance = 1 AND number = 1",
        "UPDATE history SET body = json_set(body, '$.\"$encrypted\".text', 'no base64!') "
        "WHERE instance = 1 AND number = 1",
        "UPDATE history SET body = json_set(body, '$.\"$encrypted\".text', '') "
        "WHERE instance = 1 AND number = 1",
        "UPDATE instances SET custom_status = "
        "(SELECT custom_status FROM instances WHERE key = 2) WHERE key = 1",
    ],
    ids=["row of another", "clear part", "text of another row", "nonce", "no base64", "emptied",
         "status of another"],
)  # fmt: skip
def test_what_is_encrypted_cannot_be_changed_or_moved(
    file: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    app = sealed_app(file, monkeypatch)
    tamper(file, statement)
    monkeypatch.setattr("adjourn.store.chain.check", lambda *_: None)  # its hashes were made anew

    with Sandbox(app, file) as box:
        state = box.get("C-1")

    assert state.input is None and "was changed or moved" in (state.problem or "")


def test_a_value_of_a_user_that_looks_like_a_box_is_a_value(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box_like = {"$encrypted": {"key": "k1", "nonce": "AAAA", "text": "AAAA"}}
    app = Adjourn()

    @app.orchestrator
    async def keep(ctx: Context, value: dict[str, Any]) -> dict[str, Any]:
        ctx.set_custom_status(value)
        await ctx.wait_for_external_event("Go")
        return value

    with Sandbox(app, file) as box:
        box.start("keep", box_like, id="C-1")
    with Sandbox(app, file) as box:
        box.raise_event("C-1", "Go")
        assert box.result("C-1") == box_like
        assert b"AAAA" in bytes(box.get("C-1").custom_status or b"")


def test_the_same_text_is_never_encrypted_the_same() -> None:
    rows = Rows(Sealer(parse_keys(f"k1:{K1}")))

    assert rows.hide("C-1", "status", "x") != rows.hide("C-1", "status", "x")
    with pytest.raises(SealedError):
        rows.show("C-2", "status", rows.hide("C-1", "status", "x"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is empty"),
        ("k1", "number 1 has no name"),
        (f"k 1:{K1}", "number 1 has no name"),
        (f"k1:{K1},k1:{K2}", "two encryption keys called 'k1'"),
        ("k1:@@@@", "'k1' is not base64"),
        (f"k1:{K1[:20]}", "'k1' is not base64|'k1' has"),
        ("k1:" + base64.b64encode(b"short").decode(), "'k1' has 5 bytes"),
    ],
)
def test_keys_that_are_none_are_refused_and_not_repeated(
    file: str, monkeypatch: pytest.MonkeyPatch, text: str, named: str
) -> None:
    keys(monkeypatch, text)

    with pytest.raises(EncryptionKeysError, match=named) as refused:
        Sandbox(workflow(), file).__enter__()

    assert K1[:12] not in str(refused.value) and not Path(file).exists()


def test_the_inbox_stays_clear_and_the_evidence_does_not(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch, f"k1:{K1}")
    app = Adjourn()
    app.protect(Privacy(encryption_keys_env="ADJOURN_KEYS"))

    @app.orchestrator
    async def ask(ctx: Context, note: str) -> str:
        decision = await ctx.approval(
            Refund(note=note),
            title="Refund to Ada",
            to="group:support",
            expires="7d",
            evidence=[Facts(facts={"Card": note})],
        )
        return type(decision).__name__

    with Sandbox(app, file) as box:
        box.start("ask", CANARY, id="C-1")
        assert box.inbox("support").one().row.title == "Refund to Ada"
        box.inbox("support").one().approve("lena", CANARY)
        box.advance(minutes=1)
        assert box.result("C-1") == "Approved"

    found = everything_in(file)
    assert CANARY.encode() not in found
    assert b"Refund to Ada" in found  # docs/privacy.md says so


# By what a repeated start is known again.


def digests(file: str) -> dict[str, bytes]:
    with closing(sqlite3.connect(file)) as db:
        return dict(db.execute("SELECT id, start_digest FROM instances"))


def plain_digest(name: str, input: str) -> bytes:
    return sha256(name.encode() + b"\0" + json.dumps(input).encode()).digest()[:16]


def test_nobody_confirms_a_guessed_input_without_a_key(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(workflow(), file) as box:
        box.start("case", CANARY, id="C-1")
        box.start("case", CANARY, id="C-2")

    found = digests(file)
    assert plain_digest("case", CANARY) not in found.values()
    assert found["C-1"] != found["C-2"], "nor whether two were given the same"


def test_without_keys_it_is_what_it_was(file: str) -> None:
    play(workflow(""), file)

    assert digests(file) == {"C-1": plain_digest("case", CANARY)}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("", ""),
        ("", f"k1:{K1}"),
        (f"k1:{K1}", f"k1:{K1}"),
        (f"k1:{K1}", f"k2:{K2},k1:{K1}"),
        (f"k2:{K2},k1:{K1}", f"k3:{K3},k2:{K2}"),
    ],
    ids=["in clear", "encrypted since", "one key", "rotated", "rotated twice"],
)
def test_a_repeated_start_is_known_again(
    file: str, monkeypatch: pytest.MonkeyPatch, before: str, now: str
) -> None:
    keys(monkeypatch, before)
    with Sandbox(workflow("ADJOURN_KEYS" if before else ""), file) as box:
        box.start("case", CANARY, id="C-1")

    keys(monkeypatch, now)
    with Sandbox(workflow("ADJOURN_KEYS" if now else ""), file) as box:
        box.start("case", CANARY, id="C-1")
        assert box.get("C-1").execution == 1
        with pytest.raises(InstanceExistsError, match="another input"):
            box.start("case", "other", id="C-1")


def test_so_is_one_that_an_orchestrator_starts(
    file: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = workflow()

    @app.orchestrator
    async def starter(ctx: Context, text: str) -> None:
        ctx.start("case", text, id="C-1")

    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(app, file) as box:
        box.start("starter", CANARY, id="S-1")
    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(app, file) as box:
        box.start("starter", CANARY, id="S-2")
        assert not caplog.records
        box.start("starter", "other", id="S-3")

    assert plain_digest("case", CANARY) not in digests(file).values()
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_key_that_only_a_status_needs_is_one_to_keep(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = Adjourn()
    app.protect(Privacy(encryption_keys_env="ADJOURN_KEYS"))

    @app.orchestrator
    async def wait(ctx: Context, text: str) -> None:
        await ctx.create_timer(timedelta(hours=1))
        ctx.set_custom_status(text)
        await ctx.wait_for_external_event("Go")

    keys(monkeypatch, f"k1:{K1}")
    with Sandbox(app, file) as box:
        box.start("wait", CANARY, id="C-1")
    keys(monkeypatch, f"k2:{K2},k1:{K1}")
    with Sandbox(app, file) as box:
        box.advance(hours=2)

    verify_file(file)

    said = capsys.readouterr().out
    assert "encrypted with key k1: keep it" in said and "encrypted with key k2: keep it" in said
