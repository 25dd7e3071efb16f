"""`dead-letters`: what is shown of hostile text, what is sent again, and what can't be."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from conductor_actors.actors.session_supervisor import letter_body
from conductor_actors.adapters.redis import dead_letter_stream
from conductor_actors.adapters.redis.dead_letter_stream import (
    LETTER_BODY_BYTES,
    LETTERS_PER_PAGE,
    DeadLetterStream,
    RedisDeadLetterQueue,
)
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.commands import dead_letters
from conductor_actors.commands.dead_letters import LetterFilter, print_list, print_one, retry
from conductor_actors.domain.events import DECODERS, decode
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import DeadLetter
from tests.support.event_samples import CHAT, REACTION, SYNC
from tests.support.fences import take_ownership
from tests.support.programs import run_to_end

MAX_BYTES = 65536
EVIL = "\x1b[2J\x07\r\n\t\x00\x7f\u202e\u2028\x9b"


class Office(NamedTuple):
    """Dead letters in a real Valkey."""

    letters: DeadLetterStream
    client: Any  # redis-py's own answers are typed as either kind of client's
    queue: RedisDeadLetterQueue

    def put(self, *letters: DeadLetter) -> list[str]:
        """Keep letters as the service does; return their ids."""
        self.queue.add(letters)
        return [entry_id.decode() for entry_id, _ in self.client.xrange(DEAD_LETTERS_KEY)][
            -len(letters) :
        ]

    def send(self, name: str, body: bytes, entry_id: str = "*") -> str:
        sent: bytes = self.client.xadd(name, {"data": body}, id=entry_id)
        return sent.decode()

    def refuse(self, name: str, body: bytes) -> str:
        """Send what is no event, and put it aside; return the letter's id."""
        [letter_id] = self.put(DeadLetter(name, self.send(name, body), "not_json", body))
        return letter_id

    def retry(self, *ids: str) -> int:
        return retry(self.letters, dead_letters.find_letters(self.letters, ids), MAX_BYTES)

    def bodies(self, name: str) -> list[bytes]:
        return [fields[b"data"] for _, fields in self.client.xrange(name)]


@pytest.fixture
def office(redis_client: redis.Redis, valkey_url: str) -> Iterator[Office]:
    with (
        closing(DeadLetterStream(valkey_url)) as letters,
        closing(RedisDeadLetterQueue(valkey_url, take_ownership(valkey_url))) as queue,
    ):
        yield Office(letters, redis_client, queue)


def listed(office: Office, capsys: pytest.CaptureFixture[str], **options: Any) -> list[str]:
    wanted = LetterFilter(options.pop("reason", ""), options.pop("source", ""))
    print_list(office.letters, wanted, options.pop("limit", 50), as_json=bool(options))
    return capsys.readouterr().out.splitlines()


def test_an_entry_with_an_id_in_microseconds_is_sent_again_after_the_last_one_of_its_stream(
    office: Office,
) -> None:
    entry_id = office.send(REACTION, b"no", "1796000000000000-0")
    [letter_id] = office.put(DeadLetter(REACTION, entry_id, "not_json", b"no"))
    assert office.retry(letter_id) == 0
    ids = [entry_id for entry_id, _ in office.client.xrange(REACTION)]
    assert ids == [b"1796000000000000-0", b"1796000000000000-1"]
    assert office.client.xlen(DEAD_LETTERS_KEY) == 0


def test_letters_are_listed_newest_first_up_to_the_limit(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = office.put(*(DeadLetter(SYNC, f"{n}-0", "not_json", b"%d" % n) for n in range(5)))
    lines = [text.split("\t") for text in listed(office, capsys, limit=3)]
    assert [fields[0] for fields in lines] == ids[:1:-1]
    assert [fields[2:] for fields in lines] == [
        [SYNC, f"{n}-0", "not_json", str(n)] for n in (4, 3, 2)
    ]


def test_letters_of_a_reason_or_source_are_found_however_old_they_are(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    first = DeadLetter("session:default/a", "1-0", "handler_failed", b"")
    [wanted, *_] = office.put(
        first, *[DeadLetter(SYNC, "2-0", "not_json", b"")] * (LETTERS_PER_PAGE + 1)
    )
    for options in ({"reason": "handler_failed"}, {"source": "session:default"}):
        [text] = listed(office, capsys, **options)
        assert text.startswith(wanted)
    assert listed(office, capsys, reason="handler_failed", source=SYNC) == []


def test_nothing_in_a_list_can_move_a_cursor(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office.put(DeadLetter(f"session:default/{EVIL}", EVIL, EVIL, EVIL.encode() + b"\xff[red]"))
    [plain] = listed(office, capsys)
    [as_json] = listed(office, capsys, json=True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    table = listed(office, capsys)
    assert "".join([plain.replace("\t", ""), as_json, *table]).isprintable()
    assert "[red]" in table[-1]
    assert json.loads(as_json)["body"] == f"{EVIL}\\xff[red]"


def test_without_letters_a_list_is_empty(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    print_list(office.letters, LetterFilter(), 5, as_json=False)
    assert capsys.readouterr() == ("", "no dead letters\n")
    assert listed(office, capsys, json=True) == []


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", ["body    0 bytes:"]),
        (b'{"a":\n"\xc3\xa9\x1b"}', ["body    12 bytes:", '  {"a":', '  "é\\x1b"}']),
        (b"\xff" * 17, ["body    17 bytes:", "  0000  " + "ff " * 15 + "ff", "  0010  ff"]),
        (b"x" + "é".encode() * 200, ["body    first 256 bytes:", "  x" + "é" * 127]),
    ],
)
def test_a_letter_is_shown_as_text_or_else_in_hexadecimal(
    body: bytes, lines: list[str], office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    [letter_id] = office.put(DeadLetter(SYNC, "1-0", "not_json", body))
    print_one(office.letters, letter_id)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"id      {letter_id}"
    assert shown[2:5] == [f"source  {SYNC}", "entry   1-0", "reason  not_json"]
    assert shown[5:] == lines


@pytest.mark.parametrize(
    ("letter_id", "complaint"),
    [
        ("4-4", "no such dead letter: 4-4"),
        ("x", "'x' is not a dead letter id"),
        ("-", "'-' is not a dead letter id"),
    ],
)
def test_an_id_without_a_letter_is_an_error(letter_id: str, complaint: str, office: Office) -> None:
    with pytest.raises(ConfigError, match=complaint):
        print_one(office.letters, letter_id)


def test_an_entry_that_is_no_letter_is_shown_and_not_sent(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = office.send(DEAD_LETTERS_KEY, b"no letter of ours")
    assert listed(office, capsys)[0].startswith(letter_id)
    assert office.retry(letter_id) == 1


def test_an_original_is_sent_again_as_it_was_and_its_letter_removed(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b"{" + b"\x00\xff" * 1000
    fields = {b"more": b"1", b"data": body, b"data2": b""}
    entry_id = office.client.xadd("acme:sync-events", fields).decode()
    [letter_id] = office.put(DeadLetter("acme:sync-events", entry_id, "not_json", body))
    assert office.retry(letter_id, letter_id) == 0
    first, again = office.client.xrange("acme:sync-events")
    assert (again[1], first[1]) == (fields, fields)
    assert office.client.xlen(DEAD_LETTERS_KEY) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{letter_id}: sent again to acme:sync-events as {again[0].decode()}",
        "1 sent again, 0 remaining",
    ]


@pytest.mark.parametrize("page", [1, 2, LETTERS_PER_PAGE])
def test_all_letters_of_a_reason_are_sent_once_even_if_new_ones_come_meanwhile(
    page: int, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_stream, "LETTERS_PER_PAGE", page)
    for number in range(3):
        office.refuse(SYNC, b"%d" % number)
    office.put(DeadLetter(SYNC, "1-0", "other", b""))
    chosen = LetterFilter("not_json").select(office.letters.oldest_first())

    def as_the_service_does() -> Iterator[Any]:
        for stored in chosen:
            yield stored
            office.refuse(SYNC, b"again")

    assert retry(office.letters, as_the_service_does(), MAX_BYTES) == 0
    assert office.bodies(SYNC) == [b"0", b"1", b"2", b"0", b"again", b"1", b"again", b"2", b"again"]
    assert office.client.xlen(DEAD_LETTERS_KEY) == 4


def test_a_letter_stays_when_its_original_was_trimmed(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, there = office.refuse(SYNC, b"gone"), office.refuse(SYNC, b"there")
    office.client.xtrim(SYNC, 1, approximate=False)
    assert office.retry(gone, there) == 1
    assert office.bodies(SYNC) == [b"there", b"there"]
    out, err = capsys.readouterr()
    assert err.startswith(f"{gone}: not found: sync-events has no entry ")
    assert out.endswith("1 sent again, 1 remaining\n")
    assert [each.id for each in office.letters.newest_first()] == [gone]


def test_an_entry_with_another_body_is_not_taken_for_the_original(office: Office) -> None:
    """A pub/sub message's letter may have the id of a stream's entry."""
    entry_id = office.send(SYNC, b"another")
    [letter_id] = office.put(DeadLetter(SYNC, entry_id, "not_json", b"this"))
    assert office.retry(letter_id) == 1
    assert office.bodies(SYNC) == [b"another"]


@pytest.mark.parametrize("source", ["conductor:owner", "elsewhere", "Acme:sync-events", EVIL, ""])
def test_entries_are_added_to_event_streams_only(
    source: str, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    if source:
        office.send(source, b"x", "5-5")
    [letter_id] = office.put(DeadLetter(source, "5-5", "not_json", b"x"))
    assert office.retry(letter_id) == 1
    assert not source or office.bodies(source) == [b"x"]
    assert "is not an event stream" in capsys.readouterr().err


def session_letter(name: str, body: bytes, at_ms: int) -> DeadLetter:
    """Make the letter of an event that a handler raised on."""
    bare_name = name.rpartition(":")[2]
    decoded = decode(DECODERS[bare_name], body, at_ms, MAX_BYTES, Counter())
    assert decoded is not None
    tenant = name.rpartition(":")[0] or "default"
    source = f"session:{tenant}/{decoded[0]}"
    return DeadLetter(source, f"{at_ms}-0", "handler_failed", letter_body(decoded[1]))


def test_the_event_that_a_handler_raised_on_is_found_among_those_of_its_millisecond(
    office: Office,
) -> None:
    def reaction(session: str, user: str) -> bytes:
        return json.dumps({"sessionId": session, "userId": user, "emoji": EVIL}).encode()

    bodies = [b"{", reaction("a/b", "u"), reaction("other", "v"), reaction("a/b", "v")]
    for sequence, body in enumerate(bodies):
        office.send(f"acme:{REACTION}", body, f"7-{sequence}")
    office.send(f"acme:{REACTION}", bodies[3], "8-0")
    office.send(SYNC, b'{"type":"reaction","sessionId":"a/b","userId":"v"}', "7-0")
    [letter_id] = office.put(session_letter(f"acme:{REACTION}", bodies[3], 7))
    assert office.retry(letter_id) == 0
    assert office.bodies(f"acme:{REACTION}") == [*bodies, bodies[3], bodies[3]]
    assert len(office.bodies(SYNC)) == 1


def test_events_that_are_cut_off_in_their_letter_are_compared_up_to_the_cut(
    office: Office,
) -> None:
    def chat(author: str, message_id: str) -> bytes:
        message = {"id": message_id * 200, "authorId": author}
        return json.dumps({"sessionId": "s", "message": message}).encode()

    for sequence, author in enumerate("uv"):
        office.send(CHAT, chat(author, "m"), f"7-{sequence}")
    letter = session_letter(CHAT, chat("v", "m"), 7)
    assert len(letter.body) > LETTER_BODY_BYTES
    assert office.retry(*office.put(letter)) == 0
    assert office.bodies(CHAT)[-1] == chat("v", "m")


@pytest.mark.parametrize(
    ("letter", "complaint"),
    [
        (DeadLetter("session:default/s", "7-0", "", b'{"type":"Tick"}'), "not found: no stream"),
        (DeadLetter("session:", "7-0", "", b""), "not found: no stream of tenant default"),
        (DeadLetter("session:default/s", "x", "", b""), "'x' is not a stream entry id"),
        (DeadLetter(SYNC, "-", "", b""), "'-' is not a stream entry id"),
        (DeadLetter("row:default/s", "5000-0", "", b"{"), "replay redis://… --to 5000"),
    ],
)
def test_a_letter_that_can_not_be_sent_again_says_why(
    letter: DeadLetter, complaint: str, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.retry(*office.put(letter)) == 1
    assert complaint in capsys.readouterr().err
    assert office.client.xlen(DEAD_LETTERS_KEY) == 1


def test_a_letter_is_kept_when_its_original_can_not_be_added(office: Office) -> None:
    letter_id = office.refuse(SYNC, b"x")
    office.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable, match="maxmemory"):
            office.retry(letter_id)
    finally:
        office.client.config_set("maxmemory", 0)
    assert (office.client.xlen(DEAD_LETTERS_KEY), office.client.xlen(SYNC)) == (1, 1)


def test_a_missing_permission_names_the_grants(office: Office, valkey_url: str) -> None:
    letter_id = office.refuse(SYNC, b"x")
    office.client.execute_command(
        *["ACL", "SETUSER", "clerk", "reset", "on", "nopass", "~*", "+@read"]
    )
    try:
        url = valkey_url.replace("//", "//clerk:any@")
        with closing(DeadLetterStream(url)) as letters:
            with pytest.raises(ConfigError, match=r"dead letters need a Redis user with: ") as told:
                retry(letters, letters.oldest_first(), MAX_BYTES)
            rules = str(told.value).rpartition("with: ")[2].split()
            office.client.execute_command("ACL", "SETUSER", "clerk", "resetkeys", "-@all", *rules)
            assert retry(letters, letters.oldest_first(), MAX_BYTES) == 0
            assert letters.find(letter_id) is None
    finally:
        office.client.acl_deluser("clerk")


def test_the_commands_exit_with_the_documented_codes(
    office: Office, valkey_url: str, tmp_path: Path
) -> None:
    gone, there = office.refuse(SYNC, b"gone"), office.refuse(SYNC, b"there")
    office.client.xtrim(SYNC, 1, approximate=False)

    def run(*arguments: str, url: str = valkey_url) -> tuple[int, str, str]:
        return run_to_end("dead-letters", *arguments, cwd=tmp_path, REDIS_URL=url)

    assert run("list", "--json")[0] == run("show", there)[0] == 0
    assert run("show", "9-9")[0] == run("retry")[0] == run("retry", gone, "--all")[0] == 2
    assert run("list", url="redis://127.0.0.1:1")[0] == 1
    some = run("retry", "--all", "--reason", "not_json")
    assert (some[0], some[1].splitlines()[-1]) == (1, "1 sent again, 1 remaining")
    assert "gone" not in some[1] + some[2]
    assert run("retry", gone)[0] == 1
