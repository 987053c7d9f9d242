"""Whatever a page does that no page of ours may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Page, WebError

from adjourn.model.hosts import is_loopback

VIOLATION = "Content-Security-Policy violated:"
# The page says it on its console, which we hear anyway. `report-only` policies are reported too.
REPORT_VIOLATIONS = f"""
addEventListener("securitypolicyviolation", violation => console.error(
  "{VIOLATION}", violation.effectiveDirective, "by", violation.blockedURI,
  "in", violation.sourceFile || location.href, violation.lineNumber, violation.sample,
));
"""
NETWORK_SCHEMES = {"http", "https", "ws", "wss"}

Kind = Literal["console", "error", "policy", "dialog", "outside", "crash"]


@dataclass(frozen=True)
class Fault:
    """`policy`: the content security policy was violated; `outside`: another machine was asked."""

    kind: Kind
    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text} ({self.where})"


class Watch:
    """Hears all pages of one browser context, from before their first line runs."""

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[Fault] = []
        self._context = context
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)
        context.on(
            "request", lambda request: self._asked(request.url, f"as {request.resource_type}")
        )
        context.on("page", self._page)

    def settle(self) -> list[Fault]:
        """All faults, once what the pages said until now has been heard."""
        for page in self._context.pages:
            with suppress(Error):  # it may have crashed, or be on its way elsewhere
                page.evaluate("0")
        return self.faults

    @contextmanager
    def expecting(self, pattern: str) -> Iterator[None]:
        """Take away the faults of this block that match `pattern`, of which there must be one.

        A 409 that is swapped into the page is an error on Chromium's console:
        `with watch.expecting(r"console: .*status of 409"): ...`
        """
        before = len(self.settle())
        yield
        came = self.settle()[before:]
        other = [fault for fault in came if not re.search(pattern, str(fault))]
        assert other != came, f"No fault matched {pattern!r}; these came: {listed(came)}"
        self.faults[before:] = other

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            kind: Kind = "policy" if message.text.startswith(VIOLATION) else "console"
            place = message.location
            self._add(kind, message.text, f"{place['url']}:{place['lineNumber']}")

    def _error(self, error: WebError) -> None:
        self._add("error", str(error.error), error.page.url if error.page else "")

    def _dialog(self, dialog: Dialog) -> None:
        self._add(
            "dialog", f"{dialog.type} {dialog.message!r}", dialog.page.url if dialog.page else ""
        )
        dialog.dismiss()

    def _page(self, page: Page) -> None:
        page.on("crash", lambda page: self._add("crash", "the page crashed", page.url))
        page.on("websocket", lambda socket: self._asked(socket.url, "as websocket"))

    def _asked(self, url: str, where: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in NETWORK_SCHEMES and not is_loopback(parts.hostname or ""):
            self._add("outside", url, where)

    def _add(self, kind: Kind, text: str, where: str) -> None:
        self.faults.append(Fault(kind, text, where))


def listed(faults: list[Fault]) -> str:
    return "".join(f"\n  - {fault}" for fault in faults) or " none"
