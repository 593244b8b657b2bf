// Admin: the plans with their prices, what is sold of them, and who has them. They are written in config.toml.

import { facts, LIMITS, priceRows } from "./account.js";
import { bothOf, PROVIDERS } from "./checkout.js";
import { adminTabs } from "./admin_parts.js";
import { orNone, read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { Page } from "../core/page.js";
import { minutes, money, number, planName, t } from "../core/texts.js";

const RELOAD = "voxgate reload";

export default class PlansPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { plans: [], missing: {}, offers: [], start: null });
  }

  title() {
    return t("frame.admin/plans");
  }

  async open() {
    const { data: plans, missing } = await read("admin/plans", { signal: this.signal });
    this.set({ plans, missing });
    const { data: offers, start = null } = await read("v1/plans", { signal: this.signal }).catch(orNone);
    this.set({ offers, start });
  }

  view() {
    const packs = this.offers.filter(({ object }) => object === "pack");
    return html`<section class="view">${this.heading()}${adminTabs("admin/plans")}${this.alert("page")}
      <p class="quiet">${t("admin.plans_text")} <code>${RELOAD}</code></p>
      ${Object.entries(this.missing).map(([plan, n]) => html`<p class="note bad">${t("admin.plan_missing", { plan, n })}</p>`)}
      <ul class="grid" role="list">
        ${this.plans.map((plan) => this.plan(plan))}
        ${packs.map((pack) => this.card(pack.name, [bothOf(pack.credits, pack.minutes)], [pack]))}
      </ul></section>`;
  }

  // What a month of it is worth is known of plans that are sold, and of the first one.
  plan(plan) {
    const offers = this.offers.filter(({ object, name }) => object === "plan" && name === plan.name);
    const of = [...offers, ...(this.start?.name === plan.name ? [this.start] : [])][0]?.minutes;
    return this.card(plan.name, [offers.length ? "" : plan.price, of ? minutes(of) : "", t("admin.accounts", { n: plan.accounts })], offers, this.terms(plan));
  }

  card(name, facts, offers, more = nothing) {
    return html`<li class="card stack"><h2>${planName(name)}</h2><p class="small quiet">${facts.filter(Boolean).join(" · ")}</p>
      ${offers.map((offer) => html`<p><strong class="num">${money(offer.amount, offer.currency)}</strong> <span class="small quiet name">${[...offer.providers.map((name) => PROVIDERS[name]), ...offer.features].join(" · ")}</span></p>`)}
      ${more}</li>`;
  }

  terms({ prices, allowance, engines, missing, ...plan }) {
    const text = (value) => (value === null ? t("frame.unlimited") : value === "account" ? t("admin.agreed") : number(value));
    const rows = [[t("account.credits_month"), text(allowance)], ...priceRows(prices), ...LIMITS.map((name) => [t(`limit.${name}`), text(plan[name])])];
    return html`<details><summary>${t("account.terms")}</summary>${facts(rows)}</details>`;
  }
}
