// Lexicons: how words are said in a language, or where a request asks for it. #/lexicons/NAME has the words of one.

import LexiconPage, { lexiconTitle } from "./lexicon_one.js";
import { Failure, read } from "../core/api.js";
import { baseOf, languageChoices, loadCatalogue } from "../core/catalogue.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { areaTabs } from "../core/tabs.js";
import { day, language, t } from "../core/texts.js";

const NAME = /^(?!none$)[a-z0-9][\w.-]{0,63}$/i;

export default function lexiconsPage(path) {
  return path[0] ? new LexiconPage(path) : new LexiconsPage(path);
}

class LexiconsPage extends Page {
  lexicons = null;
  language = "";
  name = "";

  title() {
    return t("frame.lexicons");
  }

  async open() {
    const [{ data }] = await Promise.all([read("v1/lexicons", { signal: this.signal }), loadCatalogue()]);
    this.lexicons = data;
    const tags = this.languages.map(([tag]) => tag);
    this.set({ language: tags.find((tag) => tag === language) ?? tags.find((tag) => baseOf(tag) === baseOf(language)) ?? "" });
  }

  own(name) {
    return this.lexicons.find((each) => each.owner === "account" && each.name.toLowerCase() === name.toLowerCase());
  }

  // A language has one lexicon of the account.
  get languages() {
    return languageChoices().filter(([tag]) => !this.own(tag));
  }

  // It is saved with its first word.
  begin(event) {
    event.preventDefault();
    const name = this.language || this.name.trim();
    return this.run("lexicon", async () => {
      if (!NAME.test(name)) throw new Failure({ message: t("lexicons.bad_name"), param: "name" });
      location.hash = `#/lexicons/${encodeURIComponent(this.own(name)?.name ?? name)}`;
    }, ["name"]);
  }

  view() {
    return html`<section class="view">${this.heading()}${areaTabs("voices", "lexicons")}
      ${this.alert("page")}
      ${this.lexicons ? html`${this.form()}${this.list()}` : nothing}
    </section>`;
  }

  form() {
    return html`<form class="card stack" novalidate @submit=${(event) => this.begin(event)}><h2>${t("lexicons.new")}</h2>
      <p class="quiet">${t("lexicons.about")}</p>
      <div class="two">
        ${this.choice("lexicon", "language", t("lexicons.for"), { value: this.language, options: [...this.languages, ["", t("lexicons.by_name")]], change: (tag) => this.set({ language: tag }) })}
        ${this.language ? nothing : this.input("lexicon", "name", t("word.name"), { value: this.name, max: 64, hint: t("lexicons.name_hint"), change: (name) => { this.name = name; } })}
      </div>
      <div class="row"><button class="first" id="lexicon-go">${icon("plus")} ${t("lexicons.begin")}</button></div>
    </form>`;
  }

  list() {
    if (!this.lexicons.length) return html`<div class="card new" id="lexicons-none"><h2>${t("list.empty")}</h2><p class="quiet">${t("lexicons.none")}</p></div>`;
    return html`<section class="card stack" aria-labelledby="lexicons-title"><h2 id="lexicons-title">${t("lexicons.list")}</h2>
      <ul class="rows" role="list" id="lexicons-list">${this.lexicons.map((each) => this.row(each))}</ul></section>`;
  }

  // The server's lexicon of a name cannot be read where the account has one.
  row({ name, owner, size, changed_at: changed }) {
    const isOwn = owner === "account";
    const facts = [t("lexicons.words", { n: size }), lexiconTitle(name) !== name && name, !isOwn && t("lexicons.of_server"), changed && day(changed)].filter(Boolean);
    const path = `#/lexicons/${encodeURIComponent(name)}${isOwn ? "" : "/server"}`;
    return html`<li class="row apart"><div class="about">${isOwn || !this.own(name) ? html`<a class="name" href=${path}>${lexiconTitle(name)}</a>` : html`<span class="name">${lexiconTitle(name)}</span>`}
      <span class="quiet small">${facts.join(" · ")}</span></div></li>`;
  }
}
