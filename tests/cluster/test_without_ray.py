"""Without Ray everything else works, and what needs it says so in one line."""

import sys
from pathlib import Path

import pytest

from conductor_actors.app.startup import ServerUrls
from conductor_actors.cluster.cluster_client import connected
from conductor_actors.cluster.local import run_local
from conductor_actors.cluster.require_ray import check_ray
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings

ADVICE = "needs Ray: pip install 'conductor-actors\\[cluster\\]'"


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)


def test_several_hosts_on_this_machine_need_ray() -> None:
    with pytest.raises(ConfigError, match=ADVICE):
        run_local(Settings(), ServerUrls("", ""), 2, with_dashboard=False)


def test_a_cluster_needs_ray() -> None:
    with pytest.raises(ConfigError, match=ADVICE), connected(""):
        pass
    with pytest.raises(ConfigError, match=ADVICE):
        check_ray()


def test_a_folder_that_is_called_ray_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ray").mkdir()
    monkeypatch.delitem(sys.modules, "ray")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigError, match=ADVICE):
        check_ray()
