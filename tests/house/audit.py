"""`make audit`: is anything that we pin known to be vulnerable?

It fails where something is. Where nobody could be asked about some packages, or about any, it says
so in one line that stands out, and passes: a build must not break because a service is down, and
nobody should take its silence for an all-clear.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LONGEST_SECONDS = 300.0
NOT_ASKED = "NOT AUDITED:"
NAMED = 5  # packages in one line

# How pip-audit ends when nobody answers it; whatever else ends it is a mistake of ours.
UNREACHED = re.compile(
    r"\b(?:ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|HTTPError|RetryError"
    r"|MaxRetryError|VulnServiceConnectionError|ServiceError)\b"
)


def audit(file: str) -> tuple[list[str], bool]:
    """What there is to say of one file of requirements, and whether it passes."""
    tool = shutil.which("pip-audit")
    if tool is None:
        return [f"pip-audit is not installed, so {file} was not looked at."], False
    words = ["--progress-spinner", "off", "--format", "json", "--desc", "off"]
    words += ["--disable-pip", "--require-hashes", "--requirement", file]
    try:
        ended = subprocess.run(
            [tool, *words],
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"{NOT_ASKED} {file}: no answer within {LONGEST_SECONDS:.0f} seconds."], True
    try:
        packages: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _no_answer(file, ended.stderr)
    return _answer(file, packages)


def _no_answer(file: str, said: str) -> tuple[list[str], bool]:
    if UNREACHED.search(said):
        return [
            f"{NOT_ASKED} {file}: the service that knows vulnerabilities was not reached."
        ], True
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return [f"{file} could not be read by pip-audit: {last[0]}"], False


def _answer(file: str, packages: Sequence[dict[str, Any]]) -> tuple[list[str], bool]:
    lines = [
        f"{file}: {package['name']} {package['version']} is vulnerable: {found['id']}"
        f"{_fixed(found.get('fix_versions') or [])}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    passes = not lines
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        some = ", ".join([*skipped[:NAMED], *(["..."] if len(skipped) > NAMED else [])])
        lines.append(
            f"{NOT_ASKED} {len(skipped)} of {len(packages)} packages of {file}, of which the "
            f"service knows nothing: {some or 'there are none'}"
        )
    elif passes:
        lines.append(f"{file}: no known vulnerability in {len(packages)} packages.")
    return lines, passes


def _fixed(versions: Sequence[str]) -> str:
    return f"; fixed in {', '.join(versions)}" if versions else "; there is no fix yet"


def main(files: Sequence[str]) -> int:
    if not files:
        print("Name the files of requirements to look at.")
        return 1
    passed = True
    for file in files:
        lines, passes = audit(file)
        passed = passed and passes
        print("\n".join(lines))
    if not passed:
        print("Take newer ones: make pins UPGRADE=1")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main([each for each in sys.argv[1:] if Path(each).suffix == ".txt"]))
