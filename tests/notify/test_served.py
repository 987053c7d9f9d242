"""`adjourn run --settings` as an operator starts it: a real process, mail and webhook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from adjourn.cli import main
from tests.crash.process import ROOT
from tests.notify.bureau import PEOPLE
from tests.notify.hooks import some_hooks
from tests.notify.loops import PATIENCE_SECONDS
from tests.notify.post import a_post
from tests.notify.test_webhooks import FIRST

pytestmark = pytest.mark.slow


def served(folder: Path, **environment: str) -> subprocess.Popen[str]:
    arguments = ["tests.notify.served:app", "--db", str(folder / "door.db"), "--port", "0"]
    arguments += ["--people", str(folder / "people.json")]
    arguments += ["--settings", str(folder / "adjourn.toml")]
    return subprocess.Popen(
        [sys.executable, "-m", "adjourn", "run", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_people_and_programs_are_told_by_a_server(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_bytes(msgspec.json.encode(PEOPLE))
    with a_post() as post, some_hooks() as hooks:
        (tmp_path / "adjourn.toml").write_text(
            f"""
            [mail]
            host = "127.0.0.1"
            port = {post.port}
            tls = "none"
            sender = "adjourn@example.com"
            [[webhooks]]
            name = "ledger"
            url = "http://{hooks.place}/"
            secret_env = "LEDGER"
            allow_private = ["{hooks.place}"]
            """
        )
        with served(tmp_path, LEDGER=FIRST) as process:
            try:
                assert process.stdout is not None
                found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
                assert found is not None
                asked = '{"to": "leads"}'
                assert main(["start", "ask", asked, "--id", "D-1", "--at", found[0]]) == 0
                assert post.came.wait(PATIENCE_SECONDS) and hooks.came.wait(PATIENCE_SECONDS)
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
    (mail,) = post.taken
    assert mail.to == "grace@example.com" and f"{found[0]}/approvals/" in mail.text
    assert hooks.calls[0].json["type"] == "approval.opened"


def test_a_secret_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_bytes(msgspec.json.encode(PEOPLE))
    (tmp_path / "adjourn.toml").write_text(
        '[[webhooks]]\nname = "a"\nurl = "https://hooks.example.com/"\nsecret_env = "NOT_THERE"\n'
    )
    with served(tmp_path) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert "'NOT_THERE', which is not set" in " ".join(said.split())
