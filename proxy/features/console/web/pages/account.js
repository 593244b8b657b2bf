// Account: who this is, the plan and what is left of it, and what can be bought.

import { LONGEST } from "./speak_notes.js";
import { pay, PROVIDERS, stateTag } from "./checkout.js";
import { leave, refreshAccount, signOut } from "../core/account.js";
import { orNone, read } from "../core/api.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { isAdmin, isPerson, session } from "../core/session.js";
import { tabs } from "../core/tabs.js";
import { day, money, number, t } from "../core/texts.js";

const LIMITS = ["rpm", "streams", "voices", "clones", "keys", "max_characters", "job_characters"];
const OF_PLANS = ["streams", "voices", "clones", "keys"];
const PRICES = ["speech", "cached", "clone", "conversion", "training", "transcription"];

export function accountTabs(now) {
  return isPerson() ? tabs(t("frame.account"), ["account", "account/keys", "account/settings"], now) : nothing;
}

export default class AccountPage extends Page {
  offers = [];
  orders = new Listing(this, "v1/orders");
  // The Idempotency-Key of what was begun to buy: a second try finds the order of the first.
  begun = {};

  title() {
    return t("frame.account");
  }

  async open() {
    await refreshAccount();
    this.update();
    if (!isPerson()) return;
    this.set({ offers: (await read("v1/plans", { signal: this.signal }).catch(orNone)).data });
    await this.orders.more().catch(orNone);
  }

  buy(offer, provider) {
    return this.run("buy", async () => {
      const wanted = `${offer.object} ${offer.name} ${provider}`;
      this.begun[wanted] ??= crypto.randomUUID();
      const order = await read("v1/orders", { json: { [offer.object]: offer.name, provider }, headers: { "Idempotency-Key": this.begun[wanted] } });
      delete this.begun[wanted];
      if (!(await pay(order))) await this.orders.refresh();
    });
  }

  view() {
    const { me } = session;
    if (!me) return html`<section class="view">${this.heading()}</section>`;
    return html`<section class="view">${this.heading()}${accountTabs("account")}
      ${this.who(me)}${this.alert("page")}
      ${this.tiles(me)}
      ${this.shop(me)}
      ${this.bought()}
      <details class="card stack"><summary>${t("account.terms")}</summary>${this.limits(me)}${this.prices(me)}</details>
    </section>`;
  }

  who({ account, key, user }) {
    const text = user ? t("account.person", { address: user.address, name: account.name }) : t("account.key", { hint: key.hint, name: account.name });
    return html`<div class="card stack">
      <div class="row apart"><div class="row"><p class="name" id="account-who">${text}</p>${isAdmin() ? html`<span class="tag">${t("account.operator")}</span>` : nothing}</div>
        ${user
          ? html`<button id="account-out" @click=${() => this.run("who", signOut)}>${t("door.sign_out")}</button>`
          : html`<button id="account-forget" @click=${leave}>${t("account.forget")}</button>`}</div>
      ${this.alert("who")}
      ${user || session.server.sign_in === "closed" ? nothing : html`<p class="quiet small">${t("account.more")}</p>`}
    </div>`;
  }

  tiles({ plan, credits, cycle, paid_until: until }) {
    const left = credits.available === null ? t("frame.unlimited") : number(credits.available);
    const rest = credits.granted ? t("account.granted", { n: credits.granted }) : t("account.used", { n: credits.used });
    return html`<div class="tiles">
      ${tile(t("word.plan"), plan.name, plan.price)}
      ${tile(t("account.left"), left, rest)}
      ${until ? tile(t("account.until"), day(until), "") : credits.available === null ? nothing : tile(t("account.cycle"), day(cycle.end), "")}
    </div>`;
  }

  shop(me) {
    if (!this.offers.length) return nothing;
    const [plans, packs] = ["plan", "pack"].map((kind) => this.offers.filter(({ object }) => object === kind));
    return html`<section class="stack" aria-labelledby="shop-title"><h2 id="shop-title">${t("account.buy")}</h2>
      ${this.alert("buy")}
      <ul class="grid" role="list">
        ${plans.map((offer) => this.offer(offer, t("account.month"), offer.name === me.plan.name))}
        ${packs.map((offer) => this.offer(offer, "", false))}
      </ul></section>`;
  }

  offer(offer, per, isMine) {
    const credits = offer.credits === null ? t("frame.unlimited") : t("frame.credits", { n: offer.credits });
    const limits = OF_PLANS.filter((name) => offer.limits?.[name] != null).map((name) => `${t(`limit.${name}`)}: ${number(offer.limits[name])}`);
    const title = offer.object === "plan" ? offer.name : credits;
    return html`<li class="card stack plan ${isMine ? "now" : ""}">
      <div class="row apart"><h3>${title}</h3>${isMine ? html`<span class="tag">${t("account.mine")}</span>` : nothing}</div>
      <p><strong class="num">${money(offer.amount, offer.currency)}</strong> <span class="quiet">${per}</span></p>
      <ul class="small">${[...(per ? [credits] : []), ...limits, ...offer.features].map((line) => html`<li class="name">${line}</li>`)}</ul>
      <div class="stack">${offer.providers.map((provider) => html`<button aria-label="${title}: ${t("order.pay_at", { provider: PROVIDERS[provider] })}"
        @click=${() => this.buy(offer, provider)}>${t("order.pay_at", { provider: PROVIDERS[provider] })}</button>`)}</div>
    </li>`;
  }

  bought() {
    const { rows } = this.orders;
    if (!rows.length) return nothing;
    return html`<section class="card stack" aria-labelledby="orders-title"><h2 id="orders-title">${t("frame.admin/orders")}</h2>
      <table class="fold"><thead><tr><th>${t("word.order")}</th><th>${t("word.created")}</th><th class="end">${t("word.amount")}</th><th>${t("jobs.state")}</th></tr></thead>
        <tbody>${repeat(rows, ({ id }) => id, (order) => html`<tr><td><a href="#/orders/${order.id}">${order.title}</a></td>
          <td class="quiet num">${day(order.created)}</td><td class="num end">${money(order.amount, order.currency)}</td><td>${stateTag(order)}</td></tr>`)}</tbody></table>
      ${this.orders.foot("page")}
    </section>`;
  }

  limits({ limits, streams, voices_used: voices, clones_used: clones }) {
    const used = { streams, voices, clones };
    const rows = LIMITS.map((name) => {
      const limit = name === "max_characters" ? limits[name] ?? LONGEST : limits[name];
      const most = limit === null ? t("frame.unlimited") : number(limit);
      return [t(`limit.${name}`), name in used && limit !== null ? t("account.of", { used: used[name], most }) : most];
    });
    return facts(rows);
  }

  prices({ prices }) {
    const named = PRICES.filter((name) => prices[name]).map((name) => [t(`price.${name}`), prices[name]]);
    const rows = [...named, ...Object.entries(prices.models)];
    return facts(rows.map(([name, { credits, per }]) => [name, credits ? t("price.each", { n: credits, per: t(`price.per.${per}`) }) : t("speak.free")]));
  }
}

function tile(label, value, more) {
  return html`<div class="card"><span class="quiet small">${label}</span><strong class="num name">${value}</strong><span class="small quiet">${more}</span></div>`;
}

function facts(rows) {
  return html`<table><tbody>${rows.map(([name, value]) => html`<tr><th scope="row" class="name">${name}</th><td class="num end">${value}</td></tr>`)}</tbody></table>`;
}
