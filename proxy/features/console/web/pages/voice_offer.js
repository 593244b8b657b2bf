// Without a model that speaks with people's own voices: an operator agrees to its terms and fetches it here. Others read
// what to tell their operator.

import { Failure, read } from "../core/api.js";
import { html, live, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { isAdmin } from "../core/session.js";
import { languageName, number, t } from "../core/texts.js";

const ROOT = "admin/own_voices";
const LOOK_MS = 1500;

export class Offer {
  constructor(page) {
    Object.assign(this, { page, offer: null });
    page.signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  // It begins with the first choice of the browser, or the server's language where no model speaks that.
  async open(language = navigator.language) {
    Object.assign(this, { language: language.split("-")[0], isAgreed: false });
    if (!isAdmin()) return;
    try {
      await this.look();
    } catch (failure) {
      if (!(failure instanceof Failure) || failure.status !== 404) throw failure;
      this.show(await read(ROOT));
    }
  }

  async look() {
    this.show(await read(ROOT, { query: { language: this.language } }));
  }

  show(offer) {
    Object.assign(this, { offer, language: offer.language });
    this.page.update();
    clearTimeout(this.timer);
    if (offer.state === "fetching" && !this.page.isLeft) this.timer = setTimeout(() => this.page.run("offer", () => this.look()), LOOK_MS);
  }

  fetch(event) {
    event.preventDefault();
    return this.page.run("offer", async () => this.show(await read(ROOT, { json: { language: this.language, agree: true } })));
  }

  view() {
    const { offer } = this;
    if (!isAdmin()) return html`<p class="note" id="offer-ask">${icon("info")}<span>${t("voices.offer.ask", { command: `voxgate voices own ${this.language}` })}</span></p>`;
    if (!offer) return this.page.alert("offer");
    const shown = { none: () => this.terms(), failed: () => this.terms(), fetching: () => this.progress(), ready: () => html`<p role="status">${t("voices.offer.ready")}</p>` };
    return html`<section class="card stack" id="offer" aria-labelledby="offer-title"><h2 id="offer-title">${offer.title}</h2>${shown[offer.state]()}${this.page.alert("offer")}</section>`;
  }

  terms() {
    const { offer } = this;
    const facts = { megabytes: number(offer.megabytes), seconds: number(offer.seconds), licences: offer.licences.join(", ") };
    return html`<form class="stack" @submit=${(event) => this.fetch(event)}>
      ${offer.fault ? html`<p class="note warn" role="alert">${icon("info")}<span lang="en">${offer.fault}</span></p>` : nothing}
      ${this.page.choice("offer", "language", t("speak.language"), { value: this.language, options: this.languages(), change: (language) => this.page.run("offer", () => this.open(language)) })}
      <p>${t("voices.offer.size", facts)}</p>
      <blockquote class="small" lang="en">${offer.terms}</blockquote>
      <p><a href=${offer.terms_page} rel="noreferrer" target="_blank">${t("voices.offer.page")}</a></p>
      <label class="tick"><input type="checkbox" id="offer-agree" .checked=${live(this.isAgreed)} @change=${({ target }) => { this.isAgreed = target.checked; this.page.update(); }}>
        ${t("voices.offer.agree")}</label>
      <div class="row"><button class="first" id="offer-fetch" ?disabled=${!this.isAgreed}>${t("voices.offer.fetch")}</button></div></form>`;
  }

  // Those of the browser first.
  languages() {
    const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
    const place = (tag) => (wanted.includes(tag) ? wanted.indexOf(tag) : wanted.length);
    return this.offer.languages.map((tag) => [tag, languageName(tag)]).sort(([one, name], [other, otherName]) => place(one) - place(other) || name.localeCompare(otherName));
  }

  progress() {
    const { part } = this.offer;
    return html`<progress class="wide" max="1" .value=${part} aria-label=${t("voices.offer.fetching")}></progress>
      <p role="status">${t("voices.offer.fetching")} <span class="num">${number(part * 100)} %</span></p>`;
  }
}
