"use strict";
const language = [...navigator.languages, "en"].map((tag) => tag.slice(0, 2)).find((tag) => tag in TEXTS);
const texts = TEXTS[language];
const element = (id) => document.getElementById(id);
document.documentElement.lang = language === "pt" ? "pt-BR" : language;
document.title = texts.title;
for (const each of document.querySelectorAll("[data-text]")) each.textContent = texts[each.dataset.text];

let signIn = "";

function show(id) {
  for (const each of ["ask", "enter", "link"]) element(each).hidden = each !== id;
}

async function post(path, body) {
  element("result").textContent = "";
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "accept-language": document.documentElement.lang },
      body: JSON.stringify(body),
    });
    const content = await answer.json();
    if (answer.ok) return content;
    const code = content.error.code;
    element("result").textContent = texts[code] || content.error.message;
  } catch {
    element("result").textContent = texts.offline;
  }
  return null;
}

async function confirmSignIn(proof) {
  const session = await post(`/v1/sign-ins/${encodeURIComponent(signIn)}/confirm`, proof);
  if (session === null) return;
  show("");
  element("result").textContent = `${texts.done} ${session.address}`;
}

element("send").onclick = async () => {
  const asked = await post("/v1/sign-ins", { address: element("address").value.trim() });
  if (asked === null) return;
  signIn = asked.id;
  show("enter");
  element("code").focus();
};
element("confirm").onclick = () => confirmSignIn({ code: element("code").value });

// Mail scanners open links, so a link does nothing until its button is pressed. The secret leaves the history.
function takeLink() {
  const found = /^#sign_in=([^.]+)\.(.+)$/.exec(location.hash);
  history.replaceState(null, "", location.pathname);
  if (found === null) return false;
  signIn = found[1];
  show("link");
  element("spend").onclick = () => confirmSignIn({ token: found[2] });
  return true;
}

if (!takeLink()) show("ask");
// A link that is pasted into this page loads no new one.
addEventListener("hashchange", takeLink);
