// The end of a voice: the question, the deletion, what became of its consent, and the receipt.

import { ask, download, Failure, read } from "../core/api.js";
import { forgetCatalogue } from "../core/catalogue.js";
import { agrees } from "../core/dialogs.js";
import { html, nothing } from "../core/lit.js";
import { entitle, icon } from "../core/page.js";
import { player } from "../core/player.js";
import { t } from "../core/texts.js";

const LOOKS = 20;
const LOOK_MS = 1000;

export class Erasure {
  constructor(page) {
    Object.assign(this, { page, voice: page.voice, pending: null, consent: "" });
  }

  get receipt() {
    return `v1/audio/voices/erasures/${encodeURIComponent(this.voice.id)}`;
  }

  async isAgreed() {
    const { name, consent } = this.voice;
    const text = this.page.isRecorded ? t("voices.erase_text") : t("voices.delete_text");
    const check = consent ? t("voices.delete_consent") : "";
    const question = { title: t("voices.delete_title", { name }), text, no: t("voices.cancel"), yes: t("history.delete"), isDanger: true, check };
    const answer = await agrees(question);
    this.isWithConsent = answer && answer.isChecked;
    return Boolean(answer);
  }

  async begin() {
    const { page, voice } = this;
    player.stop();
    await ask(page.url, { method: "DELETE" });
    forgetCatalogue();
    entitle(t("voices.deleted", { name: voice.name }));
    page.set({ erasure: this, samples: null });
    page.left();
    page.draw();
    page.place.querySelector("h1").focus();
    if (voice.consent) await this.endConsent();
    // A cast is a list of names: there is nothing to erase, and no receipt.
    if (voice.type !== "cast") await this.follow();
  }

  async endConsent() {
    this.consent = t("voices.consent_kept");
    if (!this.isWithConsent) return;
    try {
      await ask(`v1/audio/voice_consents/${encodeURIComponent(this.voice.consent)}`, { method: "DELETE" });
      this.consent = t("voices.consent_deleted");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.consent = html`${this.consent} <span lang="en">${failure.message}</span>`;
    }
  }

  // Looks at the parts of the server that have not erased it yet.
  async follow() {
    for (let look = 0; look < LOOKS && !this.page.isLeft; look += 1) {
      if (look) await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
      this.pending = (await read(this.receipt)).pending;
      this.page.update();
      if (!this.pending.length) return;
    }
  }

  view() {
    const { page, voice, pending } = this;
    const isOver = voice.type === "cast" || pending?.length === 0;
    return html`<section class="view narrow">
      <div class="top"><h1 tabindex="-1">${t("voices.deleted", { name: voice.name })}</h1></div>
      <div class="card stack" id="voice-erased">
        <p class="note ${isOver ? "good" : "warn"}" role="status">${icon("info")}<span>${isOver ? t("voices.erased") : t("voices.erasing", { parts: pending?.join(", ") ?? "…" })} ${this.consent}</span></p>
        ${page.alert("about")}${page.alert("receipt")}
        <div class="row"><a class="button first" href="#/voices">${t("voices.back")}</a>
          ${pending ? html`<button id="voice-receipt" @click=${() => page.run("receipt", () => download(this.receipt, "erasure.json"))}>${icon("down")} ${t("speak.receipt")}</button>` : nothing}</div>
      </div>
    </section>`;
  }
}
