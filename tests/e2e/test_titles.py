"""Sessions and their titles are lost neither by kill -9 nor while the database is away."""

import json
from typing import Final

import psycopg

from conductor_actors.adapters.redis.key_names import TITLE_OUTBOX_KEY
from tests.e2e.deployment import Deployment, terminate
from tests.support.event_samples import SESSION_INFO
from tests.support.waiting import wait_until

KILLS: Final = 4
TITLES_A_LIFE: Final = 200
SESSIONS: Final = 30
WAIT_S: Final = 30.0

# Sessions whose entry does not say what their rows do; none has ended.
_WRONG_ENTRIES: Final = """
    SELECT tenant_id, session_id, began, started_at, ended_at
    FROM (SELECT tenant_id, session_id, min(time) AS began FROM engagement_metrics GROUP BY 1, 2)
         AS stored FULL JOIN sessions USING (tenant_id, session_id)
    WHERE began IS DISTINCT FROM started_at OR ended_at IS NOT NULL
"""


def add_title(deployment: Deployment, number: int) -> None:
    session_id = f"session-{number % SESSIONS}"
    body = {
        "sessionId": session_id,
        "title": f"title {number}",
        "eventId": "summit",
        "eventTitle": f"event title {number}",
    }
    deployment.client.xadd(SESSION_INFO, {"data": json.dumps(body)})


def stored_titles(deployment: Deployment) -> tuple[dict[str, str], str]:
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        sessions = connection.execute("SELECT session_id, title FROM session_titles").fetchall()
        event = connection.execute("SELECT title FROM event_titles").fetchone()
    return dict(sessions), event[0] if event else ""


def newest_titles(count: int) -> tuple[dict[str, str], str]:
    titles = {f"session-{number % SESSIONS}": f"title {number}" for number in range(count)}
    return titles, f"event title {count - 1}"


def test_no_title_and_no_session_is_lost_by_kill_9(deployment: Deployment) -> None:
    added = 0
    with deployment.event_load():
        for _ in range(KILLS):
            with deployment.running() as program:
                program.wait_for("service_started", WAIT_S)
                for _ in range(TITLES_A_LIFE):
                    add_title(deployment, added)
                    added += 1
                program.wait_for("tick_completed", WAIT_S)
                program.kill()
                program.finish()
        with deployment.running() as program:
            program.wait_for("service_started", WAIT_S)
            wait_until(lambda: stored_titles(deployment) == newest_titles(added), WAIT_S)
            program.wait_for("tick_completed", WAIT_S)
            terminate(program)
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        assert connection.execute(_WRONG_ENTRIES).fetchall() == []
        assert connection.execute("SELECT FROM sessions").rowcount > 1


def test_titles_wait_for_the_database_in_redis_even_if_the_process_is_killed(
    deployment: Deployment,
) -> None:
    with psycopg.connect(deployment.settings["DATABASE_URL"], autocommit=True) as connection:
        with deployment.running() as program:
            program.wait_for("service_started", WAIT_S)
            connection.execute("ALTER TABLE session_titles RENAME TO away")
            for number in range(10):
                add_title(deployment, number)
            program.wait_for("outage_began", WAIT_S)
            wait_until(lambda: deployment.client.xlen(TITLE_OUTBOX_KEY) > 0, WAIT_S)
            program.wait_for("checkpoint_committed", WAIT_S)
            for number in range(10, 20):
                add_title(deployment, number)
            program.kill()
            program.finish()
        connection.execute("ALTER TABLE away RENAME TO session_titles")
    with deployment.running() as program:
        program.wait_for("service_started", WAIT_S)
        wait_until(lambda: stored_titles(deployment) == newest_titles(20), WAIT_S)
        terminate(program)
    assert deployment.client.xlen(TITLE_OUTBOX_KEY) == 0


def test_titles_come_by_stream_and_by_channel_each_with_its_tenant(deployment: Deployment) -> None:
    with deployment.running(CONDUCTOR_TENANTS="acme") as program:
        program.wait_for("checkpoint_committed", WAIT_S)  # what is published before is not received
        deployment.client.publish(f"acme:{SESSION_INFO}", b'{"sessionId":"a","title":"channel"}')
        deployment.client.xadd(SESSION_INFO, {"data": b'{"sessionId":"a","title":"stream"}'})
        program.wait_for("titles_stored", WAIT_S)
        wait_until(lambda: len(tenants_and_titles(deployment)) == 2, WAIT_S)
        terminate(program)
    assert tenants_and_titles(deployment) == [("acme", "channel"), ("default", "stream")]


def tenants_and_titles(deployment: Deployment) -> list[tuple[str, str]]:
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT tenant_id, title FROM session_titles ORDER BY 1")
        return [(tenant_id, title) for tenant_id, title in found]


def test_a_session_that_is_over_has_its_end_and_its_figures_soon(deployment: Deployment) -> None:
    with deployment.running(CONDUCTOR_SESSION_TIMEOUT_S="10") as program:
        program.wait_for("service_started", WAIT_S)
        deployment.add_reaction()
        program.wait_for("sessions_summarised", WAIT_S, sessions=1)
        terminate(program)
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        figures = connection.execute(
            "SELECT started_at, ended_at, ticks, mean_score, peak_score, peak_users FROM sessions"
        ).fetchall()
        rows = connection.execute(
            "SELECT min(time), max(time), count(*), avg(engagement_score), max(engagement_score),"
            " max(total_users) FROM engagement_metrics"
            " WHERE time <= (SELECT ended_at FROM sessions)"
        ).fetchall()
        silent = connection.execute(
            "SELECT FROM engagement_metrics WHERE time > (SELECT ended_at FROM sessions)"
        )
    assert figures == rows
    assert silent.rowcount == 9  # the last of ten seconds without an event ends the session
