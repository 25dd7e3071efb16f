"""Every setting: its environment variable, type, default and description, written once.

`deploy/SETTINGS.md` is generated from them: `python -m tests.deploy.settings_page`.
"""

from typing import Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from conductor_actors.dashboard.options import Options
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT, TENANT
from conductor_actors.domain.intake import IntakeRules
from conductor_actors.domain.quotas import MULTI_TENANT_LIMITS, MULTI_TENANT_MAX_USERS, Limits
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import SessionRules
from conductor_actors.domain.shards import SINGLE_SHARD, Shard
from conductor_actors.settings.state_dir import StateDir, default_state_dir
from conductor_actors.settings.types import CommaSeparated, Namespace, Port, Weight

ENV_PREFIX: Final = "CONDUCTOR_"
ENV_FILE: Final = ".env"


class Settings(BaseSettings):
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

    redis_url: str | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Primary of the Redis or Valkey with the events, 6.0 or later. With Sentinels: "
        "`redis+sentinel://USER:PASSWORD@HOST:26379,HOST2/NAME/0`, where NAME is that of the "
        "primary; their own password is `?sentinel_password=…`. If unset, an embedded Valkey runs "
        "in the state directory.",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="TimescaleDB or PostgreSQL 15+. If unset, an embedded PostgreSQL runs in the "
        "state directory.",
    )
    namespace: Namespace = Field(
        default="",
        examples=["staging"],
        description="Prefix, followed by a colon, of every Redis key and channel, also of events "
        "and updates. Services that share a Redis need one each, whatever their databases.",
    )
    state_dir: StateDir = Field(
        default=default_state_dir(),
        description="The state directory: data of the embedded Valkey and PostgreSQL.",
    )
    transport: Literal["both", "streams", "pubsub"] = Field(
        default="both", description="Transports from which events are read."
    )
    tenants: CommaSeparated = Field(
        default=(),
        examples=["acme,globex"],
        description="Tenants whose prefixed names are read in addition to the bare names; `*` "
        "discovers them.",
    )
    start: Literal["window", "earliest", "latest"] = Field(
        default="window",
        description="Where reading begins at the first start: one window back, at the oldest "
        "entry, or after the newest.",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of collector processes that share the sessions, as `--shards`. Use "
        "one for each core.",
    )
    shard: str | None = Field(
        default=None,
        examples=["0/2"],
        description="The shard of this `collect`, such as `0/2` and `1/2`, if collectors are not "
        "started by `--shards`.",
    )
    max_event_bytes: int = Field(
        default=65536, gt=0, le=512 * 1024 * 1024, description="Larger events are invalid."
    )
    tick_s: int = Field(
        default=5, gt=0, le=86400, description="Whole seconds between ticks; divides a day."
    )
    window_s: int = Field(
        default=60, gt=0, le=3600, description="Length of the window in whole seconds."
    )
    session_timeout_s: int = Field(
        default=1800,
        gt=0,
        le=30 * 86400,
        description="Seconds without an event after which a session has no more rows. At least "
        "the window.",
    )
    presence_timeout_s: int = Field(
        default=21_600,
        gt=0,
        le=30 * 86400,
        description="Seconds without an event after which a session with connected users is "
        "forgotten. The session timeout, if that is longer.",
    )
    weight_chat: Weight = Field(default=0.30, description="Largest contribution of chat.")
    weight_poll: Weight = Field(default=0.25, description="Largest contribution of poll votes.")
    weight_active_users: Weight = Field(
        default=0.25, description="Largest contribution of active users."
    )
    weight_reactions: Weight = Field(default=0.10, description="Largest contribution of reactions.")
    weight_leave_rate: Weight = Field(
        default=0.10, description="Largest deduction for users who leave."
    )
    max_chat_per_min: float = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="Chat messages per minute for the full contribution of chat.",
    )
    max_reactions_per_min: float = Field(
        default=10.0,
        gt=0,
        le=1e6,
        description="Reactions per minute for the full contribution of reactions.",
    )
    batch_rows: int = Field(
        default=5000, gt=0, le=1_000_000, description="Write rows when this many wait."
    )
    batch_age_s: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Write rows when the first has waited for this many seconds.",
    )
    outbox_after_rows: int = Field(
        default=20_000,
        gt=0,
        le=10_000_000,
        description="Rows kept in memory while the database is unavailable. Further rows are "
        "spilled to the stream `conductor:outbox`.",
    )
    retention_days: float = Field(
        default=0.0,
        ge=0,
        le=36500,
        examples=["90"],
        description="Drop rows older than this many days. 0: keep all.",
    )
    checkpoint_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds between checkpoints, and thus how much is computed again after a "
        "crash.",
    )
    mailbox_limit: int = Field(
        default=100_000,
        gt=0,
        le=10_000_000,
        description="Messages that may wait in a mailbox. Beyond it, reading pauses (streams) or "
        "drops events (pub/sub).",
    )
    dispatcher_threads: int = Field(
        default=1, gt=0, le=64, description="Number of threads that run the sessions."
    )
    quarantine_s: float = Field(
        default=300.0, gt=0, le=86400, description="Length of a quarantine in seconds."
    )
    tenant_events_per_s: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        examples=["3000"],
        description="Events per second of one tenant. Each further kilobyte of an event counts as "
        "another event. Events beyond the limit are refused and counted. 0: no limit. Default: "
        f"{MULTI_TENANT_LIMITS.tenant_events_per_s:g} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    tenant_burst_s: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="Seconds of that rate that may be sent at once.",
    )
    tenant_sessions: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        examples=["1000"],
        description="Live sessions of one tenant. 0: no limit. Default: "
        f"{MULTI_TENANT_LIMITS.tenant_sessions} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    session_events_per_s: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        examples=["1000"],
        description="Events per second of one session, counted from tick to tick. 0: no limit. "
        f"Default: {MULTI_TENANT_LIMITS.session_events_per_s:g} if `CONDUCTOR_TENANTS` is set, "
        "else 0.",
    )
    session_users: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        examples=["20000"],
        description="Users connected to one session at once. Further users count as active, not "
        f"as connected. 0: no limit. Default: {MULTI_TENANT_MAX_USERS} if `CONDUCTOR_TENANTS` is "
        "set, else 0.",
    )
    http_host: str = Field(
        default="127.0.0.1",
        description="Address of the dashboard. Any but loopback requires a key.",
    )
    http_port: Port = Field(default=3002, description="Port of the dashboard. 0: any free port.")
    jwt_secret: SecretStr | None = Field(
        default=None,
        description="Key of tokens that are signed with HS256, at least 32 bytes. With a key, "
        "requests for data require a token with the claims `exp` and `tenant`, which gives access "
        "to that tenant. A claim `sessions` restricts it to those sessions. Claims other than "
        "these, `nbf` and `aud` are ignored.",
    )
    jwt_public_key: str | None = Field(
        default=None,
        description="Key of tokens that are signed with RS256 or EdDSA: PEM, or the path of a PEM "
        "file.",
    )
    jwt_audience: str | None = Field(
        default=None,
        examples=["engagement"],
        description="Required claim `aud` of tokens. If unset, the claim is ignored.",
    )
    jwt_tenant_claim: str = Field(
        default="tenant",
        description="Name of the claim with the tenant, if the issuer of the tokens has another.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Without a key, allow everyone to see the tenant `default`.",
    )
    allowed_origins: CommaSeparated = Field(
        default=(),
        description="Origins of other pages that may connect, or `*`. On loopback, pages of this "
        "machine always may.",
    )
    trusted_proxies: CommaSeparated = Field(
        default=(),
        description="Addresses or networks of proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Prefix` are trusted.",
    )
    http_base_path: str = Field(
        default="",
        examples=["/engagement"],
        description="Path at which a reverse proxy shows the dashboard, whether it removes it from "
        "requests or not. The header `X-Forwarded-Prefix` of a trusted proxy takes precedence.",
    )
    max_clients_per_address: int = Field(
        default=256,
        gt=0,
        le=1_000_000,
        description="Maximum number of connections from one address.",
    )
    max_clients_per_tenant: int = Field(
        default=5000, gt=0, le=1_000_000, description="Maximum number of connections of one tenant."
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of `/metrics`.")
    metrics_port: Port = Field(default=9464, description="Port of `/metrics`. 0: no metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level of lines to log."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, else JSON."
    )
    log_stream: bool = Field(
        default=True,
        description="Keep the newest 10,000 log lines in the Redis stream `conductor:log` for "
        "`inspect`.",
    )

    @field_validator("tenants", "allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part for text in value.split(",") if (part := text.strip()))

    @field_validator("tenants")
    @classmethod
    def _check_tenants(cls, tenants: tuple[str, ...]) -> tuple[str, ...]:
        for tenant in tenants:
            if tenant == DEFAULT_TENANT:
                raise ValueError(f"{DEFAULT_TENANT!r} is the tenant of the names without a prefix")
            if tenant != EVERY_TENANT and TENANT.fullmatch(tenant) is None:
                raise ValueError(f"{tenant!r} does not match {TENANT.pattern}")
        return tuple(dict.fromkeys(tenants))

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, shard: str | None) -> str | None:
        return None if shard is None else str(Shard.parse(shard))

    @field_validator("tick_s")
    @classmethod
    def _check_tick(cls, tick_s: int) -> int:
        if 86400 % tick_s:
            raise ValueError("must divide a day, so that ticks are at the same times every day")
        return tick_s

    @model_validator(mode="after")
    def _check_timeout(self) -> Self:
        if self.session_timeout_s < self.window_s:
            raise ValueError(
                "CONDUCTOR_SESSION_TIMEOUT_S: must be at least CONDUCTOR_WINDOW_S, e.g. "
                "CONDUCTOR_SESSION_TIMEOUT_S=1800"
            )
        return self

    def own_shard(self) -> Shard:
        """Return the shard that this collector owns."""
        return SINGLE_SHARD if self.shard is None else Shard.parse(self.shard)

    def scoring(self) -> Scoring:
        """Return the weights and maxima of the formula."""
        return Scoring(
            self.weight_chat,
            self.weight_poll,
            self.weight_active_users,
            self.weight_reactions,
            self.weight_leave_rate,
            self.max_chat_per_min,
            self.max_reactions_per_min,
        )

    def trace_destination(self) -> Literal["stream", "stdout", "none"]:
        """Return where the lines of a trace, whose level is info, are written."""
        if self.log_level not in ("debug", "info"):
            return "none"
        return "stream" if self.log_stream else "stdout"

    def session_rules(self) -> SessionRules:
        """Return the window, the timeout and the size of a session."""
        max_users = self._limit(self.session_users, MULTI_TENANT_MAX_USERS)
        presence_timeout_s = max(self.session_timeout_s, self.presence_timeout_s)
        return SessionRules(
            self.window_s, self.session_timeout_s, presence_timeout_s, int(max_users)
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
