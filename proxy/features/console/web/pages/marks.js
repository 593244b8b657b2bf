// Marks: was a recording spoken by this server? It is chosen or dropped, and judged.

import { Failure, read } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { MOST_BYTES, SOUND_FILES } from "../core/recorder.js";
import { day, duration, t } from "../core/texts.js";

// Where the verdict stands by its signs: it claims no more than they show.
export function verdictOf({ marks, c2pa }) {
  if (c2pa?.signed_by_us) return t("marks.yes");
  const found = marks.filter((mark) => mark.found);
  const keyed = found.filter((mark) => mark.key);
  if (keyed.some((mark) => mark.is_ours !== false)) return t("marks.ours");
  if (keyed.length) return t("marks.shared");
  return found.length ? t("marks.anyones") : t("marks.nothing");
}

function markReason({ found, key, day: made, is_ours: isOurs }) {
  if (!found) return t("marks.no_mark");
  const when = made === null ? t("marks.no_day") : day(Date.parse(made) / 1000);
  if (key === null) return t("marks.keyless", { when });
  return isOurs === false ? t("marks.of_other", { when, key }) : t("marks.of_this", { when, key });
}

function manifestReason(manifest) {
  if (manifest === null) return t("marks.no_manifest");
  const { validation_state: state, issuer } = manifest;
  if (state !== "valid") return state === "trusted" ? t("marks.trusted") : t("marks.invalid");
  return t("marks.foreign", { issuer: issuer ?? "?" });
}

export function reasonsOf({ marks, c2pa, is_cut: isCut, seconds }) {
  const reasons = [...marks.map(markReason), manifestReason(c2pa)];
  if (marks.some((mark) => mark.found) && !c2pa?.signed_by_us) reasons.unshift(t("marks.copied"));
  if (!marks.length) reasons.unshift(t("marks.no_key"));
  if (isCut) reasons.push(t("marks.cut", { time: duration(seconds) }));
  return reasons;
}

export default class MarksPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { file: null, manifest: null, found: null, checking: null, isOver: false });
  }

  title() {
    return t("marks.title");
  }

  left() {
    this.checking?.abort();
  }

  // A verdict is on the file that was chosen before.
  choose(changes) {
    this.checking?.abort();
    this.set({ found: null, problem: null, status: "", checking: null, ...changes });
  }

  drop(event) {
    event.preventDefault();
    this.isOver = false;
    const [file] = event.dataTransfer?.files ?? [];
    this.choose(file ? { file } : {});
    if (file) this.check();
  }

  // One button for both keeps its focus. A double click is one.
  submit(event) {
    event.preventDefault();
    return this.checking ? this.choose({ status: t("speak.stopped") }) : this.check();
  }

  async check() {
    this.choose({});
    const mine = (this.checking = new AbortController());
    await this.run("marks", async () => {
      try {
        if (!this.file) throw new Failure({ message: t("recorder.missing"), param: "file" });
        // The server would end the connection in the middle of it, and could not say why.
        if (this.file.size > MOST_BYTES) throw new Failure({ message: t("recorder.large", { most: 10 }), param: "file" });
        this.say(t("marks.looking"));
        const found = await read("v1/audio/marks/detect", { form: { file: this.file, manifest: this.manifest }, signal: mine.signal });
        this.set({ found, status: "" });
      } finally {
        if (this.checking === mine) this.set({ checking: null });
      }
    }, ["file", "manifest"]);
  }

  view() {
    return html`<section class="view narrow">${this.heading()}
      <form class="card stack drop ${this.isOver ? "over" : ""}" id="marks-form" novalidate @submit=${(event) => this.submit(event)}
        @dragover=${() => this.isOver || this.set({ isOver: true })} @dragleave=${() => this.set({ isOver: false })} @drop=${(event) => this.drop(event)}>
        <p>${t("marks.about")}</p>
        ${this.picker("file", t("marks.file"), SOUND_FILES, t("marks.file_hint"))}
        ${this.picker("manifest", t("marks.manifest"), ".c2pa,application/c2pa")}
        <div class="row"><button class="first" id=${this.checking ? "marks-stop" : "marks-check"} @click=${(event) => event.detail > 1 && event.preventDefault()}>${this.checking ? html`${icon("stop")} ${t("speak.stop")}` : t("marks.check")}</button></div>
        ${this.checking ? html`<progress aria-label=${t("marks.looking")}></progress>` : nothing}
        ${this.statusLine()}${this.alert("marks")}
      </form>
      <div role="status" id="marks-verdict">${this.found ? this.verdict() : nothing}</div>
    </section>`;
  }

  picker(name, label, accept, hint = nothing) {
    const control = html`<div class="row"><span class="button file">${icon("plus")} ${t("recorder.file")}<input type="file" id="marks-${name}" accept=${accept}
      aria-invalid=${this.isWrong("marks", name)} @change=${(event) => this.choose({ [name]: event.target.files[0] ?? null })}></span>
      <span class="name">${this[name]?.name ?? nothing}</span></div>`;
    return this.field("marks", name, label, control, hint);
  }

  verdict() {
    return html`<section class="card stack"><h2>${verdictOf(this.found)}</h2><ul class="points">${reasonsOf(this.found).map((reason) => html`<li class="name">${reason}</li>`)}</ul></section>`;
  }
}
