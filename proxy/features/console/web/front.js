// The sounds of the front: one is heard at a time. Nothing is fetched before somebody presses play.

const front = document.querySelector(".front");
const audio = Object.assign(new Audio(), { preload: "none" });
let playing = null;

function look(button, isOn) {
  button.setAttribute("aria-label", isOn ? button.dataset.pause : button.dataset.play);
  button.querySelector("use").setAttribute("href", isOn ? "#i-pause" : "#i-play");
}

function stop() {
  audio.pause();
  if (playing) look(playing, false);
}

function play(button) {
  const isSame = playing === button;
  const wasOn = isSame && !audio.paused;
  stop();
  if (wasOn) return;
  playing = button;
  if (!isSame) audio.src = button.dataset.sound;
  look(button, true);
  audio.play().catch(() => look(button, false));
}

for (const kind of ["ended", "error"]) audio.addEventListener(kind, stop);
audio.addEventListener("timeupdate", () => {
  const bar = playing?.closest(".clip")?.querySelector("progress");
  if (bar && audio.duration) bar.value = audio.currentTime / audio.duration;
});
front.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-sound]");
  if (button) play(button);
});
if (document.documentElement.pressed) play(document.documentElement.pressed);
// Each language has a clip of its own.
front.addEventListener("change", ({ target }) => {
  if (target.name !== "front-clip") return;
  stop();
  for (const clip of front.querySelectorAll(".clip")) clip.hidden = clip.dataset.clip !== target.value;
});
// What is heard stops where the console opens.
addEventListener("hashchange", () => document.documentElement.classList.contains("console") && stop());
