// The door: a mail with a code, the link of a mail, or a key. It is a page of its own for somebody who is not known
// yet, and stands above the page of a reader who has to sign in anew, so that what they do stays.

import { signOut } from "./account.js";
import { Failure, read, whenUnknown } from "./api.js";
import { agrees } from "./dialogs.js";
import { html, nothing } from "./lit.js";
import { icon, Page } from "./page.js";
import { forget, isHere, keepKey, mayBeSignedIn, hasSignedIn, noteSignIn, session, SIGNED_IN, takeFragment, takeKeptKey, wantedOffer } from "./session.js";
import { language, t } from "./texts.js";

function isOfSame(one, other) {
  return one.account.id === other.account.id && one.user?.id === other.user?.id && one.key.role === other.key.role;
}

export class Door extends Page {
  // `onEnter` is called when it is known who the reader is. It is told whether that is another one than before.
  // `onChange` is called when the door opens.
  constructor(onEnter, onChange) {
    super([]);
    Object.assign(this, { onEnter, onChange });
    this.typed = "";
    this.address = "";
    this.code = "";
    // The request that a mail answers: its id, and the token if a link was opened.
    this.signIn = null;
    this.isOpen = false;
    // Somebody was known here before, so a page is shown at once.
    this.isExpected = false;
    // The reader whose pages are shown, also while the door is open.
    this.reader = null;
    // The code of the failure that opened the door.
    this.reason = "";
    this.entries = 0;
    // The address of a person who has just signed in: a link may be a stranger's.
    this.greeted = "";
    whenUnknown((failure) => this.ask(failure));
    addEventListener("storage", ({ key, newValue }) => key === SIGNED_IN && newValue && !session.key && this.enter());
  }

  title() {
    return t("door.title");
  }

  async start() {
    const linked = takeFragment("key");
    this.takeLink();
    takeKeptKey();
    this.isExpected = Boolean(linked || session.key || hasSignedIn());
    session.server = await read("v1").catch(() => session.server);
    if (session.key || (session.server.sign_in !== "closed" && mayBeSignedIn())) await this.enter();
    else if (!linked) this.appear();
    await this.offer(linked);
  }

  appear() {
    this.isOpen = true;
    this.draw();
    this.onChange();
    this.focus();
  }

  // Whether it is all that is shown.
  get isAlone() {
    return !this.reader && (this.isOpen || Boolean(this.signIn?.token));
  }

  // A link with a key, or of a mail, may be opened where the page already is. Tells whether it was one.
  async take() {
    this.set({ greeted: "" });
    if (this.takeLink()) return true;
    const linked = takeFragment("key");
    if (linked) await this.offer(linked);
    return Boolean(linked);
  }

  takeLink() {
    const link = /^([^.]+)\.(.+)$/.exec(takeFragment("sign_in"));
    if (link) this.set({ signIn: { id: link[1], token: link[2] }, problem: null });
    return link !== null;
  }

  // A link must not have its reader type into the account of a stranger: another key is asked about.
  async offer(linked) {
    if (!linked || linked === session.key) return;
    const question = { title: t("door.another"), text: t("door.another_text"), no: t("door.keep_mine"), yes: t("door.use_link") };
    if ((session.me || session.key) && !(await agrees(question))) return;
    session.linkedKey = linked;
    await this.useKey(linked);
  }

  async useKey(key) {
    session.key = key;
    if (key !== session.linkedKey) session.linkedKey = "";
    await this.enter();
  }

  // Learns who this is. A failure is told at the door. An answer counts only if nobody has signed in since.
  async enter() {
    const number = ++this.entries;
    this.reason = "";
    let me;
    try {
      me = await read("v1/me");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (!this.reason && number === this.entries) this.ask(failure);
      return;
    }
    if (number !== this.entries) return;
    session.me = me;
    keepKey();
    const isSame = this.reader !== null && isOfSame(this.reader, session.me);
    // What is of the reader before goes: the catalogue, and what was heard and watched.
    if (!isSame) document.dispatchEvent(new Event("reader"));
    this.reader = session.me;
    this.set({ isOpen: false, typed: "", problem: null });
    this.onEnter(isSame);
  }

  // The server knows the key or the session no more, or wants a fresh sign-in. What was typed stays.
  ask(failure) {
    if (this.isOpen && this.reason) return;
    this.reason = failure.code;
    this.isOpen = true;
    if (!this.signIn?.token) this.signIn = null;
    if (this.isAgain) this.set({ problem: null });
    else this.forget(failure);
    this.appear();
    this.place.scrollIntoView({ block: "nearest" });
  }

  forget(failure) {
    let told = failure;
    if (failure.status === 401) {
      // A cookie goes at its end, and then the server misses a key.
      if (!session.key) told = new Failure({ message: failure.message, code: "session_ended" });
      if (!session.key) noteSignIn(false);
      forget();
    }
    session.me = null;
    document.dispatchEvent(new Event("account"));
    this.tell("door", told);
  }

  get isAgain() {
    return this.reason === "sign_in_again";
  }

  // The address of a person who signs in again. Of a suspended one it is not known.
  get known() {
    return (this.isAgain && session.me?.user?.address) || "";
  }

  focus() {
    [...this.place.querySelectorAll("input, .first")].find((each) => each.offsetParent)?.focus();
  }

  view() {
    const isLink = Boolean(this.signIn?.token);
    if (!this.isOpen && !isLink) return this.greeting();
    const title = t(this.isAgain ? "door.again_title" : "door.title");
    return html`<section class="card stack" id="door-card" aria-labelledby="door-title">
      ${this.isAlone ? html`<h1 id="door-title" tabindex="-1">${title}</h1>` : html`<h2 id="door-title">${title}</h2>`}
      ${this.isAlone ? this.wanted() : nothing}
      ${this.isAgain ? html`<p>${t("error.sign_in_again")}</p>` : nothing}
      ${this.alert("door")}
      ${this.reason === "account_suspended" && !session.key ? this.ways() : this.forms(isLink)}
    </section>`;
  }

  // A person whose account is suspended can still go.
  ways() {
    return html`<div class="row"><button id="door-out" @click=${() => this.run("door", signOut)}>${t("door.sign_out")}</button>
      <a class="button plain" href="#/account/close">${t("door.close_account")}</a></div>`;
  }

  // What is bought once one has signed in.
  wanted() {
    const offer = wantedOffer();
    return offer ? html`<p>${t("door.to_buy", { name: offer.title })}</p>` : nothing;
  }

  forms(isLink) {
    const { sign_in: way } = session.server;
    if (way === "closed") return html`<p>${t("door.closed")}</p>${this.ownKey()}`;
    // A browser sends the cookie of a session over HTTPS alone, or to this machine.
    if (!isSecureContext) return html`<p class="note warn">${icon("info")}<span>${t("door.https")}</span></p>${this.ownKey()}`;
    if (isLink) return html`${this.linkForm()}${this.agreed()}`;
    return html`${way === "mail" ? this.mailForm() : html`<p>${t("door.invitation")}</p>`}${this.agreed()}${this.isAgain ? nothing : this.ownKey()}`;
  }

  // What one agrees with by signing in, if the operator says so.
  agreed() {
    const { terms, privacy } = session.server;
    const links = [[terms, t("door.terms")], [privacy, t("door.privacy")]].filter(([address]) => address);
    if (!links.length) return nothing;
    return html`<p class="row small">${links.map(([address, name]) => html`<a href=${address} rel="noreferrer" target="_blank">${name}</a>`)}</p>`;
  }

  // Programs that look through mails open links, so a link does nothing until its button is pressed.
  linkForm() {
    const drop = () => this.set({ signIn: null, problem: null });
    return html`<form class="stack" @submit=${(event) => this.confirm(event, { token: this.signIn.token })}>
      <p>${session.me ? t("door.press_instead", { name: session.me.user?.address ?? session.me.account.name }) : t("door.press")}</p>
      <div class="row"><button class="first" id="door-spend">${t("door.sign_in")}</button>
        <button class="plain" type="button" @click=${drop}>${t("word.no")}</button></div>
    </form>`;
  }

  mailForm() {
    if (this.signIn) {
      const change = (code) => { this.code = code; };
      return html`<form class="stack" novalidate @submit=${(event) => this.confirm(event, { code: this.code })}>
        <p>${t("door.sent")}</p>
        ${this.input("door", "code", t("door.code"), { value: this.code, max: 20, change })}
        <div class="row"><button class="first" id="door-confirm">${t("door.sign_in")}</button>
          <button class="plain" type="button" @click=${() => this.set({ signIn: null, problem: null })}>${t("door.new_mail")}</button></div>
      </form>`;
    }
    const change = (address) => { this.address = address; };
    const field = this.known ? html`<p class="name">${this.known}</p>` : this.input("door", "address", t("door.address"), { type: "email", value: this.address, max: 254, change });
    const stay = () => this.set({ isOpen: false, problem: null });
    return html`<form class="stack" novalidate @submit=${(event) => this.send(event)}>
      ${field}
      <div class="row"><button class="first" id="door-send">${t("door.send")}</button>
        ${this.isAgain ? html`<button class="plain" type="button" @click=${stay}>${t("word.no")}</button>` : nothing}</div>
    </form>`;
  }

  ownKey() {
    const change = (typed) => { this.typed = typed; };
    return html`<details ?open=${session.server.sign_in === "closed" || !isSecureContext}><summary>${t("door.have_key")}</summary>
      <form class="row" novalidate @submit=${(event) => this.submit(event)}>
        ${this.input("door", "key", t("door.key"), { type: "password", value: this.typed, placeholder: "sk-vg-…", change })}
        <button id="door-open">${t("door.open")}</button></form></details>`;
  }

  greeting() {
    if (!this.greeted) return nothing;
    return html`<p class="note good" role="status">${icon("info")}<span>${t("door.signed_in", { name: this.greeted })}</span>
      <button class="round plain" aria-label=${t("door.close")} @click=${() => this.set({ greeted: "" })}>${icon("close")}</button></p>`;
  }

  submit(event) {
    event.preventDefault();
    const key = this.typed.trim();
    return this.run("door", async () => {
      if (!key) throw new Failure({ message: t("door.missing"), param: "key" });
      await this.useKey(key);
      if (this.isOpen && this.reason === "invalid_api_key") throw new Failure({ message: t("error.invalid_api_key"), code: this.reason, param: "key" });
    }, ["key"]);
  }

  send(event) {
    event.preventDefault();
    return this.run("door", async () => {
      const address = this.known || this.address.trim();
      const headers = { "Accept-Language": language };
      this.signIn = await read("v1/sign-ins", { json: { address }, headers, isKeyless: true });
      this.code = "";
      this.draw();
      this.focus();
    }, ["address"]);
  }

  // A key would outweigh the session, so it goes once there is one.
  confirm(event, proof) {
    event.preventDefault();
    return this.run("door", async () => {
      const { address } = await read(`v1/sign-ins/${encodeURIComponent(this.signIn.id)}/confirm`, { json: proof, isKeyless: true });
      Object.assign(session, { key: "", linkedKey: "" });
      noteSignIn(true);
      Object.assign(this, { signIn: null, code: "" });
      await this.enter();
      if (session.me) this.set({ greeted: address });
    }, ["code"]);
  }
}

// A recording in the account of a stranger is the stranger's, so the key of a link needs a question. A server on this
// machine has no strangers.
export const isStrange = () => Boolean(session.linkedKey) && session.key === session.linkedKey && !isHere;
export async function mayUpload() {
  if (!isStrange()) return true;
  const title = t("upload.title", { name: session.me.account.name });
  if (!(await agrees({ title, text: t("upload.text"), no: t("upload.no"), yes: t("upload.yes") }))) return false;
  session.linkedKey = "";
  keepKey();
  return true;
}
