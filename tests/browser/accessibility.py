"""What axe-core finds on a page."""

from __future__ import annotations

from dataclasses import dataclass

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}


@dataclass(frozen=True)
class Violation:
    """`rule` is axe-core's id, and `places` are CSS selectors."""

    rule: str
    impact: str
    help: str
    places: tuple[str, ...]


def axe(page: Page) -> list[Violation]:
    """The serious and critical violations on the page as it is now, so `assert axe(page) == []`.

    It is run from outside, and so needs no relaxed content security policy.
    """
    found = Axe().run(page).response["violations"]
    return [
        Violation(
            rule=each["id"],
            impact=each["impact"],
            help=each["help"],
            places=tuple(" ".join(map(str, node["target"])) for node in each["nodes"]),
        )
        for each in found
        if each["impact"] in GRAVE
    ]
