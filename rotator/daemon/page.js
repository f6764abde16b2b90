
"use strict";
const PAUSE = 10000; // milliseconds
const TYPING = 400; // milliseconds after the last key before the server is asked
const MANY = 8; // tokens, above which a filter is of use
const one = (selector) => document.querySelector(selector);
const input = one("#filter input");
const asked = new URLSearchParams(location.search);
const chosen = new Set(asked.getAll("state"));
input.value = asked.get("q") ?? "";
let seen = new Date();
let lostSince = null;
let timer = null;

// Where only a part of the tokens is here, the server searches them all.
const isPart = () => one("#pages").textContent !== "";

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const items = [...document.querySelectorAll(".token")];
  for (const item of items) {
    if (isPart()) continue;
    const text = item.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word));
    item.hidden = !fits || (chosen.size > 0 && !chosen.has(item.dataset.state));
  }
  one("#filter").hidden = !isPart() && items.length <= MANY && !input.value;
  one("#none").hidden = (items.length === 0 && !isPart()) || items.some((item) => !item.hidden);
  for (const chip of document.querySelectorAll("#summary button")) {
    chip.setAttribute("aria-pressed", chosen.has(chip.dataset.state));
  }
}

function change() {
  if (isPart()) {
    const query = new URLSearchParams([...chosen].map((state) => ["state", state]));
    if (input.value.trim()) query.set("q", input.value.trim());
    history.replaceState(null, "", `${location.pathname}?${query}`);
    clearTimeout(timer);
    timer = setTimeout(refresh, TYPING);
  }
  show();
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
  const place = location.href;
  try {
    const answer = await fetch(place, { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok || !fresh.getElementById("tokens")) throw new Error("no such page any more");
    if (place !== location.href) return; // something else was searched for meanwhile
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
  change();
});
one("#none button").addEventListener("click", () => {
  chosen.clear();
  input.value = "";
  change();
});
input.addEventListener("input", change);
show();
timer = setTimeout(refresh, PAUSE);
