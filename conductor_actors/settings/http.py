"""Settings of the dashboard and its clients, and of the listener for metrics."""

from pydantic import BaseModel, Field, SecretStr

from conductor_actors.settings.types import CommaSeparated, Port, PublicUrl


class HttpSettings(BaseModel):
    """Addresses, keys, proxies, and connections of clients."""

    http_host: str = Field(
        default="127.0.0.1",
        description="Address of the dashboard. Any but loopback requires a key.",
    )
    http_port: Port = Field(default=3002, description="Port of the dashboard. 0: any free port.")
    jwt_secret: SecretStr | None = Field(
        default=None,
        description="Key of tokens that are signed with HS256, at least 32 bytes. With a key, "
        "requests for data require a token with the claims `exp` and `tenant`, which gives access "
        "to that tenant. The claims `sessions` and `events` restrict it to those sessions, and to "
        "the sessions of those events; a claim `conduct` that is `true` allows to command them, "
        "and `admin` to name them. Claims other than these, `nbf` and `aud` are ignored. The "
        "command `token` signs such tokens.",
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
    public_url: PublicUrl | None = Field(
        default=None,
        examples=["https://engagement.example.com/"],
        description="Address of the dashboard for people, with which the links of the command "
        "`token` begin. Default: the host, port and path above.",
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
    max_queries_per_tenant: int = Field(
        default=4,
        gt=0,
        le=1000,
        description="Maximum number of queries for histories, reports and exports of one tenant at "
        "once. All tenants together have 8. More wait a few seconds, and are refused then.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of `/metrics`.")
    metrics_port: Port = Field(default=9464, description="Port of `/metrics`. 0: no metrics.")
