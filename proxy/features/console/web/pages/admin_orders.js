// Admin: the orders of all accounts. Those that need a person come first.

import { PROVIDERS, stateTag } from "./checkout.js";
import { accountLink, adminTabs, orNone } from "./admin_parts.js";
import { read } from "../core/api.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { moment, money, t } from "../core/texts.js";

export default class OrdersPage extends Page {
  constructor(path) {
    super(path);
    this.orders = new Listing(this, "admin/orders");
    // Notes as they are typed, by the ids of orders.
    this.notes = {};
  }

  title() {
    return t("frame.admin/orders");
  }

  open() {
    return this.orders.more().catch((failure) => {
      orNone(failure);
      this.orders.isRead = true;
      this.update();
    });
  }

  check(order) {
    return this.run("orders", async () => {
      this.orders.put(order.id, await read(`admin/orders/${encodeURIComponent(order.id)}/check`, { method: "POST" }));
      this.say(t("word.done"));
    });
  }

  resolve(event, order) {
    event.preventDefault();
    return this.run(order.id, async () => {
      const json = { note: (this.notes[order.id] ?? "").trim() };
      this.orders.put(order.id, await read(`admin/orders/${encodeURIComponent(order.id)}/resolve`, { json }));
      this.say(t("word.done"));
      this.place.querySelector("h1").focus();
    }, ["note"]);
  }

  view() {
    const { rows } = this.orders;
    const shown = [...rows.filter(({ attention }) => attention), ...rows.filter(({ attention }) => !attention)];
    return html`<section class="view">${this.heading()}${adminTabs("admin/orders")}
      ${this.statusLine()}
      <section class="card stack" aria-label=${this.title()}>${this.alert("page")}${this.alert("orders")}
        <ul role="list" class="rows">${repeat(shown, ({ id }) => id, (order) => this.row(order))}</ul>
        ${this.orders.foot("page")}
      </section></section>`;
  }

  row(order) {
    const { id, title, account, provider, amount, currency, created, attention, error } = order;
    return html`<li class="stack"><div class="row apart"><div class="about"><span class="name">${title} · ${money(amount, currency)}</span>
        <span class="quiet small name">${accountLink(account)} · ${PROVIDERS[provider] ?? provider} · ${moment(created)} · ${id}</span></div>
        <div class="row">${stateTag(order)}<button class="plain" aria-label="${t("admin.check")}: ${id}" @click=${() => this.check(order)}>${t("admin.check")}</button></div></div>
      ${error ? html`<p class="small name" lang="en">${error}</p>` : nothing}
      ${attention ? html`<p class="note bad">${icon("info")}<span lang="en">${attention}</span></p>
        <form class="row" novalidate @submit=${(event) => this.resolve(event, order)}>
          ${this.input(id, "note", t("admin.note"), { value: this.notes[id] ?? "", max: 500, change: (note) => { this.notes[id] = note; } })}
          <button>${t("admin.resolve")}</button>${this.alert(id)}</form>` : nothing}</li>`;
  }
}
