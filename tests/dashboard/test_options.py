from pathlib import Path

import pytest

from conductor_actors.dashboard.options import Options
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings, variable_of
from conductor_actors.settings.loading import load_settings
from tests.dashboard.clients import SECRET


@pytest.fixture(autouse=True)
def _unset_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_of(name), raising=False)


def test_settings_and_options_have_the_same_defaults() -> None:
    options = load_settings().dashboard()
    assert options == Options(metrics_port=9464)
    assert (options.host, options.port) == ("127.0.0.1", 3002)


def test_every_variable_sets_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CONDUCTOR_HTTP_HOST": "::",
        "CONDUCTOR_HTTP_PORT": "1",
        "CONDUCTOR_JWT_SECRET": SECRET,
        "CONDUCTOR_JWT_PUBLIC_KEY": "key.pem",
        "CONDUCTOR_JWT_AUDIENCE": "us",
        "CONDUCTOR_JWT_TENANT_CLAIM": "org_id",
        "CONDUCTOR_ALLOW_ANONYMOUS": "true",
        "CONDUCTOR_ALLOWED_ORIGINS": "https://a.example, https://b.example,",
        "CONDUCTOR_TRUSTED_PROXIES": "10.0.0.0/8,::1",
        "CONDUCTOR_HTTP_BASE_PATH": "/engagement",
        "CONDUCTOR_METRICS_HOST": "::1",
        "CONDUCTOR_METRICS_PORT": "0",
        "CONDUCTOR_MAX_CLIENTS_PER_ADDRESS": "2",
        "CONDUCTOR_MAX_CLIENTS_PER_TENANT": "3",
        "CONDUCTOR_TICK_S": "1",
        "CONDUCTOR_WEIGHT_CHAT": "0.5",
    }.items():
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    assert loaded.dashboard() == Options(
        host="::",
        port=1,
        jwt_secret=SECRET,
        jwt_public_key="key.pem",
        jwt_audience="us",
        jwt_tenant_claim="org_id",
        allow_anonymous=True,
        allowed_origins=("https://a.example", "https://b.example"),
        trusted_proxies=("10.0.0.0/8", "::1"),
        base_path="/engagement",
        metrics_host="::1",
        metrics_port=None,
        clients_per_address=2,
        clients_per_tenant=3,
        tick_s=1,
        scoring=loaded.scoring(),
    )
    assert SECRET not in repr(loaded)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONDUCTOR_HTTP_PORT", "65536"),
        ("CONDUCTOR_METRICS_PORT", "-1"),
        ("CONDUCTOR_ALLOW_ANONYMOUS", "perhaps"),
        ("CONDUCTOR_MAX_CLIENTS_PER_ADDRESS", "0"),
        ("CONDUCTOR_MAX_CLIENTS_PER_TENANT", "many"),
    ],
)
def test_an_invalid_value_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=rf"^{variable}=.*e\.g\. {variable}="):
        load_settings()
