"""Real processes: an engine that does not come up says why, and none is left behind."""

import socket
from pathlib import Path

import pytest

from support_agent.engine_process import (
    HOST,
    EngineTrouble,
    free_port,
    last_words,
    listens,
    start_engine,
    wait_until,
)


@pytest.mark.slow
def test_an_engine_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    a_folder_is_no_file = tmp_path

    with pytest.raises(EngineTrouble, match=r"(?s)ended with code .*It wrote:.+"):
        start_engine(a_folder_is_no_file, free_port(), tmp_path / "engine.log", {})


def test_a_port_is_silent_until_somebody_listens() -> None:
    port = free_port()
    assert not listens(port)

    with socket.create_server((HOST, port)):
        assert listens(port)


def test_waiting_gives_back_what_it_found() -> None:
    looks = iter([None, None, "found"])

    assert wait_until(lambda: next(looks), "the third look", 5) == "found"


def test_waiting_ends_in_time_and_says_for_what() -> None:
    with pytest.raises(EngineTrouble, match=r"Waited 0\.1 seconds for a miracle, in vain"):
        wait_until(lambda: False, "a miracle", 0.1)


def test_a_process_that_wrote_nothing_is_said_to_have_written_nothing(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.touch()

    assert last_words(log) == "It wrote nothing."


def test_only_the_end_of_a_long_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)), encoding="utf-8")

    assert last_words(log).splitlines()[1] == "line 80"
    assert last_words(log).endswith("line 99")
