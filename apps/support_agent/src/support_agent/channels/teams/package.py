"""Writes the app package for Teams: `python -m support_agent.channels.teams.package`.

A zip of the manifest and two icons. The same arguments give the same bytes.
"""

import argparse
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

MANIFEST_VERSION = "1.20"
"""Of the manifest's schema. Newer ones add nothing that this app uses."""
SCHEMA = (
    f"https://developer.microsoft.com/json-schemas/teams/v{MANIFEST_VERSION}/"
    "MicrosoftTeams.schema.json"
)
DEFAULT_NAME = "Support"
LONGEST_NAME = 30
LONGEST_DEVELOPER = 32
ACCENT = "#3B5BDB"
COLOR_SIDE, OUTLINE_SIDE = 192, 32
"""Of the icons, in pixels; Teams takes no others."""
SAMPLES = 3
"""Of an edge, each way in one pixel."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The oldest moment that a zip knows: the package does not change from day to day."""

_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z]")


class PackageError(Exception):
    """The package cannot be made of these. The text says the next move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What the manifest says of the app. Raises PackageError for what Teams would refuse."""

    client_id: str
    """Of the Azure Bot's app registration."""
    host: str
    """The name under which Teams reaches us, as in the bot's messaging endpoint."""
    name: str = DEFAULT_NAME
    developer: str = "Your company"
    privacy_url: str = ""
    """Of your statement on privacy; the host's first page without one."""
    terms_url: str = ""
    version: str = "1.0.0"
    """Three numbers. Teams takes an update only with a higher one."""

    def __post_init__(self) -> None:
        if not _is_guid(self.client_id):
            raise PackageError(
                "The client id is the application (client) id of the Azure Bot's app "
                "registration, such as 00000000-0000-0000-0000-000000000000."
            )
        if not _HOST.fullmatch(self.host):
            raise PackageError(
                "The host is the public name of this server, such as support.example.com: "
                "without https://, path and port."
            )
        if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", self.version):
            raise PackageError("The version is three numbers, such as 1.0.1.")
        for what, text, longest in (
            ("name", self.name, LONGEST_NAME),
            ("developer", self.developer, LONGEST_DEVELOPER),
        ):
            if not 1 <= len(text.strip()) <= longest or not text.isprintable():
                raise PackageError(f"The {what} has 1 to {longest} characters.")
        for url in filter(None, (self.privacy_url, self.terms_url)):
            if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
                raise PackageError("The addresses of privacy and terms begin with https://.")


def manifest_of(app: App) -> dict[str, Any]:
    """The manifest, which asks for no permission beyond being written to."""
    website = f"https://{app.host}/"
    return {
        "$schema": SCHEMA,
        "manifestVersion": MANIFEST_VERSION,
        "version": app.version,
        "id": app.client_id.lower(),
        "developer": {
            "name": app.developer.strip(),
            "websiteUrl": website,
            "privacyUrl": app.privacy_url or website,
            "termsOfUseUrl": app.terms_url or website,
        },
        "name": {"short": app.name.strip(), "full": f"{app.name.strip()}: answers and refunds"},
        "description": {
            "short": "Answers questions about orders, and asks a person before money moves.",
            "full": (
                "Write about an order, a delivery or a refund. An agent answers at once. What "
                "needs a person's decision waits for one, and you are told here what came of it. "
                "Supervisors decide on cards in their own chat with the app."
            ),
        },
        "icons": {"color": "color.png", "outline": "outline.png"},
        "accentColor": ACCENT,
        "bots": [
            {
                "botId": app.client_id.lower(),
                "scopes": ["personal", "team", "groupChat"],
                "supportsFiles": False,
                "isNotificationOnly": False,
            }
        ],
        "defaultInstallScope": "personal",
        "validDomains": [app.host],
    }


def package_of(app: App) -> bytes:
    """The zip that is uploaded."""
    manifest = json.dumps(manifest_of(app), indent=2, ensure_ascii=False) + "\n"
    files = {
        "manifest.json": manifest.encode(),
        "color.png": color_icon(),
        "outline.png": outline_icon(),
    }
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


# The icons: a conversation that pauses.

Colour = tuple[int, int, int]
Shape = Callable[[float, float], bool]
"""Whether a point is inside; both coordinates from 0 to 1, from the top left corner."""


@cache
def color_icon() -> bytes:
    accent: Colour = (int(ACCENT[1:3], 16), int(ACCENT[3:5], 16), int(ACCENT[5:7], 16))

    def pixel(x: int, y: int) -> bytes:
        white = _share(lambda a, b: _bubble(a, b) and not _bars(a, b), x, y, COLOR_SIDE)
        mixed = (round(one + (255 - one) * white) for one in accent)
        return bytes((*mixed, 255))

    return _png(COLOR_SIDE, pixel)


@cache
def outline_icon() -> bytes:
    """White on nothing, as Teams asks."""

    def shape(a: float, b: float) -> bool:
        return (_bubble(a, b, wider=0.12) and not _bubble(a, b, wider=0.05)) or _bars(a, b)

    def pixel(x: int, y: int) -> bytes:
        return bytes((255, 255, 255, round(255 * _share(shape, x, y, OUTLINE_SIDE))))

    return _png(OUTLINE_SIDE, pixel)


def _bubble(a: float, b: float, wider: float = 0.0) -> bool:
    """A rounded box and its tail."""
    radius = 0.1 + wider / 2
    across = max(abs(a - 0.5) - (0.3 + wider - radius), 0.0)
    down = max(abs(b - 0.44) - (0.22 + wider - radius), 0.0)
    tail = 0.6 < b < 0.84 + wider / 2 and 0.32 - wider / 2 < a < 0.32 + wider / 2 + (0.84 - b)
    return across * across + down * down <= radius * radius or tail


def _bars(a: float, b: float) -> bool:
    return 0.33 < b < 0.55 and 0.05 < abs(a - 0.5) < 0.12


def _share(shape: Shape, x: int, y: int, side: int) -> float:
    """How much of a pixel is inside the shape."""
    steps = [(step + 0.5) / SAMPLES for step in range(SAMPLES)]
    inside = sum(shape((x + dx) / side, (y + dy) / side) for dy in steps for dx in steps)
    return inside / SAMPLES**2


def _png(side: int, pixel: Callable[[int, int], bytes]) -> bytes:
    """A square picture of four bytes a pixel: red, green, blue, opacity."""
    rows = (b"\0" + b"".join(pixel(x, y) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _is_guid(value: str) -> bool:
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the package; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m support_agent.channels.teams.package",
        description="Write the app package that is uploaded to Microsoft Teams.",
    )
    parser.add_argument("--client-id", required=True, help="of the Azure Bot's app registration")
    parser.add_argument("--host", required=True, help="this server's public name")
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the app in Teams")
    parser.add_argument("--developer", default="Your company", help="who publishes it")
    parser.add_argument("--privacy-url", default="", help="of your statement on privacy")
    parser.add_argument("--terms-url", default="", help="of your terms of use")
    parser.add_argument("--version", default="1.0.0", help="of the app; higher at each update")
    parser.add_argument("--out", type=Path, default=Path("build/teams-app.zip"))
    given = vars(parser.parse_args(arguments))
    out: Path = given.pop("out")
    try:
        packed = package_of(App(**given))
    except PackageError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(packed)
    sys.stdout.write(f"Wrote {out}. Upload it in Teams: Apps, Manage your apps, Upload an app.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
