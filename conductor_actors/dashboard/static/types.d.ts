/**
 * The bodies that the service sends, made from its own types.
 * Don't edit: `python -m tests.dashboard.typescript` writes this file, and a test compares it.
 */

/** `engagement:update`: one session's score at one tick. */
export interface Update {
  readonly timestamp: string;
  readonly tenantId: string;
  readonly sessionId: string;
  readonly eventId: string;
  readonly score: number;
  readonly category: "VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW";
  readonly signals: Signals;
  readonly contributions: Contributions;
  readonly audience?: "unknown";
  readonly expected?: readonly [number, number];
  readonly quietUntil?: string;
  readonly chatOpen?: boolean;
  readonly agent?: UpdateAgent;
}

/** The measurements of the window before a tick. Rates are per minute, shares 0…1. */
export interface Signals {
  readonly chat_msgs_per_min: number;
  readonly poll_participation: number;
  readonly active_users: number;
  readonly total_users: number;
  readonly reactions_per_min: number;
  readonly user_leave_rate: number;
}

/** What each signal adds to the score; the five add up to it before clamping. */
export interface Contributions {
  readonly chat: number;
  readonly poll: number;
  readonly active_users: number;
  readonly reactions: number;
  readonly leave_rate: number;
}

/** Mode and status of the conductor in a session; the open decision, if there is one. */
export interface UpdateAgent {
  readonly mode: "OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO";
  readonly status: "MONITORING" | "ANOMALY_DETECTED" | "WAITING_APPROVAL" | "INTERVENING" | "LEARNING" | "IDLE";
  readonly decisionId?: string;
}

/** `anomaly:detected`: an anomaly of a session's engagement begins at `timestamp`. */
export interface Anomaly {
  readonly id?: string;
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId?: string;
  readonly timestamp: string;
  readonly type: string;
  readonly severity: "WARNING" | "CRITICAL";
  readonly anomalyScore: number;
  readonly currentEngagement: number;
  readonly expectedEngagement: number;
  readonly deviation: number;
  readonly signals?: Readonly<Record<string, number>>;
  readonly onset?: string;
  readonly reason?: string;
}

/** `anomaly:ended`: the anomaly `id`, which began at `startedAt`, ends at `timestamp`. */
export interface AnomalyEnd {
  readonly id: string;
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId?: string;
  readonly timestamp: string;
  readonly type: string;
  readonly startedAt: string;
  readonly durationS: number;
}

/** `engagement:history`: the updates of a session in the last five minutes, oldest first. */
export interface EngagementHistory {
  readonly sessionId: string;
  readonly points: readonly Update[];
  readonly anomalies?: readonly AnomalyRecord[];
}

/** An anomaly with its end and feedback. While it is open, `endedAt` and `durationS` are null. */
export interface AnomalyRecord {
  readonly id?: string;
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId?: string;
  readonly timestamp: string;
  readonly type: string;
  readonly severity: "WARNING" | "CRITICAL";
  readonly anomalyScore: number;
  readonly currentEngagement: number;
  readonly expectedEngagement: number;
  readonly deviation: number;
  readonly signals?: Readonly<Record<string, number>>;
  readonly onset?: string;
  readonly reason?: string;
  readonly endedAt: string | null;
  readonly durationS: number | null;
  readonly feedback: Feedback | null;
}

/** Whether an anomaly was a problem, when this was reported, and by whom (claim `sub`). */
export interface Feedback {
  readonly verdict: "problem" | "not_a_problem";
  readonly at: string;
  readonly by: string | null;
}

/** The newest update of each session; in `sessions:update`, of each session that changed. */
export interface SessionList {
  readonly sessions: readonly Update[];
  readonly anomalies?: readonly AnomalyRecord[];
}

/** `subscription:error`: a request that was refused and has no acknowledgement. */
export interface SubscriptionError {
  readonly request: string;
  readonly sessionId: string | null;
  readonly error: string;
}

/** The stored scores of a session at each tick; `step` is the tick interval, such as `5s`. */
export interface History {
  readonly sessionId: string;
  readonly step: string;
  readonly points: readonly HistoryPoint[];
}

/** A stored score. `expected` is absent while the session had no baseline. */
export interface HistoryPoint {
  readonly timestamp: string;
  readonly score: number;
  readonly category: "VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW";
  readonly signals: Signals;
  readonly expected?: readonly [number, number];
}

/** The stored scores of a session, aggregated in larger steps, such as `1m`. */
export interface StepHistory {
  readonly sessionId: string;
  readonly step: string;
  readonly points: readonly StepPoint[];
}

/** The mean, minimum and maximum score of a step that begins at `timestamp`. */
export interface StepPoint {
  readonly timestamp: string;
  readonly score: number;
  readonly category: "VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW";
  readonly signals: MostUsers;
  readonly minScore: number;
  readonly maxScore: number;
  readonly ticks: number;
}

/** The maximum number of users within a step. */
export interface MostUsers {
  readonly active_users: number;
  readonly total_users: number;
}

/** The stored scores of several sessions; `step` is the tick interval, such as `5s`. */
export interface ScoreHistories {
  readonly step: string;
  readonly histories: readonly ScoreHistory[];
}

/** The stored scores of a session at each tick. */
export interface ScoreHistory {
  readonly sessionId: string;
  readonly points: readonly ScorePoint[];
}

/** A stored score without its signals. */
export interface ScorePoint {
  readonly timestamp: string;
  readonly score: number;
  readonly category: "VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW";
}

/** The latest score of a session, by signal. */
export interface Explanation {
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId: string;
  readonly timestamp: string;
  readonly score: number;
  readonly category: "VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW";
  readonly signals: readonly SignalPart[];
  readonly noticeableS: number | null;
  readonly audience?: "unknown";
}

/** The contribution of a signal to the score: its normalised value (0…1) x its weight. */
export interface SignalPart {
  readonly name: string;
  readonly label: string;
  readonly raw: number;
  readonly unit: string;
  readonly normalised: number;
  readonly weight: number;
  readonly contribution: number;
}

/** A page of anomalies. `next` is the `cursor` of the next page; null at the end. */
export interface AnomalyList {
  readonly anomalies: readonly AnomalyRecord[];
  readonly next: string | null;
}

/** The quality of the anomalies of each type that began in a range. */
export interface QualityReport {
  readonly types: readonly AnomalyQuality[];
}

/** How good the anomalies of a type are, as far as feedback says. */
export interface AnomalyQuality {
  readonly type: string;
  readonly total: number;
  readonly judged: number;
  readonly notAProblem: number;
  readonly precision: number | null;
  readonly medianDurationS: number | null;
}

/** The body of a request that reports whether an anomaly was a problem. */
export interface FeedbackRequest {
  readonly verdict: "problem" | "not_a_problem";
}

/** The request to make a session quiet until a time, 24 hours at most; null ends that. */
export interface QuietRequest {
  readonly until: string | null;
}

/** A command that was accepted, not yet carried out. */
export interface CommandAccepted {
  readonly id: string;
}

/** The body of every error response. */
export interface Refusal {
  readonly error: Problem;
}

/** An error: a code for programs, and a message for people. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}
