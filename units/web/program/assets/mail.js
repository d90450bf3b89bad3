// Makes the mail pages lively. They work without it: every step here is a link or a form that a page has anyway.
const policy = window.trustedTypes
  ? trustedTypes.createPolicy("mk", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const root = document.querySelector(".mail");
const pane = document.getElementById("pane");
const typing = "input:not([type=checkbox]), textarea, select, [contenteditable]";
let waiting = null;
let sure = 0;
let shown = location.search;

/** What the address bar says from now on, and the page shows. */
function remember(how, address) {
  history[how](null, "", address);
  shown = location.search;
}

/** Fetches a part of a page of our own, which the server has escaped. */
async function part(address, name, options = {}) {
  let signal;
  if (!options.method) {
    // The page that was asked for last is the one that is wanted; what a form does is never given up.
    waiting?.abort();
    waiting = new AbortController();
    signal = waiting.signal;
  }
  const headers = { "x-part": name, accept: "text/html" };
  const answer = await fetch(address, { ...options, headers: { ...headers, ...options.headers }, signal });
  if (answer.status === 401) location.reload();
  if (!answer.ok || !answer.headers.get("content-type")?.startsWith("text/html")) throw new Error(answer.status);
  return { text: await answer.text(), url: answer.url };
}

// "en" alone would write times as Americans do; the browser knows which English, or German, its user reads.
const own = document.documentElement.lang;
const locale = navigator.languages.find((tag) => tag.split("-")[0] === own) ?? own;

function localTimes(within) {
  for (const time of within.querySelectorAll("time:not([data-local])")) {
    const date = new Date(time.dateTime);
    const today = new Date().toDateString() === date.toDateString();
    const short = today ? { timeStyle: "short" } : { dateStyle: "short" };
    const how = "short" in time.dataset ? short : { dateStyle: "medium", timeStyle: "short" };
    time.textContent = new Intl.DateTimeFormat(locale, how).format(date);
    time.dataset.local = "";
  }
}

function putList(text) {
  const holder = document.createElement("template");
  holder.innerHTML = policy.createHTML(text);
  const made = holder.content.firstElementChild;
  const scroll = document.getElementById("list").scrollTop;
  const closed = !document.querySelector("#folders details").open;
  for (const id of ["folders", "list"]) document.getElementById(id).replaceWith(made.querySelector("#" + id));
  if (closed) document.querySelector("#folders details").open = false;
  document.getElementById("list").scrollTop = scroll;
  document.title = made.dataset.title + " · Mailkiln";
  markOpen();
  localTimes(document);
}

function markOpen() {
  const open = new URLSearchParams(location.search).get("m");
  for (const link of document.querySelectorAll("[data-open-message]")) {
    const own = new URL(link.href).searchParams.get("m");
    if (own === open) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  root.toggleAttribute("data-open", open !== null);
}

async function showList(address, push) {
  try {
    const { text, url } = await part(address, "list");
    if (push) remember("pushState", url);
    putList(text);
    document.getElementById("list").scrollTop = 0;
    document.getElementById("list-title").focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

async function showMessage(address, push) {
  try {
    const { text } = await part(address, "pane");
    if (push) remember("pushState", address);
    pane.innerHTML = policy.createHTML(text);
    pane.scrollTop = 0;
    markOpen();
    localTimes(pane);
    const row = document.querySelector("[data-open-message][aria-current]")?.closest(".row");
    row?.classList.remove("unread");
    if (row) at(row);
    pane.focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

function close(push) {
  const address = new URL(location.href);
  address.searchParams.delete("m");
  if (push) remember("pushState", address);
  pane.replaceChildren();
  markOpen();
  current()?.querySelector("a").focus();
}

const rows = () => [...document.querySelectorAll(".row")];
const current = () => document.querySelector(".row.at");
function at(row) {
  current()?.classList.remove("at");
  row?.classList.add("at");
  row?.scrollIntoView({ block: "nearest" });
}
function step(by) {
  const all = rows();
  const index = all.indexOf(current());
  const next = all[index < 0 ? 0 : index + by];
  if (!next) return;
  at(next);
  next.querySelector("a").focus({ preventScroll: true });
  if (root.hasAttribute("data-open")) showMessage(next.querySelector("a").href, true);
}

/** Sends a form by itself; the rows it moves go at once and come back if the server refuses. */
async function send(form, button) {
  const fields = new FormData(form);
  if (button?.name) fields.set(button.name, button.value);
  const gone = ["trash", "archive", "junk", "not-junk", "destroy", "move"].includes(fields.get("do"));
  const chosen = fields.getAll("u");
  const going = gone ? rows().filter((row) => chosen.includes(row.dataset.uid)) : [];
  const next = going.length ? rows()[rows().indexOf(going.at(-1)) + 1] : null;
  for (const row of going) row.classList.add("going");
  const keep = new URLSearchParams(location.search).get("m");
  try {
    const body = new URLSearchParams(fields);
    const { text, url } = await part(form.action, "list", { method: "POST", body });
    const nextUid = next?.dataset.uid;
    const address = new URL(url);
    const stays = keep && !(gone && chosen.includes(keep));
    if (stays && !chosen.includes(keep)) address.searchParams.set("m", keep);
    remember("replaceState", address);
    if (!address.searchParams.has("m")) pane.replaceChildren();
    putList(text);
    at(rows().find((row) => row.dataset.uid === nextUid) ?? rows()[0]);
  } catch {
    for (const row of going) row.classList.remove("going");
    HTMLFormElement.prototype.submit.call(withButton(form, button));
  }
}

function withButton(form, button) {
  if (button?.name) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value });
    form.append(field);
  }
  return form;
}

/** What a key does is what a button does: with ticked rows, with the open message, or with the row that the keys are at. */
function act(name) {
  const form = document.getElementById("rows-form");
  const ticked = form.querySelector("[name=u]:checked, [name=all]:checked");
  const open = pane.querySelector(`form.tools button[value="${name}"]`);
  if (!ticked && open) return send(open.form, open);
  if (!ticked) {
    const row = current();
    if (!row) return;
    row.querySelector("[name=u]").checked = true;
  }
  const button = form.querySelector(`button[value="${name}"]`);
  if (button) send(form, button);
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  o: () => current() && showMessage(current().querySelector("a").href, true),
  u: () => root.hasAttribute("data-open") && close(true),
  x: () => current()?.querySelector("[name=u]").click(),
  e: () => act("archive"),
  "#": () => act("trash"),
  "!": () => act("junk"),
  s: () => act("flag"),
  i: () => act("read"),
  m: () => act("unread"),
  z: () => document.querySelector("[data-undo]")?.click(),
  r: () => pane.querySelector("[data-reply]")?.click(),
  a: () => pane.querySelector("[data-reply-all]")?.click(),
  f: () => pane.querySelector("[data-forward]")?.click(),
  c: () => location.assign("/compose"),
  "/": () => document.getElementById("find").focus(),
  "?": () => location.assign("/mail/keys"),
};

function live() {
  const events = new EventSource("/mail/events");
  const again = () => {
    clearTimeout(sure);
    sure = setTimeout(() => {
      const list = document.getElementById("list");
      const busy = list.querySelector("[name=u]:checked") || document.activeElement?.matches(typing);
      if ("first" in list.dataset && !busy && !document.hidden) refresh();
    }, 400);
  };
  events.onmessage = ({ data }) => {
    const { folder, unseen } = JSON.parse(data);
    for (const link of document.querySelectorAll("[data-folder]")) {
      if (link.dataset.folder !== folder) continue;
      link.querySelector("[data-count]").textContent = unseen ? unseen : "";
      if (link.hasAttribute("aria-current")) again();
    }
  };
  events.addEventListener("missed", again);
  addEventListener("pagehide", () => events.close(), { once: true });
}

async function refresh() {
  try {
    const answer = await fetch(document.getElementById("list").dataset.place, { headers: { "x-part": "list", accept: "text/html" } });
    if (!answer.ok) return;
    const text = await answer.text();
    const key = current()?.dataset.uid;
    const focused = document.activeElement?.closest(".row")?.dataset.uid;
    const row = (uid) => uid && rows().find((one) => one.dataset.uid === uid);
    putList(text);
    at(row(key));
    row(focused)?.querySelector("a").focus({ preventScroll: true });
  } catch { /* The next piece of news tries again. */ }
}

if (root) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
    const address = new URL(link.href);
    if (address.origin !== location.origin || address.pathname !== "/mail") return;
    // An anchor on this page, such as the link over all navigation, is the browser's.
    if (address.hash && address.search === location.search) return;
    event.preventDefault();
    if (link.dataset.close !== undefined) close(true);
    else if (address.searchParams.has("m")) showMessage(link.href, true);
    else {
      pane.replaceChildren();
      showList(link.href, true);
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "post" && new URL(form.action).pathname.startsWith("/mail/") && form.closest(".mail")) {
      event.preventDefault();
      send(form, event.submitter);
    } else if (form.matches(".search")) {
      event.preventDefault();
      pane.replaceChildren();
      showList(form.action + "?" + new URLSearchParams(new FormData(form)), true);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches(typing)) return;
    const does = keys[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  document.addEventListener("dragstart", (event) => {
    const row = event.target.closest?.(".row");
    if (!row) return;
    const box = row.querySelector("[name=u]");
    if (!box.checked) for (const other of document.querySelectorAll("[name=u]:checked")) other.checked = false;
    box.checked = true;
    event.dataTransfer.setData("text/x-mailkiln", row.dataset.uid);
    event.dataTransfer.effectAllowed = "move";
  });
  const target = (event) => event.dataTransfer.types.includes("text/x-mailkiln") && event.target.closest?.("[data-folder]");
  document.addEventListener("dragover", (event) => {
    const over = target(event);
    for (const link of document.querySelectorAll(".drop")) link.classList.toggle("drop", link === over);
    if (!over) return;
    event.preventDefault();
    over.classList.add("drop");
  });
  document.addEventListener("drop", (event) => {
    const over = target(event);
    if (!over) return;
    event.preventDefault();
    over.classList.remove("drop");
    const form = document.getElementById("rows-form");
    const to = form.querySelector("[name=to]");
    to.value = over.dataset.folder;
    if (to.value) send(form, form.querySelector("button[value=move]"));
  });
  addEventListener("popstate", async () => {
    // Anchors come by here too.
    if (location.search === shown) return;
    shown = location.search;
    pane.replaceChildren();
    await showList(location.href, false);
    if (new URLSearchParams(location.search).has("m")) showMessage(location.href, false);
  });
  localTimes(document);
  live();
}
