"""Writes `deploy/redis.acl`: `python -m tests.deploy.acl`. A line is a user, and has no comments.

`collector` may do what the program says that it needs. `dashboard` hears scores and what conductors
do, and adds the commands of people, of which answers to suggestions and texts by scripts. A
producer sends events of its tenant and can't read them, nor give commands; `acme-producer` is an
example of one. `inspector` reads what the collector keeps for operators, and asks it about
sessions; `operator` also sends dead letters again. Nobody may do anything without a name.
"""

from typing import Final

from conductor_actors.adapters.redis import dead_letter_stream
from conductor_actors.adapters.redis.connections.redis_errors import SERVICE_GRANTS
from tests.deploy.files import DEPLOY

FILE: Final = DEPLOY / "redis.acl"
_TALK: Final = "+ping +select"
_RULES: Final = {
    "collector": SERVICE_GRANTS.partition(">PASSWORD ")[2],
    "dashboard": "&engagement:update &*:engagement:update &anomaly:detected &*:anomaly:detected "
    "&anomaly:ended &*:anomaly:ended "
    "&session:*:events &*:session:*:events ~conductor:commands ~*:conductor:commands "
    "~conductor:decided:* ~*:conductor:decided:* ~conductor:templates ~*:conductor:templates "
    "%R~conductor:partitions %R~conductor:owner* %R~conductor:cluster "
    f"{_TALK} +subscribe +psubscribe +unsubscribe +xadd +eval +get +set +exists +time +multi +exec",
    "producer": "%W~sync-events %W~platform.events.* %W~platform.sessions.* %W~platform.agent.* "
    "&sync-events &platform.events.* &platform.sessions.* &agent.intervention-outcomes "
    f"{_TALK} +xadd +publish",
    "acme-producer": "%W~acme:sync-events %W~acme:platform.events.* %W~acme:platform.sessions.* "
    "%W~acme:platform.agent.* &acme:sync-events &acme:platform.events.* &acme:platform.sessions.* "
    f"&acme:agent.intervention-outcomes {_TALK} +xadd +publish",
    "inspector": f"%R~conductor:* ~conductor:answer:* &conductor:requests {_TALK} "
    "+info +time +xread +xrange +xrevrange +xlen +publish +blpop +get +exists +multi +exec",
    "operator": f"%R~conductor:* {dead_letter_stream.OPERATOR_GRANTS} {_TALK} +time +xread +xlen",
}


def lines() -> str:
    """Give the whole file; in a password's place is the name of the variable that has it."""
    users = [
        f"user {name} on >{name.partition('-')[0].upper()}_PASSWORD {rules}"
        for name, rules in _RULES.items()
    ]
    return "\n".join(["user default off", *users, ""])


if __name__ == "__main__":
    FILE.write_text(lines(), encoding="utf-8")
