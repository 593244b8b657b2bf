// The end of an account. A suspended person may do it as well, of whom the page knows nothing.

import { leave } from "../core/account.js";
import { read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { html } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { t } from "../core/texts.js";

export default class ClosePage extends Page {
  address = "";

  title() {
    return t("door.close_account");
  }

  close(event) {
    event.preventDefault();
    return this.run("close", async () => {
      const address = this.address.trim();
      const question = { title: t("door.close_account"), text: t("close.text"), no: t("word.no"), yes: t("door.close_account"), isDanger: true };
      if (address && !(await agrees(question))) return;
      await read("v1/me/close", { json: { address } });
      leave();
    }, ["address"]);
  }

  view() {
    return html`<section class="view">${this.heading()}
      <form class="card stack" novalidate @submit=${(event) => this.close(event)}>
        <p class="note bad">${icon("info")}<span>${t("close.text")}</span></p>
        ${this.input("close", "address", t("close.address"), { type: "email", value: this.address, max: 254, change: (address) => { this.address = address; } })}
        ${this.alert("close")}
        <div class="row"><button class="danger" id="close-go">${t("door.close_account")}</button><a class="button plain" href="#/account">${t("word.no")}</a></div>
      </form></section>`;
  }
}
