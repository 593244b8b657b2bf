// One voice: what it is, what can be done with it, and its end.

import { Erasure } from "./voice_erasure.js";
import { cloners, clonePrice, cloneState, hintNote, isInWork, isMine, isUseless, readMine, soundTags, starButton, stateTags, useVoice, wasMade } from "./voice_parts.js";
import { Samples } from "./voice_samples.js";
import { download, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { catalogue, factsOf, forgetCatalogue, groupOf, languageChoices, loadCatalogue, titleOf, voiceName } from "../core/catalogue.js";
import { agrees } from "../core/dialogs.js";
import { hear } from "../core/hear.js";
import { html, nothing } from "../core/lit.js";
import { Page, entitle, icon } from "../core/page.js";
import { previewButton, previewOf } from "../core/previews.js";
import { hasFeature, session } from "../core/session.js";
import { day, languageName, number, t } from "../core/texts.js";

const LOOK_MS = 2000;
const misheardLine = (each) => html`<p class="quiet small">${t("voices.misheard", { language: languageName(each.language), rate: number(each.wrong_per_thousand), words: number(each.words), usual: number(each.usual_per_thousand ?? each.wrong_per_thousand) })}</p>`;

export default class VoicePage extends Page {
  constructor(path) {
    super(path);
    [this.id] = path;
    Object.assign(this, { voice: null, name: "", language: "", samples: null, erasure: null });
  }

  title() {
    return this.voice ? titleOf(this.voice) : voiceName(this.id);
  }

  get url() {
    return `v1/audio/voices/${encodeURIComponent(this.id)}`;
  }

  get isRecorded() {
    return this.voice.type === "audio_sample";
  }

  async open() {
    const [voice] = await Promise.all([read(this.url), loadCatalogue(), readMine()]);
    this.show(voice);
    this.set({ name: voice.name, language: voice.language ?? "" });
    entitle(this.title());
    if (wasMade(this.id) && voice.engines.length && voice.sample !== null) this.run("about", () => hear(this, previewOf(voice)));
    if (!isMine(this.voice) || !this.isRecorded) return;
    this.samples = new Samples(this);
    await this.samples.open();
  }

  left() {
    clearTimeout(this.timer);
  }

  async readVoice() {
    this.show(await read(this.url));
  }

  // A clone that is being made is looked at until it is made, or not. Another gateway learns of it later.
  show(voice) {
    const isKnown = !this.ordered || voice.clones?.some(({ engine }) => engine === this.ordered);
    this.set({ voice: isKnown ? voice : { ...voice, clones: this.voice.clones } });
    clearTimeout(this.timer);
    const isAwaited = !this.erasure && !this.isLeft && (!isKnown || voice.clones?.some(isInWork));
    if (isAwaited) this.timer = setTimeout(() => this.run("clones", () => this.readVoice()), LOOK_MS);
  }

  save(event) {
    event.preventDefault();
    return this.run("voice", async () => {
      this.say("");
      const voice = await read(this.url, { json: { name: this.name.trim(), language: this.language || null } });
      forgetCatalogue();
      entitle(voice.name);
      this.set({ voice, status: t("word.done") });
      await loadCatalogue();
      this.update();
    }, ["name", "language"]);
  }

  prefer(isOn) {
    return this.run("about", async () => {
      session.me = await read("v1/me", { json: { preferred_voice: isOn ? this.voice.id : null } });
      this.say(t("word.done"));
    });
  }

  // The engines that could clone it: those that speak with clones, but for those that have one.
  get cloners() {
    const has = new Set(this.voice.clones.filter(({ state }) => !["failed", "expired"].includes(state)).map(({ engine }) => engine));
    return cloners().filter((engine) => !has.has(engine));
  }

  async orderClone(engine) {
    const title = t("voices.clone_at", { engine });
    const text = t("voices.clone_for", { engine, credits: clonePrice() });
    if (!(await agrees({ title, text, no: t("voices.cancel"), yes: title }))) return;
    await this.run("clones", async () => {
      const voice = await read(this.url, { json: { engines: [engine] } });
      this.ordered = engine;
      this.show(voice);
      forgetCatalogue();
      refreshAccount();
      this.draw();
      this.place.querySelector("#voice-clones").focus();
    });
  }

  async delete() {
    const erasure = new Erasure(this);
    if (await erasure.isAgreed()) await this.run("about", () => erasure.begin());
  }

  view() {
    if (this.erasure) return this.erasure.view();
    const back = html`<a class="button plain" href="#/voices">${t("voices.back")}</a>`;
    // One template: the focus is on its heading while the rest is read.
    return html`<section class="view narrow">${this.heading(back)}${this.alert("page")}${this.voice ? this.parts(this.voice) : nothing}</section>`;
  }

  parts(voice) {
    const isOwn = isMine(voice);
    return html`${this.about(voice, isOwn)}
      ${isOwn ? this.editor() : nothing}
      ${this.samples?.view() ?? nothing}
      ${isOwn && this.isRecorded ? this.clones() : nothing}`;
  }

  about(voice, isOwn) {
    const tags = [...soundTags(voice), ...stateTags(voice)];
    return html`<div class="card stack" id="voice-about">
      <div class="row line"><span class="face ${groupOf(voice)}" aria-hidden="true">${[...titleOf(voice)][0]?.toUpperCase() ?? "?"}</span>
        <div class="wide"><p>${factsOf(voice).join(" · ")}</p></div>${starButton(this, "about", voice)}</div>
      ${tags.length ? html`<div class="row tags">${tags}</div>` : nothing}
      ${this.measured(voice)}
      ${voice.description ? html`<p class="name">${voice.description}</p>` : nothing}
      ${this.members(voice)}${this.names(voice)}${this.remarks(voice)}${(voice.misheard ?? []).map(misheardLine)}
      <div class="row">${previewButton(this, "about", voice)}
        <button class="first" id="voice-use" ?disabled=${!voice.engines.length} @click=${() => useVoice(voice)}>${t("voices.use")}</button>
        ${isOwn ? this.actions() : nothing}</div>
      ${session.server.sign_in === "closed" ? nothing : html`<label class="tick"><input type="checkbox" id="voice-preferred" .checked=${session.me?.preferred_voice === voice.id}
        @change=${(event) => this.prefer(event.target.checked)}>${t("voices.prefer")}</label>`}
      ${this.alert("about")}
      ${this.statusLine()}
    </div>`;
  }

  actions() {
    const canTrain = hasFeature("jobs") && this.isRecorded && !isUseless() && catalogue.models.some(({ trains }) => trains);
    return html`${canTrain ? html`<a class="button" id="voice-train" href="#/train/${encodeURIComponent(this.voice.id)}">${t("voices.train")}</a>` : nothing}
      <button id="voice-export" @click=${() => this.run("about", () => download(`${this.url}/export`, `${this.voice.id}.zip`))}>${icon("down")} ${t("voices.export")}</button>
      <button class="danger" id="voice-delete" @click=${() => this.delete()}>${icon("trash")} ${t("history.delete")}</button>`;
  }

  measured({ pitch_hz: hz, words_a_minute: words }) {
    const told = [hz && t("voices.pitch_hz", { hz: number(hz, 0) }), words && t("voices.words_a_minute", { words: number(words, 0) })].filter(Boolean);
    return told.length ? html`<p class="quiet small" id="voice-measured">${t("voices.measured_so", { told: told.join(", ") })}</p>` : nothing;
  }

  // What requests call it, other names of the same speaker, and what the operator says of it.
  names(voice) {
    const shown = voice.shown_as ?? voice.id;
    const others = catalogue.voices.filter((each) => each.id !== voice.id && (each.shown_as ?? each.id) === shown).map(({ id }) => id);
    const said = isMine(voice) ? [] : [...voice.tags, voice.age].filter(Boolean);
    return html`<p class="quiet small name">${t("voices.id")} <code>${voice.id}</code></p>
      ${others.length ? html`<p class="quiet small name" id="voice-names">${t("voices.same_as")} ${others.map((id) => html`<code>${id}</code> `)}</p>` : nothing}
      ${said.length ? html`<p class="quiet small name" id="voice-said">${voice.id.includes("/") ? t("voices.engine_says") : t("voices.operator_says")} ${said.join(", ")}</p>` : nothing}`;
  }

  // Who speaks in a cast, and what a mix is mixed of.
  members({ cast, mix = [] }) {
    const lines = [
      ...Object.entries(cast ?? {}).map(([name, id]) => `${name}: ${voiceName(id)}`),
      ...mix.map(({ id, weight }) => `${voiceName(id)}: ${number(weight * 100, 0)} %`),
    ];
    return lines.length ? html`<ul class="small points">${lines.map((line) => html`<li class="name">${line}</li>`)}</ul>` : nothing;
  }

  // What its owner should know. The server's words are English.
  remarks({ quality, speaker, hint, language, expires_at: ends }) {
    const told = (quality?.reasons ?? []).map((text) => html`<span lang="en">${text}</span>`);
    if (speaker?.answer === "other") told.push(html`<span>${t("voices.other_speaker")}</span>`);
    if (ends) told.push(html`<span>${t("voices.expires", { day: day(ends) })}</span>`);
    return [hint ? hintNote(hint, "voice-hint", language) : nothing, ...told.map((text) => html`<p class="note warn">${icon("info")}${text}</p>`)];
  }

  editor() {
    const languages = [["", t("picker.any_language")], ...languageChoices([...navigator.languages, this.language])];
    return html`<form class="card stack" novalidate @submit=${(event) => this.save(event)}>
      <div class="two">
        ${this.input("voice", "name", t("word.name"), { value: this.name, max: 100, change: (name) => this.set({ name }) })}
        ${this.voice.type === "cast" ? nothing : this.choice("voice", "language", t("speak.language"), { value: this.language, options: languages, change: (language) => this.set({ language }) })}
      </div>
      ${this.alert("voice")}
      <div class="row"><button id="voice-save">${t("settings.save")}</button></div>
    </form>`;
  }

  clones() {
    const { clones } = this.voice;
    const { cloners } = this;
    if (!clones.length && !cloners.length) return nothing;
    return html`<section class="card stack" id="voice-clones" tabindex="-1" aria-labelledby="clones-title"><h2 id="clones-title">${t("voices.clones")}</h2>
      ${clones.map((clone) => html`<p class="name">${clone.engine}: <strong>${cloneState(clone)}</strong> ${clone.error ? html`<span class="quiet" lang="en">${clone.error}</span>` : nothing}</p>`)}
      ${cloners.length ? html`<div class="row">${cloners.map((engine) => html`<button @click=${() => this.orderClone(engine)}>${t("voices.clone_at", { engine })}</button>`)}</div>` : nothing}
      ${this.alert("clones")}
    </section>`;
  }
}
