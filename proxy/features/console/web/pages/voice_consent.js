// The consent of a speaker: a sentence read aloud, a statement in writing, one that was given before, or none.

import { ask, Failure, read } from "../core/api.js";
import { html, live, nothing } from "../core/lit.js";
import { Recorder } from "../core/recorder.js";
import { session } from "../core/session.js";
import { day, languageName, t } from "../core/texts.js";

const ROOT = "v1/audio/voice_consents";
const USES = ["speech", "conversion", "training"];

export class Consent {
  constructor(page) {
    Object.assign(this, { page, way: "phrase", statement: "", kept: [], chosen: "", languages: [], phrase: null, agreed: null });
    this.uses = new Set(["speech", "conversion"]);
    this.reading = new Recorder(page, "new", "recording");
    page.signal.addEventListener("abort", () => this.dropUnused());
  }

  change(changes) {
    Object.assign(this, changes);
    // What is not shown may not listen.
    if (this.way !== "phrase") this.reading.stop();
    this.page.update();
  }

  async open() {
    const [told, kept] = await Promise.all([read(`${ROOT}/phrases`), read(ROOT, { query: { limit: 100 } })]);
    this.change({ languages: told.languages, kept: kept.data, chosen: kept.data[0]?.id ?? "" });
  }

  // Some languages have no sentence. Then the server's words say what to do.
  async readPhrase(language) {
    const mine = (this.asked = {});
    let phrase = null;
    if (language) {
      try {
        phrase = { text: (await read(`${ROOT}/phrases`, { query: { language } })).phrase, language };
      } catch (failure) {
        if (!(failure instanceof Failure)) throw failure;
        phrase = { text: failure.message, language: "en" };
      }
    }
    if (this.asked === mine) this.change({ phrase });
  }

  // Keeps the consent, once for what was said: a second try with another name needs no second consent.
  async keep(name, language) {
    if (this.way === "none") return null;
    if (this.way === "kept") return this.chosen;
    const isRead = this.way === "phrase";
    const said = isRead ? this.reading.take : this.statement.trim();
    if (!said) throw new Failure(isRead ? { message: t("recorder.missing"), param: "recording" } : { message: t("voices.no_statement"), param: "statement" });
    const uses = USES.filter((use) => this.uses.has(use));
    const { agreed } = this;
    if (agreed?.said === said && agreed.language === language && agreed.uses === String(uses)) return agreed.id;
    const fields = { name, language };
    const sent = isRead ? { form: { ...fields, recording: said, uses: JSON.stringify(uses) } } : { json: { ...fields, statement: said, uses } };
    const { id } = await read(ROOT, sent);
    this.dropUnused();
    this.agreed = { id, said, language, uses: String(uses) };
    if (this.page.isLeft) this.dropUnused();
    return id;
  }

  // Makes a voice with a consent, which stays even if its page is left, unless the voice is refused.
  async using(id, make) {
    const { agreed } = this;
    if (agreed?.id !== id) return make();
    this.agreed = null;
    try {
      return await make();
    } catch (failure) {
      // One that waits for the operator stays, so that it can be accepted.
      this.agreed = { ...agreed, waits: failure.code === "consent_waits" };
      if (this.page.isLeft) this.dropUnused();
      throw failure;
    }
  }

  // A consent that was kept for a voice which is not made has no use any more.
  dropUnused() {
    if (this.agreed && !this.agreed.waits) ask(`${ROOT}/${this.agreed.id}`, { method: "DELETE" }).catch(() => {});
  }

  forget() {
    return this.page.run("new", async () => {
      await ask(`${ROOT}/${encodeURIComponent(this.chosen)}`, { method: "DELETE" });
      const kept = this.kept.filter(({ id }) => id !== this.chosen);
      this.change({ kept, chosen: kept[0]?.id ?? "", way: kept.length ? "kept" : "phrase" });
      this.page.draw();
      this.page.place.querySelector(kept.length ? "#new-consent" : "#new-way-phrase").focus();
    });
  }

  view() {
    const ways = ["phrase", "statement", ...(this.kept.length ? ["kept"] : []), ...(session.me?.plan.consent === "waived" ? ["none"] : [])];
    const shown = { phrase: () => this.reader(), statement: () => this.writer(), kept: () => this.chooser(), none: () => nothing }[this.way];
    return html`<fieldset class="stack"><legend>${t("voices.consent")}</legend>
      <div>${ways.map((way) => html`<label class="tick"><input type="radio" name="way" id="new-way-${way}" value=${way} .checked=${live(this.way === way)}
        @change=${() => this.change({ way })}>${t(`voices.way.${way}`)}</label>`)}</div>
      ${shown()}
      ${["phrase", "statement"].includes(this.way) ? this.usesOf() : nothing}
    </fieldset>`;
  }

  reader() {
    const { phrase } = this;
    return html`<blockquote id="new-phrase" lang=${phrase?.language ?? nothing}>${phrase?.text ?? t("voices.phrase_later")}</blockquote>
      ${this.reading.view(t("voices.reading"))}`;
  }

  writer() {
    const { page } = this;
    const control = html`<textarea class="short" id="new-statement" maxlength="2000" aria-invalid=${page.isWrong("new", "statement")}
      .value=${live(this.statement)} @input=${(event) => this.change({ statement: event.target.value })}></textarea>`;
    return page.field("new", "statement", t("voices.statement"), control, t("voices.statement_hint"));
  }

  chooser() {
    const heard = ({ kind, words, accepted_at: accepted }) => (accepted ? t("voices.accepted") : kind === "recording" && t(`voices.words.${words}`));
    const facts = (consent) => [consent.name, languageName(consent.language), day(consent.created_at), heard(consent)].filter(Boolean).join(", ");
    const options = this.kept.map((consent) => [consent.id, facts(consent)]);
    return html`${this.page.choice("new", "consent", t("voices.consent"), { value: this.chosen, options, change: (chosen) => this.change({ chosen }) })}
      <div class="row"><button type="button" class="danger" id="new-forget" @click=${() => this.forget()}>${t("voices.forget")}</button></div>`;
  }

  usesOf() {
    const change = (use, isOn) => {
      if (isOn) this.uses.add(use);
      else this.uses.delete(use);
      this.page.update();
    };
    return html`<fieldset id="new-uses"><legend>${t("voices.uses")}</legend>
      ${USES.map((use) => html`<label class="tick"><input type="checkbox" value=${use} .checked=${live(this.uses.has(use))}
        @change=${(event) => change(use, event.target.checked)}>${t(`usage.operation.${use}`)}</label>`)}
      ${this.page.alert("new", "uses")}
    </fieldset>`;
  }
}
