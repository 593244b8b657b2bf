// The form of a dub: subtitles, the original and shorter texts, a voice for each name, and the track.

import { FileJobPage } from "./job_form.js";
import { cleanTitle, note } from "./job_facts.js";
import { fileField } from "./job_upload.js";
import { formatName } from "./spoken.js";
import { keyOf, namesOf } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { duration, number, t } from "../core/texts.js";

const FORMATS = ["flac", "wav", "opus", "m4a", "mp3", "aac"];
const SUBTITLES = ".srt,.vtt,application/x-subrip,text/vtt";
const SOUNDS = "audio/*,video/*,.m4a,.ogg,.opus,.flac,.mkv,.webm";
const TURN = /<v(?:\.[^\s>]*)?[ \t]+([^>\n]{1,64})>/g;
const MOST_READ_BYTES = 8 * 1024 * 1024;

// Who speaks in subtitles: names in tags are certain, and so are those that begin two lines or are in capitals.
export function speakersOf(text) {
  const tags = [...text.matchAll(TURN)].map(([, name]) => name.trim()).filter(Boolean);
  const begin = [...namesOf(text).values()];
  const sure = [...tags, ...begin.filter(({ name, times }) => times > 1 || name === name.toUpperCase()).map(({ name }) => name)];
  const named = new Map(sure.toReversed().map((name) => [keyOf(name), name]));
  return { sure: [...named.values()].toReversed(), perhaps: begin.map(({ name }) => name).filter((name) => !named.has(keyOf(name))) };
}

async function textOf(file) {
  const bytes = new Uint8Array(await file.slice(0, MOST_READ_BYTES).arrayBuffer());
  const coding = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.slice(0, 2).join()] ?? "utf-8";
  return new TextDecoder(coding).decode(bytes);
}

export default class DubPage extends FileJobPage {
  constructor(path) {
    super(path, "dub", { original: "duck", format: "flac", perhaps: [], stems: false, fill: false, overlap: false, length: "" });
  }

  async taken(field, file) {
    if (field !== "input_file_id") return;
    const { sure, perhaps } = speakersOf(await textOf(file));
    this.cast.clear();
    this.form.perhaps = perhaps.slice(0, 8);
    for (const name of sure) this.add(name);
  }

  add(name) {
    if (!this.cast.isFull) this.cast.set(keyOf(name), { name, voice: this.cast.voiceFor(name, this.form.language || undefined) });
  }

  addOthers() {
    this.form.perhaps.forEach((name) => this.add(name));
    this.change({ perhaps: [] });
  }

  body() {
    const { files, original, format, stems, fill, overlap, length } = this.form;
    return { ...super.body(), original: files.original_file_id ? original : undefined, response_format: format, fill, overlap,
      results: stems ? ["track", "speech", ...(files.original_file_id ? ["bed"] : [])] : undefined, length_s: Number(length) || undefined };
  }

  more() {
    return { title: cleanTitle(this.form.files.input_file_id.name.replace(/\.\w+$/, "")) };
  }

  filesCard() {
    const { perhaps } = this.form;
    return html`<section class="card stack">
      ${fileField(this, "input_file_id", { label: t("jobs.subtitles"), hint: t("jobs.subtitles_hint"), accept: SUBTITLES })}
      ${fileField(this, "original_file_id", { label: t("jobs.original"), hint: t("jobs.original_hint"), accept: SOUNDS, isOptional: true })}
      ${fileField(this, "short_file_id", { label: t("jobs.shorts"), hint: t("jobs.shorts_hint"), accept: SUBTITLES, isOptional: true })}
      ${perhaps.length ? html`<div class="note warn">${icon("info")}<span>${t("scripts.read", { names: perhaps.join(", ") })}</span><button type="button" id="dub-add" @click=${() => this.addOthers()}>${t("scripts.add")}</button></div>` : nothing}
      ${this.statusText()}${this.faultNote()}</section>`;
  }

  isFixed() {
    return this.cast.size === 1;
  }

  previewCard() {
    const { steps, characters, seconds, credits, most_credits: most, warnings } = this.preview;
    const fact = (name, text) => html`<div><dt class="quiet small">${name}</dt><dd class="num">${text}</dd></div>`;
    return html`<section class="card stack" aria-labelledby="dub-title" id="dub-preview"><h2 id="dub-title">${t("jobs.preview")}</h2>
      <dl class="tiles facts">${fact(t("jobs.lines"), number(steps))}${fact(t("jobs.characters"), number(characters))}${fact(t("jobs.speech"), duration(seconds))}
        ${fact(t("usage.credits"), credits === most ? number(credits) : `${number(credits)} – ${number(most)}`)}</dl>
      ${warnings.map((each) => note(html`<span lang="en">${each}</span>`))}</section>`;
  }

  choices() {
    const { form } = this;
    const set = (field) => (value) => this.change({ [field]: value });
    const tick = (field, text) => html`<label class="tick"><input type="checkbox" id="job-${field}" .checked=${form[field]} @change=${(event) => this.change({ [field]: event.target.checked })}>${text}</label>`;
    return html`${this.voiceField()}
      ${form.files.original_file_id ? this.choice("job", "original", t("jobs.original"), { value: form.original, options: ["duck", "replace"].map((each) => [each, t(`jobs.original.${each}`)]), change: set("original") }) : nothing}
      ${this.choice("job", "response_format", t("speak.format"), { value: form.format, options: FORMATS.map((each) => [each, formatName(each)]), change: set("format") })}
      <details class="stack"><summary>${t("speak.more")}</summary>
        ${tick("stems", t("jobs.stems"))}${tick("fill", t("jobs.fill"))}${tick("overlap", t("jobs.overlap"))}
        ${this.input("job", "length_s", t("jobs.length"), { type: "number", value: form.length, hint: t("jobs.length_hint"), change: set("length") })}</details>`;
  }
}
