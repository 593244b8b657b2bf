// Admin: the orders of all accounts. Those that need a person come first.

import { PROVIDERS, stateTag, titleOf } from "./checkout.js";
import { about, accountLink, AdminList } from "./admin_parts.js";
import { orNone, read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { Listing } from "../core/listing.js";
import { icon } from "../core/page.js";
import { moment, money, t } from "../core/texts.js";

export default class OrdersPage extends AdminList {
  constructor(path) {
    super(path, "admin/orders");
    this.list.query.attention = false;
    this.needy = new Listing(this, this.name, { ...this.list.query, attention: true });
    // Notes as they are typed, by the ids of orders.
    this.notes = {};
  }

  async open() {
    for (const list of [this.needy, this.list]) await list.more().catch(orNone);
    this.list.isRead = true;
    this.update();
  }

  // What has the provider asked, or, with a note, what says that a person has seen to it.
  change({ id }, way, json = {}) {
    return this.run(id, async () => {
      await read(`${this.name}/${encodeURIComponent(id)}/${way}`, { json });
      await Promise.all([this.needy.refresh(), this.list.refresh()]);
      this.finish();
    }, ["note"]);
  }

  resolve(event, order) {
    event.preventDefault();
    return this.change(order, "resolve", { note: (this.notes[order.id] ?? "").trim() });
  }

  before() {
    if (!this.needy.rows.length) return nothing;
    return html`<section class="card stack" aria-labelledby="needy-title"><h2 id="needy-title">${t("admin.needy")}</h2>${this.rows(this.needy)}</section>`;
  }

  row(order) {
    const { id, kind, credits, account, provider, amount, currency, created, attention, error } = order;
    const title = kind === "plan" ? titleOf(order) : t("frame.credits", { n: credits });
    const facts = [PROVIDERS[provider] ?? provider, moment(created), id].join(" · ");
    return html`${about(`${title} · ${money(amount, currency)}`, html`${accountLink(account)} · ${facts}`, ...(error ? [html`<span lang="en">${error}</span>`] : []))}
      <div class="row">${stateTag(order)}<button class="plain" aria-label="${t("admin.check")}: ${id}" @click=${() => this.change(order, "check")}>${t("admin.check")}</button></div>
      ${attention ? html`<form class="stack whole" novalidate @submit=${(event) => this.resolve(event, order)}>
        <p class="note bad">${icon("info")}<span lang="en">${attention}</span></p>
        <div class="row">${this.input(id, "note", t("admin.note"), { value: this.notes[id] ?? "", max: 500, change: (note) => { this.notes[id] = note; } })}
          <button>${t("admin.resolve")}</button></div></form>` : nothing}${this.alert(id)}`;
  }
}
