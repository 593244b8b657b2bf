// Jobs: all of the account, the newest first. The address may name one of them.

import JobPage from "./job.js";
import { isOpen, kindOf, note, progressBar, secondsOf, stateTag, stepsOf, titleOf, voicesOf, waitText } from "./job_facts.js";
import { canConvert, loadCatalogue } from "../core/catalogue.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { hasFeature, session } from "../core/session.js";
import { areaTabs } from "../core/tabs.js";
import { moment, t } from "../core/texts.js";

const LOOK_MS = 3000;
// What the bar of a narrow screen has no place for, each with the feature that it needs, if any.
const MAKERS = { scripts: "", "jobs/book": "books", "jobs/dub": "dubs" };

class JobList extends Page {
  constructor(path) {
    super(path);
    this.jobs = new Listing(this, "v1/jobs");
    this.isStale = false;
  }

  title() {
    return t("frame.jobs");
  }

  open() {
    // Names of voices are a help, and no reason to wait.
    loadCatalogue().then(() => this.update(), () => {});
    return this.readAll();
  }

  left() {
    clearTimeout(this.timer);
  }

  async readAll() {
    await this.jobs.refresh();
    this.set({ isStale: false });
    this.lookSoon();
  }

  // While something goes on, what is shown is read again.
  lookSoon() {
    clearTimeout(this.timer);
    if (this.jobs.rows.some(isOpen)) this.timer = setTimeout(() => this.look(), LOOK_MS);
  }

  async look() {
    if (document.hidden) return this.lookSoon();
    return this.readAll().catch(() => {
      // While its reader is at the door, nothing is read. Once they are back, the page is opened again.
      this.isOpened = Boolean(session.me);
      if (!this.isOpened || this.isLeft) return;
      this.set({ isStale: true });
      this.lookSoon();
    });
  }

  view() {
    return html`<section class="view">${this.heading(html`<div class="row">
        ${canConvert() ? html`<a class="button" href="#/jobs/convert">${icon("mic")} ${t("jobs.convert")}</a>`
          : html`<button disabled aria-describedby="jobs-no-converter">${icon("mic")} ${t("jobs.convert")}</button>`}
        <a class="button first" href="#/jobs/new">${icon("plus")} ${t("jobs.new")}</a></div>`)}
      ${areaTabs("jobs")}
      <div class="row makers">${Object.keys(MAKERS).filter((name) => hasFeature(MAKERS[name])).map((name) => html`<a href="#/${name}">${t(`frame.${name}`)}</a>`)}</div>
      ${canConvert() ? nothing : html`<p class="quiet small" id="jobs-no-converter">${t("jobs.no_converter")}</p>`}
      ${this.isStale ? note(t("failure.unreachable")) : nothing}
      ${this.alert("page")}
      ${this.jobs.rows.length ? html`${this.table()}${this.jobs.foot("jobs")}` : this.jobs.isRead ? this.none() : nothing}
      ${this.alert("jobs")}
    </section>`;
  }

  none() {
    return html`<div class="card new" id="jobs-none"><h2>${t("list.empty")}</h2><p class="quiet">${t("jobs.none_text")}</p></div>`;
  }

  table() {
    return html`<div class="card"><div class="scroll"><table class="fold" id="jobs-list"><thead><tr>
        <th>${t("jobs.job")}</th><th>${t("jobs.done")}</th><th>${t("jobs.handed_in")}</th><th>${t("jobs.state")}</th></tr></thead>
      <tbody>${repeat(this.jobs.rows, ({ id }) => id, (job) => this.row(job))}</tbody></table></div></div>`;
  }

  row(job) {
    const facts = [kindOf(job), voicesOf(job)].filter(Boolean).join(" · ");
    const waits = waitText(job);
    return html`<tr><td><a class="name" href="#/jobs/${job.id}">${titleOf(job)}</a><br><span class="quiet small">${facts}</span></td>
      <td class="meter">${isOpen(job) ? progressBar(job) : nothing}<span class="quiet small num">${t("jobs.steps", stepsOf(job))}</span></td>
      <td class="quiet small num">${moment(secondsOf(job.created))}</td>
      <td>${stateTag(job)}${waits ? html`<br><span class="small">${waits}</span>` : nothing}</td></tr>`;
  }
}

// The frame makes a page of an address: this one chooses which.
export default function jobsPage(path) {
  return path[0] ? new JobPage(path) : new JobList(path);
}
