// The frame around every page: the way to the others, the credits left, the door, and the player.

import { Door } from "./door.js";
import { showExample } from "./draft.js";
import { html, nothing, render } from "./lit.js";
import { icon, loaded } from "./page.js";
import { player } from "./player.js";
import { hasFeature, isAdmin, session, tried } from "./session.js";
import { chooseLanguage, language, LANGUAGES, t } from "./texts.js";
import SpeakPage from "../pages/speak.js";

// Pages of files of their own, each with the feature that it needs, if any: pages/admin_jobs.js has "admin/jobs".
const LOADED = {
  voices: "", transcribe: "transcriptions", train: "jobs", marks: "marks", jobs: "jobs", history: "history", usage: "", orders: "payments",
  account: "", "account/keys": "users", "account/settings": "users", "account/close": "users",
  admin: "", "admin/accounts": "", "admin/jobs": "jobs", "admin/audit": "", "admin/users": "users", "admin/orders": "payments",
};
const PAGES = {
  speak: async () => ({ default: SpeakPage }),
  ...Object.fromEntries(Object.keys(LOADED).map((name) => [name, () => import(`../pages/${name.replace("/", "_")}.js`)])),
};
const LINKS = ["speak", "transcribe", "voices", "jobs", "history", "account", "admin"];
// What there is to show while it is not known who the reader is: the field for a text, and a suspended person's way out.
const FOR_ALL = ["speak", "account/close"];
// Under which link of the frame a page is shown.
const ABOVE = { train: "voices", marks: "voices", usage: "history", orders: "account" };

// The page of an address, and what else it has. "#job_…" is in mails.
function pageOf(hash) {
  const parts = hash.replace(/^#(?=job_)/, "#/jobs/").replace(/^#\/?/, "").split("/").map((part) => tried(() => decodeURIComponent(part), part));
  const name = [parts.slice(0, 2).join("/"), parts[0]].find((each) => Object.hasOwn(PAGES, each) && hasFeature(LOADED[each]));
  return name ? { name, path: parts.slice(1) } : { name: "speak", path: [] };
}

class Frame {
  constructor() {
    this.page = null;
    this.name = "";
    this.hash = "";
    this.trouble = null;
    this.door = new Door((isSame) => this.entered(isSame));
  }

  async start(place) {
    this.place = place;
    this.draw();
    this.door.mount(place.querySelector("#door"));
    player.mount(place.querySelector("#dock"));
    addEventListener("hashchange", (event) => this.moved(new URL(event.oldURL).hash));
    document.addEventListener("account", () => this.draw());
    document.addEventListener("missing", () => this.isOutdated());
    // The door takes a key or a link out of the address before anything else reads it.
    session.ready = this.door.start();
    await this.show({ isFirst: true });
  }

  // The address of the page comes back in place of a link's, which the door has taken.
  async moved(before) {
    const { hash } = location;
    const taken = this.door.take();
    if (hash !== location.hash) history.replaceState(null, "", before);
    if (!(await taken)) await this.show();
  }

  // For another reader, or the first, every page reads what it shows anew. The same goes on where they were. What
  // is typed on Speak stays.
  async entered(isSame) {
    this.draw();
    const isSpeak = this.page instanceof SpeakPage && pageOf(location.hash).name === "speak";
    if (isSpeak) this.page.isOpened = false;
    if (isSpeak || (isSame && this.hash === location.hash)) await this.page.reopen();
    else await this.show({ isFirst: true });
  }

  async show({ isFirst = false } = {}) {
    const { name, path } = pageOf(location.hash);
    if (!session.me && !FOR_ALL.includes(name)) return;
    const turn = (this.turn = {});
    const module = await loaded(PAGES[name]);
    if (!module || turn !== this.turn) return;
    this.page?.leave();
    this.trouble = null;
    this.name = name;
    this.hash = location.hash;
    this.page = new module.default(path);
    this.page.mount(this.place.querySelector("#page"));
    document.title = `${this.page.title()} · voxgate`;
    this.draw();
    if (isFirst) return;
    scrollTo(0, 0);
    this.place.querySelector("#page h1")?.focus();
  }

  // A file is not there: either the server cannot be reached, or it has files of another version.
  async isOutdated() {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" }, cache: "no-store" }).catch(() => null);
    this.trouble = answer?.ok ? "updated" : "unreachable";
    this.draw();
  }

  async speak(tag) {
    await loaded(() => chooseLanguage(tag));
    showExample();
    this.draw();
    this.door.update();
    if (this.page instanceof SpeakPage) this.page.change({});
    else this.page?.update();
    player.draw();
    if (this.page) document.title = `${this.page.title()} · voxgate`;
  }

  draw() {
    render(this.view(), this.place);
  }

  view() {
    return html`<button class="skip" @click=${() => this.place.querySelector("#page h1")?.focus()}>${t("frame.skip")}</button>
      <header class="rail">
        <a class="brand" href="#/speak" aria-label="voxgate"><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="currentColor"></rect><path d="M8 13v6M13 9v14M18 6v20M23 11v10" stroke-width="2.6" stroke-linecap="round"></path></svg><span>voxgate</span></a>
        <nav aria-label=${t("frame.pages")}>${LINKS.filter((name) => hasFeature(LOADED[name]) && (name !== "admin" || isAdmin())).map((name) => this.link(name))}</nav>
        ${session.me ? this.purse() : nothing}
        <select class="tongue" aria-label=${t("frame.language")} @change=${(event) => this.speak(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} lang=${tag} ?selected=${tag === language}>${name}</option>`)}
        </select>
      </header>
      <main>
        ${this.trouble ? this.told() : nothing}
        <div id="door"></div>
        <div id="page"></div>
      </main>
      <div id="dock"></div>`;
  }

  link(name) {
    const [now] = this.name.split("/");
    const isNow = name === (ABOVE[now] ?? now);
    return html`<a href="#/${name}" aria-current=${isNow ? "page" : nothing}>${icon(name)}${t(`frame.${name}`)}</a>`;
  }

  purse() {
    const { credits, cycle } = session.me;
    const left = credits.available;
    const text = left === null ? t("frame.unlimited") : t("frame.credits", { n: Math.floor(left) });
    return html`<a class="purse num" href="#/usage"><span>${text}</span>${cycle?.end ? html`<span class="more small quiet">${session.me.plan.name}</span>` : nothing}</a>`;
  }

  told() {
    const isUpdated = this.trouble === "updated";
    return html`<p class="note warn" role="alert">${icon("info")}<span>${isUpdated ? t("frame.updated") : t("failure.unreachable")}</span>
      ${isUpdated ? html`<button @click=${() => location.reload()}>${t("frame.reload")}</button>` : nothing}</p>`;
  }
}

export const frame = new Frame();
