// Admin: the accounts, and one of them.

import { AccountPage, accountTag } from "./admin_account.js";
import { about, AdminList } from "./admin_parts.js";
import { read } from "../core/api.js";
import { keyName } from "../core/keys.js";
import { html } from "../core/lit.js";
import { secretCard, showSecret } from "../core/secret.js";
import { day, t } from "../core/texts.js";

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

  find(event) {
    event.preventDefault();
    const name = this.wanted.trim();
    if (name) location.hash = `#/admin/accounts/${encodeURIComponent(name)}`;
  }

  before() {
    return html`${secretCard(this, this.secret, () => this.set({ secret: null, status: "" }))}
      <form class="card stack" novalidate @submit=${(event) => this.make(event)}><h2>${t("admin.account")}</h2>
        <div class="grid">
          ${this.input("new", "name", t("word.name"), { value: this.account, max: 100, change: (name) => { this.account = name; } })}
          ${this.choice("new", "plan", t("word.plan"), { value: this.plan, options: this.plans.map(({ name }) => [name, name]), change: (plan) => { this.plan = plan; } })}
        </div>
        ${this.alert("new")}
        <div class="row"><button class=${this.secret ? "" : "first"} id="new-make">${t("admin.make")}</button></div></form>
      <form class="row" novalidate @submit=${(event) => this.find(event)}>
      ${this.input("find", "name", t("admin.find"), { value: this.wanted, change: (name) => { this.wanted = name; } })}
      <button id="find-go">${t("door.open")}</button></form>`;
  }

  row(account) {
    const { name, plan, created } = account;
    return html`${about(html`<a href="#/admin/accounts/${encodeURIComponent(name)}">${name}</a>`, `${plan} · ${day(created)}`)}${accountTag(account)}`;
  }
}

// The frame makes a page by `new`: an object that is returned takes the place of the new one.
export default function AdminAccounts(path) {
  return path[1] ? new AccountPage(path) : new AccountsPage(path);
}
