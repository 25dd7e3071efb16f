import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from conductor_actors import settings
from conductor_actors.domain.quotas import Limits
from conductor_actors.domain.scoring import Scoring
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings
from tests.deploy import settings_page

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def test_without_any_variable_the_contracts_defaults_hold() -> None:
    loaded = settings.load()
    assert (loaded.transport, loaded.tenants, loaded.start) == ("both", (), "window")
    assert (loaded.tick_s, loaded.window_s, loaded.session_timeout_s) == (5, 60, 1800)
    assert loaded.max_event_bytes == 65536
    assert loaded.scoring() == Scoring()


def test_settings_can_not_be_changed_once_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings.load().tick_s = 1


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CONDUCTOR_TICK_S=1\nCONDUCTOR_WINDOW_S=10\nOTHER=1\n")
    monkeypatch.setenv("CONDUCTOR_TICK_S", "2")
    loaded = settings.load()
    assert (loaded.tick_s, loaded.window_s) == (2, 10)


def test_the_state_folder_may_be_below_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_STATE_DIR", "~/state")
    assert settings.load().state_dir == Path.home() / "state"


def test_tenants_are_separated_by_commas_and_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_TENANTS", "acme,globex,acme")
    assert settings.load().tenants == ("acme", "globex")


@pytest.mark.parametrize("tenants", ["acme,globex", "*"])
def test_limits_hold_where_tenants_are_named(monkeypatch: pytest.MonkeyPatch, tenants: str) -> None:
    assert settings.load().intake_rules().limits == Limits()
    assert settings.load().session_rules().max_users == 0
    monkeypatch.setenv("CONDUCTOR_TENANTS", tenants)
    assert settings.load().intake_rules().limits == Limits(3000, 10, 1000, 1000)
    assert settings.load().session_rules().max_users == 20_000


@pytest.mark.parametrize("tenants", ["", "acme,globex"])
def test_limits_that_are_asked_for_always_hold(
    monkeypatch: pytest.MonkeyPatch, tenants: str
) -> None:
    monkeypatch.setenv("CONDUCTOR_TENANTS", tenants)
    monkeypatch.setenv("CONDUCTOR_TENANT_EVENTS_PER_S", "7")
    monkeypatch.setenv("CONDUCTOR_TENANT_SESSIONS", "0")
    limits = settings.load().intake_rules().limits
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
        ("CONDUCTOR_WEIGHT_CHAT", "nan"),
        ("CONDUCTOR_WEIGHT_POLL", "2"),
        ("CONDUCTOR_MAX_CHAT_PER_MIN", "0"),
        ("CONDUCTOR_LOG_LEVEL", "loud"),
        ("CONDUCTOR_MAX_EVENT_BYTES", "64k"),
        ("CONDUCTOR_TENANT_EVENTS_PER_S", "-1"),
        ("CONDUCTOR_TENANT_EVENTS_PER_S", "inf"),
        ("CONDUCTOR_TENANT_BURST_S", "0"),
        ("CONDUCTOR_TENANT_SESSIONS", "many"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_variable_and_example(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        settings.load()
    line = str(caught.value)
    assert line.startswith(variable)
    assert f"e.g. {variable}=" in line
    assert "\n" not in line


def test_the_settings_page_describes_every_variable_as_the_code_does() -> None:
    path = settings_page.FILE
    assert path.read_text() == settings_page.page(), "run: python -m tests.deploy.settings_page"


def test_every_setting_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "conductor_actors").rglob("*.py")
    )
    assert [name for name in Settings.model_fields if f".{name}" not in source] == []


def test_a_wrong_setting_ends_the_start_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conductor_actors"],
        env={"CONDUCTOR_TICK_S": "7", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "CONDUCTOR_TICK_S='7'" in done.stderr
