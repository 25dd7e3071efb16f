"""What is wrong with URLs is found, and their passwords are not shown."""

import pytest

from conductor_actors.adapters.server_urls import has_stray_at, without_password


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:1234/x@h:6379/0",
        "redis://u:1234?x@h:6379/0",
        "redis://u:1234#x@h:6379/0",
        "postgresql://u:a@b/c@h/db",
        "postgresql://h/db?application_name=a@b",
    ],
)
def test_an_at_behind_host_and_port_is_stray(url: str) -> None:
    assert has_stray_at(url, ends_at="/?#")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://u:p@h:6379/0",
        "redis://u:p@q@h:6379/0",
        "redis://h/0",
        "unix:///run/redis.sock",
        "postgresql://u:%40%2F@h1:5432,h2:5432/db?application_name=a%40b",
        "host=h user=me@server dbname=a/b",
    ],
)
def test_other_urls_have_none(url: str) -> None:
    assert not has_stray_at(url, ends_at="/?#")


def test_an_at_is_stray_only_behind_what_ends_host_and_port() -> None:
    assert not has_stray_at("postgresql://u:a#b@h/db", ends_at="/?")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:secret@h:6379", "redis:***@h:6379"),
        ("u:sec@ret/x@h", "u:***@h"),
        ("events.jsonl", "events.jsonl"),
        ("C:/events", "C:/events"),
        ("me@work.jsonl", "me@work.jsonl"),
    ],
)
def test_what_could_be_a_password_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown
