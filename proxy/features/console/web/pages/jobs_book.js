// The form of a book: a file, what of it is read and what is left out, who reads it, and the audiobook.

import { FileJobPage } from "./job_form.js";
import { fileField } from "./job_upload.js";
import { formatName } from "./spoken.js";
import { keyOf } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { duration, number, t } from "../core/texts.js";

const NOTES = ["skip", "after", "end"];
const QUALITIES = { small: 32, standard: 64, best: 96 };
const FORMATS = ["m4b", "opus", "flac"];
const EACH = 40;
const NARRATOR = "narrator";

// Numbers as a request has them: 1-3,5.
export function rangesOf(numbers) {
  const found = [];
  for (const each of numbers) {
    if (found.at(-1)?.[1] === each - 1) found.at(-1)[1] = each;
    else found.push([each, each]);
  }
  return found.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(",");
}

export default class BookPage extends FileJobPage {
  constructor(path) {
    super(path, "book", { notes: "skip", format: "m4b", quality: "standard", skipped: [] });
    this.shown = EACH;
  }

  // Another book has other chapters and names.
  async taken() {
    this.cast.clear();
    this.form.skipped = [];
  }

  // The names in the text get voices. Who reads the rest is the first of the cast.
  previewed({ cast: { without_voice: names } }) {
    const { cast, voice } = this;
    if (!names.length || cast.isFull || voice?.type === "cast") return;
    if (!cast.size) cast.set(NARRATOR, { name: t("jobs.narrator"), voice: voice?.id ?? "" });
    const before = cast.size;
    for (const name of names) if (!cast.isFull && !cast.has(keyOf(name))) cast.set(keyOf(name), { name, voice: cast.voiceFor(name, this.form.language || undefined) });
    if (cast.size > before) this.change({});
  }

  isFixed() {
    return true;
  }

  body() {
    const { notes, format, quality } = this.form;
    return { ...super.body(), read: { notes }, response_format: format, quality: format === "m4b" ? quality : undefined };
  }

  get chosen() {
    return (this.preview?.chapters ?? []).filter(({ number: each }) => !this.form.skipped.includes(each));
  }

  get share() {
    const sum = (name) => this.chosen.reduce((all, each) => all + each[name], 0);
    return this.preview && { characters: sum("characters"), seconds: sum("seconds"), credits: sum("credits") };
  }

  more() {
    return this.form.skipped.length ? { only: rangesOf(this.chosen.map(({ number: each }) => each)) } : {};
  }

  filesCard() {
    return html`<section class="card stack">${fileField(this, "input_file_id", { label: t("jobs.kind.book"), hint: t("jobs.book_hint"), accept: ".epub,.md,.markdown,.txt,application/epub+zip,text/plain,text/markdown" })}
      ${this.statusText()}${this.faultNote()}</section>`;
  }

  previewCard() {
    const { chapters, left_out: out, warnings } = this.preview;
    const { chosen } = this;
    const tick = (event, numbers) => this.tick(event.target.checked, numbers);
    return html`<section class="card stack" aria-labelledby="book-title"><div class="row apart"><h2 id="book-title">${t("jobs.chapters", { n: chapters.length })}</h2>
        <label class="tick"><input type="checkbox" id="book-all" .checked=${chosen.length === chapters.length} .indeterminate=${chosen.length > 0 && chosen.length < chapters.length}
          @change=${(event) => tick(event, chapters.map(({ number: each }) => each))}>${t("jobs.all_chapters")}</label></div>
      ${warnings.length ? html`<ul class="small quiet" lang="en">${warnings.map((each) => html`<li>${each}</li>`)}</ul>` : nothing}
      <div class="scroll"><table class="fold" id="book-chapters"><thead><tr><th>${t("jobs.name")}</th><th class="end">${t("jobs.characters")}</th><th class="end">${t("jobs.sound")}</th><th class="end">${t("usage.credits")}</th></tr></thead>
      <tbody>${chapters.map(({ number: each, title, characters, seconds, credits }) => html`<tr><td><label class="tick"><input type="checkbox" .checked=${!this.form.skipped.includes(each)} @change=${(event) => tick(event, [each])}>
          <span class="name">${each}. ${title || t("jobs.chapter", { n: each })}</span></label></td>
        <td class="num end" data-label=${t("jobs.characters")}>${number(characters)}</td><td class="num end" data-label=${t("jobs.sound")}>${duration(seconds)}</td><td class="num end">${number(credits)}</td></tr>`)}</tbody></table></div></section>
      ${out.length ? this.leftOut(out) : nothing}`;
  }

  // One request is asked for all chapters, so a tick asks for none.
  tick(isOn, numbers) {
    const others = this.form.skipped.filter((each) => !numbers.includes(each));
    this.choose({ skipped: isOn ? others : [...others, ...numbers] });
  }

  leftOut(out) {
    const characters = out.reduce((all, each) => all + each.characters, 0);
    return html`<details class="card" id="book-out"><summary>${t("jobs.left_out", { n: out.length, characters: number(characters) })}</summary>
      <div class="scroll"><table class="fold"><thead><tr><th>${t("word.reason")}</th><th>${t("jobs.first_words")}</th><th>${t("jobs.place")}</th><th class="end">${t("jobs.characters")}</th></tr></thead>
      <tbody>${out.slice(0, this.shown).map(({ where, rule, characters: size, sample }) => html`<tr><td>${t(`jobs.rule.${rule}`)}</td><td class="lines">${sample}</td><td class="quiet small">${where}</td><td class="num end">${number(size)}</td></tr>`)}</tbody></table></div>
      ${out.length > this.shown ? html`<button type="button" @click=${() => this.set({ shown: this.shown + EACH })}>${t("list.more")}</button>` : nothing}</details>`;
  }

  choices() {
    const { form } = this;
    const set = (field) => (value) => this.change({ [field]: value });
    const formats = FORMATS.map((each) => [each, each === "m4b" ? t("jobs.m4b") : formatName(each)]);
    const qualities = Object.entries(QUALITIES).map(([name, rate]) => [name, t(`jobs.quality.${name}`, { rate })]);
    return html`${this.voiceField()}
      ${this.choice("job", "notes", t("jobs.notes"), { value: form.notes, options: NOTES.map((each) => [each, t(`jobs.notes.${each}`)]), change: set("notes") })}
      ${this.choice("job", "response_format", t("speak.format"), { value: form.format, options: formats, change: set("format") })}
      ${form.format === "m4b" ? this.choice("job", "quality", t("jobs.quality"), { value: form.quality, options: qualities, change: set("quality") }) : nothing}`;
  }
}
