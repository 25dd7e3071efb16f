import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import ValidationError

from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.domain.quotas import Limits
from conductor_actors.domain.scoring import Scoring
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings, texts, variable_of
from conductor_actors.settings.loading import UnknownVariable, load_settings, unknown_variables
from conductor_actors.settings.state_dir import default_state_dir
from tests.deploy import settings_page

ROOT = Path(__file__).parent.parent
FLOATS = [name for name, field in Settings.model_fields.items() if "float" in str(field.annotation)]

NUMBERS = [
    name
    for name, field in Settings.model_fields.items()
    if any(kind in str(field.annotation) for kind in ("float", "int"))
]


@pytest.fixture(autouse=True)
def _no_variable_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_of(name), raising=False)
    for name in filter(re.compile("CONDUCTOR_", re.IGNORECASE).match, list(os.environ)):
        monkeypatch.delenv(name)


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert (settings.transport, settings.tenants, settings.start) == ("both", (), "window")
    assert (settings.tick_s, settings.window_s, settings.session_timeout_s) == (5, 60, 1800)
    assert settings.max_event_bytes == 65536
    assert settings.scoring() == Scoring()


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().tick_s = 1


def test_every_variable_but_the_two_urls_has_the_prefix() -> None:
    variables = {variable_of(name) for name in Settings.model_fields}
    assert {each for each in variables if not each.startswith("CONDUCTOR_")} == {
        "REDIS_URL",
        "DATABASE_URL",
    }


def test_urls_are_read_from_the_variables_without_the_prefix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://one")
    monkeypatch.setenv("DATABASE_URL", "postgresql://one")
    monkeypatch.setenv("CONDUCTOR_REDIS_URL", "redis://other")
    settings = load_settings()
    assert (settings.redis_url, settings.database_url) == ("redis://one", "postgresql://one")


def test_the_environment_takes_precedence_over_a_dotenv_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("CONDUCTOR_TICK_S=1\nCONDUCTOR_WINDOW_S=10\nOTHER=1\n")
    monkeypatch.setenv("CONDUCTOR_TICK_S", "2")
    settings = load_settings()
    assert (settings.tick_s, settings.window_s) == (2, 10)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_TICK_S", "")
    monkeypatch.setenv("REDIS_URL", "")
    settings = load_settings()
    assert (settings.tick_s, settings.redis_url) == (5, None)


def test_the_state_directory_may_be_below_the_home_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONDUCTOR_STATE_DIR", "~/state")
    assert load_settings().state_dir == Path.home() / "state"


def test_tenants_are_separated_by_commas_and_each_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONDUCTOR_TENANTS", " acme, globex,,acme")
    assert load_settings().tenants == ("acme", "globex")


@pytest.mark.parametrize("tenants", ["acme,globex", "*"])
def test_the_default_limits_depend_on_whether_there_are_tenants(
    monkeypatch: pytest.MonkeyPatch, tenants: str
) -> None:
    assert load_settings().intake_rules().limits == Limits()
    assert load_settings().session_rules().max_users == 0
    monkeypatch.setenv("CONDUCTOR_TENANTS", tenants)
    assert load_settings().intake_rules().limits == Limits(3000, 10, 1000, 1000)
    assert load_settings().session_rules().max_users == 20_000


@pytest.mark.parametrize("tenants", ["", "acme,globex"])
def test_a_limit_that_is_set_replaces_the_default_with_and_without_tenants(
    monkeypatch: pytest.MonkeyPatch, tenants: str
) -> None:
    monkeypatch.setenv("CONDUCTOR_TENANTS", tenants)
    monkeypatch.setenv("CONDUCTOR_TENANT_EVENTS_PER_S", "7")
    monkeypatch.setenv("CONDUCTOR_TENANT_SESSIONS", "0")
    limits = load_settings().intake_rules().limits
    assert (limits.tenant_events_per_s, limits.tenant_sessions) == (7, 0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONDUCTOR_TRANSPORT", "carrier pigeon"),
        ("CONDUCTOR_TENANTS", "acme,Globex"),
        ("CONDUCTOR_TENANTS", "default"),
        ("CONDUCTOR_TICK_S", "7"),
        ("CONDUCTOR_TICK_S", "0"),
        ("CONDUCTOR_TICK_S", "2.5"),
        ("CONDUCTOR_WINDOW_S", "-60"),
        ("CONDUCTOR_SESSION_TIMEOUT_S", "10"),
        ("CONDUCTOR_START", "yesterday"),
        ("CONDUCTOR_SHARDS", "65"),
        ("CONDUCTOR_PARTITIONS", "4097"),
        ("CONDUCTOR_HOST_CPU", "0"),
        ("CONDUCTOR_WEIGHT_CHAT", "nan"),
        ("CONDUCTOR_WEIGHT_POLL", "2"),
        ("CONDUCTOR_MAX_CHAT_PER_MIN", "0"),
        ("CONDUCTOR_HTTP_PORT", "65536"),
        ("CONDUCTOR_ALLOW_ANONYMOUS", "perhaps"),
        ("CONDUCTOR_LOG_LEVEL", "loud"),
        ("CONDUCTOR_MAX_EVENT_BYTES", "64k"),
        ("CONDUCTOR_TENANT_EVENTS_PER_S", "-1"),
        ("CONDUCTOR_TENANT_BURST_S", "0"),
        ("CONDUCTOR_TENANT_SESSIONS", "many"),
        *((variable_of(name), "inf") for name in FLOATS),
    ],
)
def test_an_invalid_value_is_reported_in_one_line_with_its_variable_and_an_example(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    line = str(caught.value)
    assert line.startswith(variable)
    assert f"e.g. {variable}=" in line
    assert "\n" not in line
    monkeypatch.setenv(variable, line.rpartition("=")[2])
    load_settings()  # the example is valid


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_largest_value_that_the_service_can_use(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("1" + "0" * 30, "1e300"):
        monkeypatch.setenv(variable_of(name), value)
        with pytest.raises(ConfigError, match=rf"^{variable_of(name)}="):
            load_settings()
    [largest] = [each.le for each in Settings.model_fields[name].metadata if hasattr(each, "le")]
    if name == "window_s":
        monkeypatch.setenv("CONDUCTOR_SESSION_TIMEOUT_S", "3600")
    monkeypatch.setenv(variable_of(name), f"{largest}")
    settings = load_settings()
    settings.intake_rules()
    settings.session_rules()
    datetime.now(UTC) - timedelta(days=settings.retention_days)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"CONDUCTOR_TICK_S=\xff1\n", ".env: byte 18 is not UTF-8"),
        ("CONDUCTOR_TICK_S=1\n".encode("utf-16"), ".env: byte 1 is not UTF-8"),
        (None, ".env: Permission denied; make it readable"),
    ],
)
def test_a_dotenv_file_that_can_not_be_read_is_named_in_one_line(
    content: bytes | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_bytes(content or b"")
    if content is None:  # a test that runs as root may read every file
        denied = PermissionError(13, "Permission denied")
        monkeypatch.setattr("builtins.open", Mock(side_effect=denied))
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_a_directory_named_dotenv_is_ignored() -> None:
    Path(".env").mkdir()
    assert load_settings().tick_s == 5
    assert unknown_variables() == []


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CONDUCTOR_HTP_PORT", "CONDUCTOR_HTTP_PORT"),
        ("CONDUCTOR_RETENTION", "CONDUCTOR_RETENTION_DAYS"),
        ("CONDUCTOR_TENANT", "CONDUCTOR_TENANTS"),
        ("conductor_jwt_secrt", "CONDUCTOR_JWT_SECRET"),
        ("CONDUCTOR_REDIS_URL", "REDIS_URL"),
        ("CONDUCTOR_XYZZY", None),
    ],
)
def test_a_misspelt_variable_is_found_with_the_nearest_name(
    variable: str, nearest: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    found = UnknownVariable(variable.upper(), nearest)
    assert unknown_variables() == [found]
    monkeypatch.delenv(variable)
    Path(".env").write_text(f"# CONDUCTOR_NOTE=1\nexport {variable}=1\nOTHER=1\n")
    assert unknown_variables() == [found]


def test_a_variable_that_is_set_in_any_case_is_not_misspelt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("conductor_tick_s", "1")
    assert load_settings().tick_s == 1
    assert unknown_variables() == []


def test_the_variables_that_kubernetes_sets_for_a_service_are_no_misspelt_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "CONDUCTOR_DASHBOARD_SERVICE_HOST": "10.0.0.1",
        "CONDUCTOR_DASHBOARD_SERVICE_PORT": "80",
        "CONDUCTOR_DASHBOARD_SERVICE_PORT_HTTP": "80",
        "CONDUCTOR_DASHBOARD_PORT": "tcp://10.0.0.1:80",
        "CONDUCTOR_DASHBOARD_PORT_80_TCP": "tcp://10.0.0.1:80",
        "CONDUCTOR_DASHBOARD_PORT_80_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    assert unknown_variables() == []
    monkeypatch.setenv("CONDUCTOR_HTTP_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(ConfigError, match="Kubernetes for a Service: use enableServiceLinks"):
        load_settings()


def test_a_user_without_a_home_directory_needs_a_state_directory_only_for_embedded_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    path = default_state_dir()
    assert path.parts[0] == "~"
    directory = StateDirectory(path)
    with pytest.raises(ConfigError, match=r"no home directory; .*CONDUCTOR_STATE_DIR=/var/lib"):
        directory.acquire()
    monkeypatch.setenv("CONDUCTOR_STATE_DIR", "~/state")
    with pytest.raises(ConfigError, match=r"^CONDUCTOR_STATE_DIR='~/state': .*home directory"):
        load_settings()
    assert not Path("~").exists()


def test_the_settings_page_is_generated_from_the_settings() -> None:
    path = settings_page.FILE
    assert path.read_text() == settings_page.page(), "run: python -m tests.deploy.settings_page"


def test_every_setting_has_a_description_and_fits_a_terminal() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert max(map(len, texts.help_list().splitlines())) < 78  # click indents by 2


def test_every_setting_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "conductor_actors").rglob("*.py")
    )
    assert [name for name in Settings.model_fields if f".{name}" not in source] == []


def test_an_invalid_setting_ends_the_program_with_2_and_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conductor_actors"],
        env={"CONDUCTOR_TICK_S": "7", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "CONDUCTOR_TICK_S='7'" in done.stderr


@pytest.mark.parametrize(
    ("text", "namespace"), [("staging", "staging"), ("staging:", "staging"), ("", "")]
)
def test_a_namespace_may_end_in_its_colon(
    monkeypatch: pytest.MonkeyPatch, text: str, namespace: str
) -> None:
    monkeypatch.setenv("CONDUCTOR_NAMESPACE", text)
    assert load_settings().namespace == namespace


@pytest.mark.parametrize("wrong", ["*", "a b", ":", "a:b", "x" * 64, "é"])
def test_a_namespace_that_is_no_plain_word_is_refused(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("CONDUCTOR_NAMESPACE", wrong)
    with pytest.raises(ConfigError, match="CONDUCTOR_NAMESPACE=staging"):
        load_settings()
