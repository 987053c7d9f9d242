"""Sessions and spent tickets as they are kept: on SQLite, and on PostgreSQL."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from support_agent.customers import main
from support_agent.shop import customer_sessions as sessions
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import TicketSpent
from support_agent.shop.records import Customer, CustomerSession, SpentTicket

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
THREADS = 8


@pytest.fixture
def amina(database: Engine) -> int:
    with writing(database) as session:
        customer = Customer(name="Amina Diallo", email="amina@example.org")
        session.add(customer)
        session.flush()
        return customer.id


def begin(database: Engine, customer: int, at: datetime = NOW, replaces: str = "") -> str:
    with writing(database) as session:
        return sessions.begin(session, customer, at, replaces=replaces)


def who(database: Engine, id: str, at: datetime = NOW) -> int | None:
    with reading(database) as session:
        found = sessions.find(session, id, at)
        return None if found is None else found.who.customer_id


@pytest.mark.slow
def test_of_many_who_come_with_one_ticket_one_comes_in(database: Engine, amina: int) -> None:
    start = threading.Barrier(THREADS)
    answers: list[str] = []

    def come() -> None:
        start.wait()
        try:
            with writing(database) as session:
                sessions.spend(session, "a ticket", NOW + MINUTE, NOW)
                answers.append(sessions.begin(session, amina, NOW))
        except TicketSpent:
            answers.append("")

    comers = [threading.Thread(target=come) for _ in range(THREADS)]
    for each in comers:
        each.start()
    for each in comers:
        each.join()

    assert sorted(map(bool, answers)) == [*[False] * (THREADS - 1), True]
    with reading(database) as session:
        assert len(session.scalars(select(CustomerSession)).all()) == 1
        assert len(session.scalars(select(SpentTicket)).all()) == 1


@pytest.mark.slow
def test_who_does_not_come_in_has_spent_nothing(database: Engine, amina: int) -> None:
    with pytest.raises(ZeroDivisionError), writing(database) as session:
        sessions.spend(session, "a ticket", NOW + MINUTE, NOW)
        raise ZeroDivisionError

    with writing(database) as session:
        assert not sessions.is_spent(session, "a ticket")
        sessions.spend(session, "a ticket", NOW + MINUTE, NOW)


def test_a_session_ends_in_each_of_its_ways(database: Engine, amina: int) -> None:
    idle, old, left, replaced, ended = (begin(database, amina) for _ in range(5))
    assert {who(database, each) for each in (idle, old, left, replaced, ended)} == {amina}

    with writing(database) as session:
        found = sessions.find(session, old, NOW)
        assert found is not None and not found.stale
        sessions.mark_seen(session, found.who, NOW + sessions.LONGEST - MINUTE)
        sessions.end(session, left)
    begin(database, amina, replaces=replaced)

    assert who(database, idle, NOW + sessions.IDLE - MINUTE) == amina
    assert who(database, idle, NOW + sessions.IDLE) is None
    assert who(database, old, NOW + sessions.LONGEST - MINUTE) == amina
    assert who(database, old, NOW + sessions.LONGEST) is None
    assert who(database, left) is None and who(database, replaced) is None
    with writing(database) as session:
        assert sessions.end_all(session, amina) == 4
    assert who(database, ended) is None


def test_a_customer_who_is_removed_takes_their_sessions_along(database: Engine, amina: int) -> None:
    id = begin(database, amina)

    with writing(database) as session:
        session.delete(session.get_one(Customer, amina))

    assert who(database, id) is None
    with reading(database) as session:
        assert session.scalars(select(CustomerSession)).all() == []


@pytest.mark.parametrize("odd", ["", "x" * 10_000, "\ud800", "' OR 1=1 --", "%", "\0"])
def test_an_odd_id_is_nobodys(database: Engine, amina: int, odd: str) -> None:
    begin(database, amina)

    assert who(database, odd) is None


def test_what_has_ended_does_not_pile_up(database: Engine, amina: int) -> None:
    for number in range(5):
        at = NOW + number * sessions.LONGEST
        begin(database, amina, at)
        with writing(database) as session:
            sessions.spend(session, f"ticket {number}", at + MINUTE, at)

    with reading(database) as session:
        assert len(session.scalars(select(CustomerSession)).all()) == 1
        assert len(session.scalars(select(SpentTicket)).all()) == 1


def test_an_operator_ends_sessions_from_outside(
    database: Engine, amina: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with writing(database) as session:
        jonas = Customer(name="Jonas", email="jonas@example.org")
        session.add(jonas)
        session.flush()
        jonas_id = jonas.id
    hers, his = begin(database, amina), begin(database, jonas_id)

    assert main(["end", " Amina@Example.org "]) == 0
    assert (who(database, hers), who(database, his)) == (None, jonas_id)
    assert main(["end", "nobody@example.org"]) == 1
    assert main(["end", "--all"]) == 0
    assert who(database, his) is None
    assert capsys.readouterr().out.splitlines() == [
        "1 session(s) ended.",
        "No customer has the address nobody@example.org.",
        "1 session(s) ended.",
    ]


def test_whose_sessions_has_to_be_said() -> None:
    for arguments in ([], ["end"], ["end", "a@example.org", "--all"]):
        with pytest.raises(SystemExit):
            main(arguments)
