"""Settings of the events that are read."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT, TENANT
from conductor_actors.settings.types import CommaSeparated


class ReadingSettings(BaseModel):
    """Which events are read, and by how many processes."""

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
        description="Number of hosts on this machine that share the sessions, as `--shards`. With "
        "1, one collector has them all; more need the extra `cluster`.",
    )
    max_event_bytes: int = Field(
        default=65536, gt=0, le=512 * 1024 * 1024, description="Larger events are invalid."
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
