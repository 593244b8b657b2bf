// Who uses the console: a key from a link or from the field, or a person who has signed in.

const KEPT = "voxgate-key";
const LINKED = "voxgate-key-is-linked";
const WANTED = "voxgate-wanted";
const WANTED_MS = 3_600_000;
export const SIGNED_IN = "voxgate-signed-in";

// `me` is the answer of /v1/me, and null until it is known who this is. `server` is the answer of /v1.
// `linkedKey` is the key of a link until its reader has agreed to upload with it. `ready` is over when it is known
// whether the key that is kept, or of the link, is good.
export const session = { key: "", linkedKey: "", me: null, server: { sign_in: "closed" }, ready: null };

// A fragment is sent to nobody, but it is shown, copied and kept, so it goes at once.
export function takeFragment(name) {
  const found = new RegExp(`^#${name}=(.+)$`).exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return tried(() => decodeURIComponent(found[1]).trim(), "");
}

// What a step returns, or something else if it fails: a browser may forbid to keep anything, so that a key and a
// language count until the page is left.
export function tried(step, otherwise = null) {
  try {
    return step();
  } catch {
    return otherwise;
  }
}

export function keepKey() {
  tried(() => {
    sessionStorage.setItem(KEPT, session.key);
    sessionStorage.setItem(LINKED, session.linkedKey);
  });
}

export function takeKeptKey() {
  session.key = tried(() => sessionStorage.getItem(KEPT)) ?? "";
  session.linkedKey = tried(() => sessionStorage.getItem(LINKED)) ?? "";
}

export function forget() {
  Object.assign(session, { key: "", linkedKey: "", me: null });
  keepKey();
}

// A browser that signed in may be signed in still. Other tabs hear of it, so the note is never the same.
export function noteSignIn(isIn) {
  tried(() => (isIn ? localStorage.setItem(SIGNED_IN, String(Date.now())) : localStorage.removeItem(SIGNED_IN)));
}

// Where nothing can be kept, each page asks the server.
export function mayBeSignedIn() {
  return tried(() => localStorage.getItem(SIGNED_IN) !== null, true);
}

export function hasSignedIn() {
  return tried(() => localStorage.getItem(SIGNED_IN) !== null, false);
}

// What somebody chose on the front, kept over the sign-in: its mail may be opened in another tab.
export function wantOffer(kind, name, title) {
  tried(() => localStorage.setItem(WANTED, JSON.stringify({ kind, name, title: title || name, at: Date.now() })));
}

export function wantedOffer() {
  const offer = tried(() => JSON.parse(localStorage.getItem(WANTED)));
  return offer && Date.now() - offer.at < WANTED_MS ? offer : null;
}

export function takeWantedOffer() {
  const offer = wantedOffer();
  tried(() => localStorage.removeItem(WANTED));
  return offer;
}

// The name of the service, for titles and the frame.
export const BRAND = document.querySelector("meta[name=application-name]")?.content ?? "voxgate";

// A session's cookie goes along only where no key does, so a key always decides whose account it is.
export function credentials(key) {
  return key ? { credentials: "omit", headers: { Authorization: `Bearer ${key}` } } : { credentials: "same-origin", headers: {} };
}

// The caller of an operator's session has this role, too.
export function isAdmin() {
  return session.me?.key.role === "admin";
}

// The server is on this machine.
export const isHere = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

// Whether the reader can run a command on the server.
export const isOperator = () => isHere || isAdmin();

// Until it is known what the server has, it has everything.
export function hasFeature(feature) {
  const { features } = session.server;
  return !feature || !features || features.includes(feature);
}

// A person who has signed in, and not a key alone.
export function isPerson() {
  return Boolean(session.me?.user);
}
