/** Tables of a report: rows of texts, links and bars. */

import { html, show } from "../element.js";

/** @typedef {string | HTMLElement} Cell */

/**
 * Show rows, or that there are none if the section has a text for it; else hide the section.
 * @param {HTMLElement} section
 * @param {readonly (readonly Cell[])[]} rows each has a cell for each column
 */
export function showRows(section, rows) {
  const none = section.querySelector(".report-none");
  if (none instanceof HTMLElement) show(none, rows.length === 0);
  show(section, rows.length > 0 || none !== null);
  show(html(section, "table"), rows.length > 0);
  const columns = [...section.querySelectorAll("thead th")];
  html(section, "tbody").replaceChildren(...rows.map((cells) => rowOf(cells, columns)));
}

/**
 * @param {readonly Cell[]} cells
 * @param {readonly Element[]} columns
 */
function rowOf(cells, columns) {
  const row = document.createElement("tr");
  row.append(
    ...cells.map((content, index) => {
      const cell = document.createElement(index === 0 ? "th" : "td");
      if (index === 0) cell.setAttribute("scope", "row");
      cell.className = columns[index]?.className ?? "";
      cell.append(content);
      return cell;
    }),
  );
  return row;
}

/**
 * Return a link, whose text keeps its own direction of writing.
 * @param {string} address
 * @param {string} text
 */
export function linkTo(address, text) {
  const link = document.createElement("a");
  link.href = address;
  const isolated = document.createElement("bdi");
  isolated.textContent = text;
  link.append(isolated);
  return link;
}

/**
 * Return a bar from one share of the width to another, with a text if it needs one.
 * @param {number} from
 * @param {number} to
 * @param {string} level whose colour it has
 * @param {string} [text]
 */
export function bar(from, to, level, text = "") {
  const track = document.createElement("div");
  track.className = "report-bar";
  const filled = document.createElement("span");
  filled.dataset["level"] = level;
  filled.hidden = from === to;
  filled.style.left = percentOf(Math.min(from, to));
  filled.style.width = percentOf(Math.abs(to - from));
  track.append(filled);
  if (text === "") return track;
  const box = document.createElement("div");
  box.className = "report-bar-with-text";
  const label = document.createElement("span");
  label.textContent = text;
  box.append(track, label);
  return box;
}

/**
 * Return a mark at a share of the width of a bar.
 * @param {number} at
 */
export function markAt(at) {
  const mark = document.createElement("i");
  mark.className = "pull-others";
  mark.style.left = percentOf(at);
  return mark;
}

/** @param {number} share */
function percentOf(share) {
  return `${Math.round(share * 10_000) / 100}%`;
}
