// The account's credits, read again after whatever changes them, which the frame shows; and the way out.

import { ask, read } from "./api.js";
import { forget, noteSignIn, session, tried } from "./session.js";

export async function refreshAccount() {
  if (!session.me) return;
  const { key } = session;
  const me = await read("v1/me").catch(() => session.me);
  if (session.key !== key || !session.me) return;
  session.me = me;
  document.dispatchEvent(new Event("account"));
}

// Ends the session of this browser. A suspended person may do so, too, of whom no more is known.
export async function signOut() {
  const { data } = await read("v1/me/sessions");
  await ask(`v1/me/sessions/${data.find(({ is_current: isThis }) => isThis).id}`, { method: "DELETE" });
  leave();
}

// Whoever comes next finds nothing of this reader: neither a key nor what was typed, read or heard.
export function leave() {
  if (!session.key) noteSignIn(false);
  forget();
  tried(() => sessionStorage.clear());
  history.replaceState(null, "", location.pathname + location.search);
  location.reload();
}
