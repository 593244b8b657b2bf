// One order: it waits until the provider has told of the payment, and shows what became of it.

import { bothOf, changesOf, checkoutOf, gotOf, PROVIDERS, stateOf, stateTag, titleOf } from "./checkout.js";
import { refreshAccount } from "../core/account.js";
import { Failure, OnceKey, orNone, read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { session } from "../core/session.js";
import { moment, money, number, t } from "../core/texts.js";

const SOON_MS = 3_000;
const LATER_MS = 10_000;
const SETTLED_MS = 30_000;

export default class OrderPage extends Page {
  order = null;
  looks = 0;

  title() {
    return t("word.order");
  }

  left() {
    clearTimeout(this.timer);
  }

  // What was chosen before the sign-in is ordered at once, if it is sold at one provider alone.
  get isNew() {
    return this.path[0] === "new";
  }

  async choose() {
    const [, kind, name] = this.path;
    const { data } = await read("v1/plans", { signal: this.signal }).catch(orNone);
    this.offer = data.find((offer) => offer.object === kind && offer.name === name);
    if (!this.offer) throw new Failure({ message: t("order.not_sold") });
    if (this.offer.providers.length === 1) await this.buy(this.offer.providers[0]);
    this.update();
  }

  buy(provider) {
    return this.run("page", async () => {
      const json = { [this.offer.object]: this.offer.name, provider };
      this.once ??= new OnceKey();
      const order = await read("v1/orders", { json, headers: this.once.of(json) });
      location.replace(`#/orders/${order.id}`);
    });
  }

  async open() {
    if (this.isNew) return this.choose();
    const wait = document.hidden || !session.me ? SOON_MS : await this.read();
    if (wait && !this.isLeft) this.timer = setTimeout(() => this.open(), wait);
    return undefined;
  }

  // Each look has the provider asked, and the first one what paying changes. A failure of the moment is no end of it.
  // Returns the pause until the next.
  async read() {
    try {
      const before = this.order;
      const query = before ? {} : { changes: true };
      const order = await read(`v1/orders/${encodeURIComponent(this.path[0] ?? "")}`, { query, signal: this.signal });
      if (before && order.state === "open") Object.assign(order, { ends: before.ends, silenced: before.silenced });
      if (before?.state !== order.state && order.state !== "open") refreshAccount();
      this.looks += 1;
      this.set({ order, problem: null });
      return order.state === "open" ? SOON_MS : SETTLED_MS;
    } catch (failure) {
      if (this.isLeft) return 0;
      this.tell("page", failure);
      return [403, 404].includes(failure.status) ? 0 : LATER_MS;
    }
  }

  // A provider may tell of a payment meanwhile: then it is paid, and shown so.
  cancel() {
    return this.run("page", async () => {
      const order = await read(`v1/orders/${encodeURIComponent(this.order.id)}/cancel`, { method: "POST" }).catch((failure) => {
        if (failure.code !== "order_paid") throw failure;
        return null;
      });
      if (order) this.set({ order });
      else await this.read();
      this.place.querySelector("h1").focus();
    });
  }

  view() {
    return html`<section class="view">${this.heading()}
      ${this.alert("page")}
      ${this.offer ? this.choice(this.offer) : nothing}${this.order ? this.card(this.order) : nothing}
      <div class="row">${this.order?.state === "paid" ? html`<a class="button first" href="#/speak">${t("frame.speak")}</a>` : nothing}
        <a class="button plain" href="#/account">${t("frame.account")}</a></div>
    </section>`;
  }

  choice({ name, object, amount, currency, providers }) {
    return html`<section class="card stack" aria-labelledby="order-name"><h2 id="order-name">${object === "plan" ? name : t("word.order")}</h2>
      <p><strong class="num">${money(amount, currency)}</strong></p>
      <div class="row">${providers.map((provider) => html`<button class="first" @click=${() => this.buy(provider)}>${t("order.pay_at", { provider: PROVIDERS[provider] })}</button>`)}</div>
    </section>`;
  }

  card(order) {
    const { state, provider, amount, currency, expires } = order;
    const address = checkoutOf(order);
    // The first look has the provider asked, and the second one tells. Who comes from there may have paid.
    const isToPay = state === "open" && (this.path[1] !== "back" || this.looks > 1);
    return html`<section class="card stack" aria-labelledby="order-name">
      <div class="row apart"><h2 id="order-name">${titleOf(order)}</h2>${stateTag(order)}</div>
      <p><strong class="num">${money(amount, currency)}</strong> <span class="quiet">${PROVIDERS[provider] ?? provider}</span></p>
      <p role="status" id="order-state">${state === "open" && !order.url ? t("order.prepared") : t(`order.told.${stateOf(order)}`)} ${state === "paid" ? gotOf(order) : ""}</p>
      ${state === "open" ? html`<p class="quiet small">${t("order.expires", { time: moment(expires) })}</p>` : nothing}
      ${changesOf(order)}
      ${isToPay ? html`<div class="row">${address ? html`<a class="button first" id="order-pay" href=${address} rel="noreferrer">${t("order.pay")}</a>` : nothing}
        <button class="plain" id="order-cancel" @click=${() => this.cancel()}>${t("order.cancel")}</button></div>` : nothing}
      ${order.payments.length ? html`<ul class="rows">${order.payments.map((payment) => this.payment(payment))}</ul>` : nothing}
    </section>`;
  }

  payment({ amount, currency, refunded, disputed, credited, created }) {
    const back = Number(refunded) ? t("order.given_back", { amount: money(refunded, currency) }) : "";
    const held = Number(disputed) ? t("order.held", { amount: money(disputed, currency) }) : "";
    const facts = [money(amount, currency), moment(created), credited ? bothOf(credited) : "", back, held];
    return html`<li class="num">${icon("account")}<span>${facts.filter(Boolean).join(" · ")}</span></li>`;
  }
}
