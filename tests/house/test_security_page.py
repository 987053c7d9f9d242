"""What SECURITY.md says of its tests is so: each threat has some, and each of them is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| threat ")
]
LINK = re.compile(r"\]\(([^)#]+)\)")


def test_each_threat_is_named_once_with_what_stands_against_it() -> None:
    threats = [row[0] for row in ROWS]

    assert len(ROWS) >= 30 and len(set(threats)) == len(threats)
    assert all(len(row) == 4 and all(row) for row in ROWS)


def test_each_row_leads_to_tests_that_are_there() -> None:
    without = [row[0] for row in ROWS if not LINK.search(row[2])]
    lost = [
        path
        for row in ROWS
        for path in LINK.findall(row[2])
        if not re.search(r"^(async )?def test_", _text(path), re.MULTILINE)
    ]

    assert without == [] and lost == []


def test_every_other_link_leads_somewhere() -> None:
    assert [path for path in LINK.findall(PAGE) if not (ROOT / path).is_file()] == []


def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text() if file.is_file() else ""
