"""Which addresses a webhook may have."""

from ipaddress import ip_address

import pytest

from conductor_actors.adapters.webhooks.public_addresses import is_private_host, is_public

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_not_public_however_it_is_written(text: str) -> None:
    assert not is_public(ip_address(text))
    assert is_private_host(text)


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert not is_private_host(text)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "db.internal", "a.local", "[::1]"])
def test_a_name_of_the_own_network_is_private(host: str) -> None:
    assert is_private_host(host)


def test_another_name_is_known_only_when_it_is_used() -> None:
    assert not is_private_host("example.com")
