// Admin: the accounts, and one of them.

import { AccountPage, accountTag } from "./admin_account.js";
import { about, AdminList } from "./admin_parts.js";
import { html } from "../core/lit.js";
import { day, t } from "../core/texts.js";

class AccountsPage extends AdminList {
  constructor(path) {
    super(path, "admin/accounts");
    this.wanted = "";
  }

  find(event) {
    event.preventDefault();
    const name = this.wanted.trim();
    if (name) location.hash = `#/admin/accounts/${encodeURIComponent(name)}`;
  }

  before() {
    return html`<form class="row" novalidate @submit=${(event) => this.find(event)}>
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
