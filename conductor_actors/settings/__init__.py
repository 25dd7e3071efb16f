"""Every setting: its environment variable, type, default and description, written once.

Each module has the settings of one subject. `deploy/SETTINGS.md` is generated from them:
`python -m tests.deploy.settings_page`.
"""

from typing import Final

from pydantic_settings import BaseSettings, SettingsConfigDict

from conductor_actors.dashboard.options import Options
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.quotas import MULTI_TENANT_LIMITS, MULTI_TENANT_MAX_USERS, Limits
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.settings.actors import ActorSettings
from conductor_actors.settings.agent import AgentSettings
from conductor_actors.settings.anomalies import AnomalySettings
from conductor_actors.settings.backends import BackendSettings
from conductor_actors.settings.cluster import ClusterSettings
from conductor_actors.settings.http import HttpSettings
from conductor_actors.settings.limits import LimitSettings
from conductor_actors.settings.logging import LogSettings
from conductor_actors.settings.reading import ReadingSettings
from conductor_actors.settings.scores import ScoreSettings
from conductor_actors.settings.storage import StorageSettings
from conductor_actors.settings.webhooks import WebhookSettings

ENV_PREFIX: Final = "CONDUCTOR_"
ENV_FILE: Final = ".env"


# The page lists the settings in the reverse order of these classes.
class Settings(
    LogSettings,
    HttpSettings,
    LimitSettings,
    ClusterSettings,
    ActorSettings,
    StorageSettings,
    WebhookSettings,
    AgentSettings,
    AnomalySettings,
    ScoreSettings,
    ReadingSettings,
    BackendSettings,
    BaseSettings,
):
    """The settings, from environment variables or a `.env` file.

    A variable is `CONDUCTOR_` and the name of the field, but for the two URLs. `examples` are for
    error messages, where the default is not one.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
    )

    def session_rules(self) -> SessionRules:
        """Return the window, the timeout and the size of a session."""
        max_users = self._limit(self.session_users, MULTI_TENANT_MAX_USERS)
        presence_timeout_s = max(self.session_timeout_s, self.presence_timeout_s)
        return SessionRules(
            self.window_s,
            self.session_timeout_s,
            presence_timeout_s,
            int(max_users),
            self.tick_s,
            self.anomaly_parameters(),
            self.conduct_rules(),
        )

    def dashboard(self) -> Options:
        """Return the dashboard's options."""
        return Options(
            host=self.http_host,
            port=self.http_port,
            jwt_secret=self.jwt_secret.get_secret_value() if self.jwt_secret else None,
            jwt_public_key=self.jwt_public_key,
            jwt_audience=self.jwt_audience,
            jwt_tenant_claim=self.jwt_tenant_claim,
            allow_anonymous=self.allow_anonymous,
            allowed_origins=self.allowed_origins,
            trusted_proxies=self.trusted_proxies,
            base_path=self.http_base_path,
            metrics_host=self.metrics_host,
            metrics_port=self.metrics_port or None,
            clients_per_address=self.max_clients_per_address,
            clients_per_tenant=self.max_clients_per_tenant,
            tick_s=self.tick_s,
            scoring=self.scoring(),
            interventions=self.interventions,
            agent_mode=self.agent_mode,
        )

    def intake_rules(self) -> IntakeRules:
        """Return the rules by which events become batches and ticks."""
        defaults = MULTI_TENANT_LIMITS
        limits = Limits(
            self._limit(self.tenant_events_per_s, defaults.tenant_events_per_s),
            self.tenant_burst_s,
            int(self._limit(self.tenant_sessions, defaults.tenant_sessions)),
            self._limit(self.session_events_per_s, defaults.session_events_per_s),
        )
        timeout_s, window_s = self.session_timeout_s, self.window_s
        return IntakeRules(self.tick_s, timeout_s, self.max_event_bytes, window_s, limits)

    def _limit(self, limit: float | None, multi_tenant_default: float) -> float:
        if limit is not None:
            return limit
        return multi_tenant_default if self.tenants else 0


def variable_of(field_name: str) -> str:
    """Return the environment variable of a setting."""
    alias = Settings.model_fields[field_name].validation_alias
    return str(alias or ENV_PREFIX + field_name.upper())
