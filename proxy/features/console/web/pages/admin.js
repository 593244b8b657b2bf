// Admin: what needs a person, the server and its engines, and what all cost.

import { adminTabs } from "./admin_parts.js";
import { orNone, read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { dollars, moment, number, t } from "../core/texts.js";

const LOOKS = { ready: "good", failed: "bad", budget: "bad" };
const MOST_MODELS = 4;

export default class AdminPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { readiness: null, engines: [], faults: [], alerts: null, months: [] });
  }

  title() {
    return t("frame.admin");
  }

  async open() {
    // A server that is not ready says so by a failure, with the same facts.
    const readiness = await read("readyz", { signal: this.signal }).catch((failure) => {
      if (!failure.body?.status) throw failure;
      return failure.body;
    });
    const { data: engines, faults } = await read("admin/engines", { signal: this.signal });
    this.set({ readiness, engines, faults });
    const { data: alerts } = await read("admin/alerts", { signal: this.signal }).catch(orNone);
    const { data: months } = await read("admin/usage", { query: { by: "month" }, signal: this.signal });
    this.set({ alerts, months });
  }

  look() {
    return this.run("page", async () => {
      await this.open();
      this.say(t("word.done"));
    });
  }

  view() {
    return html`<section class="view">${this.heading(html`<button id="admin-look" @click=${() => this.look()}>${icon("again")} ${t("admin.look")}</button>`)}
      ${adminTabs("admin")}${this.alert("page")}${this.statusLine()}
      ${this.alerts ? html`<section class="stack" aria-labelledby="alerts-title"><h2 id="alerts-title">${t("admin.alerts")}</h2>
        ${this.alerts.length ? this.alerts.map((alert) => this.trouble(alert)) : html`<p class="quiet">${t("admin.no_alerts")}</p>`}</section>` : nothing}
      ${this.readiness ? this.server(this.readiness) : nothing}
      <section class="stack" aria-labelledby="engines-title"><h2 id="engines-title">${t("admin.engines")}</h2>
        <ul class="grid" role="list">${this.engines.map((engine) => this.engine(engine))}</ul></section>
      ${this.faults.map(({ plugin, stage, reason }) => html`<p class="note bad">${icon("info")}<span lang="en"><strong>${plugin}</strong> ${stage}: ${reason}</span></p>`)}
      ${this.costs()}
    </section>`;
  }

  trouble({ title, name, machine, detail, since, gone_at: gone }) {
    return html`<p class="note ${gone ? "good" : "bad"}">${icon("info")}<span><span lang="en"><strong>${title}: ${name}</strong> ${machine} ${detail}</span>
      ${gone ? t("admin.gone", { time: moment(gone) }) : moment(since)}</span></p>`;
  }

  server({ status, reasons, degraded }) {
    const parts = degraded.map(({ reason, ...part }) => `${part.engine ?? part.plugin ?? part.model ?? part.voice ?? part.worker}: ${reason}`);
    return html`<section class="card stack" aria-labelledby="server-title">
      <div class="row apart"><h2 id="server-title">${t("admin.server")}</h2><span class="tag ${status === "ready" ? "good" : "bad"}" id="server-state">${stateText(status)}</span></div>
      ${reasons.length + parts.length ? html`<ul lang="en">${[...reasons, ...parts].map((line) => html`<li class="name">${line}</li>`)}</ul>` : nothing}
    </section>`;
  }

  engine({ name, plugin, state, loaded, reason, slots, running, waiting, models, device, budgets }) {
    const shown = [...models.slice(0, MOST_MODELS), ...(models.length > MOST_MODELS ? ["…"] : [])];
    const facts = [plugin === name ? "" : plugin, device, shown.join(", ")].filter(Boolean);
    return html`<li class="card stack"><div class="row apart"><h3>${name}</h3><span class="tag ${LOOKS[state] ?? "warn"}">${stateText(state)}${loaded === null ? "" : ` ${Math.round(loaded * 100)} %`}</span></div>
      <p class="small quiet name">${facts.join(" · ")}</p>
      <p class="small num">${t("admin.running", { running, slots, waiting })}</p>
      ${reason ? html`<p class="small name" lang="en">${reason}</p>` : nothing}
      ${budgets.map((budget) => spent(budget))}
    </li>`;
  }

  costs() {
    if (!this.months.length) return nothing;
    return html`<section class="card stack" aria-labelledby="costs-title"><h2 id="costs-title">${t("admin.months")}</h2>${monthTable(this.months)}</section>`;
  }
}

// The server's own words are English.
function stateText(state) {
  return state === "ready" ? t("voices.clone.ready") : html`<span lang="en">${state}</span>`;
}

function spent({ period, usd, of_usd: most }) {
  const text = t(`admin.budget.${period}`, { usd: dollars(usd), most: dollars(most) });
  return html`<div><p class="small num">${text}</p><progress max=${most} value=${usd} aria-label=${text}></progress></div>`;
}

export function monthTable(months) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t("admin.months")}><table><thead><tr><th>${t("word.month")}</th><th class="end">${t("usage.requests")}</th>
    <th class="end">${t("usage.credits")}</th><th class="end">${t("word.cost")}</th></tr></thead>
    <tbody>${months.map(({ name, requests, credits, cost_usd: cost }) => html`<tr><td class="num">${name}</td><td class="num end">${number(requests)}</td>
      <td class="num end">${number(credits)}</td><td class="num end">${dollars(cost)}</td></tr>`)}</tbody></table></div>`;
}
