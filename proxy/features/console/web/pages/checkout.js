// What the pages that buy share: the way to the provider's checkout, and the state of an order.

import { agrees } from "../core/dialogs.js";
import { html, nothing } from "../core/lit.js";
import { t } from "../core/texts.js";

export const PROVIDERS = { mercadopago: "Mercado Pago", stripe: "Stripe" };
const LOOKS = { open: "warn", paid: "good", partly_refunded: "warn", refunded: "", disputed: "bad", expired: "" };

export function stateTag({ state }) {
  return html`<span class="tag ${LOOKS[state] ?? ""}">${t(`order.state.${state}`)}</span>`;
}

// An address comes from a provider. Only one of the web is followed.
export function checkoutOf({ url }) {
  return /^https?:\/\//.test(url ?? "") ? url : "";
}

// What paying changes is read before one pays.
export function warningsOf({ warnings }) {
  return warnings.length ? html`<ul>${warnings.map((warning) => html`<li lang="en">${warning}</li>`)}</ul>` : nothing;
}

// Leads to the checkout. Tells whether the browser is on its way.
export async function pay(order) {
  const question = { title: t("order.before"), text: warningsOf(order), no: t("word.no"), yes: t("order.pay") };
  const address = checkoutOf(order);
  if (!address || (order.warnings.length && !(await agrees(question)))) return false;
  location.href = address;
  return true;
}
