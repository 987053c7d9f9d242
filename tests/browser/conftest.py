"""The rig: a browser for a worker's browser tests, a context for each person, and a strict ear.

    def test_a_reject_without_a_reason_is_refused(serve: Serve, visitor: Visit) -> None:
        server = serve("tests.browser.cases:app")
        lena = visitor(server.address, "lena")

        lena.page.goto("/")
        ...
        assert axe(lena.page) == []

A console error, an uncaught error, a dialog, a violated content security policy or a request to
another machine fails the test, unless it was expected: `with lena.watch.expecting(...)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from adjourn.approvals.people import COOKIE
from tests.browser.chromium import NEXT_MOVE, find
from tests.browser.serving import ROOT, ServerProcess
from tests.browser.watching import Watch, listed

PICTURES = ROOT / "build/pictures"  # git ignores build
PATIENCE_MILLISECONDS = 10_000

LAUNCH_ARGUMENTS = [
    # Nothing leaves this machine, whatever a page or the browser itself asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE [::1], EXCLUDE localhost",
    "--no-proxy-server",
]


@dataclass(frozen=True)
class Visitor:
    """Somebody at a browser of their own."""

    context: BrowserContext
    page: Page
    watch: Watch


Visit = Callable[..., Visitor]
Serve = Callable[..., ServerProcess]
Picture = Callable[..., Path]

VISITORS = pytest.StashKey[list[Visitor]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the browser is marked so, and `make check` leaves it out."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what was on the screens, and what the pages had said."""
    report = yield
    if report.when == "call" and report.failed:
        for number, visitor in enumerate(item.stash.get(VISITORS, []), start=1):
            lines = [f"at {visitor.page.url}; faults: {listed(visitor.watch.faults)}"]
            with suppress(Error):  # a page that crashed has no picture
                lines.append(f"Picture: {take_picture(item, visitor.page, f'failed-{number}')}")
            report.sections.append((f"Browser {number}", "\n".join(lines)))
    return report


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all browser tests of a worker; each test has contexts of its own."""
    path = find()
    if path is None:
        pytest.fail(NEXT_MOVE, pytrace=False)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        # Playwright starts Chromium without its sandbox, which root and containers need; the only
        # pages that it sees are ours.
        launched = playwright.chromium.launch(executable_path=path, args=LAUNCH_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def visitor(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """`visitor(address, "lena")`: a new context with its page, in which Lena acts.

    More keywords are Playwright's own for a context, such as `java_script_enabled=False`.
    """
    visitors: list[Visitor] = []
    request.node.stash[VISITORS] = visitors
    # A page in motion is neither clicked nor judged twice the same.
    still: dict[str, Any] = {"reduced_motion": "reduce", "locale": "en-US"}

    def visit(address: str, person: str | None = None, **options: Any) -> Visitor:
        context = browser.new_context(base_url=address, **{**still, **options})
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        if person is not None:
            context.add_cookies([{"name": COOKIE, "value": person, "url": address}])
        watch = Watch(context)
        visitors.append(Visitor(context, context.new_page(), watch))
        return visitors[-1]

    yield visit

    faults = [fault for each in visitors for fault in each.watch.settle()]
    for each in visitors:
        each.context.close()
    assert not faults, f"The pages did what no page of ours may do:{listed(faults)}"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve("tests.browser.cases:app")`: a server process over a new file, stopped at the end."""
    with ExitStack() as stack:

        def start(target: str, *, folder: Path = ROOT) -> ServerProcess:
            database = tmp_path / f"{target.partition(':')[0]}.db"
            return stack.enter_context(ServerProcess(target, database, folder=folder))

        yield start


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """`picture(page, "inbox")` writes what the page shows, for a person to look at."""

    def take(page: Page, label: str) -> Path:
        return take_picture(request.node, page, label)

    return take


def take_picture(item: pytest.Item, page: Page, label: str) -> Path:
    test = re.sub(r"\W+", "-", item.name).strip("-")
    path = PICTURES / item.path.stem / f"{test}-{label}.png"
    page.screenshot(path=path, full_page=True)
    return path
