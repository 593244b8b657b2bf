// Admin: who changed what.

import { accountLink, adminTabs, ofAccount } from "./admin_parts.js";
import { Listing } from "../core/listing.js";
import { html, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { moment, t } from "../core/texts.js";

// What says nothing is left out, such as the terms that an account does not have of its own.
function shown(details) {
  const said = (value) => value !== null && value !== "" && !(typeof value === "object" && !Object.values(value).some(said));
  const text = (value) => (typeof value === "object" ? `(${shown(value)})` : value);
  return Object.entries(details).filter(([, value]) => said(value)).map(([name, value]) => `${name}: ${text(value)}`).join(", ");
}

export default class AuditPage extends Page {
  constructor(path) {
    super(path);
    this.acts = new Listing(this, "admin/audit", { account: path[1] });
  }

  title() {
    return t("frame.admin/audit");
  }

  open() {
    return this.acts.more();
  }

  view() {
    return html`<section class="view">${this.heading()}${adminTabs("admin/audit")}${ofAccount("admin/audit", this)}
      <section class="card stack" aria-label=${this.title()}>${this.alert("page")}
        <ul role="list" class="rows">${repeat(this.acts.rows, ({ id }) => id, (act) => this.row(act))}</ul>
        ${this.acts.foot("page")}
      </section></section>`;
  }

  row({ at, actor, action, subject, account, details }) {
    return html`<li><div class="about"><span class="name" lang="en"><strong>${action}</strong> ${subject}</span>
      <span class="quiet small name">${moment(at)} · ${actor}${account && account !== subject ? html` · ${accountLink(account)}` : ""}</span>
      <span class="small name" lang="en">${shown(details)}</span></div></li>`;
  }
}
