// Webhooks: addresses that are told what happens. #/webhooks/ID is one of them: its address and events, its secret, a
// test with the answer, and what was sent to it.

import { note } from "./job_facts.js";
import { ask, Failure, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { secretCard, showSecret } from "../core/secret.js";
import { areaTabs } from "../core/tabs.js";
import { moment, t } from "../core/texts.js";

const USUAL = ["job.done", "job.failed"];
const TEST = "webhook.test";
const LOOKS = { delivered: "good", failed: "bad", waiting: "warn" };

export default function webhooksPage(path) {
  return path[0] ? new WebhookPage(path) : new WebhooksPage(path);
}

class WebhooksPage extends Page {
  webhooks = new Listing(this, "v1/webhook_endpoints");
  types = [];
  events = new Set(USUAL);
  name = "";
  address = "";
  secret = null;

  title() {
    return t("frame.webhooks");
  }

  async open() {
    const [{ data }] = await Promise.all([read("v1/webhook_event_types", { signal: this.signal }), this.webhooks.refresh()]);
    this.set({ types: data });
  }

  make(event) {
    event.preventDefault();
    if (this.isMaking) return undefined;
    this.isMaking = true;
    return this.run("webhook", async () => {
      if (!this.name.trim()) throw new Failure({ message: t("webhooks.no_name"), param: "name" });
      const made = await read("v1/webhook_endpoints", { json: webhookOf(this) });
      Object.assign(this, { name: "", address: "", events: new Set(USUAL) });
      await this.webhooks.refresh();
      showSecret(this, t("webhooks.secret_of", { name: made.name }), made.signing_secret);
    }, ["name", "url", "event_types"]).finally(() => { this.isMaking = false; });
  }

  put() {
    this.set({ secret: null, status: "" });
    this.place.querySelector("#webhook-name").focus();
  }

  view() {
    return html`<section class="view">${this.heading()}${areaTabs("jobs", "webhooks")}
      ${this.statusLine()}${this.alert("page")}
      ${secretCard(this, this.secret, () => this.put())}
      ${this.types.length ? html`${this.form()}${this.list()}` : nothing}
    </section>`;
  }

  form() {
    return html`<form class="card stack" novalidate @submit=${(event) => this.make(event)}><h2>${t("webhooks.new")}</h2>
      <p class="quiet">${t("webhooks.about")}</p>
      ${webhookFields(this)}
      <div class="row"><button class=${this.secret ? "" : "first"} id="webhook-make">${t("webhooks.make")}</button></div>
    </form>`;
  }

  list() {
    const { rows } = this.webhooks;
    if (!rows.length) return html`<div class="card new" id="webhooks-none"><h2>${t("list.empty")}</h2><p class="quiet">${t("webhooks.none")}</p></div>`;
    return html`<section class="card stack" aria-labelledby="webhooks-title"><h2 id="webhooks-title">${this.title()}</h2>
      <ul class="rows" role="list" id="webhooks-list">${repeat(rows, ({ id }) => id, (each) => html`<li class="row apart"><div class="about"><a class="name" href="#/webhooks/${encodeURIComponent(each.id)}">${each.name}</a>
        <span class="quiet small name">${each.url}</span></div>${webhookTag(each)}</li>`)}</ul>
      ${this.webhooks.foot("webhooks")}${this.alert("webhooks")}</section>`;
  }
}

function webhookTag({ is_on: isOn }) {
  return html`<span class="tag ${isOn ? "good" : "warn"}">${t(isOn ? "webhooks.on" : "webhooks.off")}</span>`;
}

// What a page asks of a webhook: its `name`, its `address`, and the set of `events`, of which there are `types`.
function webhookFields(page) {
  const change = (type) => (event) => {
    if (event.target.checked) page.events.add(type);
    else page.events.delete(type);
    page.mended("webhook", "event_types");
  };
  return html`<div class="two">
      ${page.input("webhook", "name", t("word.name"), { value: page.name, max: 100, change: (name) => { page.name = name; } })}
      ${page.input("webhook", "url", t("webhooks.url"), { type: "url", value: page.address, max: 2000, placeholder: "https://…", change: (address) => { page.address = address; } })}
    </div>
    <fieldset id="webhook-event_types" tabindex="-1"><legend>${t("webhooks.events")}</legend>
      <div class="grid events">${page.types.filter((type) => type !== TEST).map((type) => html`<label class="tick"><input type="checkbox" value=${type} .checked=${page.events.has(type)} @change=${change(type)}><code>${type}</code></label>`)}</div>
      ${page.alert("webhook", "event_types")}</fieldset>
    ${page.alert("webhook")}`;
}

function webhookOf({ name, address, events }) {
  return { name: name.trim(), url: address.trim(), event_types: [...events] };
}

class WebhookPage extends Page {
  webhook = null;
  types = [];
  events = new Set();
  secret = null;
  answer = null;
  tested = TEST;

  constructor(path) {
    super(path);
    [this.id] = path;
    this.deliveries = new Listing(this, `${this.url}/deliveries`);
  }

  get url() {
    return `v1/webhook_endpoints/${encodeURIComponent(this.id)}`;
  }

  title() {
    return this.webhook?.name ?? t("frame.webhooks");
  }

  async open() {
    const [webhook, { data }] = await Promise.all([read(this.url, { signal: this.signal }), read("v1/webhook_event_types"), this.deliveries.refresh()]);
    this.types = data;
    this.show(webhook);
  }

  show(webhook) {
    this.set({ webhook, name: webhook.name, address: webhook.url, events: new Set(webhook.event_types) });
    document.title = `${this.title()} · voxgate`;
  }

  change(json, form = "webhook") {
    return this.run(form, async () => {
      this.show(await read(this.url, { json }));
      this.say(t("word.done"));
    }, ["name", "url", "event_types"]);
  }

  save(event) {
    event.preventDefault();
    return this.change(webhookOf(this));
  }

  async renew() {
    const question = { title: t("webhooks.renew"), text: t("webhooks.renew_text"), no: t("word.no"), yes: t("webhooks.renew"), check: t("webhooks.keep_old") };
    const agreed = await agrees(question);
    if (!agreed) return;
    await this.run("about", async () => {
      const { signing_secret: secret, ...webhook } = await read(`${this.url}/rotate_secret`, { json: { keep_old_secret_active_for_24_hours: agreed.isChecked } });
      this.show(webhook);
      showSecret(this, t("webhooks.secret_of", { name: webhook.name }), secret);
    });
  }

  test(event) {
    event.preventDefault();
    this.set({ answer: null, status: t("webhooks.testing") });
    return this.run("test", async () => {
      const answer = await read(`${this.url}/test`, { json: { event_type: this.tested } });
      this.set({ answer, status: "" });
      await this.deliveries.refresh();
    });
  }

  again({ id }) {
    return this.run("deliveries", async () => {
      this.deliveries.put(id, await read(`v1/webhook_deliveries/${encodeURIComponent(id)}/resend`, { method: "POST" }));
      this.say(t("webhooks.sent_again"));
    });
  }

  async delete() {
    const question = { title: t("voices.delete_title", { name: this.webhook.name }), text: t("webhooks.delete_text"), no: t("word.no"), yes: t("history.delete"), isDanger: true };
    if (!(await agrees(question))) return;
    await this.run("about", async () => {
      await ask(this.url, { method: "DELETE" });
      location.hash = "#/webhooks";
    });
  }

  view() {
    return html`<section class="view">${this.heading(html`<a class="button plain" href="#/webhooks">← ${t("frame.webhooks")}</a>`)}
      ${this.alert("page")}${this.statusLine()}
      ${secretCard(this, this.secret, () => { this.set({ secret: null }); this.place.querySelector("#webhook-renew").focus(); })}
      ${this.webhook ? html`${this.about()}${this.form()}${this.tester()}${this.sent()}` : nothing}
    </section>`;
  }

  about() {
    const { is_on: isOn, off_reason: why, signing_secret_hint: hint } = this.webhook;
    return html`<div class="card stack" id="webhook-about">
      <div class="row">${webhookTag(this.webhook)}<span class="quiet">${t("webhooks.hint", { hint })}</span></div>
      ${why ? note(html`<span lang="en">${why}</span>`) : nothing}
      <div class="row"><button id="webhook-switch" @click=${() => this.change({ is_on: !isOn }, "about")}>${t(isOn ? "webhooks.turn_off" : "webhooks.turn_on")}</button>
        <button id="webhook-renew" @click=${() => this.renew()}>${t("webhooks.renew")}</button>
        <button class="danger" id="webhook-delete" @click=${() => this.delete()}>${icon("trash")} ${t("history.delete")}</button></div>
      ${this.alert("about")}</div>`;
  }

  form() {
    return html`<form class="card stack" novalidate @submit=${(event) => this.save(event)}>
      ${webhookFields(this)}
      <div class="row"><button class="first" id="webhook-save">${t("settings.save")}</button></div>
    </form>`;
  }

  tester() {
    const { answer } = this;
    const told = answer && note(t(answer.success ? "webhooks.took" : "webhooks.refused", { status: answer.status_code }), answer.success ? "good" : "bad", "test-answer");
    return html`<form class="card stack" @submit=${(event) => this.test(event)}><h2>${t("webhooks.test")}</h2>
      <div class="row">${this.choice("test", "event", t("webhooks.event"), { value: this.tested, options: this.types.map((type) => [type, type]), change: (tested) => { this.tested = tested; } })}
        <button id="test-go">${t("webhooks.test_go")}</button></div>
      <div role="status">${told || nothing}</div>${this.alert("test")}</form>`;
  }

  sent() {
    const { rows } = this.deliveries;
    return html`<section class="card stack" aria-labelledby="sent-title"><div class="row apart"><h2 id="sent-title">${t("webhooks.sent")}</h2>
        <button class="plain" id="sent-look" @click=${() => this.run("deliveries", () => this.deliveries.refresh())}>${icon("again")} ${t("webhooks.look")}</button></div>
      ${rows.length ? html`<div class="scroll"><table class="fold" id="sent-list"><thead><tr><th>${t("webhooks.event")}</th><th>${t("webhooks.when")}</th><th>${t("webhooks.answer")}</th><th>${t("jobs.state")}</th><th><span class="skip">${t("webhooks.again")}</span></th></tr></thead>
        <tbody>${repeat(rows, ({ id }) => id, (each) => this.delivery(each))}</tbody></table></div>` : nothing}
      ${this.deliveries.foot("deliveries")}${this.alert("deliveries")}</section>`;
  }

  delivery(each) {
    const { event_type: type, state, status_code: status, error, created_at: created, next_try_at: next } = each;
    const tag = html`<span class="tag ${LOOKS[state]}">${t(`webhooks.state.${state}`)}</span>`;
    return html`<tr><td><code>${type}</code></td><td class="num small">${moment(created)}</td>
      <td class="small">${status ?? ""} ${error ? html`<span lang="en">${error}</span>` : nothing}</td>
      <td>${tag}${next ? html` <span class="quiet small num">${t("webhooks.next", { time: moment(next) })}</span>` : nothing}</td>
      <td class="end">${state === "waiting" ? nothing : html`<button class="plain" aria-label="${t("webhooks.again")}: ${type}, ${moment(created)}" @click=${() => this.again(each)}>${t("webhooks.again")}</button>`}</td></tr>`;
  }
}
