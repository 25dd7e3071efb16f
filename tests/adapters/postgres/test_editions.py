"""The edition of a server: its versions, extension and licence."""

import pytest

from conductor_actors.adapters.postgres.editions import DatabaseServer, Edition, server_of
from conductor_actors.errors import ConfigError


@pytest.mark.parametrize(
    ("timescaledb", "licence", "edition"),
    [
        ("2.19.3", "timescale", Edition.COMMUNITY),
        ("2.19.3", "apache", Edition.APACHE),
        ("2.19.3", None, Edition.APACHE),
        (None, None, Edition.PLAIN),
        (None, "timescale", Edition.PLAIN),
    ],
)
def test_an_edition_is_an_extension_and_its_licence(
    timescaledb: str | None, licence: str | None, edition: Edition
) -> None:
    assert server_of("17.11 (Debian)", timescaledb, licence) == DatabaseServer(
        edition, "17.11", timescaledb
    )


@pytest.mark.parametrize(
    ("postgresql", "timescaledb"), [("14.9", None), ("9.6", None), ("17.1", "2.17.2")]
)
def test_a_server_that_is_too_old_is_refused(postgresql: str, timescaledb: str | None) -> None:
    with pytest.raises(ConfigError, match="too old"):
        server_of(postgresql, timescaledb, "timescale")


@pytest.mark.parametrize("postgresql", ["15.0", "18beta1", "18.6 (Homebrew)"])
def test_a_new_server_is_not_too_old(postgresql: str) -> None:
    assert server_of(postgresql, "2.18.0", "apache").edition is Edition.APACHE
