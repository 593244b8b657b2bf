// Scripts: a text in which names begin lines, and a voice for each name. It is spoken, or its cast becomes a voice.

import SpeakPage from "./speak.js";
import { spokenCard } from "./spoken.js";
import { Failure, read } from "../core/api.js";
import { baseOf, catalogue, forgetCatalogue, groupOf, isOfRules, loadCatalogue, modelFor, titleOf, voiceOf } from "../core/catalogue.js";
import { draft, hideExample, keepExample, requestOf } from "../core/draft.js";
import { html, live, nothing, repeat } from "../core/lit.js";
import { icon } from "../core/page.js";
import { previewButton } from "../core/previews.js";
import { hasFeature } from "../core/session.js";
import { areaTabs } from "../core/tabs.js";
import { language, languageName, t } from "../core/texts.js";

const MOST_NAMES = 16;
const MOST_WORDS = 3;
const GROUPS = ["own", "natural", "rules"];
// As policies/text_tags.py has it.
const LINE = /^[ \t\ufeff*_#>-]{0,8}([^\s[\]][^[\]\n]{0,63}?)[ \t*_]{0,4}(?::[*_]{0,3}(?!\S)|\uff1a[*_]{0,3})/gm;
const TAG = /\[([^[\]\n]{1,64})\]/g;
const keyOf = (name) => name.trim().split(/\s+/).join(" ").normalize("NFC").toLowerCase();

// The names and their voices, by key, until there is another reader. `isChosen` says that the reader chose the voice.
const cast = new Map();
// What looks like a name and is not to be one.
const refused = new Set();
document.addEventListener("reader", () => [cast, refused].forEach((each) => each.clear()));

// What begins lines as names do: how it is written, and how often, by key.
export function namesOf(text) {
  const found = new Map();
  for (const [, written] of text.matchAll(LINE)) {
    const name = written.trim().split(/\s+/).join(" ");
    if (name.split(" ").length > MOST_WORDS || !/\p{L}/u.test(name)) continue;
    const known = found.get(keyOf(name)) ?? { name, times: 0 };
    found.set(keyOf(name), { ...known, times: known.times + 1 });
  }
  return found;
}

export default class ScriptsPage extends SpeakPage {
  constructor(path) {
    super(path);
    Object.assign(this, { found: new Map(), tags: new Set(), name: "" });
  }

  title() {
    return t("frame.scripts");
  }

  get example() {
    return t("scripts.example");
  }

  voiceButton() {
    return nothing;
  }

  async open() {
    await super.open();
    hideExample();
    this.measure();
    this.update();
  }

  left() {
    super.left();
    keepExample();
  }

  // Who speaks is found once the writer pauses: a name that begins two lines, or that is all in capitals.
  measure() {
    this.found = namesOf(draft.text);
    this.tags = new Set([...draft.text.matchAll(TAG)].map(([, name]) => keyOf(name)));
    for (const [key, { isChosen }] of cast) if (!isChosen && !this.occurs(key)) cast.delete(key);
    for (const [key, { name, times }] of this.found) if (times > 1 || name === name.toUpperCase()) this.add(key, name);
  }

  occurs(key) {
    return this.found.has(key) || this.tags.has(key);
  }

  add(key, name) {
    if (cast.has(key) || refused.has(key) || cast.size >= MOST_NAMES) return;
    cast.set(key, { name, voice: this.nextVoice() });
  }

  // The engines that speak all the voices of the cast.
  get engines() {
    const [first = [], ...others] = [...cast.values()].map(({ voice }) => voiceOf(voice)?.engines ?? []);
    return first.filter((engine) => others.every((engines) => engines.includes(engine)));
  }

  // The next natural voice of the language that nobody has yet, of an engine of the others; once all are taken, they
  // begin anew.
  nextVoice() {
    const speaker = (id) => voiceOf(id)?.shown_as ?? voiceOf(id)?.alias_of ?? id;
    const taken = [...cast.values()].map(({ voice }) => speaker(voice));
    const tag = draft.language || this.estimate?.language || language;
    const isFor = (voice) => !voice.language || baseOf(voice.language) === baseOf(tag);
    const { engines: shared } = this;
    const isAlike = (voice) => !shared.length || voice.engines.some((engine) => shared.includes(engine));
    const rankOf = (voice) => 4 * isOfRules(voice) + 2 * !isFor(voice) + !isAlike(voice);
    const order = this.voices.toSorted((one, other) => rankOf(one) - rankOf(other));
    const free = order.find(({ id }) => !taken.includes(speaker(id))) ?? order[taken.length % order.length];
    return free?.id ?? "";
  }

  get voices() {
    return catalogue.voices.filter(({ id, type, engines, shown_as: shown = id }) => engines.length && type !== "cast" && shown === id);
  }

  get hasVoice() {
    return cast.size > 0;
  }

  get unused() {
    return [...cast].filter(([key]) => !this.occurs(key)).map(([, { name }]) => name);
  }

  get others() {
    return [...this.found].filter(([key, { times }]) => times > 1 && !cast.has(key)).map(([, { name }]) => name).slice(0, MOST_NAMES);
  }

  get members() {
    return Object.fromEntries([...cast.values()].map(({ name, voice }) => [name, voice]));
  }

  request(text) {
    // A voice of one engine is spoken by its models. Others are spoken by whatever an alias leads to.
    const isOfOne = this.engines.length && [...cast.values()].some(({ voice }) => voiceOf(voice)?.engines.length === 1);
    const model = modelFor({ type: isOfOne ? "audio_sample" : "cast", engines: this.engines }, draft.wanted) ?? draft.model;
    return requestOf({ ...draft, text, model, voice: "", more: { voice: { cast: this.members } } });
  }

  readEstimate() {
    this.measure();
    return super.readEstimate();
  }

  submit(event) {
    event?.preventDefault();
    this.measure();
    if (this.hasVoice || !this.spoken.trim()) return super.submit(event);
    return this.run("speak", () => { throw new Failure({ message: t("scripts.no_names"), param: "input" }); }, ["input"]);
  }

  save(event) {
    event.preventDefault();
    return this.run("script", async () => {
      const name = this.name.trim();
      if (!name) throw new Failure({ message: t("scripts.no_name"), param: "name" });
      await read("v1/audio/voices", { json: { name, cast: this.members } });
      forgetCatalogue();
      await loadCatalogue();
      this.set({ name: "", status: t("scripts.saved", { name }) });
    }, ["name"]);
  }

  view() {
    return html`<section class="view speak narrow">${this.heading()}${areaTabs("voices", "scripts")}${this.alert("page")}
      ${this.composer()}${spokenCard(this)}</section>`;
  }

  // In the place of one voice: the names, each with its own.
  speakers() {
    if (!cast.size) return html`<p class="quiet speakers" id="script-none">${t("scripts.none")}</p>`;
    return html`<section class="stack speakers" aria-labelledby="script-names"><h2 id="script-names" tabindex="-1">${t("scripts.names", { n: cast.size })}</h2>
      <ul class="rows" role="list" id="script-cast">${repeat(cast, ([key]) => key, ([key, member]) => this.member(key, member))}</ul>
      ${hasFeature("own_voices") ? html`<div class="row"><input id="script-name" maxlength="100" aria-label=${t("scripts.name")} placeholder=${t("scripts.name")} aria-invalid=${this.isWrong("script", "name")}
          .value=${live(this.name)} @input=${(event) => { this.mended("script", "name"); this.set({ name: event.target.value }); }}>
        <button type="button" id="script-save" @click=${(event) => this.save(event)}>${t("scripts.save")}</button></div>${this.alert("script", "name")}` : nothing}
      ${this.alert("script")}</section>`;
  }

  member(key, member) {
    const voice = voiceOf(member.voice);
    const times = this.found.get(key)?.times ?? 0;
    return html`<li><span class="about"><span class="name">${member.name}</span>
        <span class="quiet small num">${times ? t("scripts.lines", { n: times }) : this.tags.has(key) ? nothing : t("scripts.unused")}</span></span>
      <select aria-label=${t("scripts.voice", { name: member.name })} @change=${(event) => this.choose(member, event.target.value)}>${GROUPS.map((group) => this.group(group, member))}</select>
      ${voice ? previewButton(this, "script", voice, draft.language || this.estimate?.language) : nothing}
      <button type="button" class="round plain" aria-label=${t("scripts.remove", { name: member.name })} @click=${() => this.remove(key)}>${icon("close")}</button></li>`;
  }

  group(group, member) {
    const voices = this.voices.filter((voice) => groupOf(voice) === group);
    const nameOf = (voice) => [titleOf(voice), voice.gender && t(`gender.${voice.gender}`), voice.language && languageName(voice.language)].filter(Boolean).join(", ");
    return voices.length ? html`<optgroup label=${t(`picker.${group}`)}>${voices.map((voice) => html`<option value=${voice.id} ?selected=${voice.id === member.voice}>${nameOf(voice)}</option>`)}</optgroup>` : nothing;
  }

  choose(member, voice) {
    Object.assign(member, { voice, isChosen: true });
    this.change({});
  }

  remove(key) {
    cast.delete(key);
    refused.add(key);
    this.change({});
    this.draw();
    this.place.querySelector("#script-names, textarea").focus();
  }

  // The reader wants them as names after all.
  addOthers = () => {
    for (const name of this.others) {
      refused.delete(keyOf(name));
      this.add(keyOf(name), name);
    }
    this.change({});
  };
}
