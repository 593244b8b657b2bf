// The words of one lexicon. Each change is saved at once.

import { Failure, read, ask, saveBlob } from "../core/api.js";
import { baseOf, catalogue, loadCatalogue, modelFor, speaksOther, voiceOf } from "../core/catalogue.js";
import { fileOf, rowsOf } from "../core/csv.js";
import { agrees } from "../core/dialogs.js";
import { chooseFirst, draft } from "../core/draft.js";
import { hearButton, voiceButton } from "../core/hear.js";
import { html, live, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { languageName, t } from "../core/texts.js";

const SHOWN = 50;
const MOST = 1000;
const MOST_WORD = 100;
const MOST_SPOKEN = 200;
const LANGUAGE = /^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?$/i;

// Such a name counts for each text in the language.
const isLanguage = (name) => LANGUAGE.test(name);
export const lexiconTitle = (name) => (isLanguage(name) ? languageName(name) : name);

export default class LexiconPage extends Page {
  rows = null;
  find = "";
  shown = SHOWN;
  word = "";
  spoken = "";
  pasted = "";
  voice = null;
  saving = Promise.resolve();

  constructor(path) {
    super(path);
    [this.name] = path;
    this.isServers = path[1] === "server";
  }

  title() {
    return lexiconTitle(this.name);
  }

  get url() {
    return `v1/lexicons/${encodeURIComponent(this.name)}`;
  }

  async open() {
    const [{ data }] = await Promise.all([read("v1/lexicons"), loadCatalogue()]);
    const owner = this.isServers ? "server" : "account";
    const { words } = data.some((each) => each.owner === owner && each.name === this.name) ? await read(this.url) : { words: {} };
    this.set({ rows: Object.entries(words).map(([word, spoken]) => ({ word, spoken })), voice: this.firstVoice() });
  }

  // Who says the words: the voice of Speak, if it speaks this language.
  firstVoice() {
    chooseFirst();
    const chosen = voiceOf(draft.voice);
    if (!isLanguage(this.name) || (chosen && !speaksOther(chosen, this.name))) return chosen;
    return catalogue.voices.find(({ engines, language: tag }) => engines.length && tag && baseOf(tag) === baseOf(this.name)) ?? chosen;
  }

  sound(id, word, spoken) {
    const json = () => ({
      model: modelFor(this.voice, draft.wanted) ?? draft.model, voice: this.voice.id, input: word.trim(), lexicon: { [word.trim()]: spoken.trim() },
      ...(isLanguage(this.name) && { language: this.name }),
    });
    return { id, title: word.trim(), json };
  }

  // The words as the server takes them. A row that it would refuse is named.
  words(rows) {
    const words = new Map();
    for (const { word, spoken } of rows) {
      const [said, as] = [word.trim(), spoken.trim()];
      if (!said || !as) throw new Failure({ message: t("lexicons.both", { word: said || as }) });
      if (words.has(said)) throw new Failure({ message: t("lexicons.twice", { word: said }) });
      words.set(said, as);
    }
    if (words.size > MOST) throw new Failure({ message: t("lexicons.too_many", { most: MOST }) });
    return Object.fromEntries(words);
  }

  // Changes reach the server in their order. What is refused stays to be mended. Returns whether it was saved.
  save(form, rows = this.rows) {
    return this.run(form, async () => {
      const json = { words: this.words(rows) };
      this.rows = rows;
      this.saving = this.saving.catch(() => {}).then(() => read(this.url, { method: "PUT", json }));
      const { name, size } = await this.saving;
      this.set({ name, status: t("lexicons.saved", { n: size }) });
      return true;
    });
  }

  // A word that is there already is said anew.
  merged(added) {
    const words = new Map(added.map((row) => [row.word.trim(), row]));
    return [...words.values(), ...this.rows.filter(({ word }) => !words.has(word.trim()))];
  }

  // What is typed while the server answers is the next word.
  add(event) {
    event.preventDefault();
    const rows = this.merged([{ word: this.word, spoken: this.spoken }]);
    const saved = this.save("add", rows);
    if (this.rows !== rows) return saved;
    this.set({ word: "", spoken: "" });
    this.place.querySelector("#add-word").focus();
    return saved;
  }

  async paste(event) {
    event.preventDefault();
    const added = await this.run("paste", async () => rowsOf(this.pasted).map(({ line, cells }) => {
      const [word, spoken = ""] = cells;
      const isWrong = cells.length !== 2 || !word.trim() || !spoken.trim() || word.length > MOST_WORD || spoken.length > MOST_SPOKEN;
      if (isWrong) throw new Failure({ message: t("csv.line", { line, text: t("lexicons.columns", { word: MOST_WORD, spoken: MOST_SPOKEN }) }) });
      return { word, spoken };
    }));
    if (added?.length && (await this.save("paste", this.merged(added)))) this.set({ pasted: "" });
  }

  change(row, field, value) {
    row[field] = value;
    this.save("words");
  }

  async remove(row) {
    if (await this.save("words", this.rows.filter((each) => each !== row))) this.place.querySelector("#words-title").focus();
  }

  async delete() {
    const question = { title: t("voices.delete_title", { name: this.title() }), text: t("lexicons.delete_text"), no: t("word.no"), yes: t("history.delete"), isDanger: true };
    if (!(await agrees(question))) return;
    await this.run("words", async () => {
      await ask(this.url, { method: "DELETE" });
      location.hash = "#/lexicons";
    });
  }

  view() {
    return html`<section class="view narrow">${this.heading(html`<a class="button plain" href="#/lexicons">← ${t("frame.lexicons")}</a>`)}
      ${this.alert("page")}
      ${this.rows ? html`<p class="quiet">${this.isServers ? t("lexicons.read_only") : isLanguage(this.name) ? t("lexicons.counts", { language: this.title() }) : t("lexicons.counts_named", { name: this.name })}</p>
        ${this.isServers ? nothing : this.adder()}${this.list()}${this.isServers ? nothing : this.paster()}` : nothing}
      ${this.picker?.view() ?? nothing}
    </section>`;
  }

  adder() {
    return html`<form class="card stack" novalidate @submit=${(event) => this.add(event)}><h2>${t("lexicons.add")}</h2>
      <div class="two">
        ${this.input("add", "word", t("lexicons.word"), { value: this.word, max: MOST_WORD, placeholder: "nginx", change: (word) => this.set({ word }) })}
        ${this.input("add", "spoken", t("lexicons.spoken"), { value: this.spoken, max: MOST_SPOKEN, placeholder: "engine x", hint: t("lexicons.spoken_hint"), change: (spoken) => this.set({ spoken }) })}
      </div>
      ${this.alert("add")}
      <div class="row"><button class="first" id="add-go">${icon("plus")} ${t("lexicons.add_go")}</button>
        ${hearButton(this, "add", this.sound(this, this.word, this.spoken), !this.voice || !this.word.trim() || !this.spoken.trim())}</div>
    </form>`;
  }

  list() {
    const sought = this.find.toLowerCase();
    const found = this.rows.filter(({ word, spoken }) => `${word} ${spoken}`.toLowerCase().includes(sought));
    return html`<section class="card stack" aria-labelledby="words-title">
      <div class="row apart"><h2 id="words-title" tabindex="-1">${t("lexicons.words", { n: this.rows.length })}</h2>${voiceButton(this, "words-voice", (voice) => this.set({ voice }))}</div>
      ${this.rows.length > SHOWN ? html`<input type="search" class="wide" id="words-find" aria-label=${t("lexicons.find")} placeholder=${t("lexicons.find")} .value=${this.find}
        @input=${(event) => this.set({ find: event.target.value, shown: SHOWN })}>` : nothing}
      ${this.alert("words")}${this.alert("picker")}${this.statusLine()}
      ${found.length ? html`<ul class="rows pairs" role="list" id="words-list">${repeat(found.slice(0, this.shown), (row) => row, (row) => this.row(row))}</ul>` : html`<p class="quiet">${t("list.empty")}</p>`}
      ${found.length > this.shown ? html`<div class="row"><button id="words-more" @click=${() => this.set({ shown: this.shown + SHOWN })}>${t("list.more")}</button></div>` : nothing}
      <div class="row"><button id="words-save" ?disabled=${!this.rows.length} @click=${() => saveBlob(fileOf(this.rows.map(({ word, spoken }) => [word, spoken])), `${this.name}.csv`)}>${icon("down")} ${t("lexicons.download")}</button>
        ${this.isServers ? nothing : html`<button class="danger" id="words-delete" @click=${() => this.delete()}>${icon("trash")} ${t("history.delete")}</button>`}</div>
    </section>`;
  }

  row(row) {
    const field = (name, label, max) => html`<input aria-label="${label}: ${row.word}" maxlength=${max} ?readonly=${this.isServers} .value=${live(row[name])}
      autocomplete="off" @change=${(event) => this.change(row, name, event.target.value)}>`;
    return html`<li>${field("word", t("lexicons.word"), MOST_WORD)}${field("spoken", t("lexicons.spoken"), MOST_SPOKEN)}
      ${hearButton(this, "words", this.sound(row, row.word, row.spoken), !this.voice)}
      ${this.isServers ? nothing : html`<button class="round plain" aria-label="${t("history.delete")}: ${row.word}" @click=${() => this.remove(row)}>${icon("trash")}</button>`}</li>`;
  }

  paster() {
    return html`<details class="card stack"><summary>${t("lexicons.paste")}</summary>
      <form class="stack" novalidate @submit=${(event) => this.paste(event)}>
        ${this.field("paste", "text", t("lexicons.pasted"), html`<textarea id="paste-text" class="short" spellcheck="false" .value=${live(this.pasted)} @input=${(event) => { this.pasted = event.target.value; }}></textarea>`, t("lexicons.paste_hint"))}
        ${this.alert("paste")}
        <div class="row"><button id="paste-go">${t("lexicons.paste_go")}</button></div>
      </form></details>`;
  }
}
