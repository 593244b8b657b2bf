// What the pages of Admin share.

import { html, nothing } from "../core/lit.js";
import { session } from "../core/session.js";
import { tabs } from "../core/tabs.js";
import { t } from "../core/texts.js";

// Where no feature answers, there is nothing of it.
export function orNone(failure) {
  if (failure.status !== 404) throw failure;
  return { data: [], has_more: false, last_id: null };
}

export function adminTabs(now) {
  const own = session.server.sign_in === "closed" ? [] : ["admin/users", "admin/orders"];
  return tabs(t("frame.admin"), ["admin", "admin/accounts", "admin/jobs", ...own, "admin/audit"], now);
}

export function accountLink(account) {
  return account ? html`<a href="#/admin/accounts/${encodeURIComponent(account)}">${account}</a>` : nothing;
}

// The account that an address names: its list has the rows of this one alone.
export function ofAccount(name, page) {
  if (!page.path[1]) return nothing;
  return html`<p class="row"><span class="name">${page.path[1]}</span><a href="#/${name}">${t("admin.of_all")}</a></p>`;
}
