"""Stores sessions that ended earlier today, so that the demo has something to look back on."""

import time
from contextlib import closing, suppress

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.settings import Settings
from conductor_actors.simulate import earlier_entries


def store_earlier_sessions(database_url: str, settings: Settings) -> None:
    """Score simulated sessions of the last hours, and store their rows.

    Without a database there is none; the service then reports the outage.
    """
    settings = settings.model_copy(update={"interventions": False})  # nothing was sent to anybody
    rules = Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())
    now_s = time.time()
    rows: list[ScoreRow] = []
    Replayer(rules, rows.extend).run(earlier_entries(now_s, seed=int(now_s)))
    with suppress(Unavailable, ConfigError), closing(PostgresRowStore(database_url)) as store:
        migrations.migrate(database_url)
        store.write(rows)
