// The frame around every page: the way to the others, the credits left, the door, and the player.

import { Door } from "./door.js";
import { html, nothing, render } from "./lit.js";
import { icon } from "./page.js";
import { player } from "./player.js";
import { isAdmin, session } from "./session.js";
import { chooseLanguage, language, LANGUAGES, t } from "./texts.js";
import SpeakPage from "../pages/speak.js";

const PAGES = {
  speak: async () => ({ default: SpeakPage }),
  voices: () => import("../pages/voices.js"),
  train: () => import("../pages/train.js"),
  marks: () => import("../pages/marks.js"),
  jobs: () => import("../pages/jobs.js"),
  history: () => import("../pages/history.js"),
  usage: () => import("../pages/usage.js"),
  account: () => import("../pages/account.js"),
  orders: () => import("../pages/orders.js"),
  admin: () => import("../pages/admin.js"),
};
const LINKS = ["speak", "voices", "jobs", "history", "account", "admin"];
// Under which link of the frame a page is shown.
const ABOVE = { train: "voices", marks: "voices", usage: "history", orders: "account" };

class Frame {
  constructor() {
    this.page = null;
    this.name = "";
    this.trouble = null;
    this.door = new Door(() => this.entered());
  }

  async start(place) {
    this.place = place;
    this.draw();
    this.door.mount(place.querySelector("#door"));
    player.mount(place.querySelector("#dock"));
    addEventListener("hashchange", () => this.moved());
    document.addEventListener("account", () => this.draw());
    // The door takes a key or a link out of the address before anything else reads it.
    session.ready = this.door.start();
    await this.show({ isFirst: true });
  }

  async moved() {
    if (!(await this.door.take())) await this.show();
  }

  // Another reader, or the first: every page reads what it shows anew. What is typed on Speak stays.
  async entered() {
    this.draw();
    if (this.page instanceof SpeakPage && this.wanted.name === "speak") await this.page.run("page", () => this.page.open());
    else await this.show({ isFirst: true });
  }

  // The page of the address, and the parts behind its name.
  get wanted() {
    const [name, ...path] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    return { name: Object.hasOwn(PAGES, name) ? name : "speak", path };
  }

  async show({ isFirst = false } = {}) {
    const { name, path } = this.wanted;
    // Without a key there is nothing to show but the field for a text.
    if (!session.me && name !== "speak") return;
    const turn = (this.turn = {});
    const module = await PAGES[name]().catch(() => this.isOutdated());
    if (!module || turn !== this.turn) return;
    this.page?.leave();
    this.name = name;
    this.page = new module.default(path);
    this.page.mount(this.place.querySelector("#page"));
    document.title = `${this.page.title()} · voxgate`;
    this.draw();
    if (isFirst) return;
    scrollTo(0, 0);
    this.place.querySelector("#page h1")?.focus();
  }

  // The file of a page is not there: either the server cannot be reached, or it has files of another version.
  async isOutdated() {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" }, cache: "no-store" }).catch(() => null);
    this.trouble = answer?.ok ? "updated" : "unreachable";
    this.draw();
    return null;
  }

  async speak(tag) {
    await chooseLanguage(tag);
    this.draw();
    this.door.update();
    this.page?.update();
    player.draw();
    document.title = `${this.page.title()} · voxgate`;
  }

  draw() {
    render(this.view(), this.place);
  }

  view() {
    return html`<button class="skip" @click=${() => this.place.querySelector("#page h1")?.focus()}>${t("frame.skip")}</button>
      <header class="rail">
        <a class="brand" href="#/speak"><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="currentColor"></rect><path d="M8 13v6M13 9v14M18 6v20M23 11v10" stroke-width="2.6" stroke-linecap="round"></path></svg>voxgate</a>
        <nav aria-label=${t("frame.pages")}>${LINKS.filter((name) => name !== "admin" || isAdmin()).map((name) => this.link(name))}</nav>
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
    const isNow = name === (ABOVE[this.name] ?? this.name);
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
