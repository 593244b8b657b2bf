// Voices: each speaker once, the account's own first, then natural ones, then robots. #/voices/new makes a voice, and
// #/voices/ID is one voice.

import NewVoicePage from "./voice_new.js";
import VoicePage from "./voice_one.js";
import { canStar, expiryTag, isMine, isStarred, operatorNote, readMine, starButton, stateTags, useVoice } from "./voice_parts.js";
import { baseOf, catalogue, groupOf, isFound, isShown, loadCatalogue, personIn, soundOf, titleOf, wordsOf } from "../core/catalogue.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page, select } from "../core/page.js";
import { previewButton } from "../core/previews.js";
import { hasFeature, session } from "../core/session.js";
import { areaTabs } from "../core/tabs.js";
import { languageName, t } from "../core/texts.js";

const SHOWN = 48;
const GENDERS = ["female", "male", "neutral"];
const PITCHES = ["low", "middle", "high"];

// The frame calls this with `new`, and gets the page of the address.
export default function page(path) {
  if (path[0] === "new") return new NewVoicePage(path);
  return path[0] ? new VoicePage(path) : new VoicesPage(path);
}

// A choice of a filter: values that occur, each with its text, by its text.
const sorted = (values, textOf) => [...new Set(values)].map((each) => [each, textOf(each)]).sort(([, a], [, b]) => a.localeCompare(b));

class VoicesPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { isRead: false, words: "", language: "", accent: "", gender: "", pitch: "", whose: "all", isOpen: false, shown: SHOWN });
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

  get speakers() {
    return catalogue.voices.filter((voice) => isMine(voice) || isShown(voice));
  }

  get found() {
    const isOfThem = { all: () => true, own: isMine, starred: isStarred }[this.whose];
    const wanted = { ...this, words: wordsOf(this.words) };
    return this.speakers.filter((voice) => isOfThem(voice) && isFound(voice, wanted)
      && (!this.accent || voice.language === this.accent) && (!this.pitch || voice.pitch === this.pitch));
  }

  // The focus goes to the first of those that come where the button was.
  showMore(list) {
    const before = this.shown;
    this.shown += SHOWN;
    this.draw();
    this.place.querySelectorAll(`#${list} > li`)[before]?.focus();
  }

  view() {
    return html`<section class="view">${this.heading(this.isRead ? this.ways() : nothing)}
      ${areaTabs("voices")}
      ${this.isRead ? operatorNote(catalogue.hint, "voices-hint") : nothing}
      ${this.alert("page")}
      ${this.isRead ? this.list() : nothing}
    </section>`;
  }

  ways() {
    const canMake = hasFeature("own_voices");
    return html`<div class="row">${hasFeature("marks") ? html`<a class="button plain" href="#/marks">${t("voices.check")}</a>` : nothing}
      ${canMake ? html`<a class="button first" id="voices-new" href="#/voices/new">${icon("mic")} ${t("voices.new")}</a>` : nothing}</div>`;
  }

  list() {
    const { found } = this;
    const isEmpty = this.whose !== "all" && !this.speakers.some(this.whose === "own" ? isMine : isStarred);
    const of = (group) => found.filter((voice) => (isMine(voice) ? "own" : groupOf(voice)) === group);
    const [own, natural, rules] = ["own", "natural", "rules"].map(of);
    const isPaid = found.some(({ sample, engines }) => sample === undefined && engines.length);
    return html`<div class="stack">${this.filters()}
        <div class="row apart">${this.owners()}<p class="quiet small"><span role="status" id="voices-found">${isEmpty ? t(`voices.none_${this.whose}`) : t("picker.found", { n: found.length })}</span>${isPaid ? html` · ${t("voices.costs")}` : nothing}</p></div>
        ${this.statusLine()}
      </div>
      <div class="stack voices">${this.group("own", own)}${this.group("natural", natural)}${this.robots(rules, !own.length && !natural.length)}
      ${natural.some(({ pitch }) => pitch) ? html`<p class="quiet small">${t("voices.measured")}</p>` : nothing}</div>`;
  }

  filters() {
    const voices = this.speakers;
    const tags = voices.map(({ language }) => language).filter(Boolean);
    const accents = tags.filter((tag) => this.language && baseOf(tag) === this.language);
    const pick = (name, options) => select(`voices-${name}`, t(`picker.${name}`), { value: this[name], options: [["", t(`picker.any_${name}`)], ...options], change: (value) => this.change({ [name]: value, ...(name === "language" && { accent: "" }) }) });
    const named = (values, kind, textOf) => values.filter((each) => voices.some((voice) => voice[kind] === each)).map((each) => [each, textOf(each)]);
    return html`<div class="row filters"><input type="search" id="voices-find" aria-label=${t("voices.find")} placeholder=${t("voices.find")} .value=${this.words}
        @input=${(event) => this.change({ words: event.target.value })}>
        ${pick("language", sorted(tags.map(baseOf), languageName))}
        ${new Set(accents).size > 1 ? pick("accent", sorted(accents, languageName)) : nothing}
        ${pick("gender", named(GENDERS, "gender", (each) => t(`gender.${each}`)))}
        ${voices.some(({ pitch }) => pitch) ? pick("pitch", named(PITCHES, "pitch", (each) => t(`pitch.${each}`))) : nothing}</div>`;
  }

  owners() {
    return html`<div class="chips" role="radiogroup" aria-label=${t("frame.voices")}>${["all", "own", ...(canStar() ? ["starred"] : [])].map((whose) => html`<label><input type="radio" name="whose" value=${whose}
        .checked=${this.whose === whose} @change=${() => this.change({ whose })}>${t(`voices.${whose}`)}</label>`)}</div>`;
  }

  group(name, voices) {
    if (!voices.length) return nothing;
    return html`<h2>${t(`picker.${name}`)}</h2>${this.cards(`voices-${name}`, voices)}`;
  }

  // Robots are many, and asked for rarely. They are drawn once the group is open.
  robots(voices, isAlone) {
    if (!voices.length) return nothing;
    const isOpen = this.isOpen || isAlone;
    return html`<details id="voices-robots" .open=${isOpen} @toggle=${(event) => event.target.open !== isOpen && this.set({ isOpen: event.target.open })}>
      <summary>${t("picker.rules")} <span class="num">(${voices.length})</span></summary>${isOpen ? this.cards("voices-rules", voices) : nothing}</details>`;
  }

  cards(list, voices) {
    return html`<ul class="grid" role="list" id=${list}>${repeat(voices.slice(0, this.shown), ({ id }) => id, (voice) => this.card(voice))}</ul>
      ${voices.length > this.shown ? html`<div class="row"><button class="voices-more" @click=${() => this.showMore(list)}>${t("list.more")}</button></div>` : nothing}`;
  }

  card(voice) {
    const name = titleOf(voice);
    const facts = [voice.type === "cast" && t("voice.cast"), ...personIn(voice), !voice.engines.length && t("voice.unspoken")].filter(Boolean);
    const tags = [expiryTag(voice), ...stateTags(voice)].filter((each) => each !== nothing);
    if (session.me?.preferred_voice === voice.id) tags.unshift(html`<span class="tag good">${t("voices.preferred")}</span>`);
    return html`<li class="card stack" tabindex="-1">
      <div class="row line">${voice.sample === null ? html`<span class="face ${groupOf(voice)}" aria-hidden="true">${[...name][0]?.toUpperCase() ?? "?"}</span>` : previewButton(this, `card-${voice.id}`, voice, this.language)}
        <div class="wide"><h3><a href="#/voices/${encodeURIComponent(voice.id)}" aria-label=${t("voices.about", { name })}>${name}</a></h3><p class="quiet small">${facts.join(" · ")}</p></div>
        ${starButton(this, `card-${voice.id}`, voice)}</div>
      <div class="row line apart"><div class="row tags"><span class="quiet small">${soundOf(voice).join(" · ")}</span>${tags}</div>
        <button ?disabled=${!voice.engines.length} @click=${() => useVoice(voice)} aria-label="${t("voices.use")} ${name}">${t("voices.use")}</button></div>
      ${this.alert(`card-${voice.id}`)}
    </li>`;
  }
}
