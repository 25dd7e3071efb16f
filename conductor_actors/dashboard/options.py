"""The options of the dashboard, and its URL."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from conductor_actors.domain.conductor.interventions import Mode
from conductor_actors.domain.scoring import Scoring


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where it listens, who has access, and the settings of the collector that it explains.

    Port 0 is any free port.
    """

    host: str = "127.0.0.1"
    port: int = 3002
    jwt_secret: str | None = field(default=None, repr=False)
    jwt_public_key: str | None = None
    jwt_audience: str | None = None
    jwt_tenant_claim: str = "tenant"
    allow_anonymous: bool = False
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    base_path: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    clients_per_address: int = 256
    clients_per_tenant: int = 5000
    tick_s: int = 5
    scoring: Scoring = field(default_factory=Scoring)
    interventions: bool = True  # whether there is a conductor
    agent_mode: Mode = "SEMI_AUTO"  # of sessions for which none was set

    @property
    def default_mode(self) -> Mode:
        """The mode of sessions for which none was set: OFF without a conductor."""
        return self.agent_mode if self.interventions else "OFF"


def page_url(host: str, port: int) -> str:
    """Return the URL of the page of a dashboard that listens on this host."""
    shown = "localhost" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - not bound here
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def is_loopback(host: str) -> bool:
    """Check whether a host is a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
