// Account: who this is, the plan and what is left of it, and what can be bought.

import { LONGEST } from "./speak_notes.js";
import { bothOf, gotOf, ownMinutes, pay, PROVIDERS, stateTag, titleOf } from "./checkout.js";
import { leave, refreshAccount, signOut } from "../core/account.js";
import { orNone, read } from "../core/api.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { isAdmin, isPerson, session } from "../core/session.js";
import { tabs } from "../core/tabs.js";
import { day, fullDay, minutes, money, number, pages, planName, t, wholeFromTen, worth } from "../core/texts.js";

export const LIMITS = ["rpm", "streams", "voices", "clones", "keys", "max_characters", "job_characters"];
// Those of a plan that buyers ask for. The others are below them.
const OF_PLANS = ["streams", "voices", "job_characters"];
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
      ${this.plan(me)}
      ${this.shop(me)}
      ${this.bought()}
      <details class="card stack"><summary>${t("account.terms")}</summary>${this.limits(me)}${facts(priceRows(me.prices))}</details>
    </section>`;
  }

  who({ account, key, user }) {
    const whole = user ? t("account.person", { address: user.address, name: account.title }) : t("account.key", { hint: key.hint, name: account.title });
    const text = user?.address === account.title ? account.title : whole;
    return html`<div class="card stack">
      <div class="row apart"><div class="row"><p class="name" id="account-who">${text}</p>${isAdmin() ? html`<span class="tag">${t("account.operator")}</span>` : nothing}</div>
        ${user
          ? html`<button id="account-out" @click=${() => this.run("who", signOut)}>${t("door.sign_out")}</button>`
          : html`<button id="account-forget" @click=${leave}>${t("account.forget")}</button>`}</div>
      ${this.alert("who")}
      ${user || session.server.sign_in === "closed" ? nothing : html`<p class="quiet small">${t("account.more")}</p>`}
    </div>`;
  }

  // What one has, what ends when, and what comes then. A month ends by itself, so nothing here ends it.
  plan(me) {
    const { plan, credits, paid_until: until, next_plan: next } = me;
    const each = credits.allowance === null ? planName(plan.name) : t("account.monthly", { plan: planName(plan.name), minutes: worth(credits.allowance, plan.minutes) });
    const paid = [until ? t("account.paid", { plan: planName(plan.name), day: fullDay(until) }) : "", then(next), credits.available === null ? "" : t("account.stay")];
    return html`<section class="card stack" aria-labelledby="plan-title"><div class="row apart"><h2 id="plan-title">${t("account.mine")}</h2>${plan.price ? html`<span class="tag">${plan.price}</span>` : nothing}</div>
      <p id="account-plan" class="name">${until ? paid.filter(Boolean).join(" ") : each}</p>${this.tiles(me)}</section>`;
  }

  // Where nothing is limited, there is nothing to count.
  tiles({ plan, credits, cycle, minutes: left, paid_until: until, next_plan: next }) {
    if (credits.available === null) return nothing;
    const { granted, used } = credits;
    const whole = wholeFromTen(credits.available, Math.floor);
    const rest = granted ? t("account.granted", { what: worth(granted, ownMinutes(granted)) }) : t("account.used", { what: worth(used, ownMinutes(used)) });
    const isLast = until && until <= cycle.end;
    const coming = isLast ? next?.minutes : plan.minutes;
    return html`<div class="tiles">
      ${left ? tile(t("account.minutes"), minutes(left), left.number === credits.available ? rest : t("account.credits", { n: whole, rest })) : tile(t("account.left"), number(whole), rest)}
      ${isLast && !coming ? nothing : tile(t(coming ? "account.new" : "account.cycle"), day(isLast ? until : cycle.end), coming ? minutes(coming) : "")}
    </div>`;
  }

  shop(me) {
    if (!this.offers.length) return nothing;
    const [plans, packs] = ["plan", "pack"].map((kind) => this.offers.filter(({ object }) => object === kind));
    return html`<section class="stack" aria-labelledby="shop-title"><h2 id="shop-title">${t("account.buy")}</h2>
      ${plans.length ? html`<p class="quiet small">${t("account.ends")} ${me.paid_until ? t("account.switch", { plan: planName(me.plan.name) }) : nothing}</p>` : nothing}
      ${this.alert("buy")}
      <ul class="grid" role="list">
        ${plans.map((offer) => this.sold(offer, me))}
        ${packs.map((offer) => this.pack(offer))}
      </ul></section>`;
  }

  // Its minutes are those of the plan that one has.
  pack(offer) {
    const of = ownMinutes(offer.credits) ?? offer.minutes;
    return this.offer(offer, { title: worth(offer.credits, of), per: t("account.once"), lines: [...(of && of.number !== offer.credits ? [t("frame.credits", { n: offer.credits })] : []), t("account.stays")] });
  }

  // A month of a plan. Of the running one there is one more.
  sold(offer, { plan, paid_until: until }) {
    const isMine = offer.name === plan.name;
    const note = until && isMine ? t("account.joins", { day: fullDay(until) }) : "";
    const each = offer.credits === null ? t("frame.unlimited") : bothOf(offer.credits, offer.minutes);
    const line = (name) => limitText(name, offer.limits[name]);
    const few = OF_PLANS.filter((name) => offer.limits[name]);
    const others = LIMITS.filter((name) => !few.includes(name));
    // A month would end what one has for nothing, so none is sold.
    const providers = isMine && !until ? [] : offer.providers;
    const all = html`<details><summary>${t("account.limits")}</summary><ul class="small">${others.map((name) => html`<li>${line(name)}</li>`)}</ul></details>`;
    return this.offer({ ...offer, providers }, { title: planName(offer.name), per: t("account.month"), lines: [each, ...few.map(line)], note, isMine, all, pay: isMine ? t("account.one_more") : "" });
  }

  offer(offer, { title, lines, per = "", note = "", isMine = false, all = nothing, pay: what = "" }) {
    const by = (provider) => (what ? `${what} · ${PROVIDERS[provider]}` : t("order.pay_at", { provider: PROVIDERS[provider] }));
    return html`<li class="card stack plan ${isMine ? "mine" : ""}">
      <div class="row apart"><h3>${title}</h3>${isMine ? html`<span class="tag">${t("account.mine")}</span>` : nothing}</div>
      <p><strong class="num">${money(offer.amount, offer.currency)}</strong> <span class="quiet">${per}</span></p>
      <ul class="small">${[...lines, ...offer.features].map((line) => html`<li class="name">${line}</li>`)}</ul>
      ${all}
      ${note ? html`<p class="small quiet">${note}</p>` : nothing}
      <div class="stack">${offer.providers.map((provider) => html`<button aria-label="${title}: ${by(provider)}" @click=${() => this.buy(offer, provider)}>${by(provider)}</button>`)}</div>
    </li>`;
  }

  bought() {
    const { rows } = this.orders;
    if (!rows.length) return nothing;
    return html`<section class="card stack" aria-labelledby="orders-title"><h2 id="orders-title">${t("frame.admin/orders")}</h2>
      <table class="fold"><thead><tr><th>${t("word.order")}</th><th>${t("word.created")}</th><th class="end">${t("word.amount")}</th><th>${t("jobs.state")}</th></tr></thead>
        <tbody>${repeat(rows, ({ id }) => id, (order) => html`<tr><td><a href="#/orders/${order.id}">${titleOf(order)}</a>${order.state === "paid" ? html`<br><span class="quiet small">${gotOf(order)}</span>` : nothing}</td>
          <td class="quiet num">${day(order.created)}</td><td class="num end">${money(order.amount, order.currency)}</td><td>${stateTag(order)}</td></tr>`)}</tbody></table>
      ${this.orders.foot("page")}
    </section>`;
  }

  limits({ account, limits, streams, voices_used: voices, clones_used: clones }) {
    const used = { streams, voices, clones };
    const rows = LIMITS.map((name) => {
      const limit = name === "max_characters" ? limits[name] ?? LONGEST : limits[name];
      const most = limit === null ? t("frame.unlimited") : number(limit);
      return [t(`limit.${name}`), name in used && limit !== null ? t("account.of", { used: used[name], most }) : most];
    });
    return facts([...rows, [t("account.id"), account.id]]);
  }
}

// Each kind of work, and each model with a price of its own.
export function priceRows(prices) {
  const named = PRICES.filter((name) => prices[name]).map((name) => [t(`price.${name}`), prices[name]]);
  return [...named, ...Object.entries(prices.models)].map(([name, { credits, per }]) => [name, credits ? t("price.each", { n: credits, credits: number(credits, 6), per: t(`price.per.${per}`) }) : t("speak.free")]);
}

// A limit of a plan as a sentence.
function limitText(name, n) {
  if (n) return t(`limit.n.${name}`, { n: name === "job_characters" ? pages(n) : n });
  return `${t(`limit.${name}`)}: ${n === null ? t("frame.unlimited") : number(0)}`;
}

// The plan after a paid month.
function then(next) {
  if (!next) return "";
  return next.minutes ? t("account.then", { plan: planName(next.name), minutes: minutes(next.minutes) }) : t("account.then_plan", { plan: planName(next.name) });
}

function tile(label, value, more) {
  return html`<div><span class="quiet small">${label}</span><strong class="num name">${value}</strong><span class="small quiet">${more}</span></div>`;
}

export function facts(rows) {
  return html`<table><tbody>${rows.map(([name, value]) => html`<tr><th scope="row" class="name">${name}</th><td class="num end">${value}</td></tr>`)}</tbody></table>`;
}
