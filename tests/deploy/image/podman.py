"""Containers, run by podman on the host's network."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.waiting import wait_until

# More than compose.yaml asks for: podman's `--read-only` alone leaves /tmp and /run writable.
CONFINED: Final = (
    *("--network", "host", "--read-only", "--read-only-tmpfs=false"),
    *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
)
GRACE_S: Final = 25
HEALTHY_WITHIN_S: Final = 60.0


def podman(*arguments: str) -> str:
    """Run podman; return what it prints, or fail with its errors."""
    ended = run(*arguments)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


def run(*arguments: str, program: str = "podman") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def environment(variables: Mapping[str, str]) -> list[str]:
    """Return options that set these variables in a container."""
    return [f"--env={name}={value}" for name, value in variables.items()]


@contextmanager
def container(image: str, *arguments: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Run a confined container until the block ends; yield its id."""
    options = ("--detach", *CONFINED, *environment(variables))
    created = podman("run", *options, image, *arguments).strip()
    try:
        yield created
    finally:
        print(run("logs", created))
        podman("rm", "--force", "--time", "0", created)


def is_healthy(container_id: str) -> bool:
    """Run the image's own health check. (Its timer needs systemd.)"""
    ended = run("healthcheck", "run", container_id)
    assert ended.returncode in (0, 1), ended.stderr  # else it has ended, or has no health check
    return ended.returncode == 0


def wait_until_healthy(container_id: str) -> None:
    wait_until(lambda: is_healthy(container_id), HEALTHY_WITHIN_S)


def exit_code(container_id: str) -> int:
    """Wait until a container has ended; return its exit code. 137: it had to be killed."""
    return int(podman("wait", container_id))


def main_process(container_id: str) -> dict[str, str]:
    """Return what the kernel says of a container's main process."""
    pid = podman("inspect", "--format", "{{.State.Pid}}", container_id).strip()
    lines = (Path("/proc") / pid / "status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def assert_confined(container_id: str) -> None:
    """Check that the main process has no privileges, can get none, and writes no files."""
    process = main_process(container_id)
    assert set(process["Uid"].split()) == set(process["Gid"].split()) == {"65532"}
    assert process["Groups"] in ("", "65532")
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(process[capabilities], 16) == 0, capabilities
    assert process["NoNewPrivs"] == "1"
    touched = run("exec", "--user", "0", container_id, "touch", "/source")
    assert "Read-only file system" in touched.stderr
