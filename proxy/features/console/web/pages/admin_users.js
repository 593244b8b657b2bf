// Admin: the people who sign in, and invitations for others.

import { accountLink, adminTabs } from "./admin_parts.js";
import { ask, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { secretCard } from "../core/secret.js";
import { day, moment, t } from "../core/texts.js";

function nameOf(way) {
  return way === "sign_out" ? t("door.sign_out") : t("admin.user_remove");
}

export default class UsersPage extends Page {
  constructor(path) {
    super(path);
    this.users = new Listing(this, "admin/users");
    this.secret = null;
    this.begin();
  }

  begin() {
    Object.assign(this, { address: "", account: "", isOperator: false });
  }

  title() {
    return t("frame.admin/users");
  }

  open() {
    return this.users.more();
  }

  invite(event) {
    event.preventDefault();
    return this.run("invite", async () => {
      const account = this.account.trim();
      const json = { address: this.address.trim(), operator: this.isOperator, ...(account && { account }) };
      const made = await read("admin/users", { json });
      this.secret = { title: `${json.address}, ${moment(made.expires)}`, text: made.link };
      this.begin();
      this.draw();
      this.place.querySelector("#secret-copy").focus();
    }, ["address", "account"]);
  }

  // "sign_out" or "remove".
  act(user, way) {
    return this.run("users", async () => {
      const yes = nameOf(way);
      const path = `admin/users/${encodeURIComponent(user.id)}`;
      const question = { title: `${yes}: ${user.address}`, text: t(`admin.user_${way}_text`), no: t("word.no"), yes, isDanger: way === "remove" };
      if (!(await agrees(question))) return;
      if (way === "remove") await ask(path, { method: "DELETE" });
      else await ask(`${path}/sign-out`, { method: "POST" });
      if (way === "remove") this.users.put(user.id, null);
      this.say(t("word.done"));
      this.place.querySelector("#users-title").focus();
    });
  }

  view() {
    return html`<section class="view">${this.heading()}${adminTabs("admin/users")}
      ${this.statusLine()}
      ${secretCard(this, this.secret, () => this.set({ secret: null, status: "" }))}
      ${this.form()}
      <section class="card stack" aria-labelledby="users-title"><h2 id="users-title" tabindex="-1">${this.title()}</h2>${this.alert("page")}${this.alert("users")}
        <ul role="list" class="rows">${repeat(this.users.rows, ({ id }) => id, (user) => this.row(user))}</ul>
        ${this.users.foot("page")}
      </section></section>`;
  }

  form() {
    return html`<form class="card stack" novalidate @submit=${(event) => this.invite(event)}><h2>${t("admin.invite_title")}</h2>
      <div class="grid">
        ${this.input("invite", "address", t("door.address"), { type: "email", value: this.address, max: 254, change: (address) => { this.address = address; } })}
        ${this.input("invite", "account", t("frame.account"), { value: this.account, hint: t("admin.invite_hint"), change: (account) => { this.account = account; } })}
      </div>
      <label class="tick"><input type="checkbox" id="invite-operator" .checked=${this.isOperator} @change=${(event) => this.set({ isOperator: event.target.checked })}>${t("account.operator")}</label>
      ${this.alert("invite")}
      <div class="row"><button class=${this.secret ? "" : "first"} id="invite-go">${t("admin.invite")}</button></div></form>`;
  }

  row(user) {
    return html`<li class="row apart"><div class="about"><span class="name">${user.address}</span><span class="quiet small name">${accountLink(user.account)} · ${day(user.created)}</span></div>
      <div class="row">${user.is_operator ? html`<span class="tag">${t("account.operator")}</span>` : nothing}
        ${["sign_out", "remove"].map((way) => html`<button class="plain" aria-label="${nameOf(way)}: ${user.address}" @click=${() => this.act(user, way)}>${nameOf(way)}</button>`)}</div></li>`;
  }
}
