import pytest
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel

from support_agent.agent.models import (
    RETRIES_OF_THE_CLIENT,
    TIMEOUT_SECONDS,
    SettingRefused,
    choose_model,
)

KEY = {"OPENAI_API_KEY": "sk-test"}
SERVER = {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"}


def openai(environment: dict[str, str]) -> tuple[OpenAIChatModel, str]:
    chosen = choose_model(environment)
    assert isinstance(chosen.model, OpenAIChatModel)
    assert not chosen.offline
    return chosen.model, chosen.label


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": " "},
        KEY | SERVER | {"SUPPORT_AGENT_MODEL": "offline"},
    ],
)
def test_with_nothing_set_the_offline_model_answers_and_says_so(
    environment: dict[str, str],
) -> None:
    chosen = choose_model(environment)

    assert chosen.offline
    assert chosen.label == "offline model"
    assert isinstance(chosen.model, FunctionModel)


def test_a_key_alone_means_openai_with_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/not-this")

    model, label = openai(KEY)

    assert (model.model_name, label) == ("gpt-4o", "gpt-4o")
    assert model.base_url == "https://api.openai.com/v1/"


def test_another_server_needs_no_key_and_is_named_on_the_badge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-process")

    model, label = openai(SERVER | {"SUPPORT_AGENT_MODEL": "qwen2.5-coder"})

    assert label == "qwen2.5-coder at 127.0.0.1:8080"
    assert model.base_url == "http://127.0.0.1:8080/v1/"
    assert model.client.api_key != "sk-of-the-process"


def test_the_client_waits_and_retries_within_bounds() -> None:
    model, _ = openai(KEY)

    assert model.settings == {"timeout": TIMEOUT_SECONDS, "max_retries": RETRIES_OF_THE_CLIENT}


def test_a_slow_server_may_be_given_more_time() -> None:
    model, _ = openai(SERVER | {"SUPPORT_AGENT_TIMEOUT": "120"})

    assert model.settings is not None
    assert model.settings.get("timeout") == 120.0


@pytest.mark.parametrize(
    ("environment", "variable", "words"),
    [
        ({"SUPPORT_AGENT_MODEL": "gpt-4o"}, "SUPPORT_AGENT_MODEL", "nothing says where it is"),
        ({"OPENAI_BASE_URL": "127.0.0.1:8080"}, "OPENAI_BASE_URL", "no address like"),
        ({"OPENAI_BASE_URL": "ftp://models.example.org"}, "OPENAI_BASE_URL", "no address like"),
        ({"OPENAI_BASE_URL": "http://"}, "OPENAI_BASE_URL", "no address like"),
        ({"OPENAI_BASE_URL": "http://[::1/v1"}, "OPENAI_BASE_URL", "no web address"),
        ({"OPENAI_BASE_URL": "http://a:99999/v1"}, "OPENAI_BASE_URL", "no web address"),
        ({"OPENAI_BASE_URL": "http://a:0/v1"}, "OPENAI_BASE_URL", "no address like"),
        ({"OPENAI_BASE_URL": "https://me:word@a/v1"}, "OPENAI_BASE_URL", "name or password"),
        ({"OPENAI_API_KEY": "sk-1 sk-2"}, "OPENAI_API_KEY", "blanks or control characters"),
        (KEY | {"SUPPORT_AGENT_MODEL": "gpt 4o"}, "SUPPORT_AGENT_MODEL", "'gpt 4o' has blanks"),
        (KEY | {"SUPPORT_AGENT_TIMEOUT": "soon"}, "SUPPORT_AGENT_TIMEOUT", "'soon' is not"),
        (KEY | {"SUPPORT_AGENT_TIMEOUT": "0"}, "SUPPORT_AGENT_TIMEOUT", "between 0 and 600"),
        (KEY | {"SUPPORT_AGENT_TIMEOUT": "nan"}, "SUPPORT_AGENT_TIMEOUT", "between 0 and 600"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(
    environment: dict[str, str], variable: str, words: str
) -> None:
    with pytest.raises(SettingRefused, match=words) as refused:
        choose_model(environment)

    assert refused.value.variable == variable
    assert str(refused.value).startswith(f"{variable}: ")


def test_a_refused_setting_shows_no_secret() -> None:
    for environment in (
        {"OPENAI_API_KEY": "sk-secret sk-other"},
        {"OPENAI_BASE_URL": "https://me:secret@a/v1"},
        {"OPENAI_BASE_URL": "https://me:secret@a:99999/v1"},
    ):
        with pytest.raises(SettingRefused) as refused:
            choose_model(environment)
        assert "secret" not in str(refused.value)
