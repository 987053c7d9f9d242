"""Which settings the support agent starts with, and what it says to the others."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.support_agent.tests.teams_in.connector import CLIENT_ID, SERVICE, TENANT
from support_agent.channels.teams.settings import (
    CLIENT_ID as ID,
)
from support_agent.channels.teams.settings import (
    CLIENT_SECRET,
    CLOUD,
    LOCAL,
    LOCAL_CLIENT_ID,
    SERVICE_URLS,
    TENANT_ID,
    UNAUTHENTICATED,
    TeamsSettings,
    TeamsSettingsError,
    is_wanted,
    settings_of,
)

SECRET = "canary-secret-8Q~"
CREDENTIALS = {ID: CLIENT_ID, CLIENT_SECRET: SECRET, TENANT_ID: TENANT}
OURS, ANY = "127.0.0.1", "0.0.0.0"


def test_credentials_are_served_on_any_host() -> None:
    settings = settings_of({**CREDENTIALS, ID: f" {CLIENT_ID.upper()}\n"}, ANY)

    assert (settings.client_id, settings.tenant_id) == (CLIENT_ID, TENANT)
    assert settings.client_secret == SECRET
    assert not settings.local
    assert settings.metadata_url == ""


def test_local_mode_needs_nothing_on_loopback() -> None:
    for host in (OURS, "localhost", "::1"):
        settings = settings_of({LOCAL: "1"}, host)

        assert settings.local
        assert (settings.client_id, settings.client_secret) == (LOCAL_CLIENT_ID, "")


@pytest.mark.parametrize(
    ("changed", "host", "named"),
    [
        ({LOCAL: "1"}, OURS, CLIENT_SECRET),
        ({LOCAL: "true", ID: "", CLIENT_SECRET: SECRET}, OURS, CLIENT_SECRET),
        ({LOCAL: "on", ID: "", CLIENT_SECRET: "", TENANT_ID: ""}, ANY, "127.0.0.1"),
        ({LOCAL: "1", ID: "", CLIENT_SECRET: ""}, "::", "127.0.0.1"),
        ({LOCAL: "1", ID: "", CLIENT_SECRET: ""}, "teams.example", "127.0.0.1"),
        ({LOCAL: "1", ID: "", CLIENT_SECRET: ""}, "", "127.0.0.1"),
        ({LOCAL: "perhaps"}, OURS, LOCAL),
        ({UNAUTHENTICATED: "true"}, OURS, UNAUTHENTICATED),
        ({UNAUTHENTICATED: "TRUE"}, ANY, UNAUTHENTICATED),
        ({UNAUTHENTICATED: "whatever"}, OURS, UNAUTHENTICATED),
        ({UNAUTHENTICATED: "1", ID: "", CLIENT_SECRET: ""}, ANY, UNAUTHENTICATED),
        ({UNAUTHENTICATED: "1", LOCAL: "1", CLIENT_SECRET: ""}, OURS, UNAUTHENTICATED),
        ({CLIENT_SECRET: ""}, OURS, CLIENT_SECRET),
        ({CLIENT_SECRET: "  "}, OURS, CLIENT_SECRET),
        ({ID: ""}, OURS, ID),
        ({TENANT_ID: ""}, OURS, TENANT_ID),
        ({ID: "support-bot"}, OURS, ID),
        ({TENANT_ID: "common"}, OURS, TENANT_ID),
        ({CLOUD: "Moon"}, OURS, CLOUD),
        ({CLOUD: "China"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "*"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "*.com"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "*.trafficmanager.net"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "http://smba.trafficmanager.net"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "smba.trafficmanager.net, 10.0.0.1"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "https://user@smba.trafficmanager.net"}, OURS, SERVICE_URLS),
        ({SERVICE_URLS: "localhost"}, OURS, SERVICE_URLS),
    ],
)
def test_other_settings_are_refused_with_the_next_move(
    changed: dict[str, str], host: str, named: str
) -> None:
    with pytest.raises(TeamsSettingsError) as refusal:
        settings_of({**CREDENTIALS, **changed}, host)

    assert named in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_a_switch_that_is_off_says_nothing() -> None:
    for off in ("", "false", "0", "No"):
        assert settings_of({**CREDENTIALS, UNAUTHENTICATED: off, LOCAL: off}, ANY).client_secret


def test_the_sdks_switch_is_harmless_in_local_mode() -> None:
    assert settings_of({LOCAL: "1", UNAUTHENTICATED: "true"}, OURS).local


def test_a_secret_in_the_wrong_variable_is_not_shown() -> None:
    for name in (ID, TENANT_ID, CLOUD, LOCAL, SERVICE_URLS):
        with pytest.raises(TeamsSettingsError) as refusal:
            settings_of({**CREDENTIALS, name: SECRET}, OURS)
        assert SECRET not in str(refusal.value)


def test_the_secret_is_not_in_what_settings_look_like() -> None:
    assert SECRET not in repr(settings_of(CREDENTIALS, OURS))


def test_no_instance_holds_both_a_secret_and_the_local_mode() -> None:
    settings = settings_of(CREDENTIALS, OURS)

    with pytest.raises(TeamsSettingsError):
        dataclasses.replace(settings, local=True)


def test_generic_names_of_the_environment_mean_nothing() -> None:
    generic = {"CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": SECRET, "TENANT_ID": TENANT, "CLOUD": "x"}

    assert not is_wanted(generic)
    with pytest.raises(TeamsSettingsError):
        settings_of(generic, OURS)


def test_any_setting_of_ours_asks_for_teams() -> None:
    assert is_wanted({LOCAL: "1"})
    assert not is_wanted({LOCAL: " "})
    assert not is_wanted({})


TRUSTED = [SERVICE, "https://SMBA.trafficmanager.net", "https://smba.trafficmanager.net:443/amer"]
TRUSTED += ["https://smba.infra.gcc.teams.microsoft.com/teams"]
UNTRUSTED = [
    "",
    "http://smba.trafficmanager.net/emea/",
    "https://evil.trafficmanager.net/",
    "https://smba.trafficmanager.net.evil.example/",
    "https://evil.example/smba.trafficmanager.net",
    "https://smba.trafficmanager.net@evil.example/",
    "https://evil.example\\@smba.trafficmanager.net/",
    "https://evil.example#@smba.trafficmanager.net/",
    "https://smba.trafficmanager.net/?to=evil.example",
    "https://smba.trafficmanager.net:8443/",
    "https://smba.trafficmanager.net:x/",
    "https://smba.trafficmanager.net./",
    "https://smba.trafficmanager\u3002net/",
    "https://smba.trafficmanager.net\n.evil.example/",
    "https://%73mba.trafficmanager.net/",
    "//smba.trafficmanager.net/",
    "smba.trafficmanager.net",
    "file://smba.trafficmanager.net/etc",
    "https://smba.trafficmanager.net/" + "x" * 600,
    "https://127.0.0.1/",
    "http://127.0.0.1:56150/",
    "http://169.254.169.254/",
    "https://[::ffff:169.254.169.254]/",
    "https://[/",
]


@pytest.mark.parametrize("address", TRUSTED)
def test_answers_may_go_to_the_service_addresses_of_teams(address: str) -> None:
    assert settings_of(CREDENTIALS, OURS).trusts(address)


@pytest.mark.parametrize("address", UNTRUSTED)
def test_answers_go_nowhere_else(address: str) -> None:
    assert not settings_of(CREDENTIALS, OURS).trusts(address)


def test_the_list_of_service_addresses_can_be_given() -> None:
    given = "smba.example.org, https://api.example.net/teams, *.Bots.example.com"
    settings = settings_of({**CREDENTIALS, CLOUD: "china", SERVICE_URLS: given}, OURS)

    assert settings.cloud == "China"
    assert settings.service_urls == ("smba.example.org", "api.example.net", "*.bots.example.com")
    assert settings.trusts("https://eu.bots.example.com/x")
    assert not settings.trusts("https://bots.example.com/")
    assert not settings.trusts("https://evilbots.example.com/")
    assert not settings.trusts(SERVICE)


def test_each_cloud_has_its_own_service_addresses() -> None:
    settings = settings_of({**CREDENTIALS, CLOUD: "usgov"}, OURS)

    assert settings.trusts("https://smba.infra.gov.teams.microsoft.us/teams")
    assert not settings.trusts(SERVICE)


def test_in_local_mode_answers_stay_on_this_machine() -> None:
    settings = TeamsSettings(client_id=LOCAL_CLIENT_ID, local=True)

    assert settings.trusts("http://127.0.0.1:56150/_connector")
    assert settings.trusts("http://localhost:56150")
    assert settings.trusts("http://[::1]:56150")
    assert not settings.trusts(SERVICE)
    assert not settings.trusts("http://10.0.0.1:56150/")
    assert not settings.trusts("http://localhost.evil.example/")


@pytest.mark.slow
def test_importing_the_channel_reads_no_env_file_and_changes_no_environment(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("CLIENT_ID=from-a-file\nSUPPORT_TEAMS_LOCAL=1\n")
    program = (
        "import os; before = dict(os.environ)\n"
        "import support_agent.channels.teams.endpoint, sys\n"
        "assert 'microsoft_teams.apps' in sys.modules\n"
        "assert dict(os.environ) == before, 'changed'\n"
    )

    inherited = {name: value for name, value in os.environ.items() if "DOTENV" not in name}

    # A process of its own: here, the SDK has been imported already.
    ended = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", program],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
