// The account's own API keys: made and shown once, replaced, and ended.

import { accountTabs } from "./account.js";
import { read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { isWorking, keyName, keyRow, revoke } from "../core/keys.js";
import { Listing } from "../core/listing.js";
import { html, repeat } from "../core/lit.js";
import { Page } from "../core/page.js";
import { secretCard, showSecret } from "../core/secret.js";
import { t } from "../core/texts.js";

const DAY_S = 86_400;
const DAYS = [0, 30, 90, 365];
const CAPS = ["rpm", "streams", "max_characters"];

export default class KeysPage extends Page {
  name = "";
  days = 0;
  caps = {};
  secret = null;
  isMaking = false;
  keys = new Listing(this, "v1/keys");

  title() {
    return t("frame.account/keys");
  }

  open() {
    return this.keys.more();
  }

  close() {
    this.set({ secret: null, status: "" });
    this.place.querySelector("#key-name").focus();
  }

  make(event) {
    event.preventDefault();
    if (this.isMaking) return undefined;
    this.isMaking = true;
    return this.run("key", async () => {
      const caps = Object.fromEntries(Object.entries(this.caps).filter(([, text]) => text).map(([name, text]) => [name, Number(text)]));
      const json = { name: this.name.trim(), caps, ...(this.days && { expires_in_s: this.days * DAY_S }) };
      const made = await read("v1/keys", { json });
      Object.assign(this, { name: "", days: 0, caps: {} });
      await this.keys.refresh();
      showSecret(this, keyName(made), made.key);
    }, ["name"]).finally(() => { this.isMaking = false; });
  }

  rotate(key) {
    return this.run("keys", async () => {
      const question = { title: `${t("key.rotate")}: ${keyName(key)}`, text: t("key.rotate_text"), no: t("word.no"), yes: t("key.rotate") };
      if (!(await agrees(question))) return;
      const made = await read(`v1/keys/${encodeURIComponent(key.id)}/rotate`, { method: "POST" });
      await this.keys.refresh();
      showSecret(this, keyName(made), made.key);
    });
  }

  end(key) {
    return this.run("keys", async () => {
      const ended = await revoke("v1/keys", key);
      if (!ended) return;
      this.keys.put(key.id, ended);
      this.say(t("word.done"));
      this.place.querySelector("#keys-title").focus();
    });
  }

  view() {
    const shown = [...this.keys.rows.filter(isWorking), ...this.keys.rows.filter((key) => !isWorking(key))];
    return html`<section class="view">${this.heading()}${accountTabs("account/keys")}
      ${this.statusLine()}
      ${secretCard(this, this.secret, () => this.close())}
      ${this.form()}
      <section class="card stack" aria-labelledby="keys-title"><h2 id="keys-title" tabindex="-1">${this.title()}</h2>
        ${this.alert("page")}${this.alert("keys")}
        <ul role="list" class="rows">${repeat(shown, ({ id }) => id, (key) => keyRow(key, html`
          <button class="plain" aria-label="${t("key.rotate")}: ${keyName(key)}" @click=${() => this.rotate(key)}>${t("key.rotate")}</button>
          <button class="plain" aria-label="${t("key.revoke")}: ${keyName(key)}" @click=${() => this.end(key)}>${t("key.revoke")}</button>`))}</ul>
        ${this.keys.foot("keys")}
      </section>
    </section>`;
  }

  form() {
    const lives = DAYS.map((days) => [String(days), days ? t("key.days", { n: days }) : t("key.no_end")]);
    const cap = (name) => this.input("key", name, t(`limit.${name}`), { type: "number", value: this.caps[name] ?? "", change: (text) => { this.caps[name] = text; } });
    return html`<form class="card stack" novalidate @submit=${(event) => this.make(event)}><h2>${t("key.new")}</h2>
      <div class="grid">
        ${this.input("key", "name", t("word.name"), { value: this.name, max: 100, change: (name) => { this.name = name; } })}
        ${this.choice("key", "days", t("key.life"), { value: String(this.days), options: lives, change: (days) => { this.days = Number(days); } })}
      </div>
      <details><summary>${t("key.caps")}</summary><div class="grid">${CAPS.map(cap)}</div></details>
      ${this.alert("key")}
      <div class="row"><button class="${this.secret ? "" : "first"}" id="key-make">${t("key.make")}</button></div>
    </form>`;
  }
}
