"""Where browsers reach the support agent is said once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adjourn import DEMO_PEOPLE
from adjourn.access.gate import Gate
from adjourn.approvals.people import LocalPeople
from apps.support_agent.tests.door.house import PUBLIC_URL, STAFF, Clock, gate_of
from support_agent.public_url import PublicUrlsDiffer, public_url_of


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = gate_of(tmp_path, STAFF, PUBLIC_URL, Clock())
    yield made
    made.records.close()


@pytest.mark.parametrize("said", ["", " ", PUBLIC_URL, f"{PUBLIC_URL}/"])
def test_where_people_sign_in_the_settings_file_is_enough(gate: Gate, said: str) -> None:
    assert public_url_of(gate, {"SUPPORT_PUBLIC_URL": said}) == PUBLIC_URL
    assert public_url_of(gate, {}) == PUBLIC_URL


@pytest.mark.parametrize(
    "said", ["https://staging.example.com", f"{PUBLIC_URL}:8443", f"{PUBLIC_URL}/chat"]
)
def test_another_address_is_refused_and_both_are_named(gate: Gate, said: str) -> None:
    with pytest.raises(PublicUrlsDiffer) as refused:
        public_url_of(gate, {"SUPPORT_PUBLIC_URL": said})

    assert said in str(refused.value) and PUBLIC_URL in str(refused.value)


def test_where_nobody_signs_in_the_variable_says_it() -> None:
    people = LocalPeople(DEMO_PEOPLE)

    assert public_url_of(people, {"SUPPORT_PUBLIC_URL": "http://127.0.0.1:7071/"}) == (
        "http://127.0.0.1:7071"
    )
    assert public_url_of(people, {}) == ""
