// One chromium in front of a web unit, and what no page may do in it: print errors, break its policy, ask another machine.
//
// In: lines of JSON on standard input, first what the test knows, then answers to `ask`. Out: lines of JSON on standard output.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** The field that is written in: the editor, or without a script the plain one. */
export const TEXT = "#text:visible, #editor:visible";

/** What is written in it. */
export const written = (page) => page.locator(TEXT).evaluate((it) => it.value ?? it.innerText);

export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };
// A machine that does much else needs long for a page; no test is about how long.
const PATIENCE = 60_000;

// Chromium asks its maker for updates and the like by itself; no page of ours and no mail of the tests names these.
const OWN = /\b(google|googleapis|gstatic|gvt1)\.com/;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => JSON.parse((await lines.next()).value);
export const known = await line();
export const origin = `https://${known.host}`;

function tell(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/** Lets the test do something that a browser can't: look into a mailbox, hand in a mail. */
export async function ask(what, fields = {}) {
  tell({ ask: what, ...fields });
  return line();
}

export const say = (text) => tell({ say: text });

/** Fails with these words. */
export function check(holds, words) {
  if (!holds) throw new Error(words);
}

/** What the next dialog of a page is to say; any other dialog is a fault. */
const announced = new Map();

/** Does `act`, says yes to the one dialog with these words that it opens, and returns what `act` does. */
export async function expectDialog(page, words, act) {
  announced.set(page, words);
  const done = await act();
  check(!announced.delete(page), `no dialog says ${words}`);
  return done;
}

/** Where every name but ours leads: a socket that keeps what it is asked, and answers nothing. */
async function trap() {
  const heard = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    // Chromium opens some of its own connections early and says nothing on them; what a page asks for is said.
    socket.once("data", (bytes) => {
      // Names stand in the clear in what TLS and HTTP say first.
      heard.push(bytes.toString("latin1").match(/[a-z0-9.-]+\.[a-z]{2,}/gi)?.join(" ") ?? "a connection");
      socket.destroy();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  server.unref();
  return { heard, port: server.address().port };
}

/** Chromium, with our name leading to the web unit and every other name into a trap. */
export async function start() {
  const { heard, port } = await trap();
  const key = new X509Certificate(readFileSync(known.certificate)).publicKey.export({ type: "spki", format: "der" });
  const browser = await chromium.launch({
    executablePath: known.chromium,
    args: [
      `--host-resolver-rules=MAP ${known.host} ${known.ip}:${known.port}, MAP * 127.0.0.1:${port}`,
      `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`,
      // Root is who runs the tests, and chromium's own sandbox wants a user.
      "--no-sandbox",
      "--disable-dev-shm-usage",
    ],
  });
  return new Browser(browser, heard);
}

class Browser {
  constructor(browser, heard) {
    Object.assign(this, { browser, heard, faults: [] });
  }

  /** A window with cookies of its own. `expected` are patterns of faults that this window is there to cause. */
  async window({ expected = [], ...options } = {}) {
    const context = await this.browser.newContext({ viewport: WIDE, locale: "en-GB", timezoneId: "UTC", ...options });
    context.setDefaultTimeout(PATIENCE);
    const fault = (text) => {
      if (!expected.some((pattern) => pattern.test(text))) this.faults.push(text);
    };
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
    });
    context.on("console", (message) => {
      if (message.type() === "error") fault(`console: ${message.text()} at ${message.page()?.url()} from ${message.location().url}`);
    });
    context.on("weberror", (error) => fault(`script: ${error.error()}`));
    context.on("dialog", async (dialog) => {
      if (announced.get(dialog.page())?.test(dialog.message())) {
        announced.delete(dialog.page());
        await dialog.accept();
        return;
      }
      fault(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    context.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !/^(about|data|blob):/.test(url)) fault(`request: ${url}`);
    });
    return context;
  }

  pages() {
    return this.browser.contexts().flatMap((context) => context.pages());
  }

  /** Ends it; whatever went wrong meanwhile fails. */
  async end() {
    await this.browser.close();
    const all = [...this.faults, ...this.heard.filter((name) => !OWN.test(name)).map((name) => `connection: ${name}`)];
    check(!all.length, `faults:\n${all.join("\n")}`);
  }
}

/** Signs in by the form, and returns the page. */
export async function signIn(context, account, next = "/mail") {
  const page = await context.newPage();
  await page.goto(`${origin}/sign-in?next=${encodeURIComponent(next)}`);
  await page.getByLabel("Mail address").fill(account);
  await page.getByLabel("Password").fill(known.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${origin}${next}`);
  return page;
}

/** The rows of the list, by subject. */
export const row = (page, subject) => page.locator(".row", { hasText: subject }).first();

/** Opens a message of the list; true when its frame is there. */
export async function open(page, subject) {
  await row(page, subject).locator("a").click();
  await page.locator("#subject", { hasText: subject }).waitFor();
  return page.frameLocator("iframe.body");
}
