"""Importing a shop's own files: `python -m support_agent.shop.import_data FILE_OR_FOLDER ...`

Orders come as CSV or JSON, articles of the knowledge base as Markdown; a folder stands for all such
files in it. Without a name, what comes with the package is imported. Each file is one transaction:
it is imported whole or refused, with every bad row named. The database is SUPPORT_DATABASE's.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from support_agent.clock import now
from support_agent.shop.article_file import import_article
from support_agent.shop.database import shop_database
from support_agent.shop.errors import FileRefused, SupportError
from support_agent.shop.orders import import_orders
from support_agent.shop.shipped import import_shipped

ORDERS = (".csv", ".json")
ARTICLES = (".md",)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file, in words: what was done, and the rows that are bad."""

    done: str
    bad_rows: tuple[str, ...] = ()


def import_file(
    engine: Engine, path: Path, *, bad_rows: Literal["refuse", "skip"] = "refuse"
) -> FileReport:
    """Import one file by its kind, in one transaction. Importing it again changes nothing.

    Raises FileRefused with every bad row; nothing of the file was imported then.
    """
    kind = path.suffix.lower()
    if kind in ARTICLES:
        new = import_article(engine, path, now())
        return FileReport("1 article imported" if new else "1 article, unchanged")
    if kind not in ORDERS:
        known = ", ".join((*ORDERS, *ARTICLES))
        raise FileRefused([f"its name ends in {kind or 'nothing'}, not in one of {known}"])
    orders = import_orders(engine, path, bad_rows=bad_rows)
    grown = f", {orders.grown} brought up to date" if orders.grown else ""
    left_out = f", {len(orders.left_out)} left out" if orders.left_out else ""
    return FileReport(
        f"{orders.imported} orders imported{grown}, {orders.unchanged} unchanged{left_out}",
        tuple(map(str, orders.bad_rows)),
    )


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """Each file that is named, and each file of these kinds in a folder that is named."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for inside in sorted(path.rglob("*")):
            if inside.is_file() and inside.suffix.lower() in ORDERS + ARTICLES:
                yield inside


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every file was imported, 1 when one was refused; the others are imported then."""
    parser = argparse.ArgumentParser(
        prog="python -m support_agent.shop.import_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, nargs="*", help="a .csv, .json or .md file, or a folder")
    parser.add_argument("--skip-bad", action="store_true", help="leave orders with bad rows out")
    asked = parser.parse_args(arguments)
    try:
        return _import_all(asked.path, skip=asked.skip_bad)
    except (SupportError, DBAPIError) as refusal:
        return _complain(str(refusal))


def _import_all(paths: Sequence[Path], *, skip: bool) -> int:
    engine = shop_database()
    if not paths:
        sys.stdout.write(f"{import_shipped(engine, now())}\n")
        return 0
    found = list(files_of(paths))
    if not found:
        return _complain("There is no .csv, .json or .md file in there.")
    return max([_import_and_say(engine, path, skip=skip) for path in found])


def _import_and_say(engine: Engine, path: Path, *, skip: bool) -> int:
    try:
        report = import_file(engine, path, bad_rows="skip" if skip else "refuse")
    except (FileRefused, OSError) as refusal:
        return _complain(f"{path}: {refusal}")
    for row in report.bad_rows:
        sys.stderr.write(f"{path}: {row}\n")
    sys.stdout.write(f"{path}: {report.done}.\n")
    return 0


def _complain(words: str) -> int:
    sys.stderr.write(f"{words}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
