"""What a process that serves writes about itself: to one stream, and never a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from adjourn.cli.settings import LogSettings, Settings, secret_variables
from adjourn.cli.text import printable
from adjourn.client.app import Adjourn
from adjourn.model.privacy import Privacy, RedactedLogs


@contextmanager
def protected(app: Adjourn, settings: Settings, *, signed_in: bool) -> Generator[None]:
    """The rules of the settings join the application's own, and every line of a log goes through
    them until the end. Handlers that the application has set up stay; it gets one if it has none.
    Afterwards logging is as it was."""
    app.protect(settings.privacy)
    app.protect(Privacy(secrets_env=secret_variables(settings)))
    # The lines of requests have a logger of their own, so that neither level is that of the other.
    root, requests = logging.getLogger(), logging.getLogger("adjourn.access.requests")
    levels = root.level, requests.level
    own = None if root.handlers else _handler(settings.log, bare=settings == Settings())
    if own is not None:
        root.addHandler(own)
        root.setLevel(settings.log.level.upper())
    access = settings.log.access
    wanted = signed_in if access is None else access
    requests.setLevel(logging.INFO if wanted else logging.WARNING)
    hiding, handlers = RedactedLogs(app.redactor, app.hidden_in_logs), _handlers()
    for handler in handlers:
        handler.addFilter(hiding)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(hiding)
        if own is not None:
            root.removeHandler(own)
            root.setLevel(levels[0])
        requests.setLevel(levels[1])


def _handlers() -> set[logging.Handler]:
    """All that there are, those of loggers that pass nothing on among them."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    found = {
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
    }
    return found if logging.lastResort is None else {*found, logging.lastResort}


def _handler(log: LogSettings, *, bare: bool) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    if log.format == "json":
        handler.setFormatter(_Json())
    else:
        begins = "" if bare else "%(asctime)s %(levelname)s %(name)s "
        handler.setFormatter(_Text(f"{begins}%(message)s"))
    return handler


class _Text(logging.Formatter):
    """Nothing in a message can begin a line, nor can anything in a traceback: its lines are
    indented."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _moment(record)

    def format(self, record: logging.LogRecord) -> str:
        record.message = printable(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        more = [text for text in (record.exc_text, record.stack_info) if text]
        below = [f"  {printable(line)}" for text in more for line in text.splitlines()]
        return "\n".join([self.formatMessage(record), *below])


class _Json(logging.Formatter):
    """One object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _moment(record),
            "level": record.levelname,
            "logger": record.name,
        }
        access = getattr(record, "access", None)
        line |= access if isinstance(access, dict) else {"message": record.getMessage()}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
