// Admin: the jobs of all accounts, or of one.

import { about, accountLink, AdminList } from "./admin_parts.js";
import { isOpen, kindOf, stateTag } from "./job_facts.js";
import { html } from "../core/lit.js";
import { moment, t } from "../core/texts.js";

export default class JobsPage extends AdminList {
  constructor(path) {
    super(path, "admin/jobs");
  }

  row(job) {
    const { id, title, account, status, steps, steps_done: done, credits, created, error } = job;
    const ways = [
      isOpen(job) && { yes: t("voices.cancel"), path: "/cancel", isDanger: true },
      ["failed", "canceled"].includes(status) && { yes: t("jobs.retry"), path: "/retry" },
      { yes: t("history.delete"), method: "DELETE", isDanger: true },
    ].filter(Boolean);
    const facts = [kindOf(job), moment(created), t("jobs.steps", { done, all: steps }), t("frame.credits", { n: credits })].join(" · ");
    return html`${about(title || id, html`${accountLink(account)} · ${facts}`, ...(error ? [html`<span lang="en">${error}</span>`] : []))}
      <div class="row">${stateTag(job)}
        ${ways.map((way) => html`<button class="plain" aria-label="${way.yes}: ${id}" @click=${() => this.act(job, { text: account, ...way })}>${way.yes}</button>`)}</div>`;
  }
}
