"""Two services on one Redis, in databases of their own: a namespace separates them."""

import json
import signal

import redis

from tests.e2e.deployment import Deployment
from tests.support.databases import temporary_database
from tests.support.event_samples import REACTION
from tests.support.programs import replay_rows, run_to_end, running, select_rows
from tests.support.waiting import becomes_true

STAGING = "staging"


def body_of(session_id: str) -> bytes:
    return json.dumps({"sessionId": session_id, "userId": "ada"}).encode()


def sessions_of(url: str) -> set[str]:
    return {row[2] for row in select_rows(url)}


def test_services_in_two_databases_share_nothing_if_one_has_a_namespace(
    deployment: Deployment, postgres_url: str
) -> None:
    redis_url, cwd = deployment.settings["REDIS_URL"], deployment.cwd
    numbered = redis_url.rpartition("/")[0] + "/1"
    with temporary_database(postgres_url) as database:
        staging = deployment.settings | {
            "REDIS_URL": numbered,
            "DATABASE_URL": database,
            "CONDUCTOR_NAMESPACE": STAGING,
            "CONDUCTOR_METRICS_PORT": "0",
        }
        with (
            redis.Redis.from_url(numbered) as client,
            deployment.running() as production,
            running("run", cwd=cwd, **staging, CONDUCTOR_HTTP_PORT="0") as service,
        ):
            for program in (production, service):
                program.wait_for("service_started")
            with client.pubsub() as updates:
                updates.subscribe(f"{STAGING}:engagement:update")
                client.xadd(REACTION, {"data": body_of("in-database-1")})
                client.xadd(f"{STAGING}:{REACTION}", {"data": body_of("streamed")})
                client.publish(f"{STAGING}:{REACTION}", body_of("published"))
                client.publish(REACTION, body_of("of-production"))
                assert becomes_true(
                    lambda: (
                        sessions_of(database) == {"streamed", "published"}
                        and sessions_of(deployment.settings["DATABASE_URL"]) == {"of-production"}
                    ),
                    15,
                )
                assert updates.get_message(timeout=5) is not None
                assert updates.get_message(timeout=5) is not None
            service.wait_for("checkpoint_committed")
            client.xadd(f"{STAGING}:{REACTION}", {"data": b"no event"})
            assert becomes_true(lambda: client.xlen(f"{STAGING}:conductor:dead-letters") == 1, 10)
            service.signal(signal.SIGTERM)
            service.finish()
            keys = {key.decode() for key in client.scan_iter()}
            assert {key for key in keys if not key.startswith(f"{STAGING}:")} == {REACTION}
            assert f"{STAGING}:conductor:checkpoint" in keys
            letters = run_to_end("dead-letters", "list", cwd=cwd, **staging)
            assert REACTION in letters.stdout
            assert {row[2] for row in replay_rows(numbered, cwd, **staging)} == {"streamed"}
            assert sessions_of(deployment.settings["DATABASE_URL"]) == {"of-production"}


def test_a_database_with_a_number_is_a_warning_at_the_start_and_in_check(
    deployment: Deployment,
) -> None:
    numbered = deployment.settings["REDIS_URL"].rpartition("/")[0] + "/1"
    with deployment.running(REDIS_URL=numbered) as program:
        assert "CONDUCTOR_NAMESPACE" in program.wait_for("names_shared", database=1)["advice"]
        program.wait_for("service_started")  # the tables are there
    check = run_to_end("check", cwd=deployment.cwd, **deployment.settings | {"REDIS_URL": numbered})
    assert check.exit_code == 0
    assert "WARN   redis: database 1: pub/sub knows no database number" in check.stdout
