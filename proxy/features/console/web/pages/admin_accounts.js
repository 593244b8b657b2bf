// Admin: the accounts, and one of them.

import { AccountPage, accountTag } from "./admin_account.js";
import { about, AdminList } from "./admin_parts.js";
import { read } from "../core/api.js";
import { keyName } from "../core/keys.js";
import { Listing } from "../core/listing.js";
import { html } from "../core/lit.js";
import { secretCard, showSecret } from "../core/secret.js";
import { day, dollars, money, planName, t } from "../core/texts.js";

class AccountsPage extends AdminList {
  constructor(path) {
    super(path, "admin/accounts");
    Object.assign(this, { wanted: "", account: "", plan: "", plans: [], secret: null, isMaking: false });
  }

  async open() {
    await super.open();
    const { data: plans } = await read("admin/plans", { signal: this.signal });
    this.set({ plans, plan: plans[0]?.name ?? "" });
  }

  // An account, and a key to speak with. Without the key, it is in the list, and its page makes one.
  make(event) {
    event.preventDefault();
    if (this.isMaking) return undefined;
    this.isMaking = true;
    return this.run("new", async () => {
      const { id, name } = await read("admin/accounts", { json: { name: this.account.trim(), plan: this.plan || null } });
      this.account = "";
      await this.list.refresh();
      const made = await read("admin/keys", { json: { account: id } });
      showSecret(this, `${name}: ${keyName(made)}`, made.key);
    }, ["name", "plan"]).finally(() => { this.isMaking = false; });
  }

  // The only one that is found is opened.
  find(event) {
    event.preventDefault();
    return this.run("find", async () => {
      this.list = new Listing(this, this.name, { find: this.wanted.trim() });
      await this.list.more();
      const [only, other] = this.list.rows;
      if (only && !other && this.wanted) location.hash = `#/admin/accounts/${encodeURIComponent(only.name)}`;
    }, ["find"]);
  }

  before() {
    return html`${secretCard(this, this.secret, () => this.set({ secret: null, status: "" }))}
      <form class="card stack" novalidate @submit=${(event) => this.make(event)}><h2>${t("admin.account")}</h2>
        <div class="grid">
          ${this.input("new", "name", t("word.name"), { value: this.account, max: 100, change: (name) => { this.account = name; } })}
          ${this.choice("new", "plan", t("word.plan"), { value: this.plan, options: this.plans.map(({ name }) => [name, planName(name)]), change: (plan) => { this.plan = plan; } })}
        </div>
        ${this.alert("new")}
        <div class="row"><button class=${this.secret ? "" : "first"} id="new-make">${t("admin.make")}</button></div></form>
      <form class="row" novalidate @submit=${(event) => this.find(event)}>
      ${this.input("find", "find", t("admin.find"), { value: this.wanted, change: (name) => { this.wanted = name; } })}
      <button id="find-go">${t("admin.search")}</button></form>${this.alert("find")}`;
  }

  row(account) {
    const { name, title, users, plan, paid_until: until, created, sums } = account;
    const people = users.filter((address) => address !== title);
    const paid = Object.entries(sums.paid).map(([currency, amount]) => money(amount, currency));
    const facts = [
      [until ? t("admin.until", { plan: planName(plan), day: day(until) }) : planName(plan), `${t("word.created")}: ${day(created)}`],
      [t("minutes.exact", { n: sums.minutes }), sums.allowance === null ? t("frame.credits", { n: sums.credits }) : t("admin.used", { used: sums.credits, most: sums.allowance })],
      [...paid, sums.cost_usd ? t("admin.cost", { usd: dollars(sums.cost_usd) }) : ""],
    ].map((few) => few.filter(Boolean).join(" · "));
    return html`${about(html`<a href="#/admin/accounts/${encodeURIComponent(name)}">${title}</a>`, ...[people.join(", "), ...facts].filter(Boolean))}${accountTag(account)}`;
  }
}

// The frame makes a page by `new`: an object that is returned takes the place of the new one.
export default function AdminAccounts(path) {
  return path[1] ? new AccountPage(path) : new AccountsPage(path);
}
