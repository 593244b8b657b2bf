// Admin: who changed what.

import { about, accountLink, AdminList } from "./admin_parts.js";
import { html } from "../core/lit.js";
import { moment } from "../core/texts.js";

// What says nothing is left out, such as the terms that an account does not have of its own.
function shown(details) {
  const said = (value) => value !== null && value !== "" && !(typeof value === "object" && !Object.values(value).some(said));
  const text = (value) => (typeof value === "object" ? `(${shown(value)})` : value);
  return Object.entries(details).filter(([, value]) => said(value)).map(([name, value]) => `${name}: ${text(value)}`).join(", ");
}

export default class AuditPage extends AdminList {
  constructor(path) {
    super(path, "admin/audit");
  }

  row({ at, actor, action, subject, account, details }) {
    const whose = account && account !== subject ? html` · ${accountLink(account)}` : "";
    return about(html`<span lang="en"><strong>${action}</strong> ${account && account === subject ? accountLink(account) : subject}</span>`, html`${moment(at)} · ${actor}${whose}`, html`<span lang="en">${shown(details)}</span>`);
  }
}
