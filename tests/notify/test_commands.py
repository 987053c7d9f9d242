"""`adjourn notify` and `adjourn webhooks`, against real servers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adjourn.cli import main
from adjourn.engine.clock import SystemClock
from adjourn.notify.webhooks import SPACE, EndpointState
from adjourn.store.records import Records
from tests.notify.hooks import Hooks, answer, some_hooks
from tests.notify.post import Post, a_post

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
Said = tuple[int, str, str]
Run = Callable[..., Said]


@pytest.fixture
def post() -> Iterator[Post]:
    with a_post() as made:
        yield made


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with some_hooks() as made:
        yield made


@pytest.fixture
def run(
    tmp_path: Path,
    post: Post,
    hooks: Hooks,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """The command line, beside settings for both servers."""
    (tmp_path / "adjourn.toml").write_text(
        f"""
        [mail]
        host = "127.0.0.1"
        port = {post.port}
        tls = "none"
        sender = "adjourn@example.com"

        [[webhooks]]
        name = "ledger"
        url = "http://{hooks.place}/hook"
        secret_env = "LEDGER"
        allow_private = ["{hooks.place}"]
        """
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER", SECRET)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Said:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_test_mail_says_what_the_server_answered(run: Run, post: Post) -> None:
    code, out, _ = run("notify", "test", "--to", "ann@example.com")
    assert (code, out) == (0, "127.0.0.1 took it for ann@example.com: 250 OK\n")
    assert post.taken[0].subject == "Test of Adjourn's notifications"
    post.to_address = lambda _: "550 nobody here"
    code, _, err = run("notify", "test", "--to", "ann@example.com")
    assert code == 5 and "did not take it: 550 nobody here" in err


def test_a_test_mail_goes_to_a_plain_address_only(run: Run, post: Post) -> None:
    code, _, err = run("notify", "test", "--to", "ann@example.com\r\nRCPT TO:<evil@evil.test>")
    assert code == 2 and "no plain mail address" in err
    assert post.seen == []


def test_without_a_mail_server_it_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    code, _, err = run("notify", "test", "--to", "a@example.com", "--settings", "empty.toml")
    assert code == 2 and "has no [mail]" in err
    code, out, _ = run("webhooks", "list", "--settings", "empty.toml")
    assert code == 0 and "has no [[webhooks]]" in out


def test_a_test_request_says_what_was_answered(run: Run, hooks: Hooks) -> None:
    hooks.says = lambda _: answer(200, b"thanks\x1b[31m")
    code, out, _ = run("webhooks", "test", "ledger")
    assert (code, out) == (0, "ledger answered 200: thanks\\x1b[31m\n")
    assert hooks.calls[0].json["type"] == "adjourn.test"
    assert hooks.calls[0].headers["webhook-signature"].startswith("v1,")
    hooks.says = lambda _: answer(500)
    code, _, err = run("webhooks", "test", "ledger")
    assert code == 5 and "ledger answered 500" in err
    code, _, err = run("webhooks", "test", "other")
    assert code == 2 and "No [[webhooks]] is called 'other'; there are ledger." in err


def test_a_secret_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEDGER")
    code, _, err = run("webhooks", "test", "ledger")
    assert code == 2 and "'LEDGER', which is not set" in err


def test_a_disabled_endpoint_is_seen_and_enabled(run: Run, hooks: Hooks, tmp_path: Path) -> None:
    code, out, _ = run("webhooks", "list")
    assert code == 0 and "ledger" in out and "enabled" in out and SECRET not in out
    now = SystemClock().now
    records = Records(tmp_path / "adjourn.db.access", now)
    gone = EndpointState(
        url=f"http://{hooks.place}/hook", disabled_at=now(), trouble="it answered 410", missed=3
    )
    asyncio.run(records.put(SPACE, "ledger", gone))
    _, out, _ = run("webhooks", "list")
    assert "disabled, 3 events missed" in out and "it answered 410" in out
    code, out, _ = run("webhooks", "enable", "ledger")
    assert code == 0 and "enabled again. Of 3 events it was not told" in out
    assert run("webhooks", "enable", "ledger")[:2] == (0, "ledger was enabled already.\n")
    kept = asyncio.run(records.get(SPACE, "ledger", EndpointState))
    records.close()
    assert kept is not None and kept.disabled_at is None
