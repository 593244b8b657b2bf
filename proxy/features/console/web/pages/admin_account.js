// Admin: one account, its balance, keys, months and people, and all that an operator can do about it.

import { monthTable } from "./admin.js";
import { adminTabs } from "./admin_parts.js";
import { refreshAccount } from "../core/account.js";
import { read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { isWorking, keyName, keyRow, revoke } from "../core/keys.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { secretCard, showSecret } from "../core/secret.js";
import { hasFeature } from "../core/session.js";
import { day, dollars, money, number, planName, t } from "../core/texts.js";

const ROLES = ["speech", "admin", "host"];
// What was typed for an act is done with it. What is typed elsewhere meanwhile stays.
const FIELDS = { money: ["credits", "reason"], plan: [], state: ["why"] };

export function accountTag({ closed, suspended }) {
  if (closed) return html`<span class="tag">${t("admin.state.closed")}</span>`;
  return suspended ? html`<span class="tag bad">${t("admin.state.suspended")}</span>` : html`<span class="tag good">${t("admin.state.open")}</span>`;
}

// Such a grant is made once, also if its answer is lost and the button is pressed again.
function newReference() {
  return `console-${[...crypto.getRandomValues(new Uint32Array(3))].map((each) => each.toString(36)).join("")}`;
}

export class AccountPage extends Page {
  constructor(path) {
    super(path);
    this.name = path.slice(1).join("/");
    Object.assign(this, { account: null, plans: [], months: [], secret: null, typed: {}, reference: newReference() });
  }

  title() {
    return this.account?.title ?? this.name;
  }

  get address() {
    return `admin/accounts/${encodeURIComponent(this.name)}`;
  }

  async open() {
    await this.refresh();
    const { data: plans } = await read("admin/plans", { signal: this.signal });
    const { data: months } = await read("admin/usage", { query: { account: this.account.id, by: "month" }, signal: this.signal });
    this.set({ plans, months });
  }

  async refresh() {
    this.set({ account: await read(this.address, { signal: this.signal }) });
  }

  // What is typed, by the names of its fields. It stays until it was done.
  type(name) {
    return { value: this.typed[name] ?? "", change: (text) => { this.typed[name] = text; } };
  }

  // Asks, does it, and reads the account anew. If something is missing, the server says what it is.
  act(form, { path, json, yes, text = "", isWhole = true, isDanger = false }) {
    return this.run(form, async () => {
      const title = `${yes}: ${this.account.title}`;
      if (isWhole && !(await agrees({ title, text: html`<p class="name">${text}</p><p class="name">${json.reason ?? ""}</p>`, no: t("word.no"), yes, isDanger }))) return;
      await read(this.address + path, { json });
      for (const name of FIELDS[form]) this.typed[name] = "";
      this.reference = newReference();
      await this.refresh();
      this.say(t("word.done"));
      refreshAccount();
    }, ["credits", "reason", "plan"]);
  }

  move(way) {
    const credits = this.typed.credits ? Number(this.typed.credits) : null;
    const reason = (this.typed.reason ?? "").trim();
    const json = { credits, reason, ...(way === "grant" && { reference: this.reference }) };
    const isWhole = credits !== null && (way === "grant" || reason !== "");
    return this.act("money", { path: way === "grant" ? "/grants" : "/corrections", json, yes: t(`admin.act.${way}`), text: t("frame.credits", { n: credits }), isWhole });
  }

  change() {
    const plan = this.typed.plan ?? this.account.plan;
    return this.act("plan", { path: "", json: { plan }, yes: t("admin.plan"), text: planName(plan) });
  }

  turn(way) {
    const json = { reason: (this.typed.why ?? "").trim() };
    return this.act("state", { path: `/${way}`, json, yes: t(`admin.act.${way}`), text: t(`admin.then.${way}`), isWhole: json.reason !== "", isDanger: way === "suspend" });
  }

  make(event) {
    event.preventDefault();
    return this.run("new", async () => {
      const role = this.typed.role ?? "speech";
      const question = { title: `${t("key.make")}: ${this.account.title}`, text: role, no: t("word.no"), yes: t("key.make") };
      if (!(await agrees(question))) return;
      const made = await read("admin/keys", { json: { account: this.account.id, role, name: (this.typed.name ?? "").trim() } });
      this.typed.name = "";
      await this.refresh();
      showSecret(this, keyName(made), made.key);
    }, ["name"]);
  }

  end(key) {
    return this.run("keys", async () => {
      if (!(await revoke("admin/keys", key))) return;
      await this.refresh();
      this.say(t("word.done"));
      this.place.querySelector("#keys-title").focus();
    });
  }

  view() {
    return html`<section class="view"><div class="top"><h1 tabindex="-1" class="name">${this.title()}</h1></div>${adminTabs("admin/accounts")}
      ${this.alert("page")}${this.statusLine()}${this.account ? this.details(this.account) : nothing}</section>`;
  }

  details(account) {
    const isOpen = !account.closed;
    return html`
      <div class="card stack">
        <div class="row apart"><p class="name small quiet num">${account.id} · ${planName(account.plan)} · ${day(account.created)}</p>${accountTag(account)}</div>
        ${account.users.filter(({ address }) => address !== account.title).map(({ address }) => html`<p class="name">${address}</p>`)}
        <div class="row">${hasFeature("jobs") ? html`<a href="#/admin/jobs/${account.id}">${t("frame.admin/jobs")}</a>` : nothing}<a href="#/admin/audit/${account.id}">${t("frame.admin/audit")}</a></div>
      </div>
      ${this.tiles(account)}
      ${isOpen ? html`<div class="grid">${this.money()}${this.planForm(account)}${this.state(account)}</div>` : nothing}
      ${secretCard(this, this.secret, () => this.set({ secret: null, status: "" }))}
      ${this.keys(account, isOpen)}
      ${this.months.length ? html`<section class="card stack" aria-labelledby="months-title"><h2 id="months-title">${t("admin.months")}</h2>${monthTable(this.months)}</section>` : nothing}`;
  }

  tiles({ balance, paid, paid_until: until, cost_usd: cost }) {
    const amounts = Object.entries(paid).map(([currency, amount]) => money(amount, currency)).join(", ");
    const tile = (label, value, more) => html`<div class="card"><span class="quiet small">${label}</span><strong class="num name">${value}</strong><span class="small quiet">${more}</span></div>`;
    const left = balance?.available == null ? t("frame.unlimited") : number(balance.available);
    const facts = balance ? t("admin.balance", { used: balance.used, granted: balance.granted }) : "";
    return html`<div class="tiles" id="account-tiles">${tile(t("account.left"), left, facts)}
      ${tile(t("order.state.paid"), amounts || "–", until ? t("key.until", { day: day(until) }) : "")}
      ${tile(t("word.cost"), dollars(cost), "")}</div>`;
  }

  money() {
    return html`<form class="card stack" novalidate @submit=${(event) => { event.preventDefault(); this.move("grant"); }}><h2>${t("usage.credits")}</h2>
      ${this.input("money", "credits", t("admin.amount"), { type: "number", ...this.type("credits") })}
      ${this.input("money", "reason", t("word.reason"), { max: 500, ...this.type("reason") })}
      ${this.alert("money")}
      <div class="row"><button id="money-grant" class=${this.secret ? "" : "first"}>${t("admin.act.grant")}</button><button type="button" id="money-correct" @click=${() => this.move("correct")}>${t("admin.act.correct")}</button></div></form>`;
  }

  planForm({ plan }) {
    const names = [...new Set([plan, ...this.plans.map(({ name }) => name)])];
    return html`<form class="card stack" novalidate @submit=${(event) => { event.preventDefault(); this.change(); }}><h2>${t("word.plan")}</h2>
      ${this.choice("plan", "plan", t("word.plan"), { value: this.typed.plan ?? plan, options: names.map((name) => [name, planName(name)]), change: (name) => { this.typed.plan = name; } })}
      ${this.alert("plan")}<div class="row"><button id="plan-go">${t("admin.plan")}</button></div></form>`;
  }

  state({ suspended }) {
    const way = suspended ? "resume" : "suspend";
    return html`<form class="card stack" novalidate @submit=${(event) => { event.preventDefault(); this.turn(way); }}><h2>${t("jobs.state")}</h2>
      ${this.input("state", "reason", t("word.reason"), { max: 500, ...this.type("why") })}
      ${this.alert("state")}<div class="row"><button id="state-go" class=${suspended ? "" : "danger"}>${t(`admin.act.${way}`)}</button></div></form>`;
  }

  keys({ keys }, isOpen) {
    const shown = [...keys.filter(isWorking), ...keys.filter((key) => !isWorking(key))].slice(0, 50);
    return html`<section class="card stack" aria-labelledby="keys-title"><h2 id="keys-title" tabindex="-1">${t("frame.account/keys")}</h2>
      ${this.alert("keys")}
      <ul role="list" class="rows">${repeat(shown, ({ id }) => id, (key) => keyRow(key, html`<button class="plain" aria-label="${t("key.revoke")}: ${keyName(key)}"
        @click=${() => this.end(key)}>${t("key.revoke")}</button>`))}</ul>
      ${isOpen ? html`<form class="grid" novalidate @submit=${(event) => this.make(event)}>
        ${this.input("new", "name", t("word.name"), { max: 100, ...this.type("name") })}
        ${this.choice("new", "role", t("admin.role"), { value: this.typed.role ?? "speech", options: ROLES.map((role) => [role, role]), change: (role) => { this.typed.role = role; } })}
        <div class="row"><button id="new-make">${t("key.make")}</button></div>${this.alert("new")}</form>` : nothing}
    </section>`;
  }
}
