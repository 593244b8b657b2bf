// The recordings of a voice: the one that it was made of, and further ones, each with an emotion.

import { Failure, OnceKey, ask, read } from "../core/api.js";
import { forgetCatalogue } from "../core/catalogue.js";
import { agrees } from "../core/dialogs.js";
import { mayUpload } from "../core/door.js";
import { html, live, nothing, repeat } from "../core/lit.js";
import { icon } from "../core/page.js";
import { Recorder } from "../core/recorder.js";
import { duration, t } from "../core/texts.js";

const MOST = 25;
const EMOTIONS = ("neutral happy sad angry fearful disgusted surprised calm excited cheerful friendly serious tender hopeful worried"
  + " tired bored proud amused whisper shout fluent").split(" ");

export class Samples {
  constructor(page) {
    Object.assign(this, { page, list: null, emotion: "neutral", words: "", isSending: false });
    this.recorder = new Recorder(page, "sample", "file", { best: { least: 6, most: 30 } });
    this.once = new OnceKey();
  }

  change(changes) {
    Object.assign(this, changes);
    this.page.update();
  }

  async open() {
    const { data } = await read(`${this.page.url}/samples`);
    const list = data.filter(({ training }) => !training);
    this.change({ list, clips: data.length - list.length });
  }

  // The list, and the voice with its emotions, are read again.
  async readAgain() {
    forgetCatalogue();
    await Promise.all([this.open(), this.page.readVoice()]);
  }

  async add(event) {
    event.preventDefault();
    if (this.isSending) return;
    await this.page.run("sample", async () => {
      const { take } = this.recorder;
      if (!take) throw new Failure({ message: t("recorder.missing"), param: "file" });
      if (!(await mayUpload()) || this.page.isLeft) return;
      this.change({ isSending: true });
      try {
        const fields = { emotion: this.emotion, ref_text: this.words.trim(), file: take };
        await read(`${this.page.url}/samples`, { form: fields, headers: this.once.of(fields) });
        this.recorder.clear();
        this.change({ words: "" });
        await this.readAgain();
      } finally {
        this.change({ isSending: false });
        this.recorder.focus();
      }
    }, ["file", "emotion", "ref_text"]);
  }

  async delete(sample, place) {
    const title = t("voices.delete_sample", { n: place + 1 });
    if (!(await agrees({ title, text: t("voices.delete_text"), no: t("voices.cancel"), yes: t("history.delete"), isDanger: true }))) return;
    await this.page.run("sample", async () => {
      await ask(`${this.page.url}/samples/${encodeURIComponent(sample.id)}`, { method: "DELETE" });
      await this.readAgain();
      this.page.draw();
      this.page.place.querySelector("#samples-title").focus();
    });
  }

  view() {
    if (!this.list) return nothing;
    const options = EMOTIONS.map((each) => [each, t(`emotion.${each}`)]);
    return html`<section class="card stack" id="voice-samples" aria-labelledby="samples-title"><h2 id="samples-title" tabindex="-1">${t("voices.samples", { n: this.list.length })}</h2>
      <ol role="list" class="rows">${repeat(this.list, ({ id }) => id, (sample, place) => this.row(sample, place))}</ol>
      ${this.clips ? html`<p class="quiet small">${t("train.clips", { n: this.clips })}</p>` : nothing}
      ${this.list.length < MOST ? html`<form class="stack" novalidate @submit=${(event) => this.add(event)}>
        ${this.recorder.view(t("voices.another"), nothing, this.isSending)}
        <div class="two">${this.page.choice("sample", "emotion", t("speak.emotion"), { value: this.emotion, options, change: (emotion) => this.change({ emotion }) })}
        ${this.page.field("sample", "ref_text", t("voices.words"), html`<textarea class="short" id="sample-ref_text" maxlength="1000"
          .value=${live(this.words)} @input=${(event) => this.change({ words: event.target.value })}></textarea>`)}</div>
        <div class="row"><button id="sample-add">${t("voices.add")}</button></div>
      </form>` : nothing}
      ${this.page.alert("sample")}
    </section>`;
  }

  row(sample, place) {
    const { emotion, duration_seconds: seconds, quality, ref_text: words } = sample;
    const facts = [t(`emotion.${emotion ?? "neutral"}`), duration(seconds), t(`voices.quality.${quality.rating}`)];
    return html`<li><span class="about"><span>${facts.join(" · ")}</span>
        ${words ? html`<q class="quiet small name">${words}</q>` : nothing}
        ${quality.reasons.length ? html`<span class="quiet small" lang="en">${quality.reasons.join("; ")}</span>` : nothing}</span>
      ${place ? html`<button type="button" class="round plain" aria-label=${t("voices.delete_sample", { n: place + 1 })} @click=${() => this.delete(sample, place)}>${icon("trash")}</button>` : nothing}</li>`;
  }
}
