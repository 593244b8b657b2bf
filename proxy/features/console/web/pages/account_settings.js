// What a person sets for themselves: the voice that speaks unless another is named, mails, and sessions.

import { accountTabs } from "./account.js";
import { signOut } from "../core/account.js";
import { ask, read } from "../core/api.js";
import { loadCatalogue, voiceName } from "../core/catalogue.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { isPerson, session } from "../core/session.js";
import { LANGUAGES, moment, t } from "../core/texts.js";

// Mails are written in these.
const MAILED = ["en", "pt-BR", "es"];

export default class SettingsPage extends Page {
  constructor(path) {
    super(path);
    const { preferred_voice: voice, user } = session.me;
    Object.assign(this, { voice: voice ?? "", language: user?.language, mails: user?.mails, sessions: [] });
  }

  title() {
    return t("frame.account/settings");
  }

  async open() {
    this.set({ sessions: (await read("v1/me/sessions", { signal: this.signal })).data });
    await loadCatalogue();
    this.update();
  }

  save(event) {
    event.preventDefault();
    return this.run("settings", async () => {
      session.me = await read("v1/me", { json: { preferred_voice: this.voice || null, language: this.language, mails: this.mails } });
      this.say(t("word.done"));
    }, ["preferred_voice"]);
  }

  end({ id, is_current: isThis }) {
    return this.run("sessions", async () => {
      if (isThis) return signOut();
      await ask(`v1/me/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
      this.sessions = this.sessions.filter((each) => each.id !== id);
      this.say(t("word.done"));
      this.draw();
      this.place.querySelector("#sessions-title").focus();
      return undefined;
    });
  }

  view() {
    const parts = html`${this.form()}${this.list()}
      <section class="card stack" aria-labelledby="close-title"><h2 id="close-title">${t("door.close_account")}</h2>
        <p>${t("close.text")}</p><div class="row"><a class="button danger" href="#/account/close">${t("door.close_account")}</a></div></section>
      ${this.picker?.view() ?? nothing}`;
    return html`<section class="view">${this.heading()}${accountTabs("account/settings")}
      ${this.statusLine()}${this.alert("page")}${isPerson() ? parts : nothing}
    </section>`;
  }

  form() {
    const drop = () => { this.set({ voice: "" }); this.place.querySelector("#settings-preferred_voice").focus(); };
    return html`<form class="card stack" novalidate @submit=${(event) => this.save(event)}>
      <div class="field"><strong>${t("settings.voice")}</strong>
        <div class="row"><button type="button" id="settings-preferred_voice" @click=${() => this.openPicker((voice) => this.set({ voice: voice.id }), () => this.voice)}><span class="skip">${t("settings.voice")}: </span>
          ${this.voice ? voiceName(this.voice) : t("settings.no_voice")}</button>
          ${this.voice ? html`<button type="button" class="plain" @click=${drop}>${t("settings.forget_voice")}</button>` : nothing}</div>
        <p class="hint">${t("settings.voice_hint")}</p>${this.alert("settings", "preferred_voice")}</div>
      ${this.choice("settings", "language", t("settings.language"), { value: this.language, options: MAILED.map((tag) => [tag, LANGUAGES[tag]]), change: (language) => { this.language = language; } })}
      <label class="tick"><input type="checkbox" id="settings-mails" .checked=${this.mails} @change=${(event) => { this.mails = event.target.checked; }}>${t("settings.mails")}</label>
      ${this.alert("settings")}${this.alert("picker")}
      <div class="row"><button class="first" id="settings-save">${t("settings.save")}</button></div>
    </form>`;
  }

  list() {
    return html`<section class="card stack" aria-labelledby="sessions-title"><h2 id="sessions-title" tabindex="-1">${t("settings.sessions")}</h2>
      ${this.alert("sessions")}
      <ul role="list" class="rows">${repeat(this.sessions, ({ id }) => id, (each) => html`<li class="row apart">
        <div class="about"><span>${t("settings.since", { time: moment(each.created), seen: moment(each.seen) })}</span></div>
        <div class="row">${each.is_current ? html`<span class="tag good">${t("settings.this")}</span>` : nothing}
          <button class="plain" aria-label="${t(each.is_current ? "door.sign_out" : "settings.end")}: ${moment(each.created)}" @click=${() => this.end(each)}>${each.is_current ? t("door.sign_out") : t("settings.end")}</button></div></li>`)}</ul>
    </section>`;
  }
}
