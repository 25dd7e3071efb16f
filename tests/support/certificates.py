"""A self-signed certificate for servers on loopback, which they and their clients use."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Certificate(NamedTuple):
    """Files in PEM; the certificate is its own authority."""

    cert: Path
    key: Path

    def server_options(self) -> Sequence[str]:
        """Return the options with which a Redis demands TLS with this certificate of everybody."""
        return (
            *("--tls-cert-file", str(self.cert), "--tls-key-file", str(self.key)),
            *("--tls-ca-cert-file", str(self.cert), "--tls-replication", "yes"),
        )

    def client_options(self) -> dict[str, Any]:
        """Return the options of a client, as redis-py and a URL name them."""
        return {
            "ssl_ca_certs": str(self.cert),
            "ssl_certfile": str(self.cert),
            "ssl_keyfile": str(self.key),
        }


def self_signed_certificate(directory: Path) -> Certificate:
    """Make a certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("install openssl")
    certificate = Certificate(directory / "cert.pem", directory / "key.pem")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    names = ("-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(certificate.key), "-out", str(certificate.cert))
    command = (openssl, "req", "-x509", *key, *names, *files)
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate
