"""A corpus: sessions by seed and number, each the same whenever it is made."""

from bisect import bisect_left
from itertools import count
from random import Random
from typing import Final, Literal

from tests.detector.corpus import losses
from tests.detector.corpus.activity import self_exciting_times
from tests.detector.corpus.bodies import Producer
from tests.detector.corpus.formats import log_uniform, traits_of
from tests.detector.corpus.labels import Happening, Incident, LabelledSession
from tests.detector.corpus.losses import Loss
from tests.detector.corpus.people import People
from tests.detector.corpus.programme import Programme, Span

BEGIN_MS: Final = 1_767_614_400_000
DAY_MS: Final = 86_400_000
RATE_OF_S: Final = 300
LOW_START_S: Final = 360  # a session has to be so old

Kind = Literal["clean", "drop", "partial drop", "decline", "exit", "low start"]
KINDS: Final[tuple[Kind, ...]] = (
    *("clean", "drop", "clean", "partial drop", "clean", "exit", "clean", "drop", "decline"),
    *("clean", "drop", "clean", "low start", "clean", "partial drop", "clean", "exit"),
    *("drop", "clean", "decline"),
)


def session(seed: int, number: int) -> LabelledSession:
    """Make one session. Its kind follows from its number, all else from both."""
    for attempt in count():
        made = _Session(
            KINDS[number % len(KINDS)], f"{seed}-{number}", Random(f"{seed} {number} {attempt}")
        )
        if made.is_possible:
            return made.labelled()
    raise AssertionError


class _Session:
    """A session as it is made: first its programme, then its people, then what they do."""

    def __init__(self, kind: Kind, name: str, rng: Random) -> None:
        self._kind, self._name, self._rng = kind, name, rng
        self._traits = traits = traits_of(rng)
        self._programme = Programme(traits, rng)
        self._programme.plan()
        self._people = People(traits, traits.duration_s, rng, prompt=kind == "low start")
        self._people.follow(self._programme)
        self._cut_s = 0.0  # what was before is not heard
        self._low_s = 0.0
        self._losses: list[Loss] = []
        self._add_trouble()
        self._add_incidents()
        self._activity_ms: list[int] = []

    @property
    def is_possible(self) -> bool:
        """Check that the session has the incidents of its kind, and is not low by itself."""
        traits = self._traits
        needs_people = self._kind in ("exit", "low start")
        if needs_people and not (traits.has_presence and traits.people >= 16):
            return False
        return self._kind in ("clean", "low start") or bool(self._losses)

    def labelled(self) -> LabelledSession:
        """Make the entries and the labels."""
        begin_ms = BEGIN_MS + self._rng.randrange(DAY_MS)
        producer = Producer(self._name, begin_ms, self._traits.repeats, self._rng)
        self._say_hello_and_goodbye(producer)
        self._talk(producer)
        self._vote(producer)
        self._flood(producer)
        self._arrange(producer)
        activity_ms = sorted(self._activity_ms)
        return LabelledSession(
            self._name,
            self._traits.format.name,
            self._traits.people,
            producer.entries(self._cut_s),
            activity_ms[bisect_left(activity_ms, producer.ms(self._cut_s)) :],
            tuple(self._incidents(producer, activity_ms)),
            tuple(
                Happening(span.name, producer.ms(span.begin_s), producer.ms(span.end_s))
                for span in self._programme.spans
            ),
        )

    def _add_trouble(self) -> None:
        """Add what platforms do: reconnects, floods of a bot, collectors that start late."""
        rng, programme, duration_s = self._rng, self._programme, self._programme.duration_s
        if self._traits.has_presence and self._kind != "low start":
            while rng.random() < 0.35:
                at_s = rng.uniform(120, duration_s - 60)
                share, median_s = rng.uniform(0.1, 0.9), log_uniform(rng, (1.5, 18))
                back_s = self._people.reconnect(at_s, share, median_s)
                programme.spans.append(Span("storm", at_s, back_s, share))
        if rng.random() < 0.07:
            at_s = rng.uniform(60, duration_s - 120)
            programme.spans.append(Span("flood", at_s, at_s + log_uniform(rng, (15, 120))))
        if self._kind in ("clean", "drop") and duration_s > 2400 and rng.random() < 0.15:
            self._cut_s = rng.uniform(200, 900)

    def _add_incidents(self) -> None:
        rng, kind = self._rng, self._kind
        if kind == "low start":
            self._low_s = rng.uniform(600, 1000)
            self._programme.silence(self._low_s, rng.uniform(0, 0.6))
            return
        for _ in range(0 if kind == "clean" else rng.choice((1, 2))):
            match kind:
                case "drop" | "partial drop":
                    loss = losses.sudden_drop(rng, is_total=kind == "drop")
                case "decline":
                    loss = losses.gradual_decline(rng)
                case _:
                    loss = losses.mass_exit(rng)
            at = losses.placed(loss, self._programme, rng, self._cut_s, self._losses)
            if at is not None:
                self._losses.append(at)
        self._losses.sort(key=lambda each: each.onset_s)
        for each in self._losses:
            if each.type == "MASS_EXIT":
                here = len(self._people.present(each.onset_s))
                leaving = min(here, max(4, round((1 - each.kept) * here)))
                self._people.exit(each.onset_s, leaving, each.falling_s)

    def _is_kept(self, at_s: float) -> bool:
        return all(
            each.type == "MASS_EXIT"
            or (kept := each.kept_at(at_s)) == 1.0
            or self._rng.random() < kept
            for each in self._losses
        )

    def _say_hello_and_goodbye(self, producer: Producer) -> None:
        if self._traits.has_presence:
            last_s = self._programme.duration_s
            for person in self._people.all:
                for begin_s, end_s in person.visits:
                    producer.visit(person.id, person.devices, begin_s, end_s, last_s)

    def _talk(self, producer: Producer) -> None:
        traits, rng, programme = self._traits, self._rng, self._programme
        per_s, chat_share = traits.rate_per_min / 60, traits.chat_share
        messages = self_exciting_times(
            rng, per_s * chat_share, programme.chat, traits.excitation, traits.answer_s
        )
        reactions = self_exciting_times(
            rng, per_s * (1 - chat_share), programme.reactions, traits.excitation / 2, 2.0
        )
        for times, send in ((messages, producer.chat), (reactions, producer.reaction)):
            for at_s in times:
                writer = self._people.writer()
                if writer.is_present(at_s) and self._is_kept(at_s):
                    send(at_s, writer.id)
                    self._activity_ms.append(producer.ms(at_s))

    def _vote(self, producer: Producer) -> None:
        rng = self._rng
        for number, poll in enumerate(self._programme.polls):
            poll_id, length_s = f"p{number}", poll.end_s - poll.begin_s
            for person in self._people.present(poll.begin_s):
                at_s = poll.begin_s + 2 + rng.expovariate(3 / length_s)
                if rng.random() < poll.turnout and at_s < poll.end_s and self._is_kept(at_s):
                    producer.vote(at_s, poll_id, person.id)
                    self._activity_ms.append(producer.ms(at_s))
            if rng.random() < 0.7:
                producer.poll_closed(poll.end_s, poll_id)

    def _flood(self, producer: Producer) -> None:
        for span in self._programme.spans:
            if span.name == "flood":
                for _ in range(self._rng.randrange(100, 400)):
                    producer.chat(self._rng.uniform(span.begin_s, span.end_s), "bot")

    def _arrange(self, producer: Producer) -> None:
        """Announce breaks, that the chat is closed, and the end where nobody is seen to leave."""
        rng, is_unseen = self._rng, not self._traits.has_presence or self._cut_s > 0
        for span in self._programme.spans:
            if span.name == "chat closed":
                producer.chat_status(span.begin_s - 0.1, is_open=False)
                producer.chat_status(span.end_s, is_open=True)
            elif span.name == "break":
                producer.quiet(span.begin_s - rng.uniform(0, 10), span.end_s + 30)
            elif span.name == "ending" and (rng.random() < 0.3 or is_unseen):
                producer.quiet(span.begin_s - rng.uniform(0, 30), span.end_s + 30)

    def _incidents(self, producer: Producer, activity_ms: list[int]) -> list[Incident]:
        if self._low_s:
            onset_ms = producer.ms(LOW_START_S)
            return [Incident("LOW_ENGAGEMENT", onset_ms, producer.ms(self._low_s), 0.0)]
        return [
            Incident(
                each.type,
                producer.ms(each.onset_s),
                producer.ms(each.end_s),
                each.kept,
                _rate_per_min(activity_ms, producer.ms(each.onset_s)),
            )
            for each in self._losses
        ]


def _rate_per_min(activity_ms: list[int], at_ms: int) -> float:
    begin = bisect_left(activity_ms, at_ms - RATE_OF_S * 1000)
    return (bisect_left(activity_ms, at_ms) - begin) * 60 / RATE_OF_S
