"""Settings of the servers that the service uses."""

from pydantic import BaseModel, Field

from conductor_actors.settings.state_dir import StateDir, default_state_dir
from conductor_actors.settings.types import Namespace


class BackendSettings(BaseModel):
    """Redis, the database, and the state directory of the embedded ones."""

    redis_url: str | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Primary of the Redis or Valkey with the events, 6.2 or later. With Sentinels: "
        "`redis+sentinel://USER:PASSWORD@HOST:26379,HOST2/NAME/0`, where NAME is that of the "
        "primary; their own password is `?sentinel_password=…`. With TLS the URL begins with "
        "`rediss://` or `rediss+sentinel://`. If unset, an embedded Valkey runs in the state "
        "directory.",
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
