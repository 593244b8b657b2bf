// What the pages of Admin share: the way from one to the other, and a list of what the server has.

import { ask, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { hasFeature } from "../core/session.js";
import { tabs } from "../core/tabs.js";
import { t } from "../core/texts.js";

export function adminTabs(now) {
  const pages = ["admin", "admin/accounts", "admin/plans", hasFeature("jobs") && "admin/jobs", hasFeature("users") && "admin/users", hasFeature("payments") && "admin/orders", hasFeature("consents") && "admin/consents", "admin/audit"];
  return tabs(t("frame.admin"), pages.filter(Boolean), now);
}

// The names of accounts for people, by their ids.
const titles = {};
const MOST_IDS = 100;

export function accountLink(account) {
  return account ? html`<a href="#/admin/accounts/${encodeURIComponent(account)}">${titles[account] ?? account}</a>` : nothing;
}

// A subclass has `row(row)`, an item of the list, and may have `before()`, what stands above it.
export class AdminList extends Page {
  // The name of the page is the path of its list as well. Its address may name one account.
  constructor(path, name) {
    super(path);
    this.name = name;
    this.list = new Listing(this, name, { account: path[1] });
  }

  title() {
    return t(`frame.${this.name}`);
  }

  open() {
    return this.list.more();
  }

  // Reads the names of the accounts of rows, by one question for all.
  async listed(rows) {
    const ids = [...new Set(rows.map(({ account }) => account))].filter((id) => id && !(id in titles)).slice(0, MOST_IDS);
    if (!ids.length) return;
    const { data } = await read("admin/accounts", { query: { ids: ids.join(","), limit: MOST_IDS }, signal: this.signal });
    for (const { id, title } of data) titles[id] = title;
    this.update();
  }

  // Asks, does it, and shows the row as it is then. One that was deleted is gone.
  act({ id }, { path = "", method = "POST", yes, name = id, text = "", isDanger = false }) {
    return this.run("rows", async () => {
      if (!(await agrees({ title: `${yes}: ${name}`, text, no: t("word.no"), yes, isDanger }))) return;
      const now = await (await ask(`${this.name}/${encodeURIComponent(id)}${path}`, { method })).json();
      if (method === "DELETE") this.list.put(id, null);
      else if (now.object) this.list.put(id, now);
      this.finish();
    });
  }

  // The button may be gone: the focus goes to the heading.
  finish() {
    this.say(t("word.done"));
    this.draw();
    this.place.querySelector("h1").focus();
  }

  view() {
    const { path, name, list } = this;
    const of = path[1] ? html`<p class="row"><span class="name">${titles[path[1]] ?? path[1]}</span><a href="#/${name}">${t("admin.of_all")}</a></p>` : nothing;
    return html`<section class="view">${this.heading()}${adminTabs(name)}${of}${this.statusLine()}${this.before?.() ?? nothing}
      <section class="card stack" aria-label=${this.title()}>${this.alert("page")}${this.alert("rows")}
        ${this.rows(list)}
      </section></section>`;
  }

  rows(list) {
    return html`<ul role="list" class="rows">${repeat(list.rows, ({ id }) => id, (row) => html`<li class="row apart">${this.row(row)}</li>`)}</ul>${list.foot("page")}`;
  }
}

// The left part of a row: a name, and below it what else is known.
export function about(name, ...facts) {
  return html`<div class="about"><span class="name">${name}</span>${facts.map((fact) => html`<span class="quiet small name">${fact}</span>`)}</div>`;
}
