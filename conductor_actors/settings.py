"""Every setting, documented once: environment variables, or a `.env` file.

`deploy/SETTINGS.md` is made from here, by `python -m tests.deploy.settings_page`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import platformdirs
from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from conductor_actors.dashboard.options import Options
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT, TENANT
from conductor_actors.domain.intake import IntakeRules
from conductor_actors.domain.quotas import MULTI_TENANT_LIMITS, MULTI_TENANT_MAX_USERS, Limits
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import SessionRules
from conductor_actors.domain.shards import SINGLE_SHARD, Shard
from conductor_actors.errors import ConfigError
from conductor_actors.variables import Many, PerMinute, PerSecond, Port, Weight, variable


class Settings(BaseSettings):
    """The settings, read once at the start."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    redis_url: str | None = variable(
        "REDIS_URL",
        None,
        "redis://user:password@host:6379/0",
        "Redis or Valkey with the events. If unset, an embedded Valkey runs in the state "
        "directory.",
    )
    database_url: str | None = variable(
        "DATABASE_URL",
        None,
        "postgresql://user:password@host:5432/conductor",
        "TimescaleDB or PostgreSQL 15+. If unset, an embedded PostgreSQL runs in the state "
        "directory.",
    )
    state_dir: Path = variable(
        "CONDUCTOR_STATE_DIR",
        platformdirs.user_state_path("conductor_actors"),
        "/var/lib/conductor",
        "The state directory: data of the embedded Valkey and PostgreSQL.",
    )
    transport: Literal["both", "streams", "pubsub"] = variable(
        "CONDUCTOR_TRANSPORT", "both", "streams", "Which transports to read events from."
    )
    tenants: Annotated[tuple[str, ...], NoDecode] = variable(
        "CONDUCTOR_TENANTS",
        (),
        "acme,globex",
        "Tenants whose prefixed names are read in addition to the bare names; `*` discovers them.",
    )
    start: Literal["window", "earliest", "latest"] = variable(
        "CONDUCTOR_START",
        "window",
        "earliest",
        "Where reading begins at the first start: one window back, at the oldest entry, or after "
        "the newest.",
    )
    shards: int = variable(
        "CONDUCTOR_SHARDS",
        1,
        "2",
        "Collector processes that share the sessions, as `--shards`. Use one for each core.",
        ge=1,
        le=64,
    )
    shard: str | None = variable(
        "CONDUCTOR_SHARD",
        None,
        "0/2",
        "The shard of a `collect` that another supervisor than `--shards` starts: `0/2` and `1/2`.",
    )
    max_event_bytes: int = variable(
        "CONDUCTOR_MAX_EVENT_BYTES", 65536, "65536", "Larger events are invalid.", gt=0
    )
    tick_s: int = variable(
        "CONDUCTOR_TICK_S", 5, "5", "Whole seconds between ticks; divides a day.", gt=0
    )
    window_s: int = variable(
        "CONDUCTOR_WINDOW_S", 60, "60", "Length of the window in whole seconds.", gt=0, le=3600
    )
    session_timeout_s: int = variable(
        "CONDUCTOR_SESSION_TIMEOUT_S",
        1800,
        "1800",
        "Seconds without an event after which a session is over. At least the window.",
        gt=0,
    )
    weight_chat: Weight = variable(
        "CONDUCTOR_WEIGHT_CHAT", 0.30, "0.3", "Largest contribution of chat."
    )
    weight_poll: Weight = variable(
        "CONDUCTOR_WEIGHT_POLL", 0.25, "0.25", "Largest contribution of poll votes."
    )
    weight_active_users: Weight = variable(
        "CONDUCTOR_WEIGHT_ACTIVE_USERS", 0.25, "0.25", "Largest contribution of active users."
    )
    weight_reactions: Weight = variable(
        "CONDUCTOR_WEIGHT_REACTIONS", 0.10, "0.1", "Largest contribution of reactions."
    )
    weight_leave_rate: Weight = variable(
        "CONDUCTOR_WEIGHT_LEAVE_RATE", 0.10, "0.1", "Largest deduction for users who leave."
    )
    max_chat_per_min: PerMinute = variable(
        "CONDUCTOR_MAX_CHAT_PER_MIN", 20.0, "20", "Chat messages per minute that count fully."
    )
    max_reactions_per_min: PerMinute = variable(
        "CONDUCTOR_MAX_REACTIONS_PER_MIN", 10.0, "10", "Reactions per minute that count fully."
    )
    batch_rows: int = variable(
        "CONDUCTOR_BATCH_ROWS", 5000, "5000", "Write rows when this many wait.", gt=0
    )
    batch_age_s: float = variable(
        "CONDUCTOR_BATCH_AGE_S", 0.5, "0.5", "Write rows when the first has waited this long.", gt=0
    )
    outbox_after_rows: int = variable(
        "CONDUCTOR_OUTBOX_AFTER_ROWS",
        20_000,
        "20000",
        "Rows kept in memory while the database is unavailable. Further rows are spilled to the "
        "stream `conductor:outbox`.",
        gt=0,
    )
    retention_days: float = variable(
        "CONDUCTOR_RETENTION_DAYS", 0.0, "90", "Drop rows older than this. 0: keep all.", ge=0
    )
    checkpoint_s: float = variable(
        "CONDUCTOR_CHECKPOINT_S",
        30.0,
        "30",
        "Seconds between checkpoints, and thus how much is computed again after a crash.",
        gt=0,
    )
    mailbox_limit: int = variable(
        "CONDUCTOR_MAILBOX_LIMIT",
        100_000,
        "100000",
        "Messages that may wait in a mailbox. Beyond it, reading pauses (streams) or drops events "
        "(pub/sub).",
        gt=0,
    )
    dispatcher_threads: int = variable(
        "CONDUCTOR_DISPATCHER_THREADS", 1, "2", "Threads that run the sessions.", gt=0, le=64
    )
    quarantine_s: float = variable(
        "CONDUCTOR_QUARANTINE_S", 300.0, "300", "Length of a quarantine in seconds.", gt=0
    )
    tenant_events_per_s: PerSecond | None = variable(
        "CONDUCTOR_TENANT_EVENTS_PER_S",
        None,
        "3000",
        "Events per second of one tenant. Each further kilobyte of an event counts as another "
        "event. Events beyond the limit are refused and counted. 0: no limit. Default: "
        f"{MULTI_TENANT_LIMITS.tenant_events_per_s:g} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    tenant_burst_s: float = variable(
        "CONDUCTOR_TENANT_BURST_S",
        10.0,
        "10",
        "Seconds of that rate that may be sent at once.",
        gt=0,
        le=3600,
    )
    tenant_sessions: Many | None = variable(
        "CONDUCTOR_TENANT_SESSIONS",
        None,
        "1000",
        "Live sessions of one tenant. 0: no limit. Default: "
        f"{MULTI_TENANT_LIMITS.tenant_sessions} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    session_events_per_s: PerSecond | None = variable(
        "CONDUCTOR_SESSION_EVENTS_PER_S",
        None,
        "1000",
        "Events per second of one session, counted from tick to tick. 0: no limit. Default: "
        f"{MULTI_TENANT_LIMITS.session_events_per_s:g} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    session_users: Many | None = variable(
        "CONDUCTOR_SESSION_USERS",
        None,
        "20000",
        "Users connected to one session at once. Further users count as active, not as connected. "
        f"0: no limit. Default: {MULTI_TENANT_MAX_USERS} if `CONDUCTOR_TENANTS` is set, else 0.",
    )
    http_host: str = variable(
        "CONDUCTOR_HTTP_HOST",
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - an example
        "Address of the dashboard. Any but loopback requires a key.",
    )
    http_port: Port = variable(
        "CONDUCTOR_HTTP_PORT", 3002, "3003", "Port of the dashboard. 0: any free port."
    )
    jwt_secret: SecretStr | None = variable(
        "CONDUCTOR_JWT_SECRET",
        None,
        "$(openssl rand -hex 32)",
        "Key of tokens that are signed with HS256, at least 32 bytes. With a key, requests for "
        "data require a token with the claims `exp` and `tenant`, which gives access to "
        "that tenant. A claim `sessions` restricts it to those sessions.",
    )
    jwt_public_key: str | None = variable(
        "CONDUCTOR_JWT_PUBLIC_KEY",
        None,
        "/etc/conductor/jwt.pem",
        "Key of tokens that are signed with RS256 or EdDSA: PEM, or the path of a PEM file.",
    )
    jwt_audience: str | None = variable(
        "CONDUCTOR_JWT_AUDIENCE", None, "engagement", "Required claim `aud` of tokens."
    )
    allow_anonymous: bool = variable(
        "CONDUCTOR_ALLOW_ANONYMOUS",
        default=False,
        example="true",
        description="Without a key, allow everyone to see the tenant `default`.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = variable(
        "CONDUCTOR_ALLOWED_ORIGINS",
        (),
        "https://app.example.com,http://localhost:3000",
        "Origins of other pages that may connect, or `*`. On loopback, pages of this machine "
        "always may.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = variable(
        "CONDUCTOR_TRUSTED_PROXIES",
        (),
        "10.0.0.0/8",
        "Addresses or networks of proxies whose `X-Forwarded-For` is trusted.",
    )
    max_clients_per_address: int = variable(
        "CONDUCTOR_MAX_CLIENTS_PER_ADDRESS", 256, "1000", "Most connections from an address.", gt=0
    )
    max_clients_per_tenant: int = variable(
        "CONDUCTOR_MAX_CLIENTS_PER_TENANT", 5000, "5000", "Most connections of a tenant.", gt=0
    )
    metrics_host: str = variable(
        "CONDUCTOR_METRICS_HOST",
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - an example
        "Address of `/metrics`.",
    )
    metrics_port: Port = variable(
        "CONDUCTOR_METRICS_PORT", 9464, "9464", "Port of `/metrics`. 0: no metrics."
    )
    log_level: Literal["debug", "info", "warning", "error"] = variable(
        "CONDUCTOR_LOG_LEVEL", "info", "warning", "Lowest level of lines to log."
    )
    log_format: Literal["auto", "json", "text"] = variable(
        "CONDUCTOR_LOG_FORMAT", "auto", "json", "auto: text on a terminal, else JSON."
    )
    log_stream: bool = variable(
        "CONDUCTOR_LOG_STREAM",
        default=True,
        example="false",
        description="Keep the newest 10,000 log lines in the Redis stream `conductor:log` for "
        "`inspect`.",
    )

    @field_validator("state_dir")
    @classmethod
    def _expand_home(cls, state_dir: Path) -> Path:
        return state_dir.expanduser()

    @field_validator("tenants", "allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(filter(None, map(str.strip, value.split(","))))
            if isinstance(value, str)
            else value
        )

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
            raise ValueError(
                "must divide a day, so that ticks stand on the same instants every day"
            )
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
        """Return which of how many collectors this is."""
        return SINGLE_SHARD if self.shard is None else Shard.parse(self.shard)

    def scoring(self) -> Scoring:
        """Return the formula's weights and maxima."""
        return Scoring(
            self.weight_chat,
            self.weight_poll,
            self.weight_active_users,
            self.weight_reactions,
            self.weight_leave_rate,
            self.max_chat_per_min,
            self.max_reactions_per_min,
        )

    def traces_go_to(self) -> Literal["stream", "stdout", "none"]:
        """Return where the lines of a trace, whose level is info, can be read."""
        if self.log_level not in ("debug", "info"):
            return "none"
        return "stream" if self.log_stream else "stdout"

    def session_rules(self) -> SessionRules:
        """Return a session's window, lifetime and size."""
        max_users = self._limit(self.session_users, MULTI_TENANT_MAX_USERS)
        return SessionRules(self.window_s, self.session_timeout_s, int(max_users))

    def dashboard(self) -> Options:
        """Return the dashboard's options."""
        return Options(
            host=self.http_host,
            port=self.http_port,
            jwt_secret=self.jwt_secret.get_secret_value() if self.jwt_secret else None,
            jwt_public_key=self.jwt_public_key,
            jwt_audience=self.jwt_audience,
            allow_anonymous=self.allow_anonymous,
            allowed_origins=self.allowed_origins,
            trusted_proxies=self.trusted_proxies,
            metrics_host=self.metrics_host,
            metrics_port=self.metrics_port or None,
            clients_per_address=self.max_clients_per_address,
            clients_per_tenant=self.max_clients_per_tenant,
            tick_s=self.tick_s,
            scoring=self.scoring(),
        )

    def intake_rules(self) -> IntakeRules:
        """Return how events become batches and ticks."""
        among = MULTI_TENANT_LIMITS
        limits = Limits(
            self._limit(self.tenant_events_per_s, among.tenant_events_per_s),
            self.tenant_burst_s,
            int(self._limit(self.tenant_sessions, among.tenant_sessions)),
            self._limit(self.session_events_per_s, among.session_events_per_s),
        )
        timeout_s, window_s = self.session_timeout_s, self.window_s
        return IntakeRules(self.tick_s, timeout_s, self.max_event_bytes, window_s, limits)

    def _limit(self, asked_for: float | None, among_tenants: float) -> float:
        if asked_for is not None:
            return asked_for
        return among_tenants if self.tenants else 0


def load() -> Settings:
    """Read the settings; raise `ConfigError` naming the variable, what is wrong, and an example."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError(_first_problem(error.errors(include_url=False)[0])) from None


def _first_problem(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    variable = str(problem["loc"][0])
    examples = {
        str(field.validation_alias): (field.examples or [""])[0]
        for field in Settings.model_fields.values()
    }
    return f"{variable}={problem['input']!r}: {message}, e.g. {variable}={examples.get(variable)}"
