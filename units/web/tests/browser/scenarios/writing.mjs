// Formatted text: written, pasted, sent, taken up again; by keys alone; plain without a script. writing_test.py runs one part at a time.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ask, expectDialog, known, origin, signIn } from "../harness.mjs";
import { accessible } from "../rules.mjs";

const PARTS = { pasted, forged, draft, quoted, plain, keys, everybody, images, policy };
/** What a message of formatted text and one image consists of. */
const KINDS = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"];
const HOSTILE = "script, svg, form, style, [onclick], [onerror], [src*=tracker]";
// The policy holds for what DOMPurify has in its hands too, which is no part of the page; chromium tells of it.
const CLEANING = /(?:(?:inline style|inline event handler) violates .* from|policy: (?:script|style)-src-(?:attr|elem) inline) \S+\/purify\.min\.js/s;
// Playwright's own waiting needs `eval`, which the page forbids.
const PATIENCE = 60_000;

export default (browser) => PARTS[known.part](browser);

const editor = (page) => page.locator("#editor");
const tool = (page, name) => page.locator(`[data-tool=${name}]`);
const focused = (page) => page.evaluate(() => document.activeElement.dataset.tool ?? document.activeElement.id);
const count = (page, selector) => page.locator(selector).count();

/** The page to write on, with its editor ready. */
async function writer(browser, options) {
  const page = await signIn(await browser.window(options), known.account, "/compose");
  await editor(page).waitFor();
  return page;
}

async function until(what, words) {
  const end = Date.now() + PATIENCE;
  while (!(await what())) {
    ok(Date.now() < end, words);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const imageIsDrawn = (page) => until(() => page.evaluate(() => document.querySelector("#editor img")?.naturalWidth === 10), "the image is drawn");

/** Pastes data of a kind; the kind `image/png` means a file, in base64. */
const paste = (page, kind, data) => editor(page).evaluate((root, [kind, data]) => {
  const clipboardData = new DataTransfer();
  const bytes = () => Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  if (kind === "image/png") clipboardData.items.add(new File([bytes()], "red.png", { type: kind }));
  else clipboardData.setData(kind, data);
  root.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}, [kind, data]);

/** Drops a file that says it is of this kind and is a hostile drawing. */
const drop = (page, name, kind) => editor(page).evaluate((root, [name, type]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["<svg onload='pwned=1'/>"], name, { type }));
  root.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}, [name, kind]);

/** What an address answers to the page. */
const get = (page, address) => page.evaluate(async (path) => {
  const answer = await fetch(path);
  const [kind, policy] = ["content-type", "content-security-policy"].map((name) => answer.headers.get(name));
  return { status: answer.status, kind, policy, data: btoa(String.fromCharCode(...new Uint8Array(await answer.arrayBuffer()))) };
}, address);

async function nothingRan(page) {
  // What hostile text starts takes its time.
  await page.waitForTimeout(300);
  equal(await page.evaluate(() => window.pwned ?? null), null);
}

async function send(page) {
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.waitForURL(/\/compose\/outbox/);
}

/** Saves, and waits for the page of the draft. */
async function save(page) {
  const address = page.url();
  await page.locator("button.quiet[value=save]").click();
  await page.waitForURL((url) => url.href !== address && url.searchParams.has("draft"));
}

async function pasted(browser) {
  const page = await writer(browser, { expected: [CLEANING] });
  const { keyboard } = page;
  await page.locator("#to").fill(known.friend);
  await page.locator("#subject").fill("Formatted");
  await editor(page).click();
  await keyboard.type("Hello ");
  await keyboard.press("Control+b");
  equal(await tool(page, "bold").getAttribute("aria-pressed"), "true");
  await keyboard.type("bold");
  await keyboard.press("Control+b");
  equal(await tool(page, "bold").getAttribute("aria-pressed"), "false");
  await keyboard.type(" and ");
  await keyboard.press("Control+k");
  await keyboard.type("example.org/a?b&c");
  await keyboard.press("Enter");
  await keyboard.press("Enter");
  await tool(page, "bullets").click();
  await keyboard.type("one");
  await keyboard.press("Enter");
  await keyboard.type("two");
  await keyboard.press("Enter");
  await keyboard.press("Enter");
  await paste(page, "text/html", known.hostile);
  await page.locator("#editor i").waitFor();
  await nothingRan(page);
  equal(await editor(page).locator(`${HOSTILE}, img`).count(), 0, await editor(page).innerHTML());
  await paste(page, "image/png", known.png);
  await imageIsDrawn(page);
  await send(page);
}

/** What a script that is not ours would send: the server relies on no browser. */
async function forged(browser) {
  const page = await writer(browser);
  await editor(page).evaluate((root, [to, html]) => root.closest("form").addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of Object.entries({ to, subject: "Forged", html })) formData.set(name, value);
  }), [known.friend, known.html]);
  await send(page);
}

async function draft(browser) {
  const page = await writer(browser);
  const { keyboard } = page;
  await editor(page).click();
  await keyboard.press("Control+i");
  await keyboard.type("Slanted");
  await keyboard.press("Control+i");
  await paste(page, "image/png", known.png);
  await page.locator("#editor img").waitFor();
  for (const words of ["more", "moremore"]) {
    await save(page);
    match(page.url(), /done=saved/);
    await imageIsDrawn(page);
    equal(await page.locator("#editor i").innerText(), "Slanted");
    equal(await count(page, "ul.files"), 0, "an image in the text is no file");
    await editor(page).click();
    await keyboard.press("Control+End");
    await keyboard.type("more");
    await page.waitForTimeout(50);
    ok((await editor(page).innerText()).includes(words), words);
  }
  // The policy of the page lets undo work.
  await keyboard.press("Control+z");
  await until(async () => !(await editor(page).innerText()).includes("moremore"), "undo takes away what was typed last");
  equal(await count(page, "#editor img"), 1, "undo leaves the image");
  deepEqual(await ask("kinds", { account: known.account, folder: "Drafts" }), [KINDS]);

  await expectDialog(page, /formatting/, () => page.locator("#format").click());
  await page.locator("textarea#text").waitFor();
  ok((await page.locator("#text").inputValue()).includes("Slanted"));
  await save(page);
  ok(await page.locator("textarea#text").isVisible());
  ok((await page.locator("ul.files").innerText()).includes("image.png"), "the image is a file now");

  // The choice is the account's.
  await page.goto(`${origin}/compose`);
  ok(await page.locator("textarea#text").isVisible());
  await page.locator("#text").fill("Back & <b>\nnew");
  await page.locator("#format").click();
  await editor(page).waitFor();
  equal((await editor(page).innerText()).trim(), "Back & <b>\nnew");
  await page.goto(`${origin}/settings`);
  equal(await page.locator("#compose-format").inputValue(), "");
}

async function quoted(browser) {
  const page = await writer(browser, { expected: [CLEANING] });
  await page.goto(`${origin}/settings/signature`);
  await editor(page).click();
  await page.keyboard.type("Ida’s end");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.waitForURL(/done=saved/);

  await page.goto(`${origin}/compose?reply=1&f=INBOX`);
  await page.locator("#editor blockquote h1").waitFor();
  equal(await editor(page).locator(`${HOSTILE}, img`).count(), 0, await editor(page).innerHTML());
  ok((await editor(page).innerText()).includes("Ida’s end"), "the signature is under the answer");

  await page.goto(`${origin}/compose?forward=1&f=INBOX`);
  await imageIsDrawn(page);
  equal(await editor(page).locator(HOSTILE).count(), 0, await editor(page).innerHTML());
  equal(await count(page, "ul.files"), 0, "an image in the text is no file");
  await nothingRan(page);
  await page.locator("#to").fill(known.account);
  await save(page);
}

async function plain(browser) {
  const page = await signIn(await browser.window({ javaScriptEnabled: false }), known.account, "/compose");
  for (const name of ["#editor", "#format"]) {
    equal(await count(page, name), 1);
    ok(!(await page.locator(name).isVisible()), `${name} needs a script`);
  }
  await page.locator("#to").fill(known.friend);
  await page.locator("#subject").fill("Plain");
  await page.locator("#text").fill("Only <b>text</b>");
  await send(page);
}

/** No pointer here. */
async function keys(browser) {
  const page = await writer(browser);
  const { keyboard } = page;
  const leadsTo = async (key, place) => {
    await keyboard.press(key);
    equal(await focused(page), place, `${key} leads to ${place}`);
  };
  await page.locator("#subject").focus();
  await leadsTo("Tab", "format");
  await leadsTo("Tab", "bold");
  for (const place of ["italic", "underline", "link", "bullets", "numbers"]) await leadsTo("ArrowRight", place);
  await leadsTo("Tab", "editor");
  await leadsTo("Shift+Tab", "numbers");
  await leadsTo("Enter", "editor");
  await keyboard.type("first");
  equal(await page.locator("#editor ol li").innerText(), "first");
  await leadsTo("Control+k", "address");
  await leadsTo("Escape", "editor");
  // Where a list begins, editors take this key for its level.
  await keyboard.press("Home");
  await leadsTo("Tab", "files");
  await leadsTo("Shift+Tab", "editor");
  await keyboard.press("Home");
  await leadsTo("Shift+Tab", "numbers");
}

async function everybody(browser) {
  const page = await writer(browser);
  await tool(page, "quote").click();
  await page.keyboard.type("Quoted text");
  await page.locator("#editor blockquote", { hasText: "Quoted text" }).waitFor();
  deepEqual(await accessible(page, "the editor"), []);
  await tool(page, "link").click();
  await page.locator("dialog#link").waitFor();
  deepEqual(await accessible(page, "where a link leads"), []);
}

async function images(browser) {
  const expected = [/status of 404 .* from \S+\/compose\/image\/1\//];
  const page = await writer(browser, { expected });
  await editor(page).click();
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), tool(page, "image").click()]);
  await chooser.setFiles({ name: "red.png", mimeType: "image/png", buffer: Buffer.from(known.png, "base64") });
  await imageIsDrawn(page);
  await drop(page, "a.svg", "image/svg+xml");
  ok((await page.locator("#format-problem").innerText()).includes("Only PNG"));
  equal(await count(page, "#editor img"), 1);
  // What says that it is a PNG and is none becomes a file, which no page shows.
  await drop(page, "b.png", "image/png");
  equal(await count(page, "#editor img"), 2);
  await save(page);
  await imageIsDrawn(page);
  equal(await count(page, "#editor img"), 1);
  equal(await count(page, "ul.files li"), 1);
  await nothingRan(page);

  const address = await page.locator("#editor img").getAttribute("src");
  match(address, /^\/compose\/image\/1\//);
  const { policy: only, ...answer } = await get(page, address);
  deepEqual(answer, { status: 200, kind: "image/png", data: known.png });
  match(only, /sandbox/);
  equal((await get(page, `${address}x`)).status, 404);
  const stranger = await signIn(await browser.window({ expected }), known.other, "/compose");
  equal((await get(stranger, address)).status, 404, "another account has other drafts");
}

/** Only this page lets DOMPurify make HTML. */
async function policy(browser) {
  const page = await writer(browser);
  for (const [path, expected] of Object.entries({ "/compose": true, "/mail": false, "/settings": false })) {
    const text = (await page.goto(`${origin}${path}`)).headers()["content-security-policy"];
    equal(text.includes("dompurify"), expected, `${path}: ${text}`);
    match(text, /require-trusted-types-for 'script'/);
    match(text, /script-src 'self';/);
  }
}
