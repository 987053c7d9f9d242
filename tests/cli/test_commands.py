"""Every command against a real server."""

import json
import socket

import pytest

from adjourn import errors
from adjourn.cli import exits
from tests.cli.conftest import Cli

CASE = '{"amount": 12}'


def test_start_says_what_it_started_and_repeats_itself_harmlessly(cli: Cli) -> None:
    assert cli("start", "approve", CASE, "--id", "s-1").out == "Started s-1.\n"
    assert "was there already" in cli("start", "approve", CASE, "--id", "s-1").out

    other = cli("start", "approve", "{}", "--id", "s-1")

    assert other.code == exits.CONFLICT
    assert other.err.startswith("error: Instance 's-1' already exists")
    assert (
        cli("start", "approve", "{}", "--id", "s-1", "--on-conflict", "return_existing").code == 0
    )


def test_start_can_wait_for_the_result(cli: Cli) -> None:
    assert cli("start", "E1_HelloSequence", "21", "--wait").out == "42\n"

    failed = cli("start", "fail", '"it"', "--wait")

    assert failed.code == exits.OTHER
    assert "it is broken" in failed.err


def test_raise_says_accepted_and_duplicate(cli: Cli) -> None:
    cli("start", "approve", CASE, "--id", "r-1")

    first = cli("raise", "r-1", "Approval", '{"approved": true}', "--event-id", "click-1")
    again = cli("raise", "r-1", "Approval", '{"approved": true}', "--event-id", "click-1")
    late = cli("raise", "r-1", "Approval", '{"approved": true}')

    assert first.out == "Accepted.\n"
    assert again.out.startswith("Duplicate")
    assert late.code == exits.CONFLICT and "has finished" in late.err


def test_show_says_what_it_waits_for_since_when_and_until_when(cli: Cli) -> None:
    cli("start", "approve", CASE, "--id", "w-1")

    shown = cli("show", "w-1")

    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0] == "w-1  approve"
    assert "Running" in lines[1] and "execution 1, 2 events" in lines[1]
    assert any("waits for" in line and "Approval" in line and "since" in line for line in lines)
    assert any("timer" in line and "due" in line for line in lines)
    assert any("customer = ann" in line for line in lines)
    assert lines[-2].endswith('+0.000s  started approve {"amount":12}')
    assert "timer until" in lines[-1]
    assert "\x1b" not in shown.out


def test_show_tells_the_whole_story_in_plain_words(cli: Cli) -> None:
    cli("start", "fail", '"it"', "--id", "t-1", "--wait")

    out = cli("show", "t-1").out

    assert 'call break_down {"what":"it"}' in out
    assert "break_down failed: adjourn.errors.NonRetryableError: it is broken" in out
    assert "Failed" in out


def test_show_and_list_hide_what_people_are_not_shown_unless_asked(cli: Cli) -> None:
    cli("start", "approve", '{"password": "canary-5"}', "--id", "u-1")

    for words in (["show", "u-1"], ["show", "u-1", "--json"], ["list", "--json"]):
        out = cli(*words).out
        assert "canary-5" not in out and "[redacted]" in out
    assert "canary-5" in cli("show", "u-1", "--unredacted").out


def test_show_an_earlier_execution_and_json(cli: Cli) -> None:
    cli("start", "approve", CASE, "--id", "e-1")
    cli("start", "approve", "{}", "--id", "e-1", "--on-conflict", "terminate_and_replace")

    earlier = cli("show", "e-1", "--execution", "1")
    missing = cli("show", "e-1", "--execution", "7")
    document = json.loads(cli("show", "e-1", "--json").out)

    assert "terminated: replaced by a new start" in earlier.out
    assert missing.code == exits.USAGE and "executions 1 to 2" in missing.err
    assert document["instance"]["execution"] == 2
    assert document["history"][0]["event"]["kind"] == "InstanceStarted"


@pytest.mark.slow
def test_list_filters_pages_and_says_when_there_is_nothing(cli: Cli) -> None:
    for number in range(3):
        cli("start", "approve", CASE, "--id", f"l-{number}")

    table = cli("list", "--prefix", "l-", "--status", "running", "--where", "amount=12").out
    first = cli("list", "--prefix", "l-", "--limit", "2").out
    token = first.splitlines()[-1].removeprefix("There are more: --page ")
    second = cli("list", "--prefix", "l-", "--limit", "2", "--page", token).out
    document = json.loads(cli("list", "--prefix", "l-", "--json").out)

    assert table.splitlines()[0].split() == [
        *("ID", "ORCHESTRATOR", "STATUS", "UPDATED", "(UTC)", "WAITS", "FOR")
    ]
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["l-2", "l-1", "l-0"]
    assert [line.split()[0] for line in second.splitlines()[1:]] == ["l-0"]
    assert len(document["instances"]) == 3
    assert cli("list", "--prefix", "nothing-").out == "No instance matches.\n"
    assert cli("list", "--prefix", "l-", "--where", 'amount="12"').out == "No instance matches.\n"
    assert cli("list", "--prefix", "l-", "--waiting-for", "approval", "--name", "approve").code == 0


def test_suspend_resume_and_terminate(cli: Cli) -> None:
    cli("start", "approve", CASE, "--id", "c-1")

    assert cli("suspend", "c-1", "--reason", "lunch").out == "Suspended c-1.\n"
    assert cli("suspend", "c-1").code == exits.CONFLICT
    assert cli("resume", "c-1").out == "Resumed c-1.\n"
    assert cli("terminate", "c-1", "--reason", "enough").out == "Terminated c-1.\n"
    assert cli("terminate", "c-1").code == exits.CONFLICT
    assert "suspended: lunch" in cli("show", "c-1").out
    assert "terminated: enough" in cli("show", "c-1").out


def test_settle_refuses_what_is_not_in_doubt(cli: Cli) -> None:
    cli("start", "approve", CASE, "--id", "d-1")

    said = cli("settle", "d-1", "3", "completed", "--by", "ann", "--result", "{}")

    assert said.code == exits.CONFLICT and "not in doubt" in said.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nobody"], exits.NOT_FOUND),
        (["start", "nobody"], exits.NOT_FOUND),
        (["show", "bad id"], exits.USAGE),
        (["start", "approve", "{"], exits.USAGE),
        (["start", "approve", '{"a":1,"a":2}'], exits.USAGE),
        (["start", "approve", "[]"], exits.USAGE),
        (["start", "approve", "{}", "--on-conflict", "perhaps"], exits.USAGE),
        (["start"], exits.USAGE),
        (["sing"], exits.USAGE),
        (["show", "x", "--loud"], exits.USAGE),
        (["list", "--status", "Sleeping"], exits.USAGE),
        (["list", "--where", "amount"], exits.USAGE),
        (["list", "--page", "x"], exits.USAGE),
        (["list", "--at", "adjourn.db"], exits.USAGE),
        (["settle", "x", "3", "perhaps", "--by", "ann"], exits.USAGE),
        (["terminate", "nobody", "--reason", "\udcff"], exits.USAGE),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(cli: Cli, arguments: list[str], code: int) -> None:
    said = cli(*arguments)

    assert said.code == code
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1


def test_a_server_that_is_not_there_is_unreachable(cli: Cli) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: nobody else takes it
        said = cli("list", "--at", f"http://127.0.0.1:{probe.getsockname()[1]}")

    assert said.code == exits.UNREACHABLE
    assert "adjourn run" in said.err


def test_what_customers_wrote_is_neither_markup_nor_terminal_control(cli: Cli) -> None:
    hostile = "[bold red]x[/] \x1b]0;owned\x07 \x9b31m \u202egnp.exe \r\n"
    cli("start", "approve", json.dumps({"text": hostile}), "--id", "h-1")
    cli("raise", "h-1", "[link]Nobody[/]", json.dumps(hostile))
    cli("terminate", "h-1", "--reason", hostile)

    outputs = [
        cli("show", "h-1").out,
        cli("show", "h-1", "--json").out,
        cli("list", "--prefix", "h-", "--json").out,
        cli("show", hostile).err,
    ]

    for out in outputs:
        assert "[bold red]x[/]" in out
        assert not any(character in out for character in "\x1b\x07\x9b\u202e\r")
    assert "event [link]Nobody[/]" in outputs[0]


@pytest.mark.slow
def test_every_error_ends_with_a_code_of_the_table() -> None:
    assert exits.exit_code_of(errors.FileLockedError("a.db", 7)) == exits.UNREACHABLE
    assert exits.exit_code_of(errors.UpdateRefusedError("a", "b", "c")) == exits.CONFLICT
    assert exits.exit_code_of(errors.AdjournError()) == exits.OTHER


@pytest.mark.slow
def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out.startswith("0.")
    assert cli().code == 0
    assert "Serve an application" in cli("--help").out
    assert cli("run", "--help").code == 0
