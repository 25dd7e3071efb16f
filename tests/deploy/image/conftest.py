"""The built image, and the servers of compose.yaml with real passwords."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.deploy.conftest import UserUrl, make_roles, postgres, user_url, valkey
from tests.deploy.files import DEPLOY, text

_IMAGE = "CONDUCTOR_TEST_IMAGE"


class Servers(NamedTuple):
    """Valkey with the users of redis.acl, and PostgreSQL with the roles of roles.sql."""

    redis_url: UserUrl
    database_url: UserUrl

    @property
    def redis_port(self) -> int:
        return urlsplit(self.redis_url("collector")).port or 0

    @property
    def database_port(self) -> int:
        return urlsplit(self.database_url("conductor_owner")).port or 0


@pytest.fixture(scope="session")
def image() -> str:
    """Return the name of the image."""
    name = os.environ.get(_IMAGE)
    if name is not None:
        return name
    how = f".ci/check-image builds the image, sets {_IMAGE} and runs this"
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail(how)
    pytest.skip(how)


@pytest.fixture(scope="session")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create .env by the command in .env.example."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "deploy").mkdir()
    example = text(DEPLOY / ".env.example")
    (folder / "deploy" / ".env.example").write_text(example, encoding="utf-8")
    indented = [line[4:] for line in example.splitlines() if line.startswith("#   ")]
    subprocess.run(["sh", "-euc", "\n".join(indented)], cwd=folder, check=True)
    return folder / "deploy" / ".env"


def secrets_in(env_file: Path) -> dict[str, str]:
    lines = env_file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def servers(env_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start both servers, empty."""
    folder, secrets = tmp_path_factory.mktemp("valkey"), secrets_in(env_file)
    with valkey(folder, passwords=secrets) as redis_url, postgres() as superuser_url:
        make_roles(superuser_url, secrets)
        yield Servers(redis_url, lambda name: user_url(superuser_url, name, secrets))
