// What the pages that buy share: the way to the provider's checkout, and the state of an order.

import { agrees } from "../core/dialogs.js";
import { html, nothing } from "../core/lit.js";
import { session } from "../core/session.js";
import { fullDay, minutes, planName, t, worth } from "../core/texts.js";

export const PROVIDERS = { mercadopago: "Mercado Pago", stripe: "Stripe" };
const MOST_NAMED = 5;
const LOOKS = { open: "warn", paid: "good", partly_refunded: "warn", refunded: "", disputed: "bad", expired: "" };

// A cancelled order has expired, and one that was paid all the same is paid.
export function stateOf({ state, cancelled }) {
  return state === "expired" && cancelled ? "cancelled" : state;
}

export function stateTag(order) {
  return html`<span class="tag ${LOOKS[order.state] ?? ""}">${t(`order.state.${stateOf(order)}`)}</span>`;
}

// What credits are worth to the reader in minutes, if that can be said.
export function ownMinutes(credits) {
  if (!session.me) return null;
  const { plan, credits: { allowance, available }, minutes: left } = session.me;
  const [of, all] = plan.minutes?.number ? [plan.minutes, allowance] : [left, available];
  return of?.number && all ? { ...of, number: Math.round((of.number * credits * 100) / all) / 100 } : null;
}

// Minutes first, and the credits behind them, if those are another number.
export function bothOf(credits, of = ownMinutes(credits)) {
  return [of ? minutes(of) : "", of?.number === credits ? "" : t("frame.credits", { n: credits })].filter(Boolean).join(" · ");
}

export function titleOf({ kind, offer, credits }) {
  return kind === "plan" ? t("order.plan", { plan: planName(offer) }) : worth(credits, ownMinutes(credits));
}

// What was got for the money, and until when.
export function gotOf({ kind, offer, credits, month }) {
  if (kind === "pack") return t("order.got.pack", { got: bothOf(credits) });
  if (!month) return t("order.got.credits");
  const days = { plan: planName(offer), start: fullDay(month.starts), day: fullDay(month.ends) };
  const isLater = new Date(month.starts) > Date.now();
  return t(isLater ? "order.got.later" : "order.got.month", days);
}

// An address comes from a provider. Only one of the web is followed.
export function checkoutOf({ url }) {
  return /^https?:\/\//.test(url ?? "") ? url : "";
}

// What paying changes is read before one pays.
export function changesOf({ ends, silenced }) {
  const rest = ends && t(ends.credits ? "order.ends" : "order.ends_empty", { plan: planName(ends.plan), rest: worth(ends.credits, ends.minutes) });
  const names = [...silenced.slice(0, MOST_NAMED), ...(silenced.length > MOST_NAMED ? [`+${silenced.length - MOST_NAMED}`] : [])].join(", ");
  const lines = [rest, names && t("order.silenced", { names })].filter(Boolean);
  return lines.length ? html`<ul>${lines.map((line) => html`<li class="name">${line}</li>`)}</ul>` : nothing;
}

// Leads to the checkout. Tells whether the browser is on its way.
export async function pay(order) {
  const question = { title: t("order.before"), text: changesOf(order), no: t("word.no"), yes: t("order.pay") };
  const address = checkoutOf(order);
  if (!address || ((order.ends || order.silenced.length) && !(await agrees(question)))) return false;
  location.href = address;
  return true;
}
