"""The rig hears what a page must not do, and fails the test for it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import axe
from tests.browser.conftest import COOKIE, Picture, Serve, Visit
from tests.browser.pages import served
from tests.browser.serving import ROOT

PYTEST = [sys.executable, "-m", "pytest"]

WORKFLOW = """
from adjourn import Adjourn, Context
app = Adjourn()

@app.orchestrator
async def wait(ctx: Context) -> str:
    return await ctx.wait_for_external_event("Go", str)
"""

PLANTED = """
from tests.browser.test_rig import address

def test_a_page_that_errs(visitor, address):
    visitor(address).page.goto("/page/console-error")

def test_a_page_that_is_wrong(visitor, address):
    visitor(address).page.goto("/page/good")
    raise AssertionError("the screen is wrong")

def test_a_good_page_after_them(visitor, address):
    visitor(address).page.goto("/page/good")
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as at:
        yield at


def test_a_good_page_has_no_fault_and_its_own_scripts_run(visitor: Visit, address: str) -> None:
    lena = visitor(address)

    lena.page.goto("/page/good")

    assert lena.page.evaluate("document.body.dataset.ran") == "yes"
    assert lena.watch.settle() == []
    assert axe(lena.page) == []


def test_the_vendored_script_works_under_the_strict_policy(visitor: Visit, address: str) -> None:
    lena = visitor(address)

    with lena.watch.expecting(r"console: .*status of 409 .*/conflict"):
        lena.page.goto("/page/scripted")
        lena.page.get_by_role("button").click()
        expect(lena.page.locator("#answer")).to_have_text("taken")

    assert lena.page.evaluate("htmx.version") == "4.0.1"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("inline-script", r"policy: .*script-src-elem by inline in http.*/page/inline-script"),
        ("inline-style", r"policy: .*style-src-attr by inline"),
        ("outside-image", r"policy: .*img-src by http://192\.0\.2\.1/a\.png"),
        ("outside-image", r"outside: http://192\.0\.2\.1/a\.png \(as image\)"),
        ("console-error", r"console: it broke \(http.*/script/"),
        ("missing", r"console: .*status of 404 .*\(http.*/missing\.png"),
        ("uncaught", r"error: it flew \(http.*/page/uncaught"),
        ("rejected", r"error: it fell \(http.*/page/rejected"),
        ("dialog", r"dialog: alert 'hear me' \(http.*/page/dialog"),
    ],
)
def test_each_fault_is_heard_with_its_place(
    visitor: Visit, address: str, name: str, fault: str
) -> None:
    lena = visitor(address)

    lena.page.goto(f"/page/{name}")
    heard = [str(each) for each in lena.watch.settle()]
    lena.watch.faults.clear()  # or they fail this very test

    assert any(re.match(fault, each) for each in heard), heard


def test_no_machine_but_this_one_is_reached(visitor: Visit, address: str) -> None:
    lena = visitor(address)
    lena.page.goto("/page/outside-link")

    with lena.watch.expecting(
        r"^outside: http://elsewhere\.localhost:\d+/page/good \(as document\)"
    ):
        with lena.page.expect_event("requestfailed") as failed:
            lena.page.get_by_text("Elsewhere").click()

    assert failed.value.failure == "net::ERR_NAME_NOT_RESOLVED"


def test_an_expected_fault_must_come_and_no_other_with_it(visitor: Visit, address: str) -> None:
    lena = visitor(address)
    lena.page.goto("/page/good")

    with lena.watch.expecting(r"status of 409 .*/conflict"):
        lena.page.evaluate("fetch('/conflict').then(answer => answer.text())")
    with pytest.raises(AssertionError, match="No fault matched 'status of 409'"):
        with lena.watch.expecting("status of 409"):
            lena.page.evaluate("console.error('another')")

    assert [fault.text for fault in lena.watch.faults] == ["another"]
    lena.watch.faults.clear()


def test_a_planted_barrier_is_found_under_the_strict_policy(visitor: Visit, address: str) -> None:
    lena = visitor(address)

    lena.page.goto("/page/nameless-button")
    (nameless,) = axe(lena.page)
    lena.page.goto("/page/pale-text")
    (pale,) = axe(lena.page)

    assert (nameless.rule, nameless.impact, nameless.places) == (
        "button-name",
        "critical",
        ("button",),
    )
    assert (pale.rule, pale.impact) == ("color-contrast", "serious")


def test_each_visitor_is_a_person_of_their_own(visitor: Visit, address: str) -> None:
    lena, omar, nobody = visitor(address, "lena"), visitor(address, "omar"), visitor(address)

    for each in (lena, omar, nobody):
        each.page.goto("/page/cookie")

    assert lena.page.get_by_text("Who:").inner_text() == f"Who: {COOKIE}=lena"
    assert omar.page.get_by_text("Who:").inner_text() == f"Who: {COOKIE}=omar"
    assert nobody.page.get_by_text("Who:").inner_text() == "Who: nobody"


def test_a_page_is_seen_without_scripts_too(visitor: Visit, address: str) -> None:
    lena = visitor(address, java_script_enabled=False)

    lena.page.goto("/page/console-error")

    assert lena.page.get_by_role("heading").inner_text() == "console-error"
    assert lena.watch.settle() == []


def test_a_picture_is_taken_where_git_does_not_look(
    visitor: Visit, address: str, picture: Picture
) -> None:
    lena = visitor(address)
    lena.page.goto("/page/good")

    path = picture(lena.page, "whole")

    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.relative_to(ROOT).parts[0] == "build"
    path.unlink()


@pytest.mark.browser
@pytest.mark.slow
def test_a_faulty_page_fails_its_test_and_a_failed_test_leaves_a_picture(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.browser.conftest import *\n")
    (tmp_path / "test_planted.py").write_text(PLANTED)

    ran = subprocess.run(
        [*PYTEST, "--quiet", "-p", "no:cacheprovider", "-c", "pyproject.toml", str(tmp_path)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "1 failed, 2 passed, 1 error" in ran.stdout
    assert "The pages did what no page of ours may do:" in ran.stdout
    assert "console: it broke" in ran.stdout
    picture = re.search(r"^Picture: (.*test_a_page_that_is_wrong.*png)$", ran.stdout, re.MULTILINE)
    assert picture, ran.stdout
    Path(picture[1]).unlink()  # as it must: it was there


@pytest.mark.slow
def test_a_server_comes_back_where_it_was_after_a_stop_and_after_a_kill(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    server = serve("flow:app", folder=tmp_path)
    first = server.address
    server.http.post("/runtime/webhooks/durabletask/orchestrators/wait/a").raise_for_status()

    server.stop()
    server.start()
    server.kill()
    server.start()

    assert server.address == first
    assert server.http.get("/api/v1/instances/a").json()["status"] == "Running"


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(serve: Serve) -> None:
    with pytest.raises(AssertionError, match="There is no module 'nowhere'"):
        serve("nowhere:app")
