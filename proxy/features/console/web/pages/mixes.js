// Mixes: two to eight voices of one engine that sound as one. They are heard before they are saved as a voice.

import { note } from "./job_facts.js";
import { Failure, read } from "../core/api.js";
import { baseOf, catalogue, forgetCatalogue, loadCatalogue, voiceName } from "../core/catalogue.js";
import { hearButton } from "../core/hear.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { areaTabs } from "../core/tabs.js";
import { language, languageName, number, t } from "../core/texts.js";

const LEAST = 2;
const MOST = 8;
const FULL = 100;

export default class MixesPage extends Page {
  isRead = false;
  engine = "";
  // Each has the `id` of a voice and its `weight`.
  members = [];
  text = "";
  name = "";

  title() {
    return t("frame.mixes");
  }

  async open() {
    await loadCatalogue();
    this.isRead = true;
    const engines = this.engines;
    this.choose(engines.find((engine) => this.voicesOf(engine).some(isNative)) ?? engines[0] ?? "");
  }

  // The models that mix, of engines with voices enough.
  get models() {
    return catalogue.models.filter(({ mixes, owned_by: owner, speaks }) => mixes >= LEAST && speaks !== false && this.voicesOf(owner).length >= LEAST);
  }

  get engines() {
    return [...new Set(this.models.map(({ owned_by: owner }) => owner))];
  }

  get model() {
    return this.models.find(({ owned_by: owner }) => owner === this.engine);
  }

  voicesOf(engine) {
    return catalogue.voices.filter(({ engines, type, alias_of: alias }) => engines.includes(engine) && !["cast", "mix"].includes(type) && !alias);
  }

  // It begins with two voices of one language: the reader's, if they are there.
  choose(engine) {
    const voices = this.voicesOf(engine);
    const first = voices.find(isNative) ?? voices[0];
    const second = voices.find((voice) => voice !== first && voice.language === first.language) ?? voices.find((voice) => voice !== first);
    const members = engine ? [first, second].map(({ id }) => ({ id, weight: FULL / 2 })) : [];
    this.set({ engine, members, text: t("speak.example") });
  }

  change(member, changes) {
    Object.assign(member, changes);
    this.mended("mix", "mix");
    this.update();
  }

  // The next voice of the same language.
  add() {
    const free = this.voicesOf(this.engine).filter(({ id }) => !this.members.some((each) => each.id === id));
    const { language: tag } = catalogue.voices.find(({ id }) => id === this.members[0].id);
    this.members.push({ id: (free.find((voice) => voice.language === tag) ?? free[0]).id, weight: FULL / 2 });
    this.draw();
    this.place.querySelector(`#mix-voice-${this.members.length - 1}`).focus();
  }

  remove(member) {
    this.set({ members: this.members.filter((each) => each !== member) });
    this.draw();
    this.place.querySelector("#mix-title").focus();
  }

  sound(id, title, voice) {
    return { id, title, json: () => ({ model: this.model.id, voice, input: this.text }) };
  }

  save(event) {
    event.preventDefault();
    if (this.isBusy) return undefined;
    this.isBusy = true;
    return this.run("mix", async () => {
      const name = this.name.trim();
      if (!name) throw new Failure({ message: t("mixes.no_name"), param: "name" });
      const { id } = await read("v1/audio/voices", { json: { name, mix: this.members } });
      forgetCatalogue();
      location.hash = `#/voices/${encodeURIComponent(id)}`;
    }, ["name", "mix"]).finally(() => { this.isBusy = false; });
  }

  view() {
    return html`<section class="view">${this.heading()}${areaTabs("voices", "mixes")}
      ${this.alert("page")}
      ${this.engine ? this.maker() : this.isRead ? note(t("mixes.no_engine"), "calm", "mixes-off") : nothing}
    </section>`;
  }

  maker() {
    const { engines, members } = this;
    const most = Math.min(MOST, this.model.mixes, this.voicesOf(this.engine).length);
    return html`<form class="card stack" novalidate @submit=${(event) => this.save(event)}><h2 id="mix-title" tabindex="-1">${t("mixes.new")}</h2>
      <p class="quiet">${t("mixes.about")}</p>
      ${engines.length > 1 ? this.choice("mix", "engine", t("mixes.engine"), { value: this.engine, options: engines.map((engine) => [engine, engine]), change: (engine) => this.choose(engine) }) : nothing}
      <ul class="rows pairs" role="list" id="mix-members">${members.map((member, index) => this.member(member, index))}</ul>
      <div class="row"><button type="button" id="mix-add" ?disabled=${members.length >= most} @click=${() => this.add()}>${icon("plus")} ${t("mixes.add")}</button></div>
      ${this.input("mix", "text", t("mixes.text"), { value: this.text, max: 500, change: (text) => this.set({ text }) })}
      ${this.input("mix", "name", t("mixes.name"), { value: this.name, max: 100, change: (name) => { this.name = name; } })}
      ${this.alert("mix", "mix")}${this.alert("mix")}${this.statusLine()}
      <div class="row">${hearButton(this, "mix", { ...this.sound(this, t("mixes.this"), { mix: this.members }), text: t("mixes.hear") }, !this.text.trim())}
        <button class="first" id="mix-save">${t("mixes.save")}</button></div>
    </form>`;
  }

  member(member, index) {
    const sum = this.members.reduce((all, { weight }) => all + weight, 0);
    const share = `${number((member.weight / sum) * FULL, 0)} %`;
    const name = voiceName(member.id);
    return html`<li><select id="mix-voice-${index}" aria-label=${t("mixes.voice", { n: index + 1 })} @change=${(event) => this.change(member, { id: event.target.value })}>${this.options(member)}</select>
      <label class="share"><span class="skip">${t("mixes.share", { name })}</span><input type="range" min="1" max=${FULL} .value=${String(member.weight)} aria-valuetext=${share}
        @input=${(event) => this.change(member, { weight: Number(event.target.value) })}><output class="num">${share}</output></label>
      ${hearButton(this, "mix", this.sound(member, name, member.id), !this.text.trim())}
      ${this.members.length > LEAST ? html`<button type="button" class="round plain" aria-label=${t("mixes.remove", { name })} @click=${() => this.remove(member)}>${icon("close")}</button>` : nothing}</li>`;
  }

  // Each voice is in a mix once.
  options(member) {
    const taken = this.members.filter((each) => each !== member).map(({ id }) => id);
    const groups = Map.groupBy(this.voicesOf(this.engine), ({ language: tag }) => tag ?? "");
    const named = [...groups].map(([tag, voices]) => [tag ? languageName(tag) : t("picker.any_language"), voices]);
    return named.map(([label, voices]) => html`<optgroup label=${label}>${voices.map(({ id }) => html`<option value=${id} ?selected=${id === member.id} ?disabled=${taken.includes(id)}>${voiceName(id)}</option>`)}</optgroup>`);
  }

}

function isNative({ language: tag }) {
  return Boolean(tag) && baseOf(tag) === baseOf(language);
}
