/** The title of the tab: what is shown, after the number of open anomalies. */

let text = document.title;
let count = 0;

/** @param {string} shown */
export function setTitle(shown) {
  text = shown;
  write();
}

/** @param {number} openAnomalies */
export function setOpenCount(openAnomalies) {
  count = openAnomalies;
  write();
}

function write() {
  const title = count > 0 ? `(${count}) ${text}` : text;
  if (document.title !== title) document.title = title;
}
