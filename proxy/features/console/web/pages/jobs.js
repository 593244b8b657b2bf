// Jobs: all of the account, the newest first. The address may name a form, or one of them.

import ConvertPage from "./job_convert.js";
import NewJobPage from "./job_new.js";
import JobPage from "./job.js";
import { isOpen, kindOf, note, progressBar, secondsOf, stateTag, stepsOf, titleOf, voicesOf, waitText } from "./job_facts.js";
import { read } from "../core/api.js";
import { loadCatalogue } from "../core/catalogue.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { moment, t } from "../core/texts.js";

const SHOWN = 50;
const MOST_READ = 1000;
const LOOK_MS = 3000;

class JobList extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { jobs: null, hasMore: false, isStale: false });
  }

  title() {
    return t("frame.jobs");
  }

  async open() {
    // Names of voices are a help, and no reason to wait.
    loadCatalogue().then(() => this.update(), () => {});
    this.take(await read("v1/jobs", { query: { limit: SHOWN }, signal: this.signal }));
  }

  left() {
    clearTimeout(this.timer);
  }

  take({ data, has_more: hasMore }) {
    this.set({ jobs: data, hasMore, isStale: false });
    this.lookSoon();
  }

  // While something goes on, what is shown is read again.
  lookSoon() {
    clearTimeout(this.timer);
    if (this.jobs.some(isOpen)) this.timer = setTimeout(() => this.look(), LOOK_MS);
  }

  async look() {
    if (document.hidden) return this.lookSoon();
    const limit = Math.min(MOST_READ, Math.max(SHOWN, this.jobs.length));
    try {
      this.take(await read("v1/jobs", { query: { limit }, signal: this.signal }));
    } catch {
      if (this.isLeft) return undefined;
      this.set({ isStale: true });
      this.lookSoon();
    }
    return undefined;
  }

  more() {
    return this.run("jobs", async () => {
      const query = { limit: SHOWN, after: this.jobs.at(-1).id };
      const { data, has_more: hasMore } = await read("v1/jobs", { query, signal: this.signal });
      this.set({ jobs: [...this.jobs, ...data], hasMore });
    });
  }

  view() {
    return html`<section class="view">${this.heading(html`<div class="row">
        <a class="button" href="#/jobs/convert">${icon("mic")} ${t("jobs.convert")}</a>
        <a class="button first" href="#/jobs/new">${icon("plus")} ${t("jobs.new")}</a></div>`)}
      ${this.isStale ? note(t("failure.unreachable")) : nothing}
      ${this.alert("page")}
      ${this.jobs === null ? nothing : this.jobs.length ? this.table() : this.none()}
      ${this.hasMore ? html`<div class="row"><button id="jobs-more" @click=${() => this.more()}>${t("list.more")}</button></div>` : nothing}
      ${this.alert("jobs")}
    </section>`;
  }

  none() {
    return html`<div class="card new" id="jobs-none"><h2>${t("list.empty")}</h2><p class="quiet">${t("jobs.none_text")}</p></div>`;
  }

  table() {
    return html`<div class="card"><div class="scroll"><table class="fold" id="jobs-list"><thead><tr>
        <th>${t("jobs.job")}</th><th>${t("jobs.done")}</th><th>${t("jobs.begun")}</th><th>${t("jobs.state")}</th></tr></thead>
      <tbody>${repeat(this.jobs, ({ id }) => id, (job) => this.row(job))}</tbody></table></div></div>`;
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

const FORMS = { new: NewJobPage, convert: ConvertPage };

// The frame makes a page of an address: this one chooses which.
export default function jobsPage(path) {
  const Shown = path[0] ? (FORMS[path[0]] ?? JobPage) : JobList;
  return new Shown(path);
}
