// Voices: the account's own and the catalogue, as cards. #/voices/new makes a voice, and #/voices/ID is one voice.

import NewVoicePage from "./voice_new.js";
import VoicePage from "./voice_one.js";
import { expiryTag, hintNote, isMine, isUseless, readMine, stateTags, useVoice } from "./voice_parts.js";
import { catalogue, factsOf, groupOf, loadCatalogue } from "../core/catalogue.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { finderFields, foundVoices } from "../core/picker.js";
import { previewButton } from "../core/previews.js";
import { hasFeature, session } from "../core/session.js";
import { t } from "../core/texts.js";

const SHOWN = 50;

// The frame calls this with `new`, and gets the page of the address.
export default function page(path) {
  if (path[0] === "new") return new NewVoicePage(path);
  return path[0] ? new VoicePage(path) : new VoicesPage(path);
}

class VoicesPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { isRead: false, words: "", language: "", gender: "", whose: "all", shown: SHOWN });
  }

  title() {
    return t("frame.voices");
  }

  async open() {
    await Promise.all([loadCatalogue(), readMine()]);
    this.set({ isRead: true });
  }

  change(changes) {
    this.set({ ...changes, shown: SHOWN });
  }

  get found() {
    const isOfThem = { all: () => true, own: isMine, catalogue: (voice) => !isMine(voice) }[this.whose];
    return foundVoices(this).filter(isOfThem);
  }

  // The focus goes to the first of those that come where the button was.
  showMore() {
    const before = this.shown;
    this.shown += SHOWN;
    this.draw();
    this.place.querySelectorAll("#voices-list > li")[before]?.focus();
  }

  view() {
    return html`<section class="view">${this.heading(this.isRead ? this.maker() : nothing)}
      ${this.isRead && catalogue.hint ? hintNote(catalogue.hint, "voices-hint") : nothing}
      ${this.alert("page")}
      ${this.isRead ? this.list() : nothing}
    </section>`;
  }

  maker() {
    if (!hasFeature("own_voices")) return nothing;
    return isUseless()
      ? html`<button class="first" id="voices-new" disabled aria-describedby="voices-hint">${icon("mic")} ${t("voices.new")}</button>`
      : html`<a class="button first" id="voices-new" href="#/voices/new">${icon("mic")} ${t("voices.new")}</a>`;
  }

  list() {
    const { found } = this;
    const isEmpty = this.whose === "own" && !catalogue.voices.some(isMine);
    return html`<div class="stack">
        ${finderFields("voices", this)}
        <div class="chips" role="radiogroup" aria-label=${t("frame.voices")}>${this.chip("all", t("voices.all"))}${this.chip("own", t("picker.own"))}${this.chip("catalogue", t("voices.catalogue"))}</div>
        <div class="row apart"><p class="quiet small" role="status" id="voices-found">${isEmpty ? t("voices.none_yet") : t("picker.found", { n: found.length })}</p>
          ${hasFeature("marks") ? html`<a class="button plain" href="#/marks">${t("voices.check")}</a>` : nothing}</div>
        ${this.statusLine()}
      </div>
      <ul class="grid" role="list" id="voices-list">${repeat(found.slice(0, this.shown), ({ id }) => id, (voice) => this.card(voice))}</ul>
      ${found.length > this.shown ? html`<div class="row"><button id="voices-more" @click=${() => this.showMore()}>${t("list.more")}</button></div>` : nothing}`;
  }

  chip(whose, text) {
    return html`<label><input type="radio" name="whose" value=${whose} .checked=${this.whose === whose} @change=${() => this.change({ whose })}>${text}</label>`;
  }

  card(voice) {
    const tags = [expiryTag(voice), ...stateTags(voice)].filter((each) => each !== nothing);
    if (session.me?.preferred_voice === voice.id) tags.unshift(html`<span class="tag good">${t("voices.preferred")}</span>`);
    return html`<li class="card stack" tabindex="-1">
      <div class="row line"><span class="face ${groupOf(voice)}" aria-hidden="true">${[...voice.name][0]?.toUpperCase() ?? "?"}</span>
        <div class="wide"><h2>${voice.name}</h2><p class="quiet small">${factsOf(voice).join(" · ")}</p></div></div>
      ${tags.length ? html`<div class="row tags">${tags}</div>` : nothing}
      <div class="row line">${previewButton(this, `card-${voice.id}`, voice, this.language)}
        <button class="wide" ?disabled=${!voice.engines.length} @click=${() => useVoice(voice)} aria-label="${t("voices.use")} ${voice.name}">${t("voices.use")}</button>
        <a class="button round plain" href="#/voices/${encodeURIComponent(voice.id)}" aria-label=${t("voices.about", { name: voice.name })}>${icon("more")}</a></div>
      ${this.alert(`card-${voice.id}`)}
    </li>`;
  }
}
