from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from support_agent.shop import policy
from support_agent.shop.article_file import read_article
from support_agent.shop.database import DATABASE_VARIABLE, reading, writing
from support_agent.shop.import_data import main
from support_agent.shop.knowledge import article, articles
from support_agent.shop.lookup import OrderView, orders_of
from support_agent.shop.records import ArticleVersion, Customer, Order
from support_agent.shop.shipped import demo_customers, import_shipped, shipped_articles

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
ARTICLE = "# Charged twice\n\nWe pay back what is too much.\n"


def orders_on_record(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def test_an_order_file_is_imported_and_a_second_time_changes_nothing(
    database: Engine, order_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(order_file)]) == 0
    assert main([str(order_file)]) == 0

    assert capsys.readouterr().out == (
        f"{order_file}: 1 orders imported, 0 unchanged.\n"
        f"{order_file}: 0 orders imported, 1 unchanged.\n"
    )
    assert orders_on_record(database) == 1


def test_bad_rows_are_named_and_nothing_of_their_file_is_imported(
    database: Engine, order_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "B-1,2026-07-28T07:44:28Z,Wei,wei@example.org,KIT-1,Pot,none,1.00,EUR,,,0.00\n"
    order_file.write_text(order_file.read_text() + bad)

    assert main([str(order_file)]) == 1
    said = capsys.readouterr().err
    assert str(order_file) in said
    assert "line 4: quantity: 'none' is not a whole number" in said
    assert orders_on_record(database) == 0

    assert main([str(order_file), "--skip-bad"]) == 0
    assert "1 orders imported, 0 unchanged, 1 left out" in capsys.readouterr().out


def test_a_folder_stands_for_its_files_and_a_bad_one_does_not_stop_the_others(
    database: Engine, tmp_path: Path, order_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    (folder / "articles").mkdir(parents=True)
    order_file.rename(folder / "orders.csv")
    (folder / "broken.json").write_text("{")
    (folder / "articles" / "double-charges.md").write_text(ARTICLE)
    (folder / "notes.txt").write_text("not for us")

    assert main([str(folder)]) == 1

    said = capsys.readouterr()
    assert "line 1: not JSON" in said.err
    assert orders_on_record(database) == 1
    with reading(database) as session:
        assert [one.id for one in articles(session)] == ["double-charges"]


def test_the_command_names_what_it_cannot_read(
    database: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "pot.png"
    picture.write_bytes(b"\x89PNG")

    assert main([str(tmp_path / "nowhere.csv")]) == 1
    assert "nowhere.csv" in capsys.readouterr().err
    assert main([str(picture)]) == 1
    assert "ends in .png, not in one of .csv, .json, .md" in capsys.readouterr().err
    picture.unlink()
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 1
    assert "no .csv, .json or .md file" in capsys.readouterr().err


def test_a_changed_article_is_a_new_version_and_the_old_one_stays(
    database: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "double-charges.md"
    path.write_text(ARTICLE)
    main([str(path)])
    with reading(database) as session:
        (first,) = articles(session)

    path.write_text(ARTICLE.replace("We pay", "We always pay"))
    main([str(path)])
    main([str(path)])

    assert capsys.readouterr().out.count("1 article imported") == 2
    with reading(database) as session:
        (now,) = articles(session)
        assert article(session, "double-charges", first.version) == first
        assert article(session, "double-charges") == now
        assert article(session, "nothing") is None
        assert len(session.scalars(select(ArticleVersion)).all()) == 2
    assert now.body == "We always pay back what is too much."

    path.write_text(ARTICLE)
    main([str(path)])
    with reading(database) as session:
        assert articles(session) == [first]


def test_blanks_at_the_end_of_a_line_make_no_new_version() -> None:
    read = read_article("double-charges", ARTICLE)

    assert read_article("double-charges", ARTICLE.replace("\n", "  \r\n")) == read
    assert (read.title, len(read.version)) == ("Charged twice", 12)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Double Charges", ARTICLE, "line 1: the file's name"),
        ("x" * 101, ARTICLE, "line 1: the file's name"),
        ("a", "Charged twice\n\nText", "line 1: 'Charged twice' is not a title"),
        ("a", "#\n\nText", "line 1: '#' is not a title"),
        ("a", f"# {'x' * 201}\n\nText", "is not a title"),
        ("a", "", "line 1: '' is not a title"),
        ("a", "# Title\n", "line 2: there is a title and no text"),
        ("a", "# Title\n\nNUL \0", "line 2: the text holds a NUL"),
    ],
)
def test_what_is_no_article_is_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^line \d: ") as refusal:
        read_article(name, text)

    assert said in str(refusal.value)


@pytest.mark.slow
def test_what_comes_with_the_package_is_imported_once(database: Engine) -> None:
    first = import_shipped(database, NOW)
    again = import_shipped(database, NOW.replace(day=9))

    assert first.startswith("201 orders and 18 articles imported")
    assert again.startswith("0 orders and 0 articles imported")


@pytest.mark.slow
def test_what_is_on_record_of_the_package_stays_as_it_is(database: Engine) -> None:
    """A person may have approved another address: the next start must not stumble over it."""
    import_shipped(database, NOW)
    with writing(database) as session:
        for customer in session.scalars(select(Customer)):
            customer.email = f"new-{customer.email}"

    assert import_shipped(database, NOW).startswith("0 orders and 0 articles imported")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is no URL of a database"),
        ("postgres://shop:hush@localhost/shop", "postgresql+psycopg"),
        ("mysql://shop:hush@localhost/shop", "sqlite"),
        ("sqlite://", "in memory"),
        ("sqlite:////no/such/folder/shop.db", "unable to open"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, url)

    assert main([]) == 1

    complaint = capsys.readouterr().err
    assert said in complaint
    assert "hush" not in complaint


@pytest.mark.slow
def test_the_command_without_a_name_imports_what_comes_with_the_package(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0

    assert capsys.readouterr().out.startswith("201 orders and 18 articles imported")


@pytest.fixture
def demo_orders(database: Engine) -> dict[str, OrderView]:
    """Every order of a demo customer, by number."""
    import_shipped(database, NOW)
    with reading(database) as session:
        return {
            order.number: order
            for customer in demo_customers(session)
            for order in orders_of(session, customer.id)
        }


@pytest.mark.slow
def test_a_visitor_may_be_one_of_several_customers_with_several_orders(
    database: Engine, demo_orders: dict[str, OrderView]
) -> None:
    with reading(database) as session:
        customers = demo_customers(session)
        counts = {one.name: len(orders_of(session, one.id)) for one in customers}

    assert customers[0].name == "Amina Diallo"
    assert len(customers) >= 4
    assert all(count >= 2 for count in counts.values())


@pytest.mark.slow
def test_the_demo_has_an_order_for_every_part_of_the_story(
    demo_orders: dict[str, OrderView],
) -> None:
    twice, broken, old = demo_orders["A-1201"], demo_orders["A-1203"], demo_orders["A-1205"]

    assert twice.charged_twice
    assert twice.overpaid == twice.total
    assert [order.number for order in demo_orders.values() if order.charged_twice] == ["A-1201"]
    assert broken.delivered_at is not None
    assert broken.return_until > NOW.date()
    assert old.warranty_until < NOW.date()
    assert demo_orders["A-1206"].paid == 0
    assert all(order.ordered_at < NOW for order in demo_orders.values())


def test_the_articles_are_the_size_and_the_words_of_the_house() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in shipped_articles()}

    assert len(texts) >= 14
    for name, text in texts.items():
        assert 120 <= len(text.split()) <= 350, name
        assert max(map(len, text.splitlines())) <= 110, name


def test_every_article_that_the_policy_names_is_there() -> None:
    names = {path.name.removesuffix(".md") for path in shipped_articles()}
    source = (files("support_agent") / "shop" / "policy.py").read_text(encoding="utf-8")
    named = {"double-charges", "broken-items", "returns", "warranty", "refunds"}

    assert named | {"speak-to-a-person"} <= names
    assert all(f'"{one}"' in source for one in named)


def test_the_articles_say_what_the_policy_does() -> None:
    text = {path.name: path.read_text(encoding="utf-8") for path in shipped_articles()}

    assert f"{policy.RETURN_DAYS} days from the day of your order" in text["returns.md"]
    months = f"{12 * policy.WARRANTY_YEARS} months"
    assert f"warranty of {months} from the day of the order" in text["warranty.md"]
    for name in ("double-charges.md", "refunds.md", "returns.md", "cancellations.md"):
        assert "3 to 5 working days" in " ".join(text[name].split()), name
