// Admin: the accounts, and one of them.

import { adminTabs } from "./admin_parts.js";
import { AccountPage, accountTag } from "./admin_account.js";
import { Listing } from "../core/listing.js";
import { html, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { day, t } from "../core/texts.js";

class AccountsPage extends Page {
  constructor(path) {
    super(path);
    this.accounts = new Listing(this, "admin/accounts");
    this.name = "";
  }

  title() {
    return t("frame.admin/accounts");
  }

  open() {
    return this.accounts.more();
  }

  find(event) {
    event.preventDefault();
    const name = this.name.trim();
    if (name) location.hash = `#/admin/accounts/${encodeURIComponent(name)}`;
  }

  view() {
    return html`<section class="view">${this.heading()}${adminTabs("admin/accounts")}
      <form class="row" novalidate @submit=${(event) => this.find(event)}>
        ${this.input("find", "name", t("admin.find"), { value: this.name, max: 200, change: (name) => { this.name = name; } })}
        <button id="find-go">${t("door.open")}</button></form>
      <section class="card stack" aria-label=${this.title()}>
        ${this.alert("page")}
        <table class="fold"><thead><tr><th>${t("frame.account")}</th><th>${t("word.plan")}</th><th>${t("word.created")}</th><th>${t("jobs.state")}</th></tr></thead>
          <tbody>${repeat(this.accounts.rows, ({ id }) => id, (account) => html`<tr><td><a href="#/admin/accounts/${encodeURIComponent(account.name)}">${account.name}</a></td>
            <td>${account.plan}</td><td class="num">${day(account.created)}</td><td>${accountTag(account)}</td></tr>`)}</tbody></table>
        ${this.accounts.foot("page")}
      </section></section>`;
  }
}

// The frame makes a page by `new`: an object that is returned takes the place of the new one.
export default function AdminAccounts(path) {
  return path[1] ? new AccountPage(path) : new AccountsPage(path);
}
