/** Requests to the HTTP API. */

import { SERVICE_URL } from "./addresses.js";
import { savedToken } from "./token.js";

/** @import { AnomalyList, DecisionBody, DecisionList, EffectReport } from "../types.d.ts" */
/** @import { Explanation, ManualRequest, ScoreHistories, Templates } from "../types.d.ts" */

/**
 * A failed request. `status` is 0 if there was no response, and `retryAfterMs` if the service
 * named no time.
 */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number} retryAfterMs
   */
  constructor(status, message, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Fetch the contribution of each signal to the latest score.
 * @param {string} sessionId
 * @returns {Promise<Explanation>}
 */
export function fetchExplanation(sessionId) {
  return get(`sessions/${encodeURIComponent(sessionId)}/explanation`);
}

/**
 * Fetch the stored scores of several sessions from a time until before another.
 * @param {readonly string[]} sessionIds
 * @param {Date} from
 * @param {Date} to
 * @returns {Promise<ScoreHistories>}
 */
export function fetchHistories(sessionIds, from, to) {
  const sessions = sessionIds.map((id) => `session=${encodeURIComponent(id)}`).join("&");
  return get(`histories?from=${from.toISOString()}&to=${to.toISOString()}&${sessions}`);
}

/**
 * Fetch the newest anomalies of a session: of the last day, or all since it began.
 * @param {string} sessionId
 * @param {Readonly<{fromMs: number, toMs: number | null}> | null} time
 * @returns {Promise<AnomalyList>}
 */
export function fetchAnomalies(sessionId, time) {
  const query = new URLSearchParams({ session: sessionId });
  if (time !== null) query.set("limit", "1000");
  if (time !== null) query.set("from", new Date(time.fromMs).toISOString());
  if (time !== null && time.toMs !== null) query.set("to", new Date(time.toMs + 1).toISOString());
  return get(`anomalies?${query}`);
}

/**
 * Fetch the open anomalies of all sessions.
 * @returns {Promise<AnomalyList>}
 */
export function fetchOpenAnomalies() {
  return get("anomalies?open=true");
}

/**
 * Store that an anomaly was not a problem.
 * @param {string} anomalyId
 */
export function sendFeedback(anomalyId) {
  return post(`anomalies/${encodeURIComponent(anomalyId)}/feedback`, { verdict: "not_a_problem" });
}

/**
 * Arrange quiet for a session until a time; null ends it.
 * @param {string} sessionId
 * @param {Date | null} until
 */
export function sendQuiet(sessionId, until) {
  return post(`sessions/${encodeURIComponent(sessionId)}/quiet`, { until: until?.toISOString() ?? null });
}

/**
 * Fetch the newest interventions of a session.
 * @param {string} sessionId
 * @returns {Promise<readonly DecisionBody[]>}
 */
export function fetchInterventions(sessionId) {
  return get(`interventions/history/${encodeURIComponent(sessionId)}`);
}

/**
 * Fetch the interventions of an event in the last day, the newest first.
 * @param {string} eventId
 * @returns {Promise<readonly DecisionBody[]>}
 */
export function fetchEventInterventions(eventId) {
  return get(`interventions/history/event/${encodeURIComponent(eventId)}?hours=24&limit=50`);
}

/**
 * Fetch all open suggestions, and the interventions that have changed lately.
 * @returns {Promise<DecisionList>}
 */
export function fetchDecisions() {
  return get("agent/decisions");
}

/**
 * Fetch what each type of action changes.
 * @returns {Promise<EffectReport>}
 */
export function fetchEffects() {
  return get("effects");
}

/**
 * Approve a suggestion.
 * @param {string} sessionId
 * @param {string} decisionId
 * @param {object | null} content what to send instead of what was suggested; null: that
 */
export function approve(sessionId, decisionId, content) {
  return post(`${decisionPath(sessionId, decisionId)}/approve`, content === null ? {} : { content });
}

/**
 * Dismiss a suggestion.
 * @param {string} sessionId
 * @param {string} decisionId
 */
export function dismiss(sessionId, decisionId) {
  return post(`${decisionPath(sessionId, decisionId)}/reject`, {});
}

/**
 * @param {string} sessionId
 * @param {string} decisionId
 */
function decisionPath(sessionId, decisionId) {
  return `agent/sessions/${encodeURIComponent(sessionId)}/decisions/${encodeURIComponent(decisionId)}`;
}

/**
 * Set the mode of a session or an event.
 * @param {"sessions" | "events"} kind
 * @param {string} id
 * @param {string | null} mode null: of a session, the mode of its event; of an event, the default
 */
export function setMode(kind, id, mode) {
  return put(`agent/${kind}/${encodeURIComponent(id)}/mode`, { mode });
}

/**
 * Fetch what each action says, unless it is edited.
 * @returns {Promise<Templates>}
 */
export function fetchTemplates() {
  return get("agent/templates");
}

/**
 * Replace what actions say. Those that are absent say the default again.
 * @param {Readonly<Record<string, object>>} templates
 * @returns {Promise<Templates>}
 */
export function sendTemplates(templates) {
  return put("agent/templates", { templates });
}

/**
 * Start an action.
 * @param {ManualRequest} request
 */
export function startAction(request) {
  return post("interventions/manual", request);
}

/**
 * Return why the API rejects the current token, or requires one; null: it does not.
 * @returns {Promise<string | null>}
 */
export async function tokenRejection() {
  try {
    await get("sessions");
    return null;
  } catch (error) {
    return error instanceof ApiError && error.status === 401 ? error.message : null;
  }
}

/** @param {string} path */
export function get(path) {
  return send(path, {});
}

/**
 * @param {string} path
 * @param {object} body
 */
function post(path, body) {
  return send(path, { ...jsonOf(body), method: "POST" });
}

/**
 * @param {string} path
 * @param {object} body
 */
export function put(path, body) {
  return send(path, { ...jsonOf(body), method: "PUT" });
}

/** @param {object} body */
function jsonOf(body) {
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/**
 * @param {string} path
 * @param {{method?: string, headers?: Record<string, string>, body?: string}} init
 */
async function send(path, init) {
  const response = await request(path, init);
  const body = await response.json().catch(() => null);
  if (body !== null) return body;
  throw new ApiError(response.status, response.statusText);
}

/**
 * Return the response to a request with the token. Throw if it is an error, or if there is none.
 * @param {string} path
 * @param {{method?: string, headers?: Record<string, string>, body?: string, signal?: AbortSignal}} init
 */
export async function request(path, { headers = {}, ...init }) {
  const token = savedToken();
  if (token !== null) headers = { ...headers, Authorization: `Bearer ${token}` };
  const response = await fetch(`${SERVICE_URL}/api/v1/${path}`, { ...init, headers }).catch(() => null);
  if (response === null) throw new ApiError(0, "no response");
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const retryAfterMs = Number(response.headers.get("Retry-After")) * 1000;
  throw new ApiError(response.status, body?.error?.message ?? response.statusText, retryAfterMs);
}
