"""Sign tokens that give access to a tenant, or to some of its sessions and events."""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import jwt
import msgspec

from conductor_actors.dashboard.access.auth import (
    ADMIN_CLAIM,
    CONDUCT_CLAIM,
    MAX_TOKEN_CHARS,
    Authenticator,
    is_session_id,
)
from conductor_actors.dashboard.options import Options
from conductor_actors.domain.identity import TENANT
from conductor_actors.errors import ConfigError

MAX_EXPIRES_S: Final = 366 * 86_400

_DURATION: Final = re.compile(r"([1-9][0-9]{0,7})([smhd])", re.ASCII)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Grant(NamedTuple):
    """What a token is for: without sessions and events, everything of the tenant."""

    tenant: str
    sessions: Sequence[str] = ()
    events: Sequence[str] = ()
    can_conduct: bool = False
    can_administer: bool = False


def parse_expiry(text: str) -> int:
    """Return the seconds of a duration such as 2h; raise `ConfigError` if it is none."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < seconds <= MAX_EXPIRES_S:
        raise ConfigError(
            "--expires: must be a duration of 366 days at most, e.g. 90s, 30m, 2h, 7d"
        )
    return seconds


def sign_token(options: Options, grant: Grant, expires_at_s: int) -> str:
    """Return a token that a dashboard with these options accepts until it expires.

    Raise `ConfigError` if the options have no key that can sign, or nobody can be granted this.
    """
    if options.jwt_secret is None:
        raise ConfigError(_no_key(options))
    Authenticator(options, is_loopback=True)  # raises for a key that is too short
    _check(grant)
    claims = _claims(options, grant) | {"exp": expires_at_s}
    payload = msgspec.json.encode(claims)  # shorter than PyJWT's, which escapes what is not ASCII
    token = jwt.PyJWS().encode(payload, options.jwt_secret, algorithm="HS256")
    if len(token) > MAX_TOKEN_CHARS:
        raise ConfigError(
            f"--session, --event: a token has {MAX_TOKEN_CHARS} characters at most; name fewer"
        )
    return token


def _claims(options: Options, grant: Grant) -> dict[str, Any]:
    optional = {
        "sessions": list(grant.sessions),
        "events": list(grant.events),
        CONDUCT_CLAIM: grant.can_conduct,
        ADMIN_CLAIM: grant.can_administer,
        "aud": options.jwt_audience,
    }
    given = {name: value for name, value in optional.items() if value}
    return given | {options.jwt_tenant_claim: grant.tenant}


def _check(grant: Grant) -> None:
    if TENANT.fullmatch(grant.tenant) is None:
        raise ConfigError(f"--tenant: must match {TENANT.pattern}, e.g. --tenant acme")
    for option, ids in (("--session", grant.sessions), ("--event", grant.events)):
        if not all(map(is_session_id, ids)):
            raise ConfigError(f"{option}: an id is text of 1 to 255 characters")


def _no_key(options: Options) -> str:
    if options.jwt_public_key is not None:
        return (
            "CONDUCTOR_JWT_PUBLIC_KEY verifies tokens and can't sign them: sign them where the "
            "private key is, or use CONDUCTOR_JWT_SECRET instead"
        )
    return (
        "CONDUCTOR_JWT_SECRET: not set, so there is no key to sign with; without one the dashboard "
        "needs no token, e.g. CONDUCTOR_JWT_SECRET=$(openssl rand -hex 32)"
    )
