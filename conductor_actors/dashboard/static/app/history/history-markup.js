/** The markup of the history. */

export const HISTORY_VIEW = `
<section class="history" aria-labelledby="history-title" hidden>
  <div class="overview-head">
    <h1 id="history-title" tabindex="-1">History</h1>
    <p class="overview-summary"><span class="history-counts"></span></p>
    <div class="page-actions"><button class="button action history-export" type="button" aria-haspopup="dialog"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#download"></use></svg>Export</button></div>
  </div>
  <form class="controls history-filters" role="search">
    <div class="search">
      <svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#search"></use></svg>
      <input id="history-search" type="search" aria-label="Search the history" placeholder="Search by title, session or event" maxlength="200" autocomplete="off" spellcheck="false">
    </div>
    <label class="history-field">Event <input id="history-event" list="history-events" placeholder="All" maxlength="255" autocomplete="off" spellcheck="false"></label>
    <datalist id="history-events"></datalist>
    <label class="history-field">From <input id="history-from" type="date"></label>
    <label class="history-field">To <input id="history-to" type="date"></label>
    <fieldset class="segmented">
      <legend class="hidden-text">Sessions</legend>
      <label><input type="radio" name="history-state" value="all"><span>All</span></label>
      <label><input type="radio" name="history-state" value="live"><span>Live</span></label>
      <label><input type="radio" name="history-state" value="ended" checked><span>Ended</span></label>
    </fieldset>
  </form>
  <div class="list-panel">
    <div class="list-titles history-titles" aria-hidden="true">
      <span>Session</span><span>Started</span><span class="history-number">Length</span><span class="history-number">Most people</span><span class="history-number">Peak</span><span class="history-number">Average</span>
    </div>
    <ul class="history-list" role="list" aria-label="Sessions, newest first"></ul>
    <div class="state history-state" hidden>
      <p class="state-title"></p>
      <p class="state-text"></p>
      <button class="button state-action" type="button" hidden>Show all ended sessions</button>
    </div>
  </div>
  <div class="history-foot"><p class="history-error" role="status"></p><button class="button history-more" type="button" hidden>Load more</button></div>
</section>`;

export const HISTORY_ROW = `
<template id="history-row">
  <li class="history-row">
    <a class="history-link">
      <span class="row-name"><bdi class="row-session"></bdi><span class="row-below quiet"><bdi class="history-event"></bdi><bdi class="history-speakers"></bdi></span></span>
      <span class="history-started"></span>
      <span class="history-number"><span class="hidden-text">, length </span><span class="history-length"></span></span>
      <span class="history-number history-people-cell"><span class="hidden-text">, most people </span><span class="history-people"></span></span>
      <span class="history-number history-peak-cell"><span class="hidden-text">, peak </span><span class="history-peak"></span></span>
      <span class="history-number"><span class="hidden-text">, average </span><span class="history-mean"></span></span>
    </a>
  </li>
</template>`;
