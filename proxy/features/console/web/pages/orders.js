// One order: it waits until the provider has told of the payment, and shows what became of it.

import { checkoutOf, PROVIDERS, stateTag, warningsOf } from "./checkout.js";
import { refreshAccount } from "../core/account.js";
import { read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { session } from "../core/session.js";
import { moment, money, number, t } from "../core/texts.js";

const SOON_MS = 3_000;
const LATER_MS = 10_000;
const SETTLED_MS = 30_000;

export default class OrderPage extends Page {
  order = null;

  title() {
    return t("word.order");
  }

  left() {
    clearTimeout(this.timer);
  }

  async open() {
    const wait = document.hidden || !session.me ? SOON_MS : await this.read();
    if (wait && !this.isLeft) this.timer = setTimeout(() => this.open(), wait);
  }

  // Each look has the provider asked, and the first one what paying changes. A failure of the moment is no end of it.
  // Returns the pause until the next.
  async read() {
    try {
      const before = this.order;
      const query = before ? {} : { warnings: true };
      const order = await read(`v1/orders/${encodeURIComponent(this.path[0] ?? "")}`, { query, signal: this.signal });
      if (before && order.state === "open") order.warnings = before.warnings;
      if (before && before.state !== order.state) refreshAccount();
      this.set({ order, problem: null });
      return order.state === "open" ? SOON_MS : SETTLED_MS;
    } catch (failure) {
      if (this.isLeft) return 0;
      this.tell("page", failure);
      return [403, 404].includes(failure.status) ? 0 : LATER_MS;
    }
  }

  view() {
    return html`<section class="view">${this.heading()}
      ${this.alert("page")}
      ${this.order ? this.card(this.order) : nothing}
      <div class="row"><a class="button plain" href="#/account">${t("frame.account")}</a></div>
    </section>`;
  }

  card(order) {
    const { state, provider, amount, currency, expires } = order;
    const address = checkoutOf(order);
    return html`<section class="card stack" aria-labelledby="order-name">
      <div class="row apart"><h2 id="order-name">${order.title}</h2>${stateTag(order)}</div>
      <p><strong class="num">${money(amount, currency)}</strong> <span class="quiet">${PROVIDERS[provider] ?? provider}</span></p>
      <p role="status" id="order-state">${state === "open" && !order.url ? t("order.prepared") : t(`order.told.${state}`)}</p>
      ${state === "open" ? html`<p class="quiet small">${t("order.expires", { time: moment(expires) })}</p>` : nothing}
      ${warningsOf(order)}
      ${address ? html`<div class="row"><a class="button first" id="order-pay" href=${address} rel="noreferrer">${t("order.pay")}</a></div>` : nothing}
      ${order.payments.length ? html`<ul class="rows">${order.payments.map((payment) => this.payment(payment))}</ul>` : nothing}
    </section>`;
  }

  payment({ amount, currency, refunded, disputed, credited, created }) {
    const back = Number(refunded) ? t("order.given_back", { amount: money(refunded, currency) }) : "";
    const held = Number(disputed) ? t("order.held", { amount: money(disputed, currency) }) : "";
    const facts = [money(amount, currency), moment(created), credited ? t("frame.credits", { n: credited }) : "", back, held];
    return html`<li class="num">${icon("account")}<span>${facts.filter(Boolean).join(" · ")}</span></li>`;
  }
}
