"""The documentation of the log stream: its examples do what they say."""

import json
import re
import shutil
import subprocess

import pytest

from conductor_actors import log_events
from tests.commands.inspect.sample_lines import line, of_session, row, sessions

LOG = b"\n".join(
    [
        of_session("actor_failed", error="KeyError('a')"),
        line("actor_failed", actor="writer", error="OSError()"),
        line("tick_completed", tick_at_ms=5000, lag_s=0.25, duration_s=0.5, sessions=2),
        sessions(row("acme/idle", busy_share=0.0), row("acme/busy", busy_share=0.5)),
        *(
            line("message_traced", kind=kind, duration_s=duration_s)
            for kind, duration_s in (("Tick", 0.5), ("EventBatch", 0.25), ("Tick", 0.25))
        ),
        *(line("gap_detected", tenant="acme", lost_events=lost) for lost in (3, None, 4)),
        line("gap_detected", tenant="*", lost_events=None),
        *(of_session("anomaly_detected", type="MASS_EXIT") for _ in range(2)),
    ]
)
EXPECTED = {
    "Sessions that failed, and of what": ["acme\tkeynote\tKeyError('a')"],
    "How late each tick came, in seconds": [[5000, 0.25, 0.5]],
    "The session that keeps a thread busiest, every 5 s": [row("acme/busy", busy_share=0.5)],
    "What kinds of messages a traced session spent its time on, in seconds, once the log has "
    "ended": [{"kind": "EventBatch", "seconds": 0.25}, {"kind": "Tick", "seconds": 0.75}],
    "Anomalies that began, by tenant and type, once the log has ended": [
        {"tenant": "acme", "type": "MASS_EXIT", "anomalies": 2}
    ],
    "Events that were lost, by tenant, once the log has ended": [
        {"tenant": "*", "lost": 0},
        {"tenant": "acme", "lost": 7},
    ],
}
EXAMPLE = re.compile(r"^([A-Z].*):\n    log \| (jq (?:.|\n(?!\n))*)$", re.MULTILINE)
EXAMPLES = dict(EXAMPLE.findall(log_events.__doc__ or ""))


def test_the_page_has_these_examples() -> None:
    assert EXAMPLES.keys() == EXPECTED.keys()


@pytest.mark.skipif(shutil.which("jq") is None, reason="install jq")
@pytest.mark.parametrize("what", EXPECTED)
def test_an_example_with_jq_does_what_it_says(what: str) -> None:
    done = subprocess.run(
        ["bash", "-c", EXAMPLES[what]], input=LOG, capture_output=True, timeout=10, check=True
    )
    found = done.stdout.decode().splitlines()
    is_json = found[0][0] in "[{"
    assert ([json.loads(text) for text in found] if is_json else found) == EXPECTED[what]
