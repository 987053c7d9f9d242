"""Notifications beside the real engine: no decision waits for them, and no kill loses one."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from adjourn import Approve
from adjourn.approvals.people import LocalPeople
from adjourn.engine.clock import SystemClock
from adjourn.notify.install import Surroundings, install_notifications
from adjourn.store.records import Records
from tests.crash.process import Worker
from tests.notify.bureau import LENA, PEOPLE, Asked, Settings, mail_to, make_app
from tests.notify.hooks import some_hooks
from tests.notify.loops import PATIENCE_SECONDS
from tests.notify.post import a_post
from tests.notify.test_webhooks import SECRETS, hook_to


def test_a_server_that_stalls_delays_no_decision(tmp_path: Path) -> None:
    """Proved without a clock: neither answers before the case has ended."""

    async def play() -> str:
        app = make_app()
        client = app.open(tmp_path / "door.db")
        records = Records(":memory:", SystemClock().now)
        settings = Settings(mail_to(post), hook_to(hooks).webhooks)
        around = Surroundings(now=SystemClock().now, environment=SECRETS, records=records)
        install_notifications(app, client, settings, LocalPeople(PEOPLE), around)
        async with client:
            handle = await client.start("ask", Asked(undo="0s"), id="D-1")
            waiting = asyncio.to_thread(post.came.wait, PATIENCE_SECONDS)
            assert await waiting and await asyncio.to_thread(hooks.came.wait, PATIENCE_SECONDS)
            found = (await client.list(names=["adjourn.approval"])).instances[0]
            answer = await client.approvals.act(found.id, Approve(version=1), by=LENA)
            assert answer.status == "approved"
            result = await asyncio.wait_for(handle.result(), PATIENCE_SECONDS)
            assert post.taken == [] and len(hooks.calls) >= 1 and hooks.answered == 0
            post.let_go()
            hooks.let_go()
        records.close()
        return str(result)

    with a_post(held=asyncio.Event()) as post, some_hooks(held=asyncio.Event()) as hooks:
        assert asyncio.run(play()) == "opened"


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_kill_between_the_commit_and_the_mail_loses_none(tmp_path: Path, when: str) -> None:
    """The process dies when the note is on disk and nothing is sent, or while the server has the
    mail and has not answered."""
    errors = tmp_path / "errors"
    with a_post(held=asyncio.Event()) as post:
        arguments = (str(tmp_path / "door.db"), str(post.port))
        worker = Worker("tests.notify.worker", *arguments, when, errors=errors)
        assert worker.next_line() == {"asked": True}, errors.read_text()
        if when == "during":
            assert post.came.wait(PATIENCE_SECONDS)
            worker.kill()
        assert worker.bury() == -signal.SIGKILL
        assert post.taken == []
        post.let_go()
        post.taken.clear()
        again = Worker("tests.notify.worker", *arguments, "again", errors=errors)
        assert again.next_line() == {"asked": False}, errors.read_text()
        assert again.next_line() == {"sent": True}, errors.read_text()
        again.say(end=True)
        assert again.bury() == 0
        sent = {each.mail["Message-ID"] for each in post.taken}
    assert len(sent) == 1 and sent == set(post.seen), "the same id, whatever the server had of it"
