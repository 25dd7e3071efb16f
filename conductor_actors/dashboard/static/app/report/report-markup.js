/** The markup of a report. */

export const REPORT_VIEW = `
<section class="report" aria-labelledby="report-title" hidden>
  <div class="view-bar">
    <a class="back report-back"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#back"></use></svg><span></span></a>
    <div class="page-actions"><button class="button action action-print" type="button"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#print"></use></svg>Print</button></div>
  </div>
  <article class="report-sheet">
    <header class="report-head">
      <p class="report-kind quiet"></p>
      <h1 id="report-title" tabindex="-1"><bdi></bdi></h1>
      <p class="report-about"></p>
      <p class="report-when quiet"></p>
      <p class="report-preliminary" hidden></p>
    </header>
    <p class="event-error report-error" role="status"></p>
    <div class="state report-state" hidden><p class="state-title"></p><p class="state-text"></p></div>
    <div class="report-body" hidden>
      <dl class="figures report-figures"></dl>
      <section class="report-part report-chart" aria-labelledby="report-chart-title">
        <h2 id="report-chart-title">Score over time</h2>
        <ul class="legend quiet" role="list" aria-label="In the chart">
          <li class="legend-band"><span class="legend-box" aria-hidden="true"></span>Lowest to highest</li>
          <li class="legend-incident"><span class="legend-box" aria-hidden="true"></span>Time of an anomaly</li>
          <li class="legend-action"><span class="legend-box" aria-hidden="true"></span>Action</li>
          <li><span class="legend-line" aria-hidden="true"></span>Critical below 30%</li>
        </ul>
        <div class="event-chart">
          <div class="event-levels quiet" aria-hidden="true"><span>100%</span><span>50%</span><span>0%</span></div>
          <div class="report-plot" role="img"></div>
          <div class="time-axis quiet" aria-hidden="true"></div>
        </div>
      </section>
      <section class="report-part report-sessions" aria-labelledby="report-sessions-title">
        <h2 id="report-sessions-title">Sessions</h2>
        <table class="report-table"><thead><tr><th scope="col">Began</th><th scope="col" class="report-wide">Session</th><th scope="col" class="report-number">Length</th><th scope="col" class="report-number">Average</th><th scope="col" class="report-number">Peak</th><th scope="col" class="report-number">People</th></tr></thead><tbody></tbody></table>
      </section>
      <section class="report-part report-pull" aria-labelledby="report-pull-title">
        <h2 id="report-pull-title">What pulled it up and down</h2>
        <p class="report-pull-text"></p>
        <table class="report-table"><thead><tr><th scope="col">Signal</th><th scope="col" class="report-wide">Points of 100 <span class="report-pull-key quiet"><span class="pull-others" aria-hidden="true"></span>the event’s other sessions</span></th><th scope="col" class="report-number">On average</th><th scope="col" class="report-number report-others">Others</th><th scope="col" class="report-number report-others">Difference</th></tr></thead><tbody></tbody></table>
      </section>
      <section class="report-part report-categories" aria-labelledby="report-categories-title">
        <h2 id="report-categories-title">Time in each category</h2>
        <table class="report-table"><thead><tr><th scope="col">Category</th><th scope="col" class="report-wide">Share</th><th scope="col" class="report-number">Time</th></tr></thead><tbody></tbody></table>
      </section>
      <section class="report-part report-moments" aria-labelledby="report-moments-title">
        <h2 id="report-moments-title">Moments</h2>
        <p class="quiet">The largest changes of the score within a minute.</p>
        <div class="moments"></div>
      </section>
      <section class="report-part report-polls" aria-labelledby="report-polls-title">
        <h2 id="report-polls-title">Polls</h2>
        <p class="report-none">No poll was open.</p>
        <table class="report-table"><thead><tr><th scope="col">Most votes at</th><th scope="col" class="report-session">Session</th><th scope="col" class="report-wide">Participation</th></tr></thead><tbody></tbody></table>
      </section>
      <section class="report-part report-anomalies" aria-labelledby="report-anomalies-title">
        <h2 id="report-anomalies-title">Anomalies</h2>
        <p class="report-none">None.</p>
        <table class="report-table"><thead><tr><th scope="col">Began</th><th scope="col" class="report-session">Session</th><th scope="col">Anomaly</th><th scope="col">Lasted</th><th scope="col" class="report-wide">What was seen</th></tr></thead><tbody></tbody></table>
      </section>
      <section class="report-part report-interventions" aria-labelledby="report-interventions-title">
        <h2 id="report-interventions-title">What the conductor did</h2>
        <p class="report-none">Nothing.</p>
        <table class="report-table"><thead><tr><th scope="col">Decided</th><th scope="col" class="report-session">Session</th><th scope="col">Action</th><th scope="col">Status</th><th scope="col" class="report-wide">What followed</th></tr></thead><tbody></tbody></table>
      </section>
      <footer class="report-foot quiet"></footer>
    </div>
  </article>
</section>`;
