// The frame around every page: the way to the others, the credits left, the door, and the player.

import { Door } from "./door.js";
import { draft, showExample } from "./draft.js";
import { html, nothing, render } from "./lit.js";
import { entitle, icon, loaded } from "./page.js";
import { player } from "./player.js";
import { BRAND, hasFeature, isAdmin, session, takeWantedOffer, tried, wantedOffer, wantOffer } from "./session.js";
import { chooseLanguage, language, LANGUAGES, loadTexts, planName, t, wholeFromTen, worth } from "./texts.js";
import SpeakPage from "../pages/speak.js";

// Pages of files of their own, each with the feature that it needs, if any: pages/account_keys.js has "account/keys".
const LOADED = {
  scripts: "", lexicons: "lexicons", mixes: "own_voices", tables: "jobs", webhooks: "webhooks",
  voices: "", transcribe: "transcriptions", train: "jobs", marks: "marks", jobs: "jobs", "jobs/new": "jobs", "jobs/convert": "jobs", "jobs/book": "books", "jobs/dub": "dubs", history: "history", usage: "", orders: "payments",
  account: "", "account/keys": "users", "account/settings": "users", "account/close": "users",
  admin: "", "admin/accounts": "", "admin/jobs": "jobs", "admin/audit": "", "admin/users": "users", "admin/orders": "payments", "admin/consents": "consents", "admin/plans": "",
};
const PAGES = {
  speak: async () => ({ default: SpeakPage }),
  ...Object.fromEntries(Object.keys(LOADED).map((name) => [name, () => import(`../pages/${name.replace("/", "_")}.js`)])),
};
const LINKS = ["speak", "scripts", "jobs/book", "jobs/dub", "transcribe", "voices", "jobs", "history", "account", "admin"];
// Under which link of the frame a page is shown.
const ABOVE = { lexicons: "voices", mixes: "voices", tables: "jobs", webhooks: "jobs", train: "voices", marks: "voices", usage: "history", orders: "account" };

// The page of an address, and what else it has. "#job_…" is in mails.
function pageOf(hash) {
  const parts = hash.replace(/^#(?=job_)/, "#/jobs/").replace(/^#\/?/, "").split("/").map((part) => tried(() => decodeURIComponent(part), part));
  if (parts[0] === "sign-in") return { name: "sign-in", path: parts.slice(1) };
  const name = [parts.slice(0, 2).join("/"), parts[0]].find((each) => Object.hasOwn(PAGES, each) && hasFeature(LOADED[each]));
  return name ? { name, path: parts.slice(1) } : { name: "speak", path: [] };
}

// The sign of the server: its own, if it has one.
function sign() {
  const logo = document.querySelector("link.logo")?.href;
  if (logo) return html`<img src=${logo} alt="" width="34" height="34">`;
  return html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="currentColor"></rect><path d="M8 13v6M13 9v14M18 6v20M23 11v10" stroke-width="2.6" stroke-linecap="round"></path></svg>`;
}

class Frame {
  constructor() {
    this.page = null;
    this.name = "";
    this.hash = "";
    this.trouble = null;
    this.door = new Door((isSame) => this.entered(isSame), () => this.draw());
  }

  async start(place) {
    this.place = place;
    // Somebody who comes from the front has done something already.
    this.isStarted = Boolean(document.querySelector("link[href$='/front.js']"));
    this.draw();
    this.door.mount(place.querySelector("#door"));
    player.mount(place.querySelector("#dock"));
    addEventListener("hashchange", (event) => this.moved(new URL(event.oldURL).hash));
    document.addEventListener("account", () => this.draw());
    document.addEventListener("missing", () => this.isOutdated());
    // The door takes a key or a link out of the address before anything else reads it.
    session.ready = this.door.start();
    await this.show({ isFirst: !this.isStarted });
    this.isStarted = true;
  }

  // What had the focus is gone, so the page gets it.
  land() {
    if (this.isStarted && document.activeElement === document.body) this.place.querySelector("#page h1")?.focus({ preventScroll: true });
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
    if (wantedOffer() || /^#\/sign-in\b/.test(location.hash)) return this.signIn([]);
    const isSpeak = this.page instanceof SpeakPage && pageOf(location.hash).name === "speak";
    if (isSpeak) this.page.isOpened = false;
    if (!isSpeak && !(isSame && this.hash === location.hash)) return this.show({ isFirst: !this.isStarted });
    this.land();
    return this.page.reopen();
  }

  // Sign-in has an address, and no page below the door. What is to be bought comes after it.
  signIn([kind, name, title]) {
    if (["plan", "pack"].includes(kind) && name) wantOffer(kind, name, title);
    this.door.update();
    if (!session.me) return this.draw();
    const offer = takeWantedOffer();
    history.replaceState(null, "", offer ? `#/orders/new/${offer.kind}/${encodeURIComponent(offer.name)}` : "#/speak");
    return this.show({ isFirst: !this.isStarted });
  }

  async show({ isFirst = false } = {}) {
    const { name, path } = pageOf(location.hash);
    if (name === "sign-in") return this.signIn(path);
    if (!session.me && !(name === "account/close" || (name === "speak" && this.door.isExpected))) return undefined;
    const turn = (this.turn = {});
    const module = name === "speak" ? await PAGES.speak() : await loaded(PAGES[name]);
    if (!module || turn !== this.turn) return undefined;
    this.page?.leave();
    this.trouble = null;
    this.name = name;
    this.hash = location.hash;
    this.page = new module.default(path);
    this.page.mount(this.place.querySelector("#page"));
    entitle(this.page.title());
    this.draw();
    // Of links and tabs that do not fit, the one of this page is in sight.
    for (const link of this.place.querySelectorAll("nav [aria-current]")) link.scrollIntoView({ block: "nearest", inline: "center" });
    if (isFirst) return undefined;
    scrollTo(0, 0);
    this.place.querySelector("#page h1")?.focus();
    return undefined;
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
    if (this.page) entitle(this.page.title());
  }

  draw() {
    render(this.view(), this.place);
  }

  view() {
    const isEntry = this.door.isAlone && this.name !== "account/close";
    if (isEntry) entitle(this.door.title());
    this.place.classList.toggle("entry", isEntry);
    return html`<button class="skip" @click=${() => this.place.querySelector("#page h1, #door-title")?.focus()}>${t("frame.skip")}</button>
      <header class="rail ${session.me ? "known" : ""}">
        <a class="brand" href=${isEntry ? "#" : "#/speak"} aria-label=${BRAND}>${sign()}<span>${BRAND}</span></a>
        <nav aria-label=${t("frame.pages")} ?hidden=${isEntry}>${LINKS.filter((name) => hasFeature(LOADED[name]) && (name !== "admin" || isAdmin())).map((name) => this.link(name))}</nav>
        ${session.me ? this.purse() : nothing}
        <select class="tongue" aria-label=${t("frame.language")} @change=${(event) => this.speak(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} lang=${tag} ?selected=${tag === language}>${name}</option>`)}
        </select>
      </header>
      <main>
        ${this.trouble ? this.told() : nothing}
        <div id="door"></div>
        <div id="page" ?hidden=${isEntry}></div>
      </main>
      <div id="dock"></div>`;
  }

  link(name) {
    const [first] = this.name.split("/");
    const now = LINKS.includes(this.name) ? this.name : (ABOVE[first] ?? first);
    return html`<a href="#/${name}" aria-current=${name === now ? "page" : nothing}>${icon(name.split("/").at(-1))}${t(`frame.${name}`)}</a>`;
  }

  purse() {
    const { credits, minutes, cycle } = session.me;
    if (credits.available === null) return nothing;
    const text = worth(wholeFromTen(credits.available, Math.floor), minutes);
    return html`<a class="purse num" href="#/usage"><span>${text}</span>${cycle?.end ? html`<span class="more small quiet">${planName(session.me.plan.name)}</span>` : nothing}</a>`;
  }

  told() {
    const isUpdated = this.trouble === "updated";
    return html`<p class="note warn" role="alert">${icon("info")}<span>${isUpdated ? t("frame.updated") : t("failure.unreachable")}</span>
      ${isUpdated ? html`<button @click=${() => location.reload()}>${t("frame.reload")}</button>` : nothing}</p>`;
  }
}

// The console's first step. What was typed before this ran is kept.
await loadTexts();
const early = document.getElementById("early");
draft.text = early.value;
showExample();
const hadFocus = document.activeElement === early;
early.closest("main").remove();
await new Frame().start(document.getElementById("frame"));
if (hadFocus) document.getElementById("speak-input")?.focus();

// A file that misses its field would take the place of the page, and of what was typed in it.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
}
