"""What each signal adds to a score, computed by the database from rows, for means over many.

The formula is that of `Scoring.contributions`: rows hold signals, and a contribution is not linear
in its signal, so means of signals would give others.
"""

from typing import Final

from psycopg import sql

from conductor_actors.domain.scoring import Scoring

_ADDED: Final = {
    "chat_added": sql.SQL(
        "%(chat_weight)s::float8"
        " * least(1, ln(chat_msgs_per_min + 1) / ln(%(chat_max)s::float8 + 1))"
    ),
    "poll_added": sql.SQL("%(poll_weight)s::float8 * poll_participation"),
    "active_users_added": sql.SQL(
        "%(active_users_weight)s::float8"
        " * coalesce(active_users / nullif(total_users, 0)::float8, 0)"
    ),
    "reactions_added": sql.SQL(
        "%(reactions_weight)s::float8"
        " * least(1, ln(reactions_per_min + 1) / ln(%(reactions_max)s::float8 + 1))"
    ),
    "leave_rate_added": sql.SQL("-%(leave_rate_weight)s::float8 * user_leave_rate"),
}

CONTRIBUTIONS_OF_ROW: Final = sql.SQL(", ").join(
    added + sql.SQL(" AS ") + sql.Identifier(name) for name, added in _ADDED.items()
)
MEAN_CONTRIBUTIONS: Final = sql.SQL(", ").join(
    sql.SQL("avg({})").format(added) for added in _ADDED.values()
)


def contribution_values(scoring: Scoring) -> dict[str, object]:
    """Return the values of the columns: the weights and maxima of the settings."""
    return {
        "chat_weight": scoring.chat_weight,
        "chat_max": scoring.chat_max_per_min,
        "poll_weight": scoring.poll_weight,
        "active_users_weight": scoring.active_users_weight,
        "reactions_weight": scoring.reactions_weight,
        "reactions_max": scoring.reactions_max_per_min,
        "leave_rate_weight": scoring.leave_rate_weight,
    }
