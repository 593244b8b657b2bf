// Decides before the first paint who opens the page: a visitor sees the front, and everyone else the console.
// Without a front there is the console alone.

(() => {
  const root = document.documentElement;
  const folder = new URL(".", document.currentScript.src);
  const MODULES = [];
  const { title } = document;
  const loaded = new Set();

  // A browser may forbid to keep anything. Then only the address tells.
  function kept(storage, name) {
    try {
      return Boolean(window[storage].getItem(name));
    } catch {
      return false;
    }
  }

  const isReader = () => /^#(key=|job_)/.test(location.hash) || kept("sessionStorage", "voxgate-key") || kept("localStorage", "voxgate-signed-in");
  const isConsole = () => !root.classList.contains("has-front") || /^#(\/|sign_in=)/.test(location.hash) || isReader();

  // They are fetched at once, and run when the whole page is there.
  function load(script, modules) {
    if (loaded.has(script)) return;
    loaded.add(script);
    for (const name of modules) document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: new URL(name, folder) }));
    const start = () => import(new URL(script, folder));
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
    else start();
  }

  // Where nothing is kept, a reader is known by what the console shows of their account.
  function show() {
    const is = isConsole() || document.querySelector(".purse") !== null;
    root.classList.toggle("console", is);
    root.classList.toggle("reader", isReader());
    if (is) return load("core/frame.js", MODULES);
    document.title = title;
    return load("front.js", ["front.js"]);
  }

  // A key that is pasted on the front is kept as that of the console is, so that it is in no address.
  addEventListener("submit", (event) => {
    if (event.target.id !== "key-form") return;
    event.preventDefault();
    const key = event.target.elements.key.value.trim();
    if (!key) return;
    try {
      sessionStorage.setItem("voxgate-key", key);
      location.hash = "#/speak";
    } catch {
      location.hash = `#key=${encodeURIComponent(key)}`;
    }
  });
  // Who presses play before the front's script is there is heard once it is.
  addEventListener("click", ({ target }) => (root.pressed = target.closest("[data-sound]")), true);
  addEventListener("hashchange", show);
  show();
})();
