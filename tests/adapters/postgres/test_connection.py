"""Which URLs of a database are refused, and that no part of a password is shown."""

import pytest

from conductor_actors.adapters.postgres.connection import conninfo_with_defaults
from conductor_actors.errors import ConfigError


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://user:secret@h/db",
        "postgresql://user:secret@h:port/db",
        "postgresql://user:secret@h:0/db",
        "postgresql://user:secret@h:65536/db",
        "postgresql://user:pass/secret@h:5432/db",
        "postgresql://user:pass@secret@h:5432/db",
        "postgresql://user:1234/secret@h:5432/db",
        "postgresql://user:1234?sslmode=secret@h:5432/db",
        "postgresql://user:secret%@h:5432/db",
        "postgresql://user:secret\udcff@h:5432/db",
        "host=h;password=secret",
        "host=h user=u;password=secret",
        "host=h dbname=db;password=secret",
    ],
)
def test_what_is_no_url_is_refused_in_one_line_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^DATABASE_URL can't be read; it looks like") as caught:
        conninfo_with_defaults(url, 10)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://user:%40%2F%3F%23@h1:5432,h2:5433/db?target_session_attrs=primary",
        "postgresql://user:a:b#c@/db?host=/run/postgresql",
        "host=h user=me@server password='a;b=c' dbname=db",
    ],
)
def test_what_a_url_says_goes_before_the_defaults(url: str) -> None:
    separator = " " if url == "" or url.startswith("host") else "&" if "?" in url else "?"
    with_timeout = f"{url}{separator}connect_timeout=7"
    assert "connect_timeout=10" in conninfo_with_defaults(url, 9.5)
    assert "connect_timeout=7" in conninfo_with_defaults(with_timeout, 9.5)
