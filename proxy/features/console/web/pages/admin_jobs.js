// Admin: the jobs of all accounts, or of one.

import { accountLink, adminTabs, ofAccount } from "./admin_parts.js";
import { ask, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { moment, t } from "../core/texts.js";

const WAYS = { cancel: () => t("voices.cancel"), retry: () => t("jobs.retry"), delete: () => t("history.delete") };
const LOOKS = { done: "good", failed: "bad", waiting: "warn" };
const ENDED = ["done", "failed", "canceled"];

export default class JobsPage extends Page {
  constructor(path) {
    super(path);
    this.jobs = new Listing(this, "admin/jobs", { account: path[1] });
  }

  title() {
    return t("frame.admin/jobs");
  }

  open() {
    return this.jobs.more();
  }

  // "cancel", "retry" or "delete".
  act(job, way) {
    return this.run("jobs", async () => {
      const path = `admin/jobs/${encodeURIComponent(job.id)}`;
      const question = { title: `${WAYS[way]()}: ${job.id}`, text: job.account, no: t("word.no"), yes: WAYS[way](), isDanger: way !== "retry" };
      if (!(await agrees(question))) return;
      if (way === "delete") await ask(path, { method: "DELETE" });
      const now = way === "delete" ? null : await read(`${path}/${way}`, { method: "POST" });
      this.jobs.put(job.id, now);
      this.say(t("word.done"));
      this.place.querySelector("h1").focus();
    });
  }

  view() {
    return html`<section class="view">${this.heading()}${adminTabs("admin/jobs")}${ofAccount("admin/jobs", this)}
      ${this.statusLine()}
      <section class="card stack" aria-label=${this.title()}>${this.alert("page")}${this.alert("jobs")}
        <ul role="list" class="rows">${repeat(this.jobs.rows, ({ id }) => id, (job) => this.row(job))}</ul>
        ${this.jobs.foot("page")}
      </section></section>`;
  }

  row(job) {
    const { id, title, kind, account, status, steps, steps_done: done, credits, created, error } = job;
    const ways = [ENDED.includes(status) ? "" : "cancel", ["failed", "canceled"].includes(status) ? "retry" : "", "delete"].filter(Boolean);
    return html`<li class="row apart"><div class="about"><span class="name">${title || id}</span>
        <span class="quiet small name">${accountLink(account)} · ${t(`jobs.kind.${kind}`)} · ${moment(created)} · ${t("jobs.steps", { done, all: steps })} · ${t("frame.credits", { n: credits })}</span>
        ${error ? html`<span class="small name" lang="en">${error}</span>` : nothing}</div>
      <div class="row"><span class="tag ${LOOKS[status] ?? ""}">${t(`jobs.state.${status}`)}</span>
        ${ways.map((way) => html`<button class="plain" aria-label="${WAYS[way]()}: ${id}" @click=${() => this.act(job, way)}>${WAYS[way]()}</button>`)}</div></li>`;
  }
}
