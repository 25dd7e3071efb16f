"""Settings of the limits of tenants and sessions."""

from pydantic import BaseModel, Field

from conductor_actors.domain.quotas import MULTI_TENANT_LIMITS, MULTI_TENANT_MAX_USERS


class LimitSettings(BaseModel):
    """What one tenant and one session may send. None: the default, which tenants decide."""

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
