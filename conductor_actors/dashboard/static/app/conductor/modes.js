/** The modes of the conductor, and the status of a session, in plain words. */

/** @typedef {"OFF" | "MANUAL" | "SEMI_AUTO" | "AUTO"} Mode */

/** Each mode, its name, and what it means. @type {readonly (readonly [Mode, string, string])[]} */
export const MODES = [
  ["OFF", "Off", "Suggests nothing and sends nothing."],
  ["MANUAL", "Suggest only", "Suggests what to do, and sends nothing that you have not approved."],
  ["SEMI_AUTO", "Semi-automatic", "Acts alone when at least 75% confident. From 50%, it asks you first."],
  ["AUTO", "Automatic", "Acts alone, without asking you."],
];

/** @type {Readonly<Record<string, string>>} */
const STATUSES = {
  MONITORING: "Monitoring",
  ANOMALY_DETECTED: "Anomaly detected",
  WAITING_APPROVAL: "Waiting for approval",
  INTERVENING: "Acting",
  LEARNING: "Measuring what follows",
  IDLE: "Idle",
};

/** @param {string} mode */
export function modeName(mode) {
  return MODES.find(([each]) => each === mode)?.[1] ?? mode;
}

/** @param {string} mode */
export function modeMeaning(mode) {
  return MODES.find(([each]) => each === mode)?.[2] ?? "";
}

/** @param {string} status */
export function statusName(status) {
  return STATUSES[status] ?? status;
}
