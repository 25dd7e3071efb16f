"""`token`: who the token that it prints gives access to what, and where the link leads."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from conductor_actors.commands.share_links import print_link
from conductor_actors.dashboard.access.auth import Authenticator
from conductor_actors.dashboard.access.tokens import parse_expiry
from conductor_actors.errors import ConfigError
from conductor_actors.settings.loading import load_settings

SECRET = "a secret of 32 bytes or more, as it must be"
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONDUCTOR_JWT_SECRET", SECRET)


def link(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[str, str, str]:
    """Return the page's address, the token and the route of the link that is printed."""
    print_link(**options)
    [line] = capsys.readouterr().out.splitlines()
    address, _, fragment = line.partition("#token=")
    token, _, route = fragment.partition("&")
    return address, token, route


def caller_of(token: str) -> Any:  # so that its sets are compared with sets
    return Authenticator(load_settings().dashboard(), is_loopback=False).authenticate(token)


def test_a_session_is_opened_read_only_until_the_token_expires(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before_s = time.time()
    address, token, route = link(capsys, tenant="acme", session=["keynote"], expires="2h")
    caller = caller_of(token)
    assert (address, route) == ("http://127.0.0.1:3002/", "/session/keynote")
    assert (caller.tenant, caller.sessions, caller.events) == ("acme", {"keynote"}, None)
    assert not caller.can_conduct
    assert not caller.can_administer
    assert caller.expires_at_s is not None
    assert abs(caller.expires_at_s - before_s - 7200) < 60


def test_an_event_is_opened_with_what_is_granted(capsys: pytest.CaptureFixture[str]) -> None:
    _, token, route = link(capsys, event=["expo 1/2"], conduct=True, admin=True)
    caller = caller_of(token)
    assert (caller.sessions, caller.events) == (None, {"expo 1/2"})
    assert (caller.tenant, caller.can_conduct, caller.can_administer) == ("default", True, True)
    assert route == "/event/expo%201%2F2"


@pytest.mark.parametrize("named", ["a/b?c#d&e=f", "%2F", "\"<b>'", "__proto__", "😀" * 255, ".."])
def test_any_id_is_one_part_of_the_link(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, token, route = link(capsys, session=[named])
    assert caller_of(token).sessions == {named}
    assert route.count("/") == 2
    assert not set(route) & set('&#?"<> ')
    assert unquote(route.removeprefix("/session/")) == named


def test_a_token_for_several_opens_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    _, token, route = link(capsys, session=["a", "b"], event=["expo"])
    caller = caller_of(token)
    assert (caller.sessions, caller.events, route) == ({"a", "b"}, {"expo"}, "")
    _, token, route = link(capsys)
    assert (caller_of(token).sees_all, route) == (True, "")


def test_the_token_is_for_the_audience_and_has_the_tenant_in_the_claim_of_the_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTOR_JWT_AUDIENCE", "engagement")
    monkeypatch.setenv("CONDUCTOR_JWT_TENANT_CLAIM", "org")
    _, token, _ = link(capsys, tenant="acme")
    assert caller_of(token).tenant == "acme"


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"PUBLIC_URL": "https://live.example.com"}, "https://live.example.com/"),
        (
            {"PUBLIC_URL": "https://example.com/live/", "HTTP_PORT": "0"},
            "https://example.com/live/",
        ),
        ({"HTTP_HOST": "0.0.0.0", "HTTP_PORT": "8080"}, "http://localhost:8080/"),
        ({"HTTP_HOST": "::1", "HTTP_BASE_PATH": "/live/"}, "http://[::1]:3002/live/"),
    ],
)
def test_the_link_begins_with_the_public_address_else_with_host_and_port(
    variables: dict[str, str],
    address: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CONDUCTOR_{name}", value)
    print_link(session=["keynote"])
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{address}#token=")
    assert ("on this machine only" in printed.err) == ("PUBLIC_URL" not in variables)
    assert "eyJ" not in printed.err  # the token is on stdout alone


@pytest.mark.parametrize(
    "text",
    ["example.com", "ftp://example.com", "https://u:p@example.com", "https://e/?a", "https://e/#"],
)
def test_a_public_address_that_is_none_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTOR_PUBLIC_URL", text)
    with pytest.raises(ConfigError, match=r"CONDUCTOR_PUBLIC_URL=.*e\.g\. CONDUCTOR_PUBLIC_URL=h"):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"JWT_SECRET": ""}, "CONDUCTOR_JWT_SECRET: not set, so there is no key to sign with"),
        ({"JWT_SECRET": "short"}, "CONDUCTOR_JWT_SECRET: needs 32 bytes"),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEY": PUBLIC_KEY},
            "CONDUCTOR_JWT_PUBLIC_KEY verifies tokens and can't sign them",
        ),
        ({"HTTP_PORT": "0"}, "CONDUCTOR_HTTP_PORT=0: any port"),
    ],
)
def test_without_a_key_that_signs_or_an_address_the_reason_is_one_line(
    variables: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CONDUCTOR_{name}", value)
    with pytest.raises(ConfigError, match=reason) as refused:
        print_link(session=["keynote"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"tenant": "Acme"}, "--tenant"),
        ({"session": [""]}, "--session"),
        ({"session": ["\udcff"]}, "--session"),
        ({"event": ["x" * 256]}, "--event"),
        ({"expires": "2 hours"}, "--expires"),
        ({"session": [f"session {number}" for number in range(1000)]}, "--session, --event"),
    ],
)
def test_what_can_not_be_granted_is_refused(options: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: "):
        print_link(**options)


def test_a_token_expires_after_seconds_minutes_hours_or_days() -> None:
    for text, seconds in (("90s", 90), ("30m", 1800), ("2h", 7200), ("366d", 366 * 86_400)):
        assert parse_expiry(text) == seconds
    for bad in ("", "0h", "-1h", "1.5h", "2", "h", "367d", "99999999h", "2h ", "٢h", "1w"):
        with pytest.raises(ConfigError, match="--expires"):
            parse_expiry(bad)
