// The door: a key, or a mail with a code, or the link of a mail. It stands above the page until one is good.

import { Failure, read, whenUnknown } from "./api.js";
import { forgetCatalogue } from "./catalogue.js";
import { agrees } from "./dialogs.js";
import { html, nothing } from "./lit.js";
import { icon, Page } from "./page.js";
import { isPerson, keepKey, session, takeFragment, takeKeptKey } from "./session.js";
import { language, t } from "./texts.js";

const SIGNED_IN = "voxgate-signed-in";

function noteSignIn(is) {
  try {
    if (is) localStorage.setItem(SIGNED_IN, "yes");
    else localStorage.removeItem(SIGNED_IN);
  } catch {
    // Then a reload asks for a mail again.
  }
}

function hasSignedIn() {
  try {
    return localStorage.getItem(SIGNED_IN) !== null;
  } catch {
    return false;
  }
}

export class Door extends Page {
  // `onEnter` is called when it is known who the reader is, or who another reader is.
  constructor(onEnter) {
    super([]);
    this.onEnter = onEnter;
    this.typed = "";
    this.address = "";
    this.code = "";
    // The request that a mail answers: its id, and the token if a link was opened.
    this.signIn = null;
    this.isOpen = false;
    whenUnknown((failure) => this.ask(failure));
  }

  title() {
    return t("door.title");
  }

  async start() {
    const linked = takeFragment("key");
    this.takeLink();
    takeKeptKey();
    session.server = await read("v1").catch(() => session.server);
    if (session.key) await this.enter();
    else if (session.server.sign_in !== "closed" && hasSignedIn() && !this.signIn) await this.enter();
    else this.set({ isOpen: true });
    await this.offer(linked);
  }

  // A link with a key, or of a mail, may be opened where the page already is. Tells whether it was one.
  async take() {
    if (this.takeLink()) return true;
    const linked = takeFragment("key");
    if (linked) await this.offer(linked);
    return Boolean(linked);
  }

  takeLink() {
    const link = /^([^.]+)\.(.+)$/.exec(takeFragment("sign_in"));
    if (link) this.set({ signIn: { id: link[1], token: link[2] }, isOpen: true });
    return link !== null;
  }

  // A link must not have its reader type into the account of a stranger: another key is asked about.
  async offer(linked) {
    if (!linked || linked === session.key) return;
    const question = { title: t("door.another"), text: t("door.another_text"), no: t("door.keep_mine"), yes: t("door.use_link") };
    if (session.me && !(await agrees(question))) return;
    session.linkedKey = linked;
    await this.useKey(linked);
  }

  async useKey(key) {
    session.key = key;
    if (key !== session.linkedKey) session.linkedKey = "";
    await this.enter();
  }

  // Learns who this is. A failure is told at the door.
  async enter() {
    forgetCatalogue();
    try {
      session.me = await read("v1/me");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (failure.status !== 401) this.tell("door", failure);
      this.set({ isOpen: true });
      return;
    }
    keepKey();
    noteSignIn(isPerson());
    this.set({ isOpen: false, typed: "", code: "", signIn: null, problem: null });
    this.onEnter();
  }

  // The server knows the key or the session no more, or wants a fresh sign-in. What was typed stays.
  ask(failure) {
    if (this.isOpen) return;
    session.me = session.key ? null : session.me;
    this.set({ isOpen: true });
    this.tell("door", failure, []);
    this.place.scrollIntoView({ block: "nearest" });
  }

  leaveAccount() {
    Object.assign(session, { key: "", linkedKey: "", me: null });
    keepKey();
    noteSignIn(false);
    forgetCatalogue();
    this.set({ isOpen: true, signIn: null });
  }

  view() {
    if (!this.isOpen) return nothing;
    const isMail = session.server.sign_in === "mail";
    return html`<section class="card stack" id="door-card" aria-label=${t("door.title")}>
      ${this.signIn?.token ? this.linkForm() : nothing}
      ${isMail && !this.signIn?.token ? this.mailForm() : nothing}
      ${this.keyForm()}
      ${this.alert("door")}
      ${this.isPlain() ? html`<p class="note warn">${icon("info")}<span>${t("door.https")}</span></p>` : nothing}
    </section>`;
  }

  // A browser sends the cookie of a session over HTTPS alone, or to this machine.
  isPlain() {
    return session.server.sign_in !== "closed" && !isSecureContext;
  }

  linkForm() {
    return html`<form class="stack" @submit=${(event) => this.confirm(event, { token: this.signIn.token })}>
      <p>${t("door.press")}</p>
      <div class="row"><button class="first" id="door-spend">${t("door.sign_in")}</button></div>
    </form>`;
  }

  mailForm() {
    if (this.signIn) {
      return html`<form class="stack" novalidate @submit=${(event) => this.confirm(event, { code: this.code })}>
        <p>${t("door.sent")}</p>
        ${this.input("door", "code", t("door.code"), { value: this.code, max: 20, change: (code) => { this.code = code; } })}
        <div class="row"><button class="first" id="door-confirm">${t("door.sign_in")}</button>
          <button class="plain" type="button" @click=${() => this.set({ signIn: null })}>${t("door.again")}</button></div>
      </form>`;
    }
    const change = (address) => { this.address = address; };
    return html`<form class="stack" novalidate @submit=${(event) => this.send(event)}>
      ${this.input("door", "address", t("door.address"), { type: "email", value: this.address, max: 254, change })}
      <div class="row"><button class="first" id="door-send">${t("door.send")}</button></div>
    </form>`;
  }

  keyForm() {
    const hint = t("door.hint");
    const change = (typed) => { this.typed = typed; };
    return html`<form class="stack" novalidate @submit=${(event) => this.submit(event)}>
      ${this.input("door", "key", t("door.key"), { type: "password", value: this.typed, placeholder: "sk-vg-…", hint, change })}
      <div class="row"><button id="door-open">${t("door.open")}</button></div>
    </form>`;
  }

  submit(event) {
    event.preventDefault();
    const key = this.typed.trim();
    return this.run("door", async () => {
      if (!key) throw new Failure({ message: t("door.missing"), param: "key" });
      await this.useKey(key);
      if (this.isOpen && !this.problem) throw new Failure({ message: t("door.wrong"), code: "invalid_api_key", param: "key" });
    }, ["key"]);
  }

  send(event) {
    event.preventDefault();
    return this.run("door", async () => {
      const headers = { "Accept-Language": language };
      this.set({ signIn: await read("v1/sign-ins", { json: { address: this.address.trim() }, headers }) });
    }, ["address"]);
  }

  confirm(event, proof) {
    event.preventDefault();
    return this.run("door", async () => {
      Object.assign(session, { key: "", linkedKey: "" });
      await read(`v1/sign-ins/${encodeURIComponent(this.signIn.id)}/confirm`, { json: proof });
      await this.enter();
    }, ["code"]);
  }
}

// A recording in the account of a stranger is the stranger's, so the key of a link needs a question.
export async function mayUpload() {
  if (!session.linkedKey || session.key !== session.linkedKey) return true;
  const title = t("upload.title", { name: session.me.account.name });
  if (!(await agrees({ title, text: t("upload.text"), no: t("upload.no"), yes: t("upload.yes") }))) return false;
  session.linkedKey = "";
  keepKey();
  return true;
}

