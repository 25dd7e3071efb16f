"""What the conductor of a session does at a tick.

In this order: what was requested, what the mode forbids, what has expired, what is measured, and
what to do about an anomaly that begins. Everything follows from the entries before the tick.
Source of every rule: the contract, section 7.
"""

from typing import Any, Final

from msgspec.structs import replace

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.conducting.decisions import Situation, content_of, decide
from conductor_actors.domain.conductor.action_limits import (
    SentAction,
    allowed_actions,
    recently_sent,
    refusal,
)
from conductor_actors.domain.conductor.conduct_rules import (
    OUTCOME_FROM_MS,
    OUTCOME_UNTIL_MS,
    REPORT_WITHIN_MS,
    SEND_WITHIN_MS,
    ConductRules,
)
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import (
    MICRO,
    STATUS_RANKS,
    AgentState,
    AgentStatus,
    Intervention,
    InterventionStatus,
    MeasuredOutcome,
    Mode,
)
from conductor_actors.domain.conductor.policy import reference
from conductor_actors.domain.conductor.requests import (
    Approved,
    ConductRequest,
    Dismissed,
    InterventionReported,
    InterventionSent,
    ManualRequested,
    ModeSet,
)
from conductor_actors.domain.conductor.session_conduct import Measurement, SessionConduct
from conductor_actors.domain.conductor.templates import check_content
from conductor_actors.domain.scoring import ScoreRow

OFF_NOTE: Final = "the mode is OFF"
_UNDECIDED: Final = ("SUGGESTED", "APPROVED")  # or decided, and not known to be sent


class SessionConductor:
    """One tick of one session. Call `run` once."""

    def __init__(
        self, conduct: SessionConduct, row: ScoreRow, directives: Directives, rules: ConductRules
    ) -> None:
        self._row = row
        self._at_ms = row.at_ms
        self._directives = directives
        self._rules = rules
        self._conduct = conduct
        self._own_mode = conduct.mode
        self._open = {each.id: each for each in conduct.open}
        self._changed: dict[str, Intervention] = {}
        self._measurements = list(conduct.measurements)
        self._sent = list(recently_sent(conduct.sent, row.at_ms))

    def run(self, *, has_anomaly: bool) -> tuple[SessionConduct, ScoreRow]:
        """Return the state after the tick, and the row with what changed."""
        for request in self._conduct.requests:  # first, so that no request is begun in vain
            if isinstance(request, ModeSet):
                self._own_mode = request.mode
        for request in self._conduct.requests:
            self._apply(request)
        if self._mode == "OFF":
            self._expire_all(OFF_NOTE)
        self._expire()
        self._measure()
        if self._row.is_last:
            self._end()
        elif self._mode != "OFF":
            self._decide()
        self._close_resolved()
        agent = AgentState(self._mode, self._status(has_anomaly=has_anomaly), self._decision_id())
        watching: AgentStatus = "IDLE" if self._rules.mode == "OFF" else "MONITORING"
        is_default = agent == AgentState(self._rules.mode, watching) or not self._rules.is_enabled
        row = replace(
            self._row,
            interventions=tuple(self._changed.values()),
            agent=None if is_default else agent,
        )
        return self._state(), row

    @property
    def _mode(self) -> Mode:
        if not self._rules.is_enabled:
            return "OFF"
        event_mode = self._directives.modes.get(self._row.event_id, self._rules.mode)
        return self._own_mode or event_mode

    def _state(self) -> SessionConduct:
        return SessionConduct(
            self._own_mode,
            (),
            tuple(self._open.values()),
            tuple(self._measurements),
            tuple(self._sent),
        )

    def _apply(self, request: ConductRequest) -> None:
        match request:
            case ModeSet():
                pass
            case Approved():
                self._approve(request)
            case Dismissed(_, decision_id, reason):
                if self._has_status(decision_id, "SUGGESTED"):
                    self._move(decision_id, "DISMISSED", note=reason)
            case ManualRequested():
                if request.intervention_id not in self._open:
                    self._start_manual(request)
            case InterventionSent():
                self._record_sent(request)
            case InterventionReported():
                if self._has_status(request.intervention_id, "APPROVED", "SENT"):
                    status: InterventionStatus = "EXECUTED" if request.is_success else "FAILED"
                    self._move(request.intervention_id, status, note=request.error)

    def _approve(self, approved: Approved) -> None:
        """Approve a suggestion, unless it is decided or its new content can't be sent."""
        if not self._has_status(approved.decision_id, "SUGGESTED"):
            return
        suggestion = self._open[approved.decision_id]
        content = suggestion.content
        if approved.content is not None and suggestion.type != "HOLD":
            try:
                content = check_content(suggestion.type, approved.content)
            except ValueError:
                return
        self._open[suggestion.id] = replace(suggestion, content=content)
        self._start(suggestion.id)

    def _start_manual(self, request: ManualRequested) -> None:
        content = request.content or content_of(
            request.action, self._row, self._directives, request.reason
        )
        self._open[request.intervention_id] = Intervention(
            request.intervention_id,
            self._at_ms,
            self._row.event_id,
            request.action,
            "manual",
            "SUGGESTED",
            1.0,
            request.reason,
            self._row.score,
            content=content,
        )
        self._start(request.intervention_id)
        if self._has_status(request.intervention_id, "APPROVED"):
            self._measurements.append(Measurement(request.intervention_id, self._at_ms))

    def _start(self, identity: str) -> None:
        """Approve an action, so that it is sent, unless a limit or the mode forbids it."""
        action = self._open[identity].type
        if action == "HOLD":
            return
        is_off = self._mode == "OFF"
        limit = OFF_NOTE if is_off else refusal(self._sent, action, self._at_ms)
        if limit is not None:
            self._move(identity, "EXPIRED", note=limit)
            return
        self._move(identity, "APPROVED", send_by_ms=self._at_ms + SEND_WITHIN_MS)
        self._sent.append(SentAction(identity, action, self._at_ms))
        for other in [each for each in self._measurements if each.intervention_id != identity]:
            self._finish(other, "other_action")

    def _record_sent(self, sent: InterventionSent) -> None:
        identity = sent.intervention_id
        is_waiting = self._has_status(identity, "APPROVED", "EXPIRED")
        if sent.refused is not None:
            if is_waiting:
                self._move(identity, "EXPIRED", note=sent.refused)
            return
        if is_waiting:
            self._move(identity, "SENT", note=None)
        elif not self._has_status(identity, "EXECUTED", "FAILED"):  # a report may come first
            return
        self._sent = [
            each._replace(at_ms=sent.at_ms) if each.intervention_id == identity else each
            for each in self._sent
        ]

    def _expire_all(self, note: str) -> None:
        for each in self._with_status(*_UNDECIDED):
            self._move(each.id, "EXPIRED", note=note)

    def _expire(self) -> None:
        for each in self._with_status("SUGGESTED"):
            if self._at_ms >= each.expires_ms:
                self._move(each.id, "EXPIRED", note="nobody decided in time")
        for each in self._with_status("APPROVED"):
            if self._at_ms > each.send_by_ms:  # no entry that says so can come any more
                self._move(each.id, "EXPIRED", note="not sent in time")

    def _measure(self) -> None:
        for each in self._measurements[:]:
            if self._row.gap is not None:
                self._finish(each, "gap")
                continue
            elapsed_ms, measured = self._at_ms - each.began_ms, each
            if elapsed_ms > OUTCOME_FROM_MS:
                total = each.total + round(self._row.score * MICRO)
                measured = Measurement(each.intervention_id, each.began_ms, total, each.ticks + 1)
                self._measurements[self._measurements.index(each)] = measured
            if elapsed_ms >= OUTCOME_UNTIL_MS:
                self._finish(measured, None)

    def _finish(self, measurement: Measurement, censored: str | None) -> None:
        """Record the outcome of an intervention, or why there is none."""
        self._measurements.remove(measurement)
        done = self._open[measurement.intervention_id]
        if censored is not None:
            outcome = MeasuredOutcome(self._at_ms, done.before, censored=censored)
        else:
            after, reward = measurement.total / measurement.ticks / MICRO, None
            if done.choice is not None:
                policy = self._directives.policy
                reward = after - reference(policy, done.choice.anomaly_type, done.before)
            is_success = None if reward is None else reward > 0
            outcome = MeasuredOutcome(self._at_ms, done.before, after, reward, is_success)
        self._set(replace(done, outcome=outcome))

    def _end(self) -> None:
        self._expire_all("the session ended")
        for each in self._measurements[:]:
            self._finish(each, "ended")

    def _decide(self) -> None:
        """Decide about an anomaly that begins, unless an action is still being measured."""
        begun = next((one for one in self._row.anomalies if isinstance(one, AnomalyBegan)), None)
        if begun is None or self._measurements:
            return
        allowed = allowed_actions(self._sent, self._at_ms)
        situation = Situation(self._row, self._mode, self._directives, allowed, self._rules.salt)
        decision = decide(begun, situation)
        if decision is None:
            return
        for each in self._with_status("SUGGESTED"):
            self._move(each.id, "EXPIRED", note="a newer decision was made")
        self._set(decision)
        self._measurements.append(Measurement(decision.id, self._at_ms))
        if decision.is_to_send and decision.type != "HOLD":
            self._sent.append(SentAction(decision.id, decision.type, self._at_ms))

    def _close_resolved(self) -> None:
        """Complete and forget the interventions to which nothing more can happen."""
        measured = {each.intervention_id for each in self._measurements}
        for each in [one for one in self._open.values() if one.id not in measured]:
            if each.status in _UNDECIDED:
                continue
            waits = each.status == "SENT" and each.origin == "suggest"
            if waits and self._at_ms - each.steps["SENT"] < REPORT_WITHIN_MS:
                continue
            if each.outcome is not None:
                self._move(each.id, "COMPLETED")
            del self._open[each.id]

    def _status(self, *, has_anomaly: bool) -> AgentStatus:
        if self._mode == "OFF":
            return "IDLE"
        if self._with_status("SUGGESTED"):
            return "WAITING_APPROVAL"
        if self._with_status("APPROVED", "SENT"):
            return "INTERVENING"
        if self._measurements:
            return "LEARNING"
        return "ANOMALY_DETECTED" if has_anomaly else "MONITORING"

    def _decision_id(self) -> str | None:
        """Return the newest decision that is open."""
        return next(reversed(self._open), None)

    def _has_status(self, identity: str, *statuses: InterventionStatus) -> bool:
        found = self._open.get(identity)
        return found is not None and found.status in statuses

    def _with_status(self, *statuses: InterventionStatus) -> list[Intervention]:
        return [each for each in self._open.values() if each.status in statuses]

    def _move(
        self,
        identity: str,
        status: InterventionStatus,
        **changes: Any,  # noqa: ANN401
    ) -> None:
        """Change the status of an intervention, which only moves forward."""
        before = self._open[identity]
        if STATUS_RANKS[status] > STATUS_RANKS[before.status]:
            steps = {**before.steps, status: self._at_ms}
            self._set(replace(before, status=status, steps=steps, **changes))

    def _set(self, intervention: Intervention) -> None:
        self._open[intervention.id] = self._changed[intervention.id] = intervention
