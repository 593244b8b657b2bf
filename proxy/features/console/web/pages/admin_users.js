// Admin: the people who sign in, and invitations for others.

import { about, accountLink, AdminList } from "./admin_parts.js";
import { read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { secretCard, showSecret } from "../core/secret.js";
import { day, moment, t } from "../core/texts.js";

const NOBODY = { address: "", account: "", isOperator: false };

export default class UsersPage extends AdminList {
  constructor(path) {
    super(path, "admin/users");
    Object.assign(this, { secret: null, ...NOBODY });
  }

  invite(event) {
    event.preventDefault();
    return this.run("invite", async () => {
      const [address, account] = [this.address.trim(), this.account.trim()];
      const made = await read("admin/users", { json: { address, operator: this.isOperator, ...(account && { account }) } });
      Object.assign(this, NOBODY);
      showSecret(this, `${address}, ${moment(made.expires)}`, made.link);
    }, ["address", "account"]);
  }

  before() {
    return html`${secretCard(this, this.secret, () => this.set({ secret: null, status: "" }))}
      <form class="card stack" novalidate @submit=${(event) => this.invite(event)}><h2>${t("admin.invite_title")}</h2>
        <div class="grid">
          ${this.input("invite", "address", t("door.address"), { type: "email", value: this.address, max: 254, change: (address) => { this.address = address; } })}
          ${this.input("invite", "account", t("frame.account"), { value: this.account, hint: t("admin.invite_hint"), change: (account) => { this.account = account; } })}
        </div>
        <label class="tick"><input type="checkbox" id="invite-operator" .checked=${this.isOperator} @change=${(event) => this.set({ isOperator: event.target.checked })}>${t("account.operator")}</label>
        ${this.alert("invite")}
        <div class="row"><button class=${this.secret ? "" : "first"} id="invite-go">${t("admin.invite")}</button></div></form>`;
  }

  row(user) {
    const { address: name, account, created, is_operator: isOperator } = user;
    const ways = [
      { yes: t("door.sign_out"), path: "/sign-out", text: t("admin.out_text") },
      { yes: t("admin.remove"), method: "DELETE", text: t("admin.remove_text"), isDanger: true },
    ];
    return html`${about(name, html`${accountLink(account)} · ${day(created)}`)}
      <div class="row">${isOperator ? html`<span class="tag">${t("account.operator")}</span>` : nothing}
        ${ways.map((way) => html`<button class="plain" aria-label="${way.yes}: ${name}" @click=${() => this.act(user, { name, ...way })}>${way.yes}</button>`)}</div>`;
  }
}
