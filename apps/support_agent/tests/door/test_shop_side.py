"""What the documentation tells a shop to do is what opens the door."""

import re
import shutil
import subprocess
import types
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from apps.support_agent.tests.door.house import PUBLIC_URL, SECRET
from support_agent.clock import now
from support_agent.web.tickets import Ticket, read_ticket

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/support-on-a-network.md"
DEPLOY = ROOT / "apps/support_agent/deploy"


def block_after(comment: str, language: str) -> str:
    text = PAGE.read_text("utf-8")
    found = re.search(rf"<!-- {comment} -->\n```{language}\n(.*?)```", text, re.S)
    assert found is not None, f"{PAGE.name} has no code behind <!-- {comment} -->"
    return found.group(1)


def ticket_of(address: str) -> Ticket:
    assert address.startswith(f"{PUBLIC_URL}/chat/enter?")
    [given] = parse_qs(urlsplit(address).query)["ticket"]
    return read_ticket(given, (SECRET,), PUBLIC_URL, now())


def address_maker(public_url: str) -> Callable[[str, str], str]:
    """The function of the documentation, for a server at this address."""
    module = types.ModuleType("shop")
    code = block_after("ticket in python", "python").replace(PUBLIC_URL, public_url)
    exec(compile(code, "docs", "exec"), module.__dict__)
    return module.support_address


def test_a_shop_in_python_makes_tickets_that_count() -> None:
    support_address = address_maker(PUBLIC_URL)

    made = [ticket_of(support_address("amina@example.org", SECRET)) for _ in range(2)]

    assert {each.email for each in made} == {"amina@example.org"}
    assert made[0].id != made[1].id


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_shop_in_javascript_makes_tickets_that_count(tmp_path: Path) -> None:
    program = tmp_path / "shop.mjs"
    call = f'console.log(supportAddress("amina@example.org", "{SECRET}"));\n'
    program.write_text(block_after("ticket in javascript", "javascript") + call, "utf-8")

    ran = subprocess.run(["node", program], capture_output=True, text=True, timeout=60, check=True)

    assert ticket_of(ran.stdout.strip()).email == "amina@example.org"


def test_what_is_deployed_publishes_no_port_of_the_server_itself() -> None:
    proxy, server = (DEPLOY / "compose.yaml").read_text("utf-8").split("\n  support:\n")
    server = server.split("\nnetworks:\n")[0]

    assert 'ports: ["80:80", "443:443"]' in proxy
    assert "ports:" not in server and "network_mode" not in server
    assert "--settings" in server


def test_what_runs_without_sign_in_stays_on_the_loopback() -> None:
    for name in ("compose.yaml", "Dockerfile"):
        text = (DEPLOY.parent / name).read_text("utf-8")
        assert "ports:" not in text and "EXPOSE" not in text and "--host" not in text


def test_no_secret_stands_in_what_is_deployed() -> None:
    for file in DEPLOY.iterdir():
        assert not re.search(r"[0-9a-f]{32}|secret *= *\"", file.read_text("utf-8")), file.name


def test_an_operators_secrets_get_into_no_image() -> None:
    """Compose reads deploy/.env, and the image is built from what .dockerignore lets through."""
    taken = [each[1:] for each in lines_of(ROOT / ".dockerignore") if each.startswith("!")]

    assert "apps/support_agent/src" in taken
    assert not any((DEPLOY / ".env").is_relative_to(ROOT / each) for each in taken)
    assert ".env" in lines_of(ROOT / ".gitignore")


def lines_of(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines()


def test_every_setting_of_the_door_is_documented() -> None:
    text = PAGE.read_text("utf-8")
    readme = (ROOT / "apps/support_agent/README.md").read_text("utf-8")

    for name in (
        "SUPPORT_CUSTOMER_SECRET",
        "SUPPORT_SHOP_URL",
        "SUPPORT_TENANT",
    ):
        assert f"| `{name}` |" in text and f"| `{name}` |" in readme
