"""A process that tells one person by mail, and may be killed in the midst of it:
`python -m tests.notify.worker FILE PORT before|during|again`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from adjourn.approvals.people import LocalPeople
from adjourn.engine.clock import SystemClock
from adjourn.errors import InstanceNotFoundError
from adjourn.notify import smtp
from adjourn.notify.install import Surroundings, install_notifications
from adjourn.notify.settings import MailSettings
from adjourn.notify.telling import DELIVER
from tests.notify.bureau import PEOPLE, Asked, Settings, make_app

LOOK_SECONDS = 0.02


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def die(*_: object) -> smtp.Handed:
    """The note is on disk, its first attempt has begun, and nothing has been said to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


async def live(file: str, port: int, when: str) -> None:
    app = make_app()
    client = app.open(file)
    if when == "before":
        smtp.hand_over = die
    mail = MailSettings(host="127.0.0.1", port=port, tls="none", sender="adjourn@example.com")
    around = Surroundings(now=SystemClock().now, environment={})
    install_notifications(app, client, Settings(mail), LocalPeople(PEOPLE), around)
    async with client:
        try:
            await client.get("D-1")
            say(asked=False)
        except InstanceNotFoundError:
            say(asked=True)
            await client.start("ask", Asked(to="leads"), id="D-1")
        while True:
            found = (await client.list(names=[DELIVER])).instances
            if found and all(each.status == "Completed" for each in found):
                break
            await asyncio.sleep(LOOK_SECONDS)
        say(sent=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
