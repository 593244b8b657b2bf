// A new voice: a recording, its speaker's consent, a name.

import { Consent } from "./voice_consent.js";
import { Offer } from "./voice_offer.js";
import { cloners, clonePrice, hintNote, isUseless, noteMade } from "./voice_parts.js";
import { Failure, OnceKey, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { catalogue, forgetCatalogue, languageChoices, loadCatalogue } from "../core/catalogue.js";
import { isStrange, mayUpload } from "../core/door.js";
import { html, live, nothing } from "../core/lit.js";
import { Page } from "../core/page.js";
import { Recorder } from "../core/recorder.js";
import { t } from "../core/texts.js";

const FIELDS = ["name", "language", "audio_sample", "ref_text", "recording", "statement", "consent", "uses"];
const BEST = { least: 6, most: 30 };

export default class NewVoicePage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { isRead: false, isMaking: false, name: "", language: "", words: "", hint: "", engines: new Set() });
    this.sample = new Recorder(this, "new", "audio_sample", { best: BEST, taken: (blob) => this.judge(blob) });
    this.offer = new Offer(this);
    this.consent = new Consent(this);
    this.once = new OnceKey();
  }

  title() {
    return t("voices.new");
  }

  async open() {
    await Promise.all([loadCatalogue(), this.consent.open()]);
    if (isUseless()) await this.run("offer", () => this.offer.open());
    this.set({ isRead: true, hint: catalogue.hint });
  }

  // The server's verdict comes before the consent is asked for, and nothing is kept of the recording.
  async judge(blob) {
    this.refusal = this.judging = null;
    this.asked?.abort(); // of the recording before
    this.asked = new AbortController();
    if (isStrange()) return; // that account is asked about first
    this.judging = read("v1/audio/voice_quality", { form: { audio_sample: blob }, signal: this.asked.signal }).then(({ advice }) => advice && `${advice}.`, (failure) => {
      if (failure.param === "audio_sample" && this.sample.take === blob) this.refusal = failure;
      return failure.message;
    });
    const said = await this.judging;
    if (said && this.sample.take === blob) this.sample.say(`${this.sample.said} ${said}`);
  }

  // Whether anything here can speak a recording in this language: told before there is one.
  choose(language) {
    this.set({ language, hint: "" });
    return this.run("new", async () => {
      const [{ hint = "" }] = await Promise.all([
        read("v1/audio/voices", { query: { mine: true, limit: 1, language } }),
        this.consent.readPhrase(language),
      ]);
      if (this.language === language) this.set({ hint });
    });
  }

  submit(event) {
    event.preventDefault();
    if (this.isMaking) return undefined;
    this.isMaking = true;
    return this.run("new", () => this.make().finally(() => this.set({ isMaking: false, status: "" })), FIELDS);
  }

  async make() {
    const { name, language, sample } = this;
    if (!language) throw new Failure({ message: t("voices.no_language"), param: "language" });
    if (!sample.take) throw new Failure({ message: t("recorder.missing"), param: "audio_sample" });
    if (!(await mayUpload()) || this.isLeft) return;
    this.say(t("voices.making"));
    await (this.judging ?? this.judge(sample.take));
    if (this.refusal) throw this.refusal; // before anybody agrees to what cannot be a voice
    const consent = await this.consent.keep(name, language);
    if (this.isLeft) return;
    const texts = { name, language, ref_text: this.words.trim(), consent, engines: this.engines.size ? JSON.stringify([...this.engines]) : "" };
    const headers = this.once.of({ ...texts, file: sample.take });
    const voice = await this.consent.using(consent, () => read("v1/audio/voices", { form: { ...texts, audio_sample: sample.take }, headers }));
    forgetCatalogue();
    noteMade(voice.id);
    if (this.engines.size) refreshAccount();
    if (!this.isLeft) location.hash = `#/voices/${encodeURIComponent(voice.id)}`;
  }

  view() {
    return html`<section class="view narrow">${this.heading()}
      ${this.hint ? hintNote(isUseless() ? "" : this.hint, "new-hint", this.language) : nothing}
      ${this.isRead ? (isUseless() ? this.offer.view() : this.form()) : nothing}${this.alert("page")}
    </section>`;
  }

  form() {
    const languages = [["", t("voices.ask_language")], ...languageChoices([...navigator.languages, ...this.consent.languages])];
    const set = (field) => (value) => this.set({ [field]: value });
    return html`<form class="stack" novalidate @submit=${(event) => this.submit(event)}>
      <div class="card stack two">
        ${this.input("new", "name", t("word.name"), { value: this.name, max: 100, change: set("name") })}
        ${this.choice("new", "language", t("speak.language"), { value: this.language, options: languages, change: (language) => this.choose(language) })}
      </div>
      <div class="card stack">${this.sample.view(t("voices.recording"), t("voices.recording_hint", BEST))}
        ${this.field("new", "ref_text", t("voices.words"), html`<textarea class="short" id="new-ref_text" maxlength="1000" aria-invalid=${this.isWrong("new", "ref_text")}
          .value=${live(this.words)} @input=${(event) => this.set({ words: event.target.value })}></textarea>`)}</div>
      <div class="card stack">${this.consent.view()}</div>
      ${cloners().length ? html`<fieldset class="card" id="new-engines"><legend class="skip">${t("voices.clones")}</legend>${cloners().map((engine) => this.cloner(engine))}</fieldset>` : nothing}
      ${this.alert("new")}
      <div class="row"><button class="first" id="new-create">${t("voices.create")}</button>
        <a class="button" href="#/voices">${t("voices.cancel")}</a>${this.statusLine()}</div>
    </form>`;
  }

  cloner(engine) {
    const change = ({ target }) => {
      if (target.checked) this.engines.add(engine);
      else this.engines.delete(engine);
      this.update();
    };
    return html`<label class="tick"><input type="checkbox" value=${engine} .checked=${live(this.engines.has(engine))} @change=${change}>
      ${t("voices.clone_for", { engine, credits: clonePrice() })}</label>`;
  }
}
