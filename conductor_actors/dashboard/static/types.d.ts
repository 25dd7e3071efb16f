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
  readonly decisions?: readonly DecisionBody[];
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

/** The data of `agent.decision`: an intervention as it is now. Histories have the same keys. */
export interface DecisionBody {
  readonly id: string;
  readonly session_id: string;
  readonly event_id: string;
  readonly timestamp: string;
  readonly type: string;
  readonly status: string;
  readonly confidence: number | null;
  readonly reasoning: string | null;
  readonly outcome: OutcomeBody | null;
  readonly metadata: InterventionMetadata;
}

/** What followed an intervention. All but the score before are null if it was `censored`. */
export interface OutcomeBody {
  readonly success: boolean | null;
  readonly reward: number | null;
  readonly engagement_before: number;
  readonly engagement_after: number | null;
  readonly engagement_delta: number | null;
  readonly pre_engagement: number;
  readonly post_engagement: number | null;
  readonly measured_at: string;
  readonly censored?: string;
}

/** How an intervention was decided, and what became of it. */
export interface InterventionMetadata {
  readonly event_id: string;
  readonly origin: string;
  readonly engagement_before: number;
  readonly estimated_impact: number;
  readonly steps: Readonly<Record<string, string>>;
  readonly anomaly_id?: string;
  readonly anomaly_type?: string;
  readonly policy_version?: number;
  readonly probabilities?: Readonly<Record<string, number>>;
  readonly draw?: number;
  readonly content?: Readonly<Record<string, unknown>>;
  readonly expires_at?: string;
  readonly send_by?: string;
  readonly note?: string;
}

/** The newest update of each session; in `sessions:update`, of each session that changed. */
export interface SessionList {
  readonly sessions: readonly Update[];
  readonly anomalies?: readonly AnomalyRecord[];
  readonly decisions?: readonly DecisionBody[];
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

/** A message of `session:<id>:events`. The keys of `data` depend on the type. */
export interface SessionEvent {
  readonly type: "agent.status" | "agent.decision" | "agent.intervention.executed" | "agent.reward.measured";
  readonly session_id: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The data of `agent.status`: mode and status of a session, and its open decision. */
export interface StatusBody {
  readonly mode: string;
  readonly status: string;
  readonly decision_id: string | null;
}

/** The data of `agent.intervention.executed`: whether the platform carried an action out. */
export interface ExecutedBody {
  readonly intervention_id: string;
  readonly type: string;
  readonly success: boolean;
  readonly error: string | null;
}

/** The data of `agent.reward.measured`: what followed an intervention. */
export interface RewardBody {
  readonly intervention_id: string;
  readonly type: string;
  readonly outcome: OutcomeBody;
}

/** The request to set a mode; null ends it: a session has the mode of its event again. */
export interface ModeRequest {
  readonly mode: "OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO" | null;
}

/** What the conductor does in a session. */
export interface SessionAgent {
  readonly session_id: string;
  readonly mode: "OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO";
  readonly status: "MONITORING" | "ANOMALY_DETECTED" | "WAITING_APPROVAL" | "INTERVENING" | "LEARNING" | "IDLE";
  readonly last_activity: string | null;
  readonly confidence_score: number | null;
  readonly current_decision: DecisionBody | null;
  readonly is_active: boolean;
}

/** The mode of the sessions of an event that have no mode of their own; null: the default. */
export interface EventMode {
  readonly event_id: string;
  readonly mode: "OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO" | null;
}

/** The request to approve a suggestion, with other content if it is not absent or null. */
export interface ApprovalRequest {
  readonly content?: Readonly<Record<string, unknown>> | null;
}

/** The request to dismiss a suggestion. */
export interface DismissalRequest {
  readonly reason?: string | null;
}

/** An answer to a suggestion that was accepted: APPROVED or DISMISSED. */
export interface DecisionAnswered {
  readonly id: string;
  readonly session_id: string;
  readonly status: string;
}

/** An intervention, and the random choice that led to it; empty if a person started it. */
export interface DecisionExplanation {
  readonly id: string;
  readonly session_id: string;
  readonly event_id: string;
  readonly timestamp: string;
  readonly type: string;
  readonly status: string;
  readonly confidence: number | null;
  readonly reasoning: string | null;
  readonly outcome: OutcomeBody | null;
  readonly metadata: InterventionMetadata;
  readonly shares: readonly DrawnShare[];
}

/** The chance of a type, and the part of 0 to 1 that a draw must be in for it. */
export interface DrawnShare {
  readonly type: string;
  readonly probability: number;
  readonly low: number;
  readonly high: number;
  readonly is_drawn: boolean;
}

/** The decisions that are open, or changed in the last five minutes, oldest first. */
export interface DecisionList {
  readonly enabled: boolean;
  readonly default_mode: "OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO";
  readonly decisions: readonly DecisionBody[];
}

/** The request to start an action. `context.content` replaces the template, if it is there. */
export interface ManualRequest {
  readonly session_id: string;
  readonly intervention_type: "POLL" | "BROADCAST" | "NOTIFICATION" | "GAMIFICATION";
  readonly reason: string;
  readonly event_id?: string | null;
  readonly context?: Readonly<Record<string, unknown>> | null;
}

/** An action that a person started: it has this id, once its session has read it. */
export interface ManualAccepted {
  readonly id: string;
  readonly session_id: string;
  readonly status?: string;
}

/** The numbers of a session's interventions, those that did nothing (HOLD) included. */
export interface InterventionStats {
  readonly session_id: string;
  readonly total_interventions: number;
  readonly by_type: Readonly<Record<string, number>>;
  readonly by_status: Readonly<Record<string, number>>;
  readonly measured: number;
  readonly successful: number;
  readonly success_rate: number | null;
  readonly mean_reward: number | null;
}

/** The effects of all types, from the trials since a time. */
export interface EffectReport {
  readonly since: string;
  readonly trials: number;
  readonly effects: readonly TypeEffect[];
}

/** The effect of a type on the score, against doing nothing, with its 95 % interval. */
export interface TypeEffect {
  readonly type: string;
  readonly origin: string;
  readonly n: number;
  readonly n_hold: number;
  readonly effect: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly missing: number;
}

/** The request to replace all texts; types that are absent have the defaults again. */
export interface TemplatesRequest {
  readonly templates: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The texts of the actions as they are used, the types that replace a default, and defaults. */
export interface Templates {
  readonly templates: Readonly<Record<"POLL" | "BROADCAST" | "NOTIFICATION" | "GAMIFICATION", Readonly<Record<string, unknown>>>>;
  readonly replaced: readonly ("POLL" | "BROADCAST" | "NOTIFICATION" | "GAMIFICATION")[];
  readonly defaults: Readonly<Record<"POLL" | "BROADCAST" | "NOTIFICATION" | "GAMIFICATION", Readonly<Record<string, unknown>>>>;
  readonly placeholders: readonly string[];
}

/** The content of a POLL. */
export interface PollContent {
  readonly poll: PollText;
}

/** A poll: its `duration` is in seconds, and its `type` is a word of the platform's. */
export interface PollText {
  readonly question: string;
  readonly options: readonly string[];
  readonly type?: string;
  readonly duration?: number;
}

/** The content of a BROADCAST: a message to everybody in the session. */
export interface BroadcastContent {
  readonly message: string;
}

/** The content of a NOTIFICATION: a message to those who run the session. */
export interface NotificationContent {
  readonly content: string;
  readonly notification_type?: string;
  readonly target?: string;
  readonly escalate?: boolean;
}

/** The content of a GAMIFICATION. */
export interface GameContent {
  readonly content: GameText;
}

/** A game: what is played, and what can be won. */
export interface GameText {
  readonly name: string;
  readonly description: string;
  readonly action?: string;
  readonly template?: string;
  readonly rewards?: readonly string[];
  readonly duration_minutes?: number;
  readonly multiplier?: number;
}

/** A page of sessions. `next` is the `cursor` of the next page; null at the end. */
export interface SessionSummaryList {
  readonly sessions: readonly SessionSummary[];
  readonly next: string | null;
}

/** A session: its names and plan, and its figures, which are null until they are computed. */
export interface SessionSummary {
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId: string;
  readonly title?: string | null;
  readonly eventTitle?: string | null;
  readonly speakers?: readonly string[];
  readonly plannedBegin?: string | null;
  readonly plannedEnd?: string | null;
  readonly state: "live" | "ended" | "planned";
  readonly startedAt?: string | null;
  readonly endedAt?: string | null;
  readonly durationS?: number | null;
  readonly meanScore?: number | null;
  readonly peakScore?: number | null;
  readonly peakAt?: string | null;
  readonly peakUsers?: number | null;
}

/** What people call the live and the planned sessions and their events, by their ids. */
export interface Titles {
  readonly sessions: Readonly<Record<string, SessionTitle>>;
  readonly events: Readonly<Record<string, string>>;
}

/** What people call a session, and its event. */
export interface SessionTitle {
  readonly title: string | null;
  readonly eventTitle: string | null;
  readonly speakers: readonly string[];
  readonly plannedBegin: string | null;
  readonly plannedEnd: string | null;
}

/** What people call a session from now on; what is absent is removed. */
export interface AboutRequest {
  readonly title: string | null;
  readonly speakers?: readonly string[];
  readonly plannedBegin?: string | null;
  readonly plannedEnd?: string | null;
  readonly eventTitle?: string | null;
  readonly eventId?: string | null;
}

/** The rows of a session in a range, in steps; steps without a row have no point. */
export interface SessionTimeline {
  readonly sessionId: string;
  readonly eventId: string;
  readonly from: string;
  readonly to: string;
  readonly step: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly points: readonly TimelinePoint[];
  readonly gaps: readonly TimelineGap[];
}

/** The ticks of a step that begins at `timestamp`. `score` is their mean; users are the most. */
export interface TimelinePoint {
  readonly timestamp: string;
  readonly score: number;
  readonly min: number;
  readonly max: number;
  readonly activeUsers: number;
  readonly totalUsers: number;
  readonly contributions: StepContributions;
}

/** What each signal added to the score on average; they add up to it before clamping. */
export interface StepContributions {
  readonly chat: number;
  readonly poll: number;
  readonly activeUsers: number;
  readonly reactions: number;
  readonly leaveRate: number;
}

/** Ticks that miss events, or have no row. The end is exclusive. */
export interface TimelineGap {
  readonly from: string;
  readonly to: string;
}

/** A page of events. `next` is the `cursor` of the next page; null at the end. */
export interface EventList {
  readonly events: readonly EventSummary[];
  readonly next: string | null;
}

/** An event and the number of its sessions. `endedAt` is null while one of them is live. */
export interface EventSummary {
  readonly eventId: string;
  readonly title: string | null;
  readonly sessions: number;
  readonly liveSessions: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** The sessions of an event, in the order of their starts, on one axis of time. */
export interface EventOverview {
  readonly eventId: string;
  readonly title: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly from: string;
  readonly to: string;
  readonly step: string;
  readonly sessions: readonly EventSession[];
  readonly curve: readonly CurvePoint[];
  readonly moments: LargestChanges;
}

/** A session of an event. Steps without a row have no point. */
export interface EventSession {
  readonly sessionId: string;
  readonly eventId: string;
  readonly tenantId: string;
  readonly title?: string | null;
  readonly eventTitle?: string | null;
  readonly speakers?: readonly string[];
  readonly plannedBegin?: string | null;
  readonly plannedEnd?: string | null;
  readonly state: "live" | "ended" | "planned";
  readonly startedAt?: string | null;
  readonly endedAt?: string | null;
  readonly durationS?: number | null;
  readonly meanScore?: number | null;
  readonly peakScore?: number | null;
  readonly peakAt?: string | null;
  readonly peakUsers?: number | null;
  readonly points: readonly CurvePoint[];
}

/** The mean score and the most users of a step that begins at `timestamp`. */
export interface CurvePoint {
  readonly timestamp: string;
  readonly score: number;
  readonly totalUsers: number;
}

/** The largest changes, each the largest first; those of a session are over a minute apart. */
export interface LargestChanges {
  readonly rises: readonly Moment[];
  readonly falls: readonly Moment[];
}

/** The change of a session's score within a minute, which ends `at` a tick. */
export interface Moment {
  readonly sessionId: string;
  readonly at: string;
  readonly before: number;
  readonly after: number;
  readonly change: number;
}

/** The dictionary of exports. */
export interface ExportColumns {
  readonly tables: readonly TableBody[];
}

/** A table that can be exported: the order of its rows, and its columns in their order. */
export interface TableBody {
  readonly name: "engagement_metrics" | "anomalies" | "interventions" | "agent_performance";
  readonly description: string;
  readonly order: string;
  readonly columns: readonly ColumnBody[];
}

/** A column of an export. `json` is an object in JSON lines, and its text in other formats. */
export interface ColumnBody {
  readonly name: string;
  readonly type: "timestamp" | "text" | "number" | "integer" | "boolean" | "json";
  readonly nullable: boolean;
  readonly description: string;
}

/** What happened in a session, or in all sessions of an event. */
export interface Report {
  readonly kind: "session" | "event";
  readonly session?: SessionSummary;
  readonly event?: ReportedEvent;
  readonly state: "live" | "ended";
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly durationS: number;
  readonly ticks: number;
  readonly meanScore: number;
  readonly peakScore: number;
  readonly peakAt: string;
  readonly categories: Readonly<Record<"VERY_HIGH" | "HIGH" | "MODERATE" | "LOW" | "VERY_LOW", number>>;
  readonly peakUsers: number;
  readonly messages: number;
  readonly reactions: number;
  readonly polls: readonly ReportedPoll[];
  readonly anomalies: readonly ReportedAnomaly[];
  readonly interventions: readonly ReportedIntervention[];
  readonly step: string;
  readonly curve: readonly ReportedPoint[];
  readonly moments: LargestChanges;
  readonly contributions: ReportedContributions;
  readonly sessions?: readonly SessionSummary[];
}

/** The event of a report, and the number of its sessions. */
export interface ReportedEvent {
  readonly eventId: string;
  readonly tenantId: string;
  readonly title: string | null;
  readonly sessions: number;
}

/** The peak of participation while polls of a session were open. */
export interface ReportedPoll {
  readonly sessionId: string;
  readonly at: string;
  readonly participation: number;
}

/** An anomaly. `endedAt` is null while it is open. */
export interface ReportedAnomaly {
  readonly id: string;
  readonly sessionId: string;
  readonly type: string;
  readonly severity: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly reason: string | null;
}

/** What the conductor, or a person, decided. The type HOLD means to do nothing. */
export interface ReportedIntervention {
  readonly id: string;
  readonly sessionId: string;
  readonly type: string;
  readonly status: string;
  readonly at: string;
  readonly sentAt: string | null;
  readonly outcome: Readonly<Record<string, unknown>> | null;
}

/** The mean, lowest and highest score of a step, and the most people in it. */
export interface ReportedPoint {
  readonly timestamp: string;
  readonly score: number;
  readonly min: number;
  readonly max: number;
  readonly totalUsers: number;
}

/** What each signal added to the score. */
export interface ReportedContributions {
  readonly chat: ReportedContribution;
  readonly poll: ReportedContribution;
  readonly activeUsers: ReportedContribution;
  readonly reactions: ReportedContribution;
  readonly leaveRate: ReportedContribution;
}

/** What a signal added to the score on average, and to that of the event's other sessions. */
export interface ReportedContribution {
  readonly mean: number;
  readonly others: number | null;
  readonly difference: number | null;
}
