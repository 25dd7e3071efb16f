/** The markup of what is stored of a session: its range, its contributions, and what it is called. */

export const RANGE_BUTTONS = `
<fieldset class="segmented ranges">
  <legend class="hidden-text">Range</legend>
  <label><input type="radio" name="range" value="300000"><span>5 min</span></label>
  <label><input type="radio" name="range" value="1800000"><span>30 min</span></label>
  <label><input type="radio" name="range" value="all"><span>All</span></label>
</fieldset>`;

export const BRUSH = `
<div class="brush-panel">
  <div class="brush" role="group" aria-label="Part of the session that is shown" data-shown="false">
    <canvas class="brush-curve" aria-hidden="true"></canvas>
    <div class="brush-window" aria-hidden="true"></div>
    <input class="brush-from" type="range" aria-label="Begin" autocomplete="off">
    <input class="brush-to" type="range" aria-label="End" autocomplete="off">
  </div>
  <p class="brush-ends quiet"><span class="brush-begin"></span><span class="brush-state" role="status"></span><span class="brush-end"></span></p>
</div>`;

export const LEGEND = `
<li class="legend-spread" data-shown="false"><span class="legend-box" aria-hidden="true"></span>Lowest to highest</li>
<li class="legend-missing" data-shown="false"><span class="legend-box" aria-hidden="true"></span>No scores</li>`;

export const CONTRIBUTIONS = `
<div class="panel parts">
  <div class="panel-head"><h3 class="parts-title">What the score was made of</h3><p class="parts-when quiet"></p></div>
  <ul class="parts-legend" role="list" aria-label="Points of 100"></ul>
  <div class="parts-chart" role="img" aria-label="Points that each signal added"></div>
</div>`;

export const PART = `
<template id="part"><li class="part"><span class="part-box" aria-hidden="true"></span><span class="part-name"></span> <strong class="part-points">–</strong></li></template>`;

export const ABOUT = `
<p class="about"><span class="about-id" hidden><span class="hidden-text">Session id </span><bdi></bdi></span><bdi class="about-speakers" hidden></bdi><span class="about-planned" hidden></span><strong class="about-ended" hidden></strong></p>`;

export const ABOUT_EDIT = `
<button class="button action about-edit" type="button" aria-haspopup="dialog" hidden>Rename …</button>`;

export const ABOUT_DIALOG = `
<dialog class="about-dialog" aria-labelledby="about-title">
  <form class="about-form" novalidate>
    <h2 id="about-title">Title and plan</h2>
    <label for="about-name">Title</label>
    <input id="about-name" maxlength="200" autocomplete="off">
    <label for="about-speakers">Speakers, one a line</label>
    <textarea id="about-speakers" rows="2" autocomplete="off"></textarea>
    <div class="about-times">
      <div><label for="about-begin">Planned begin</label><input id="about-begin" type="datetime-local"></div>
      <div><label for="about-end">Planned end</label><input id="about-end" type="datetime-local"></div>
    </div>
    <label for="about-event">Title of the event</label>
    <input id="about-event" maxlength="200" autocomplete="off">
    <p class="about-error" role="alert"></p>
    <div class="dialog-buttons"><button class="button about-cancel" type="button">Cancel</button><button class="button primary" type="submit">Save</button></div>
  </form>
</dialog>`;
