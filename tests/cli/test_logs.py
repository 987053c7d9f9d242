"""What a process that serves writes about itself: a line each, and no secret in any."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from adjourn import Adjourn
from adjourn.access.settings import Provider
from adjourn.cli.app import main
from adjourn.cli.logs import protected
from adjourn.cli.settings import LogSettings, Settings, secret_variables
from adjourn.model.privacy import Privacy

CANARY = "canary-77d2-secret"
Begin = Callable[..., io.StringIO]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Logging as a new process finds it, set up for these settings; what is written comes back."""
    root, own = logging.getLogger(), logging.getLogger("tests.of.logs")
    served, written = ExitStack(), io.StringIO()
    monkeypatch.setenv("CANARY_IN", CANARY)

    def set_up(
        settings: Settings | None = None,
        signed_in: bool = False,
        *own: logging.Handler,
        app: Adjourn | None = None,
    ) -> io.StringIO:
        # Only now: pytest puts its own in place after the fixtures.
        monkeypatch.setattr(root, "handlers", [*own])
        monkeypatch.setattr(sys, "stderr", written)
        served.enter_context(
            protected(app or Adjourn(), settings or Settings(), signed_in=signed_in)
        )
        return written

    with served:
        yield set_up
    own.handlers.clear()
    own.propagate = True


@pytest.mark.parametrize("own", [True, False], ids=["with handlers", "without"])
def test_afterwards_logging_is_as_it_was(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    root, requests = logging.getLogger(), logging.getLogger("adjourn.access.requests")
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()] if own else [])

    def state() -> list[Any]:
        assert logging.lastResort is not None
        every = [*root.handlers, logging.lastResort]
        return [root.level, requests.level, every, [[*each.filters] for each in every]]

    before = state()
    with protected(Adjourn(), given(level="debug", access=True), signed_in=True):
        assert state() != before and requests.isEnabledFor(logging.INFO)
    assert state() == before


def test_the_application_hides_what_it_knows_of_wherever_a_line_has_it(begin: Begin) -> None:
    app = Adjourn()
    app.hide_in_logs(lambda text: text.replace("Amina", "[name]"))
    app.hide_in_logs(lambda text: text.replace("[name]", "[somebody]"))
    written = begin(None, False, app=app)
    try:
        raise ValueError("Amina was here")
    except ValueError:
        LOG.exception("Amina %s", "called", stack_info=True)

    assert "[somebody] called" in written.getvalue()
    assert "Error: [somebody] was here" in written.getvalue()
    assert "Amina" not in written.getvalue()


def given(**log: Any) -> Settings:
    return Settings(log=LogSettings(**log), privacy=Privacy(secrets_env=["CANARY_IN"]))


LOG = logging.getLogger("tests.of.logs")


def raised() -> None:
    try:
        raise ValueError(f"{CANARY}\n2026-11-23T10:00:00.000Z INFO root forged\x1b[2J")
    except ValueError:
        LOG.exception("it broke on %s", CANARY)


def test_without_settings_a_line_is_its_message(begin: Begin) -> None:
    written = begin()

    LOG.warning("token=%s is wrong", CANARY)
    LOG.info("nobody asked")

    assert written.getvalue() == "token=[redacted] is wrong\n"


@pytest.mark.parametrize("settings", [None, given(), given(format="json")])
def test_nothing_in_a_message_begins_a_line(begin: Begin, settings: Settings | None) -> None:
    written = begin(settings)

    LOG.warning("a\r\nforged\x1b[2J\u2028\u202eb\x00")

    (line,) = written.getvalue().splitlines()
    assert line.isprintable() and "forged" in line


@pytest.mark.parametrize("settings", [None, given()])
def test_nor_does_anything_in_a_traceback(begin: Begin, settings: Settings | None) -> None:
    written = begin(settings)

    raised()

    first, *rest = written.getvalue().splitlines()
    assert "it broke on" in first and rest[-1].endswith("forged\\x1b[2J")
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_a_line_of_json_is_one_object(begin: Begin) -> None:
    written = begin(given(format="json"))

    raised()

    line = json.loads(written.getvalue())
    assert (line["level"], line["logger"]) == ("ERROR", "tests.of.logs")
    assert line["message"] == "it broke on [redacted]" and "Traceback" in line["exception"]
    assert line["at"].endswith("Z") and CANARY not in written.getvalue()
    assert written.getvalue().isascii()


def test_a_line_of_text_says_when_how_bad_and_who(begin: Begin) -> None:
    written = begin(given(level="info"))

    LOG.info("all is well")

    at, level, logger, *words = written.getvalue().split()
    assert (level, logger, words) == ("INFO", "tests.of.logs", ["all", "is", "well"])
    assert at.endswith("Z") and len(at) == len("2026-11-23T10:00:00.000Z")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.parametrize(
    ("access", "signed_in", "written"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_requests_are_logged_where_people_sign_in_or_where_it_is_asked(
    begin: Begin, access: bool | None, signed_in: bool, written: bool, level: str
) -> None:
    begin(given(access=access, level=level), signed_in)

    assert logging.getLogger("adjourn.access.requests").isEnabledFor(logging.INFO) is written
    assert not logging.getLogger("adjourn.access").isEnabledFor(logging.DEBUG) or level == "debug"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_request_is_a_line_like_any_other(begin: Begin, form: str) -> None:
    written = begin(given(format=form), True)
    line = {"method": "GET", "route": "/a", "actor": CANARY, "ms": 1.5}

    logging.getLogger("adjourn.access.requests").info(
        "%s", json.dumps(line), extra={"access": line}
    )

    told = json.loads(written.getvalue()[written.getvalue().index("{") :])
    assert told["route"] == "/a" and told["actor"] == "[redacted]"


def test_every_handler_hides_that_an_application_has_set_up(begin: Begin) -> None:
    own, root = io.StringIO(), io.StringIO()
    LOG.addHandler(logging.StreamHandler(own))
    begin(given(), False, logging.StreamHandler(root))

    LOG.error("it is %s", CANARY)

    assert own.getvalue() == root.getvalue() == "it is [redacted]\n"


def test_so_does_the_one_of_last_resort(begin: Begin) -> None:
    LOG.propagate = False
    written = begin(given())

    LOG.error("it is %s", CANARY)

    assert written.getvalue() == "it is [redacted]\n"


def test_the_variables_that_settings_name_hold_secrets() -> None:
    settings = Settings(
        oidc=Provider(issuer="https://a.example", client_id="c", client_secret_env="OIDC_IN"),
        privacy=Privacy(secrets_env=["A", "B"], encryption_keys_env="KEYS_IN"),
    )

    assert secret_variables(settings) == ["A", "B", "KEYS_IN", "OIDC_IN"]


def test_their_values_are_hidden_and_so_is_each_of_several(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OIDC_IN", "oidc-canary-0123456789, oidc-canary-9876543210")
    provider = Provider(issuer="https://a.example", client_id="c", client_secret_env="OIDC_IN")
    written = begin(Settings(oidc=provider))

    LOG.error("it is %s", "oidc-canary-9876543210")

    assert "it is [redacted]" in written.getvalue()


def test_what_a_command_says_of_an_error_is_without_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    lines = 'raise OSError("postgresql://ann:canary-77d2@db is down")\n'
    (tmp_path / "not_up.py").write_text(lines)

    main(["run", "not_up:app", "--port", "0"])

    said = capsys.readouterr().err
    assert "is down" in said and "canary" not in said
