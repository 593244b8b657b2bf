// What was chosen and typed on the forms of jobs, kept in the tab, so that a reload of the page loses nothing of it.

import { session, tried } from "../core/session.js";

const PREFIX = "voxgate-form-";

export function keep(name, value) {
  tried(() => sessionStorage.setItem(PREFIX + name, JSON.stringify({ of: session.me.account.id, value })));
}

// What was kept under the name by the same reader, or null.
export function kept(name) {
  const found = tried(() => JSON.parse(sessionStorage.getItem(PREFIX + name)));
  return found && found.of === session.me?.account.id ? found.value : null;
}

export function drop(name) {
  tried(() => sessionStorage.removeItem(PREFIX + name));
}

function dropAll() {
  tried(() => Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX)).forEach((key) => sessionStorage.removeItem(key)));
}
document.addEventListener("reader", dropAll);
