"""Grants and passwords that change while the service runs are an outage that waits."""

from collections.abc import Iterator

import pytest

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.e2e.deployment import Deployment, terminate
from tests.support.programs import Program, run_to_end

USER_COMMAND = ("ACL", "SETUSER", "conductor")


@pytest.fixture
def program(deployment: Deployment) -> Iterator[Program]:
    with (
        acl_user(deployment.client, *granted_rules()),
        deployment.running(REDIS_URL=as_user(deployment.settings["REDIS_URL"])) as program,
    ):
        program.wait_for("service_started")
        deployment.add_reaction()
        program.wait_for("batch_written")
        yield program


@pytest.mark.parametrize(
    ("revoked", "granted", "advice"),
    [
        (["resetpass", ">other"], ["resetpass", ">secret"], "refuses the user or password"),
        (["off"], ["on"], "refuses the user or password"),
        (["-@all"], granted_rules(), "grant it, as in: ACL SETUSER conductor"),
        (["resetchannels"], granted_rules(), "grant it, as in: ACL SETUSER conductor"),
    ],
    ids=["password", "user", "commands", "channels"],
)
def test_what_is_revoked_is_an_outage_with_advice_until_it_is_granted_again(
    deployment: Deployment, program: Program, revoked: list[str], granted: list[str], advice: str
) -> None:
    pipeline(deployment.client, [(*USER_COMMAND, *revoked)])
    deployment.client.client_kill_filter(skipme=True)
    began = program.wait_for("outage_began", service="redis events")
    assert advice in began["error"]
    deployment.add_reaction()
    program.wait_for("service_stats")  # four restarts would have been used up by now
    pipeline(deployment.client, [(*USER_COMMAND, *granted)])
    program.wait_for("outage_ended", service="redis events")
    program.wait_for("checkpoint_committed")
    terminate(program)
    assert program.all("actor_failed") == []
    deployment.assert_rows_are_those_of_a_replay()


def test_a_service_that_may_not_publish_ends_at_its_start_with_the_grant_to_add(
    deployment: Deployment,
) -> None:
    grants = [rule for rule in granted_rules() if rule != "+eval"]  # those of an earlier version
    url = as_user(deployment.settings["REDIS_URL"])
    with acl_user(deployment.client, *grants):
        ended = run_to_end(cwd=deployment.cwd, **deployment.settings | {"REDIS_URL": url})
    assert ended.exit_code == 2
    assert "'eval' command; grant it, as in: ACL SETUSER conductor" in ended.stderr
    assert not deployment.client.exists("conductor:owner")
