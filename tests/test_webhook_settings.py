"""Where webhooks are sent and how they are signed, as the settings say."""

import json
import os
from base64 import b64encode
from pathlib import Path

import pytest

from conductor_actors.errors import ConfigError
from conductor_actors.settings.loading import load_settings
from conductor_actors.settings.webhooks import SECRET_EXAMPLE, URL_EXAMPLE, WEBHOOKS_EXAMPLE

KEY = b64encode(b"another secret, of 29 bytes. ").decode()
SECRET = f"whsec_{KEY}"
URL = "https://example.com/hook?token=very-secret"
OF_ACME = {"url": URL, "secret": SECRET}


@pytest.fixture(autouse=True)
def _no_variable_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CONDUCTOR_")]:
        monkeypatch.delenv(name)


def set_webhook(monkeypatch: pytest.MonkeyPatch, url: str = URL, secret: str = SECRET) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_URL", url)
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_SECRET", secret)


def refusal() -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings()
    line = str(caught.value)
    assert "\n" not in line
    assert "very-secret" not in line
    assert KEY not in line
    return line


def test_without_a_url_no_tenant_has_a_webhook() -> None:
    receivers = load_settings().webhook_receivers()
    assert receivers.is_empty()
    assert not receivers.has_webhook("default")


def test_a_url_is_that_of_every_tenant_without_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    set_webhook(monkeypatch)
    own = {"acme": OF_ACME | {"url": "https://acme.example/"}, "globex": None}
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", json.dumps(own))
    receivers = load_settings().webhook_receivers()
    default, acme = receivers.of("default"), receivers.of("acme")
    assert default is not None
    assert acme is not None
    assert (default.url, default.secrets) == (URL, (KEY,))
    assert acme.url == "https://acme.example/"
    assert not receivers.has_webhook("globex")
    assert receivers.has_webhook("initech")


def test_tenants_may_have_webhooks_although_the_others_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", json.dumps({"acme": OF_ACME}))
    receivers = load_settings().webhook_receivers()
    assert [receivers.has_webhook(each) for each in ("acme", "default")] == [True, False]
    assert not receivers.is_empty()


def test_the_webhooks_of_tenants_may_be_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "webhooks.json"
    file.write_text(json.dumps({"acme": OF_ACME}))
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", str(file))
    assert load_settings().webhook_receivers().has_webhook("acme")


def test_two_secrets_are_separated_by_a_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    set_webhook(monkeypatch, secret=f"{SECRET}, {SECRET_EXAMPLE}")
    receiver = load_settings().webhook_receivers().of("default")
    assert receiver is not None
    assert receiver.secrets == (KEY, SECRET_EXAMPLE.removeprefix("whsec_"))


@pytest.mark.parametrize(
    "secret",
    [
        "very-secret",
        "whsec_",
        KEY,
        f"whsec_{KEY[:28]}",
        "whsec_c2hvcnQ=",
        f"whsec_{'A' * 100}",
        f"{SECRET},",
        f"{SECRET} {SECRET}",
    ],
)
def test_a_secret_that_is_none_is_refused_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    set_webhook(monkeypatch, secret=secret)
    line = refusal()
    assert line.startswith("CONDUCTOR_WEBHOOK_SECRET: ")
    assert f"e.g. {SECRET_EXAMPLE}" in line


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("very-secret", "can't be read"),
        ("https://[very-secret/", "can't be read"),
        ("https://example.com:port/very-secret", "can't be read"),
        ("https://exämple.com/very-secret", "can't be read"),
        ("https://example.com/very-secret\r\nHost: other", "can't be read"),
        ("ftp://example.com/very-secret", "must begin with https://"),
        ("http://example.com/very-secret", "must begin with https://"),
        ("https://very-secret:x@example.com/", "no user"),
        ("https://example.com/#very-secret", "no #"),
        ("https://localhost/very-secret", "is private"),
        ("https://10.1.2.3/very-secret", "is private"),
        ("https://[::1]/very-secret", "is private"),
        ("https://169.254.169.254/very-secret", "is private"),
    ],
)
def test_a_url_that_can_not_be_used_is_refused_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    set_webhook(monkeypatch, url)
    line = refusal()
    assert line.startswith("CONDUCTOR_WEBHOOK_URL: ")
    assert problem in line
    assert f"e.g. {URL_EXAMPLE}" in line


@pytest.mark.parametrize("url", ["http://localhost:8080/", "http://10.1.2.3/", "https://[::1]/"])
def test_a_private_url_may_be_allowed(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_ALLOW_PRIVATE", "true")
    set_webhook(monkeypatch, url)
    assert load_settings().webhook_receivers().has_webhook("default")


@pytest.mark.parametrize(
    "text",
    [
        "very-secret",
        "/etc/very-secret.json",
        "[1]",
        "{very-secret}",
        '{"acme": "very-secret"}',
        '{"acme": {"url": "very-secret"}}',
        '{"Acme": null}',
        json.dumps({"acme": OF_ACME | {"very-secret": 1}}),
        json.dumps({"acme": OF_ACME | {"url": "http://very-secret"}}),
        json.dumps({"acme": OF_ACME | {"secret": "very-secret"}}),
    ],
)
def test_webhooks_that_can_not_be_read_are_refused_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", text)
    assert refusal().startswith("CONDUCTOR_WEBHOOKS: ")


def test_the_example_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", WEBHOOKS_EXAMPLE)
    set_webhook(monkeypatch, URL_EXAMPLE, SECRET_EXAMPLE)
    assert load_settings().webhook_receivers().has_webhook("acme")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("CONDUCTOR_WEBHOOK_URL", "CONDUCTOR_WEBHOOK_SECRET"),
        ("CONDUCTOR_WEBHOOK_SECRET", "CONDUCTOR_WEBHOOK_URL"),
    ],
)
def test_a_url_needs_a_secret_and_a_secret_a_url(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, URL if given.endswith("URL") else SECRET)
    assert refusal().startswith(f"{missing}: is required by {given}, e.g. {missing}=")


def test_a_wrong_flag_does_not_show_the_secrets_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    set_webhook(monkeypatch)
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_ALLOW_PRIVATE", "perhaps")
    assert refusal().startswith("CONDUCTOR_WEBHOOK_ALLOW_PRIVATE='perhaps'")


def test_settings_that_are_printed_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    set_webhook(monkeypatch)
    monkeypatch.setenv("CONDUCTOR_WEBHOOKS", json.dumps({"acme": OF_ACME}))
    settings = load_settings()
    for shown in (repr(settings), str(settings), repr(settings.webhook_receivers())):
        assert "very-secret" not in shown
        assert KEY not in shown
