"""The package that is uploaded to Teams: a manifest that Teams takes, and two real icons."""

import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from support_agent.channels.teams.package import (
    App,
    PackageError,
    color_icon,
    main,
    outline_icon,
    package_of,
)

pytestmark = pytest.mark.slow

CLIENT_ID = "0F0E0D0C-0b0a-0908-0706-050403020100"
HOST = "support.example.com"
APP = App(client_id=CLIENT_ID, host=HOST)
GUID = {"type": "string", "pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"}
HTTPS = {"type": "string", "maxLength": 2048, "pattern": "^https://[^/]+/"}


def text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def closed(**properties: Any) -> dict[str, Any]:
    """An object with just these, all of them required."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


# What Microsoft's schema 1.20 asks of the parts that we write, written down from its reference.
SCHEMA = closed(
    **{
        "$schema": {"pattern": "/teams/v1[.]20/MicrosoftTeams[.]schema[.]json$"},
        "manifestVersion": {"const": "1.20"},
        "version": {"pattern": "^[0-9]+[.][0-9]+[.][0-9]+$"},
        "id": GUID,
        "developer": closed(name=text(32), websiteUrl=HTTPS, privacyUrl=HTTPS, termsOfUseUrl=HTTPS),
        "name": closed(short=text(30), full=text(100)),
        "description": closed(short=text(80), full=text(4000)),
        "icons": closed(color={"const": "color.png"}, outline={"const": "outline.png"}),
        "accentColor": {"pattern": "^#[0-9a-fA-F]{6}$"},
        "bots": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": closed(
                botId=GUID,
                scopes={"items": {"enum": ["personal", "team", "groupChat"]}},
                supportsFiles={"const": False},
                isNotificationOnly={"const": False},
            ),
        },
        "defaultInstallScope": {"enum": ["personal", "team", "groupChat", "meetings"]},
        "validDomains": {"items": text(2048), "maxItems": 16},
    }
)


def unpacked(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and the pixels of an RGBA picture without filters, each chunk checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, header, data, kinds = 8, b"", b"", []
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", png, place + 8 + length)
        assert check == zlib.crc32(kind + content)
        header, data = (content, data) if kind == b"IHDR" else (header, data + content)
        kinds.append(kind)
        place += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colours, *rest = struct.unpack(">IIBBBBB", header)
    assert (depth, colours, rest) == (8, 6, [0, 0, 0])
    raw = zlib.decompress(data)
    rows = [raw[y * (4 * width + 1) :][: 4 * width + 1] for y in range(height)]
    assert all(row[0] == 0 for row in rows) and len(raw) == height * (4 * width + 1)
    return width, height, [row[x : x + 4] for row in rows for x in range(1, 4 * width, 4)]


def test_the_package_holds_a_manifest_and_two_icons_and_nothing_else() -> None:
    files = unpacked(package_of(APP))
    assert sorted(files) == ["color.png", "manifest.json", "outline.png"]


def test_the_manifest_is_what_the_schema_asks() -> None:
    manifest = json.loads(unpacked(package_of(APP))["manifest.json"])
    assert [e.message for e in jsonschema_rs.validator_for(SCHEMA).iter_errors(manifest)] == []
    assert manifest["bots"][0]["botId"] == manifest["id"] == CLIENT_ID.lower()
    assert manifest["validDomains"] == [HOST]
    assert manifest["name"]["short"] != manifest["name"]["full"]
    assert "permissions" not in manifest and "authorization" not in manifest


def test_the_longest_names_fit_the_schema() -> None:
    app = App(client_id=CLIENT_ID, host=HOST, name="n" * 30, developer="d" * 32)
    manifest = json.loads(unpacked(package_of(app))["manifest.json"])
    assert jsonschema_rs.validator_for(SCHEMA).is_valid(manifest)


def test_the_same_app_is_the_same_package_byte_for_byte() -> None:
    assert package_of(APP) == package_of(APP)


def test_the_color_icon_is_full_to_its_edges() -> None:
    width, height, points = pixels(color_icon())
    assert (width, height) == (192, 192)
    assert {point[3] for point in points} == {255}
    assert len(set(points)) > 2  # a background, a drawing, and smooth edges


def test_the_outline_icon_is_white_on_nothing() -> None:
    width, height, points = pixels(outline_icon())
    assert (width, height) == (32, 32)
    assert {point[:3] for point in points} == {b"\xff\xff\xff"}
    assert {point[3] for point in points} >= {0, 255}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"client_id": "my-bot"}, "application (client) id"),
        ({"client_id": ""}, "application (client) id"),
        ({"host": "https://support.example.com"}, "without https://"),
        ({"host": "support.example.com:443"}, "without https://"),
        ({"host": "support.example.com/bot"}, "without https://"),
        ({"host": "localhost"}, "public name"),
        ({"host": "127.0.0.1"}, "public name"),
        ({"host": "-a.example.com"}, "public name"),
        ({"host": "a.example.com\n"}, "public name"),
        ({"name": "n" * 31}, "1 to 30"),
        ({"name": " "}, "1 to 30"),
        ({"developer": "d" * 33}, "1 to 32"),
        ({"version": "1.0"}, "three numbers"),
        ({"version": "1.0.01"}, "three numbers"),
        ({"privacy_url": "http://example.com/privacy"}, "https://"),
        ({"terms_url": "https:terms"}, "https://"),
    ],
)
def test_what_teams_would_refuse_is_refused_here_with_the_next_move(
    given: dict[str, str], words: str
) -> None:
    with pytest.raises(PackageError, match=re.escape(words)):
        App(**{"client_id": CLIENT_ID, "host": HOST, **given})


def test_the_command_writes_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "app.zip"
    assert main(["--client-id", CLIENT_ID, "--host", HOST, "--out", str(out)]) == 0
    assert out.read_bytes() == package_of(APP)
    assert str(out) in capsys.readouterr().out


def test_the_command_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "app.zip"
    assert main(["--client-id", CLIENT_ID, "--host", "localhost", "--out", str(out)]) == 2
    assert "support.example.com" in capsys.readouterr().err
    assert not out.exists()


def test_the_package_needs_no_sdk() -> None:
    code = (
        "import sys; sys.modules['microsoft_teams'] = None\n"
        "from support_agent.channels.teams.package import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--client-id" in done.stdout
