// Usage: what an account spoke in a period and what it cost, by day as a chart, by a side as a table, and as CSV.

import { bookTabs, daysOf, eachDay, nameOf, pager, periodOptions, ROWS, speakerNames, utcDay, utcDays } from "./books.js";
import { download, read } from "../core/api.js";
import { loadCatalogue } from "../core/catalogue.js";
import { barChart } from "../core/chart.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page, select } from "../core/page.js";
import { isPerson, session } from "../core/session.js";
import { duration, number, t } from "../core/texts.js";

const SIDES = {
  day: () => t("usage.day"),
  voice: () => t("history.voice"),
  model: () => t("speak.model"),
  key: () => t("door.key"),
  operation: () => t("usage.operation"),
  job: () => t("jobs.job"),
  tag: () => t("speak.tag"),
};
const MOST = 1000;
const TRIES = 3;
const CHART_WIDTH = 900;
// A bar and its axis count seconds, minutes or hours, as fits the longest.
const UNITS = [["hour", 3600], ["minute", 60], ["second", 1]];

// What remains charged. Its parts are millionths, which a sum of fractions would blur.
function charged({ credits, refunded }) {
  return Math.round((credits - refunded) * 1e6) / 1e6;
}

const MEASURES = {
  speech: (sum) => sum.audio_ms / 1000,
  credits: charged,
  requests: (sum) => sum.requests,
};

function total(sums) {
  const of = (field) => sums.reduce((all, sum) => all + Math.round(sum[field] * 1e6), 0) / 1e6;
  return { requests: of("requests"), audio_ms: of("audio_ms"), credits: of("credits"), refunded: of("refunded") };
}

export default class UsagePage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { period: "14", side: "day", measure: "", shown: null, keys: [], first: 0, width: CHART_WIDTH, isStale: false, isReading: false });
  }

  title() {
    return t("frame.usage");
  }

  async open() {
    this.observer = new ResizeObserver(([{ contentRect }]) => this.fit(contentRect.width));
    this.observer.observe(this.place);
    const people = isPerson() ? read("v1/keys", { query: { limit: MOST } }) : { data: [session.me.key] };
    const [, { data: keys }] = await Promise.all([loadCatalogue().catch(() => {}), people, this.readSums()]);
    this.set({ keys });
  }

  left() {
    this.observer.disconnect();
  }

  // The chart has the room of its card.
  fit(room) {
    const width = Math.min(CHART_WIDTH, Math.round(room) - 50);
    if (width !== this.width) this.set({ width });
  }

  change(changes) {
    this.set(changes);
    return this.run("usage", () => this.readSums());
  }

  // The server makes one sum at a time for an account. What is chosen meanwhile is read next.
  async readSums() {
    this.isStale = true;
    if (this.isReading) return;
    this.isReading = true;
    try {
      while (this.isStale && !this.isLeft) {
        this.isStale = false;
        await this.readOnce(daysOf(this.period), this.side);
      }
    } finally {
      this.isReading = false;
      this.update();
    }
  }

  async readOnce(days, side) {
    this.say(t("usage.reading"));
    const byDay = await this.sums({ ...days, by: "day" });
    const bySide = side === "day" ? byDay : await this.sums({ ...days, by: side });
    if (this.isStale) return;
    this.set({ shown: { days, side, byDay: byDay.data, bySide: bySide.data, hasMore: bySide.has_more }, first: 0, status: "" });
  }

  // Another tab or program of this account may have its turn.
  async sums(query, tries = TRIES) {
    try {
      return await read("v1/usage", { query: { ...query, limit: MOST }, signal: this.signal });
    } catch (failure) {
      if (!failure.wait || tries === 0) throw failure;
      await new Promise((resolve) => setTimeout(resolve, failure.wait * 1000));
      return this.sums(query, tries - 1);
    }
  }

  save(by) {
    const { days } = this.shown;
    const name = `${["usage", by, days.since, days.until].filter(Boolean).join("-")}.csv`;
    return this.run("csv", () => download("v1/usage", name, { query: { ...days, by, format: "csv" } }));
  }

  turn(first) {
    this.set({ first });
    this.place.querySelector("#usage-table").focus();
  }

  view() {
    const { shown } = this;
    return html`<section class="view">${this.heading(html`<div class="row">${shown ? html`<span class="quiet num" id="usage-span">${this.span(shown)}</span>` : nothing}
        ${select("usage-period", t("books.period"), { value: this.period, options: periodOptions(), change: (period) => this.change({ period }) })}
        <button id="usage-all" ?disabled=${!shown?.byDay.length || this.isReading} @click=${() => this.save("")}>${icon("down")} ${t("usage.csv")}</button></div>`)}
      ${bookTabs("usage")}
      ${this.alert("page")}${this.alert("usage")}${this.alert("csv")}${this.statusLine()}
      ${shown && !shown.byDay.length ? html`<p class="card quiet">${t("usage.none")} <a href="#/speak">${t("frame.speak")}</a></p>` : nothing}
      ${shown?.byDay.length ? html`${this.tiles(shown)}${this.chartCard(shown)}${this.table(shown)}` : nothing}
    </section>`;
  }

  span({ days }) {
    return utcDays(days.since, eachDay(days).at(-1));
  }

  tiles({ byDay }) {
    const all = total(byDay);
    const back = all.refunded ? t("usage.refunded", { n: all.refunded }) : nothing;
    const characters = byDay.reduce((sum, each) => sum + each.characters, 0);
    const tile = (name, value, more) => html`<div class="card"><span class="quiet small">${t(`usage.${name}`)}</span>
      <strong class="num" id="usage-${name}">${value}</strong><span class="quiet small">${more}</span></div>`;
    return html`<div class="tiles">
      ${tile("speech", duration(MEASURES.speech(all)), t("speak.characters", { n: characters }))}
      ${tile("credits", number(charged(all)), back)}
      ${tile("requests", number(all.requests), nothing)}
    </div>`;
  }

  chartCard({ byDay, days }) {
    const known = new Map(byDay.map((sum) => [sum.name, sum]));
    const has = (name) => byDay.some((sum) => MEASURES[name](sum) > 0);
    const measure = this.measure || ["credits", "speech", "requests"].find(has);
    const values = eachDay(days).map((name) => ({ name, value: known.has(name) ? MEASURES[measure](known.get(name)) : 0 }));
    const most = values.reduce((best, each) => (each.value > best.value ? each : best));
    const [unit, size] = measure === "speech" ? UNITS.find(([, seconds]) => most.value >= 2 * seconds) ?? UNITS[2] : ["", 1];
    const text = (value) => (measure === "speech" ? duration(value) : number(value));
    const bars = values.map(({ name, value }) => ({
      value: value / size,
      name: utcDay(name, { day: "numeric", month: "short" }),
      text: `${utcDay(name)}: ${text(value)}`,
    }));
    const title = t("usage.by_day", { what: t(`usage.${measure}`) });
    const label = t("usage.label", { title, days: this.span({ days }), most: text(most.value), day: utcDay(most.name) });
    return html`<div class="card stack"><div class="row apart"><h2>${title}</h2>${this.measures(measure)}</div>
      ${barChart({ bars, width: this.width, label, unit, least: measure === "requests" ? 2 : 0.01 })}
      <p class="quiet small">${t("usage.utc")}</p></div>`;
  }

  measures(now) {
    return html`<fieldset><legend class="skip">${t("usage.measure")}</legend><div class="chips">${Object.keys(MEASURES).map((name) => html`<label>
      <input type="radio" name="measure" value=${name} .checked=${name === now} @change=${() => this.set({ measure: name })}>${t(`usage.${name}`)}</label>`)}</div></fieldset>`;
  }

  table({ side, bySide, hasMore }) {
    const rows = bySide.slice(this.first, this.first + ROWS);
    const place = t("books.page", { n: this.first / ROWS + 1 });
    const heads = ["requests", "speech", "credits"].map((name) => html`<th class="end" scope="col">${t(`usage.${name}`)}</th>`);
    return html`<div class="card stack"><div class="row apart"><h2 id="usage-table" tabindex="-1">${t("usage.by")}</h2>
        <div class="row">${select("usage-side", t("usage.by"), { value: this.side, options: Object.entries(SIDES).map(([each, text]) => [each, text()]), change: (side) => this.change({ side }) })}
          <button class="plain" id="usage-csv" ?disabled=${this.isReading} @click=${() => this.save(side)}>${icon("down")} ${t("player.save", { format: "CSV" })}</button></div></div>
      <table class="sums" aria-labelledby="usage-table"><thead><tr><th scope="col">${SIDES[side]()}</th>${heads}</tr></thead>
        <tbody>${rows.map((sum) => this.row(side, sum))}</tbody></table>
      ${hasMore ? html`<p class="quiet small">${t("usage.cut", { n: MOST })}</p>` : nothing}
      ${pager({ hasBefore: this.first > 0, hasMore: this.first + ROWS < bySide.length, place,
        before: () => this.turn(this.first - ROWS), after: () => this.turn(this.first + ROWS) })}</div>`;
  }

  row(side, sum) {
    const back = sum.refunded ? html`<span class="quiet small part">${t("usage.refunded", { n: sum.refunded })}</span>` : nothing;
    return html`<tr><td>${this.named(side, sum.name)}</td><td class="num end">${number(sum.requests)}</td>
      <td class="num end">${duration(MEASURES.speech(sum))}</td><td class="num end">${number(charged(sum))}${back}</td></tr>`;
  }

  named(side, name) {
    if (side === "day") return name === nameOf() ? html`${utcDay(name)} <span class="tag">${t("usage.today")}</span>` : utcDay(name);
    if (name === "" || name === "/") return html`<span class="quiet">${t("usage.nothing")}</span>`;
    if (side === "voice") return speakerNames(name);
    if (side === "operation") return t(`usage.operation.${name}`);
    if (side === "job") return html`<a href="#/jobs/${encodeURIComponent(name)}">${name}</a>`;
    const key = side === "key" && this.keys.find(({ id }) => id === name);
    return key ? html`${key.name || t("door.key")} <span class="quiet small">…${key.hint}</span>` : name;
  }
}
