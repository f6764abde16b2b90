
"use strict";
const PAUSE = 10000; // milliseconds
const MANY = 8; // tokens, above which a filter is of use
const one = (selector) => document.querySelector(selector);
const input = one("#filter input");
const chosen = new Set();
let seen = new Date();
let lostSince = null;
let timer = null;

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const items = [...document.querySelectorAll(".token")];
  for (const item of items) {
    const text = item.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word));
    item.hidden = !fits || (chosen.size > 0 && !chosen.has(item.dataset.state));
  }
  one("#filter").hidden = items.length <= MANY && !input.value;
  one("#none").hidden = items.length === 0 || items.some((item) => !item.hidden);
  for (const chip of document.querySelectorAll("#summary button")) {
    chip.setAttribute("aria-pressed", chosen.has(chip.dataset.state));
  }
}

function nameOf(node) {
  return node?.closest?.(".token")?.dataset.name;
}

// Replaces what is live, and keeps what the reader has unfolded, chosen and scrolled to.
function replace(fresh) {
  const open = new Set([...document.querySelectorAll("details[open]")].map(nameOf));
  const focused = nameOf(document.activeElement);
  const state = document.activeElement?.dataset?.state;
  const top = window.scrollY;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (part.innerHTML !== other.innerHTML) part.replaceChildren(...other.childNodes);
  }
  for (const details of document.querySelectorAll("details")) {
    const name = nameOf(details);
    details.open = open.has(name);
    if (name === focused) details.querySelector("summary").focus({ preventScroll: true });
  }
  if (!focused && state) one(`#summary [data-state="${CSS.escape(state)}"]`)?.focus();
  if (document.title !== fresh.title) {
    document.title = fresh.title;
    one("#said").textContent = one("#summary").textContent;
  }
  show();
  window.scrollTo(window.scrollX, top);
}

function tell() {
  const time = (date) => `${date.toISOString().slice(11, 19)} UTC`;
  document.body.classList.toggle("lost", lostSince !== null);
  one("#lost").hidden = lostSince === null;
  if (lostSince) {
    const text = `Connection lost since ${time(lostSince)} – what you see is from ${time(seen)}.`;
    if (one("#lost").textContent !== text) one("#lost").textContent = text;
  }
}

async function refresh() {
  clearTimeout(timer);
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok || !fresh.getElementById("tokens")) throw new Error("no such page any more");
    // To replace what is just being marked would take the mark away.
    if (getSelection().isCollapsed) replace(fresh);
    seen = new Date();
    lostSince = null;
  } catch {
    lostSince ??= new Date();
  }
  tell();
  timer = setTimeout(refresh, PAUSE);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
one("#summary").addEventListener("click", (event) => {
  const state = event.target.closest("button")?.dataset.state;
  if (!state) return;
  if (!chosen.delete(state)) chosen.add(state);
  show();
});
one("#none button").addEventListener("click", () => {
  chosen.clear();
  input.value = "";
  show();
});
input.addEventListener("input", show);
show();
timer = setTimeout(refresh, PAUSE);
