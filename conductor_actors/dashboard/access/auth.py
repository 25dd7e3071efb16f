"""Authentication by JWT, and the tenant and sessions that a caller can see.

The kind of the key determines the one algorithm that is accepted; the header of a token determines
nothing. Tokens and keys are never logged, and no message quotes them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from conductor_actors.dashboard.options import Options
from conductor_actors.domain.identity import DEFAULT_TENANT, TENANT
from conductor_actors.errors import ConfigError

CONDUCT_CLAIM: Final = "conduct"  # true: its bearer may give commands
ADMIN_CLAIM: Final = "admin"  # true: its bearer may name sessions and events
LEEWAY_S: Final = 5.0  # the difference between two machines' clocks
MAX_TOKEN_CHARS: Final = 4096
MIN_SECRET_BYTES: Final = 32  # of HS256: as long as its hash (RFC 7518, 3.2)
MIN_RSA_BITS: Final = 2048


class Denied(Exception):  # noqa: N818 - a response, not a fault
    """A refused request: an HTTP status, a code for programs, and a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Caller:
    """Who sends a request: can see one tenant, all of its sessions or some.

    With `sessions` or `events` these are the sessions that are named, and those of the events. Who
    `can_conduct` may give commands to them, who `can_administer` may change what they are called.
    """

    tenant: str
    sessions: frozenset[str] | None = None
    expires_at_s: float | None = None
    can_conduct: bool = False
    subject: str | None = None
    events: frozenset[str] | None = None
    can_administer: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether the caller can see every session of its tenant."""
        return self.sessions is None and self.events is None

    def can_see(self, session_id: str, event_id: str | None) -> bool:
        """Check whether the caller can see this session of its tenant, which is of this event.

        Without an event, check whether it can see it whatever its event is.
        """
        is_named = session_id in (self.sessions or ())
        return self.sees_all or is_named or event_id in (self.events or ())

    def can_see_event(self, event_id: str) -> bool:
        """Check whether the caller can see every session of an event."""
        return self.sees_all or event_id in (self.events or ())

    def is_expired(self, now_s: float) -> bool:
        """Check whether the caller's token has expired."""
        return self.expires_at_s is not None and now_s > self.expires_at_s + LEEWAY_S


class _Claims(msgspec.Struct):
    """The claims that are used, except the tenant's, whose name is a setting."""

    exp: int | float
    nbf: int | float = 0
    aud: str | Sequence[str] | None = None
    sessions: Sequence[str] | None = None
    events: Sequence[str] | None = None

    def audiences(self) -> Sequence[str]:
        """Return the audiences of the token."""
        return (self.aud,) if isinstance(self.aud, str) else self.aud or ()


class _Key(NamedTuple):
    """A key and its algorithm."""

    material: str | RSAPublicKey | Ed25519PublicKey
    algorithm: str


class Authenticator:
    """Authenticates callers by their tokens. Raises `ConfigError` for a weak or invalid key.

    Without a key everybody is accepted: only on loopback, unless the operator allows more.
    """

    def __init__(self, options: Options, *, is_loopback: bool) -> None:
        self._key = _key_of(options)
        self._audience = options.jwt_audience
        self._tenant_claim = options.jwt_tenant_claim
        self._is_loopback = is_loopback
        if self._key is None and not is_loopback and not options.allow_anonymous:
            raise ConfigError(
                f"CONDUCTOR_HTTP_HOST={options.host}: others can reach it, so it needs a key: set "
                "CONDUCTOR_JWT_SECRET or CONDUCTOR_JWT_PUBLIC_KEY, or let everybody see the tenant "
                "'default' with CONDUCTOR_ALLOW_ANONYMOUS=true"
            )

    @property
    def needs_token(self) -> bool:
        """Whether a token is required."""
        return self._key is not None

    def authenticate(self, token: str | None, tenant: str | None = None) -> Caller:
        """Return the caller that a token names; raise `Denied` if the token is not accepted.

        `tenant` is the requested one. It must be the token's; without a key it can be any tenant
        on loopback, and only `default` elsewhere.
        """
        caller = self._anonymous(tenant) if self._key is None else self._verified(token, self._key)
        if tenant is not None and tenant != caller.tenant:
            raise Denied(403, "other_tenant", "the tenant asked for is not yours")
        return caller

    def _anonymous(self, tenant: str | None) -> Caller:
        if tenant is None or not self._is_loopback:
            near = self._is_loopback
            return Caller(DEFAULT_TENANT, can_conduct=near, can_administer=near)
        if TENANT.fullmatch(tenant) is None:
            raise Denied(400, "invalid_tenant", f"a tenant matches {TENANT.pattern}")
        return Caller(tenant, can_conduct=True, can_administer=True)

    def _verified(self, token: str | None, key: _Key) -> Caller:
        if not token:
            raise Denied(401, "token_missing", "a token is needed")
        if len(token) > MAX_TOKEN_CHARS:
            raise _refused(f"it is longer than {MAX_TOKEN_CHARS} characters")
        try:
            payload = jwt.PyJWS().decode(token, key.material, algorithms=[key.algorithm])
            claims = msgspec.json.decode(payload, type=dict[str, Any])
        except jwt.InvalidSignatureError:
            raise _refused("its signature does not match the key") from None
        except jwt.InvalidAlgorithmError:
            raise _refused(f"it is not signed with {key.algorithm}") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _refused("it is not a signed JWT") from None
        return self._caller(claims)

    def _caller(self, payload: Mapping[str, Any]) -> Caller:
        """Return the caller that these claims name. All other claims are ignored."""
        try:
            claims = msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as error:  # names the claim, and quotes no value
            raise _refused(str(error)) from None
        tenant, now_s = payload.get(self._tenant_claim), time.time()
        if not isinstance(tenant, str) or TENANT.fullmatch(tenant) is None:
            raise _refused(f"its claim {self._tenant_claim} does not match {TENANT.pattern}")
        if claims.nbf > now_s + LEEWAY_S:
            raise _refused("it is not valid yet (claim nbf)")
        if self._audience is not None and self._audience not in claims.audiences():
            raise _refused("its claim aud does not name CONDUCTOR_JWT_AUDIENCE")
        subject = payload.get("sub")
        caller = Caller(
            tenant,
            None if claims.sessions is None else frozenset(claims.sessions),
            claims.exp,
            payload.get(CONDUCT_CLAIM) is True,  # whatever else it means elsewhere
            subject if is_session_id(subject) else None,  # else the database can't store it
            None if claims.events is None else frozenset(claims.events),
            payload.get(ADMIN_CLAIM) is True,
        )
        if caller.is_expired(now_s):
            raise Denied(401, "token_expired", "the token has expired")
        return caller


def _refused(reason: str) -> Denied:
    return Denied(401, "token_invalid", f"the token is not accepted: {reason}")


def bearer_token(header: str | None) -> str | None:
    """Return the token of an `Authorization` header."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def is_session_id(value: object) -> bool:
    """Check whether a value can be the id of a session or event: text that can be stored."""
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or "\0" in value:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _key_of(options: Options) -> _Key | None:
    secret, public_key = options.jwt_secret, options.jwt_public_key
    if secret is not None and public_key is not None:
        raise ConfigError("CONDUCTOR_JWT_SECRET, CONDUCTOR_JWT_PUBLIC_KEY: set one of the two")
    if secret is not None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"CONDUCTOR_JWT_SECRET: needs {MIN_SECRET_BYTES} bytes or more, "
                "e.g. CONDUCTOR_JWT_SECRET=$(openssl rand -hex 32)"
            )
        return _Key(secret, "HS256")
    return None if public_key is None else _public_key(public_key)


def _public_key(text: str) -> _Key:
    try:
        pem = text.encode() if "-----BEGIN" in text else Path(text).read_bytes()
        key = load_pem_public_key(pem)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        # The error's text could quote the setting, which may be a private key.
        reason = error.strerror if isinstance(error, OSError) else "no public key"
        raise ConfigError(
            f"CONDUCTOR_JWT_PUBLIC_KEY: {reason}; give a public key in PEM, or the path of a file "
            "with one, e.g. CONDUCTOR_JWT_PUBLIC_KEY=/etc/conductor/jwt.pem"
        ) from None
    match key:
        case Ed25519PublicKey():
            return _Key(key, "EdDSA")
        case RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            return _Key(key, "RS256")
    raise ConfigError(
        f"CONDUCTOR_JWT_PUBLIC_KEY: must be RSA with {MIN_RSA_BITS} bits or more, or Ed25519"
    )
