import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conductor_actors.dashboard.access.auth import Authenticator, Caller, Denied, is_session_id
from conductor_actors.dashboard.options import Options
from conductor_actors.errors import ConfigError
from tests.dashboard.clients import SECRET, token

ED25519 = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def rsa() -> RSAPrivateKey:
    return generate_rsa(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def authenticator(*, is_loopback: bool = True, **options: Any) -> Authenticator:
    return Authenticator(Options(**{"jwt_secret": SECRET, **options}), is_loopback=is_loopback)


def forged_token(header: dict[str, Any], claims: dict[str, Any], key: bytes | None) -> str:
    """Return a token that no library creates."""
    parts = [_part(json.dumps(each).encode()) for each in (header, claims)]
    signed = ".".join(parts)
    signature = b"" if key is None else hmac.digest(key, signed.encode(), hashlib.sha256)
    return f"{signed}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more: Any) -> dict[str, Any]:
    return {"tenant": "acme", "exp": int(time.time()) + 60, **more}


def test_the_caller_has_the_tenant_and_the_sessions_of_its_token() -> None:
    caller = authenticator().authenticate(token("acme", claims={"sessions": ["a", "b"]}))
    assert (caller.tenant, caller.sessions) == ("acme", frozenset({"a", "b"}))
    assert caller.can_see("a", None)
    assert not caller.can_see("c", None)


def test_a_token_without_sessions_gives_access_to_all_of_its_tenant() -> None:
    assert authenticator().authenticate(token("acme")).can_see("any", None)


def test_a_token_with_an_empty_list_of_sessions_gives_access_to_none() -> None:
    empty: list[dict[str, Any]] = [{"sessions": []}, {"events": []}, {"sessions": [], "events": []}]
    for given in empty:
        caller = authenticator().authenticate(token("acme", claims=given))
        assert not caller.can_see("any", "any")
        assert not caller.can_see_event("any")
        assert not caller.sees_all


def test_a_token_for_events_gives_access_to_their_sessions_and_to_those_that_are_named() -> None:
    given = {"sessions": ["a"], "events": ["expo"]}
    caller = authenticator().authenticate(token("acme", claims=given))
    for session_id, event_id, can_see in (
        *(("a", None, True), ("a", "fair", True), ("b", "expo", True)),
        *(("b", "fair", False), ("b", None, False), ("expo", None, False)),
    ):
        assert caller.can_see(session_id, event_id) is can_see
    assert caller.can_see_event("expo")
    assert not caller.can_see_event("a")


@pytest.mark.parametrize("value", [None, False, "true", 1, [True]])
def test_a_token_may_name_sessions_only_if_its_claim_admin_is_true(value: Any) -> None:
    assert not authenticator().authenticate(token(claims={"admin": value})).can_administer
    assert authenticator().authenticate(token(claims={"admin": True})).can_administer
    assert authenticator(jwt_secret=None).authenticate(None).can_administer
    anywhere = authenticator(jwt_secret=None, is_loopback=False, allow_anonymous=True)
    assert not anywhere.authenticate(None).can_administer


def test_each_kind_of_key_verifies_its_own_algorithm(rsa: RSAPrivateKey, tmp_path: Path) -> None:
    for private, algorithm in ((rsa, "RS256"), (ED25519, "EdDSA")):
        shown = token("acme", key=private, algorithm=algorithm)
        file = tmp_path / algorithm
        file.write_text(pem(private))
        for given in (pem(private), str(file)):
            strict = authenticator(jwt_secret=None, jwt_public_key=given)
            assert strict.authenticate(shown).tenant == "acme"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(rsa: RSAPrivateKey) -> None:
    public = pem(rsa)
    strict = authenticator(jwt_secret=None, jwt_public_key=public)
    forged = forged_token({"alg": "HS256", "typ": "JWT"}, claims(), public.encode())
    with pytest.raises(Denied) as denied:
        strict.authenticate(forged)
    assert denied.value.code == "token_invalid"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "NONE"},
        {},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "HS256", "crit": ["b64"], "b64": False},
    ],
)
@pytest.mark.parametrize("key", [None, b"", SECRET.encode()])
def test_a_token_can_not_choose_its_algorithm(header: dict[str, Any], key: bytes | None) -> None:
    with pytest.raises(Denied) as denied:
        authenticator().authenticate(forged_token(header, claims(), key))
    assert (denied.value.status, denied.value.code) == (401, "token_invalid")


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": None},
        {"tenant": ""},
        {"tenant": "Acme"},
        {"tenant": "acme\n"},
        {"tenant": "acme:globex"},
        {"tenant": "*"},
        {"tenant": ["acme"]},
        {"tenant": "a" * 64},
        {"sessions": "a"},
        {"sessions": [1]},
        {"sessions": {"a": 1}},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": -1},
        {"nbf": time.time() + 3600},
        {"nbf": "soon"},
    ],
)
def test_a_signed_token_with_an_invalid_claim_is_refused(
    changed: dict[str, Any],
) -> None:
    with pytest.raises(Denied) as denied:
        authenticator().authenticate(
            forged_token({"alg": "HS256"}, claims(**changed), SECRET.encode())
        )
    assert denied.value.status == 401


@pytest.mark.parametrize(
    "unused",
    [
        {"sub": 4711},
        {"jti": 1},
        {"jti": ["a"]},
        {"iat": time.time() + 30},
        {"iat": "yesterday"},
        {"aud": "another service"},
        {"aud": ["one", "two"]},
        {"iss": ["a", "b"]},
        {"nbf": time.time() + 3},
        {"scope": {"anything": None}},
    ],
)
def test_claims_that_are_not_used_do_not_refuse_a_token(unused: dict[str, Any]) -> None:
    shown = forged_token({"alg": "HS256"}, claims(**unused), SECRET.encode())
    assert authenticator().authenticate(shown).tenant == "acme"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": "soon"}, "got `str` - at `$.exp`"),
        ({"exp": None}, "got `null` - at `$.exp`"),
        ({"sessions": [1]}, "got `int` - at `$.sessions["),
        ({"events": "expo"}, "got `str` - at `$.events`"),
        ({"events": [None]}, "got `null` - at `$.events["),
        ({"tenant": "Acme"}, "claim tenant does not match"),
        ({"tenant": 7}, "claim tenant does not match"),
        ({"nbf": time.time() + 3600}, "not valid yet (claim nbf)"),
        ({"exp": time.time() - 3600}, "the token has expired"),
        ({"aud": "other"}, "claim aud does not name CONDUCTOR_JWT_AUDIENCE"),
    ],
)
def test_a_refusal_names_the_claim_at_fault(changed: dict[str, Any], reason: str) -> None:
    given = {"aud": "engagement", **claims(**changed)}
    shown = forged_token({"alg": "HS256"}, given, SECRET.encode())
    with pytest.raises(Denied, match=re.escape(reason)):
        authenticator(jwt_audience="engagement").authenticate(shown)


def test_a_refusal_says_what_is_wrong_with_the_signature() -> None:
    for shown, reason in (
        (token(key="another secret of 32 bytes or more"), "its signature does not match the key"),
        (token(key=ED25519, algorithm="EdDSA"), "it is not signed with HS256"),
        ("a.b.c", "it is not a signed JWT"),
        (f"{_part(b'[' * 3000)}.{_part(b'{}')}.{_part(b'')}", "it is not a signed JWT"),
        ("x" * 5000, "longer than 4096 characters"),
    ):
        with pytest.raises(Denied, match=re.escape(reason)):
            authenticator().authenticate(shown)


@pytest.mark.parametrize("name", ["org_id", "https://example.com/tenant", "sub"])
def test_the_claim_with_the_tenant_can_have_the_issuers_name(name: str) -> None:
    issued = authenticator(jwt_tenant_claim=name)
    assert issued.authenticate(token("globex", claims={name: "acme"})).tenant == "acme"
    with pytest.raises(Denied, match=f"claim {name} does not match"):
        issued.authenticate(token("acme"))


@pytest.mark.parametrize("missing", ["tenant", "exp"])
def test_a_token_must_have_a_tenant_and_an_expiry(missing: str) -> None:
    given = claims()
    del given[missing]
    with pytest.raises(Denied):
        authenticator().authenticate(forged_token({"alg": "HS256"}, given, SECRET.encode()))


@pytest.mark.parametrize("shown", [None, "", " ", ".", "..", "a.b.c", "x" * 100_000, "ä.ö.ü", "\0"])
def test_text_that_is_not_a_token_is_refused(shown: str | None) -> None:
    with pytest.raises(Denied) as denied:
        authenticator().authenticate(shown)
    assert denied.value.status == 401


def test_an_altered_token_is_refused() -> None:
    head, _, signature = token("acme").split(".")
    other = _part(json.dumps(claims(tenant="globex")).encode())
    with pytest.raises(Denied):
        authenticator().authenticate(f"{head}.{other}.{signature}")


def test_a_token_is_accepted_for_five_seconds_after_its_expiry() -> None:
    assert authenticator().authenticate(token(expires_in_s=-3)).tenant == "acme"
    with pytest.raises(Denied) as denied:
        authenticator().authenticate(token(expires_in_s=-6))
    assert denied.value.code == "token_expired"
    caller = Caller("acme", None, 1000.0)
    assert not caller.is_expired(1004.9)
    assert caller.is_expired(1005.1)


def test_a_token_must_have_the_configured_audience() -> None:
    strict = authenticator(jwt_audience="engagement")
    assert strict.authenticate(token(claims={"aud": ["engagement", "other"]})).tenant == "acme"
    for wrong in ({}, {"aud": "other"}):
        with pytest.raises(Denied):
            strict.authenticate(token(claims=wrong))


def test_no_error_message_quotes_the_token() -> None:
    for shown in (token(key="another secret of 32 bytes or more"), token(expires_in_s=-60)):
        with pytest.raises(Denied) as denied:
            authenticator().authenticate(shown)
        assert not any(part in str(denied.value) for part in shown.split("."))


def test_the_repr_of_options_does_not_contain_the_secret() -> None:
    assert SECRET not in repr(Options(jwt_secret=SECRET))


def test_a_token_of_another_tenant_is_refused() -> None:
    assert authenticator().authenticate(token("acme"), "acme").tenant == "acme"
    with pytest.raises(Denied) as denied:
        authenticator().authenticate(token("acme"), "globex")
    assert denied.value.status == 403


def test_without_a_key_loopback_has_access_to_every_tenant_and_others_to_default() -> None:
    here = authenticator(jwt_secret=None)
    assert here.authenticate(None).tenant == "default"
    assert here.authenticate(None, "acme").tenant == "acme"
    with pytest.raises(Denied):
        here.authenticate(None, "no tenant")
    anywhere = authenticator(jwt_secret=None, is_loopback=False, allow_anonymous=True)
    assert anywhere.authenticate(None).tenant == "default"
    with pytest.raises(Denied):
        anywhere.authenticate(None, "acme")


def test_a_host_other_than_loopback_needs_a_key_or_the_permission_of_the_operator() -> None:
    with pytest.raises(ConfigError, match="CONDUCTOR_ALLOW_ANONYMOUS=true"):
        authenticator(jwt_secret=None, is_loopback=False)
    assert authenticator(is_loopback=False).needs_token


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        ({"jwt_secret": "short"}, "CONDUCTOR_JWT_SECRET"),
        ({"jwt_public_key": pem(ED25519)}, "CONDUCTOR_JWT_SECRET"),
        ({"jwt_secret": None, "jwt_public_key": "/no/such/file"}, "CONDUCTOR_JWT_PUBLIC_KEY"),
        (
            {"jwt_secret": None, "jwt_public_key": "-----BEGIN PUBLIC KEY-----\nsecret\n"},
            "CONDUCTOR_JWT_PUBLIC_KEY",
        ),
        (
            {"jwt_secret": None, "jwt_public_key": pem(generate_ec(SECP256R1()))},
            "CONDUCTOR_JWT_PUBLIC_KEY",
        ),
        (
            {"jwt_secret": None, "jwt_public_key": pem(generate_rsa(65537, 1024))},
            "CONDUCTOR_JWT_PUBLIC_KEY",
        ),
    ],
)
def test_a_weak_or_invalid_key_is_refused_in_one_line(
    options: dict[str, Any], variable: str
) -> None:
    with pytest.raises(ConfigError, match=variable) as refused:
        authenticator(**options)
    assert "secret\n" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("good", ["a", "x" * 255, "a/b", "../..", "Räume 1", "😀"])
def test_a_session_id_is_any_text_of_1_to_255_characters(good: str) -> None:
    assert is_session_id(good)


@pytest.mark.parametrize("bad", ["", "x" * 256, "a\0", "\ud800", 1, None, b"a"])
def test_text_that_the_database_can_not_store_is_not_a_session_id(bad: object) -> None:
    assert not is_session_id(bad)
