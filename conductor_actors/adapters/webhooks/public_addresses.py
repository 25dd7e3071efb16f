"""Which addresses are those of the public internet."""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # it leads to IPv4
_LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal")


def is_public(address: Address) -> bool:
    """Check whether an address is one of the public internet, also if it contains one of IPv4."""
    inner = _inner(address)
    if inner is not None and not is_public(inner):
        return False
    if getattr(address, "ipv4_mapped", None) is not None:
        return True  # as the address in it
    return address.is_global and not address.is_multicast


def is_private_host(host: str) -> bool:
    """Check whether a host is private as it is written: most names are known only when used."""
    try:
        return not is_public(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower().rstrip(".").endswith(_LOCAL_NAMES)


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """Return the address of IPv4 to which one of IPv6 leads, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
