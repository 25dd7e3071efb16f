/** The markup of the event page. */

export const EVENT_VIEW = `
<section class="event-view" aria-labelledby="event-title" hidden>
  <div class="view-bar"><a class="back" href="#/sessions"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#back"></use></svg>All sessions</a><div class="page-actions"></div></div>
  <div class="session-head">
    <div class="session-name">
      <h1 id="event-title" tabindex="-1"><bdi></bdi></h1>
      <button class="button icon-button copy" type="button"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#copy"></use></svg><span class="hidden-text">Copy event id</span></button>
    </div>
    <p class="event-about quiet"></p>
  </div>
  <p class="event-error" role="status"></p>
  <div class="state event-state" hidden><p class="state-title"></p><p class="state-text"></p></div>
  <div class="event-body" hidden>
    <dl class="figures event-figures"></dl>
    <section class="panel event-curve" aria-labelledby="event-curve-title">
      <div class="event-curve-head">
        <h2 id="event-curve-title">All sessions together</h2>
        <p class="quiet event-curve-text">Each session counts as many times as it has people.</p>
        <p class="event-readout" aria-hidden="true"></p>
      </div>
      <div class="event-chart">
        <div class="event-levels quiet" aria-hidden="true"><span>100%</span><span>50%</span><span>0%</span></div>
        <div class="event-plot timed"></div>
        <div class="time-axis quiet" aria-hidden="true"></div>
      </div>
    </section>
    <section class="multiples" aria-labelledby="multiples-title">
      <div class="multiples-head">
        <h2 id="multiples-title">Sessions</h2>
        <fieldset class="segmented">
          <legend class="hidden-text">Order</legend>
          <label><input type="radio" name="event-order" value="start" checked><span>By start</span></label>
          <label><input type="radio" name="event-order" value="mean"><span>Average</span></label>
          <label><input type="radio" name="event-order" value="peak"><span>Peak</span></label>
          <label><input type="radio" name="event-order" value="people"><span>People</span></label>
        </fieldset>
      </div>
      <div class="list-panel">
        <div class="multiples-titles multiple-columns quiet" aria-hidden="true">
          <span>Session</span><div class="time-axis"></div><span class="multiple-number">Average</span><span class="multiple-number">Peak</span><span class="multiple-number">People</span>
        </div>
        <ul class="multiples-list" role="list" aria-labelledby="multiples-title"></ul>
      </div>
    </section>
    <section class="event-moments" aria-labelledby="event-moments-title">
      <h2 id="event-moments-title">Moments</h2>
      <p class="quiet section-text">The largest changes of a score within a minute. Each leads to its moment in the session.</p>
      <div class="moments"></div>
    </section>
  </div>
</section>`;

export const MULTIPLE = `
<template id="multiple">
  <li class="multiple">
    <a class="multiple-link multiple-columns">
      <span class="multiple-name"><bdi class="multiple-title"></bdi><span class="multiple-about quiet"><span class="multiple-times"></span><bdi class="multiple-speakers"></bdi></span></span>
      <span class="multiple-plot timed" aria-hidden="true"></span>
      <span class="multiple-number"><span class="hidden-text">, average </span><span class="multiple-mean"></span></span>
      <span class="multiple-number"><span class="hidden-text">, peak </span><span class="multiple-peak"></span></span>
      <span class="multiple-number"><span class="hidden-text">, people at most </span><span class="multiple-people"></span></span>
    </a>
  </li>
</template>`;
