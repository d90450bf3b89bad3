// Every mail of hostile_mail.py, opened, pointed at, answered, forwarded, printed and found: nothing of it may run, ask or lead away.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { check, known, origin, say, signIn } from "../harness.mjs";

const purify = readFileSync(createRequire(import.meta.url).resolve("dompurify/dist/purify.min.js"), "utf8");
// Pages at a time: much of what they do is to wait.
const WINDOWS = 3;

export default async function (browser) {
  // The policy keeps styles of quoted mail out of the editor: what chromium says of it is no fault.
  const context = await browser.window({ expected: [/(Applying inline style|style-src-attr).* at \S*\/compose\?/s] });
  const own = new Set();
  context.on("page", (page) => own.size < WINDOWS + 1 ? own.add(page) : browser.faults.push(`a new window: ${page.url()}`));
  const pages = [await signIn(context, known.account)];
  while (pages.length < WINDOWS) pages.push(await context.newPage());
  // Without a policy of ours, so that DOMPurify may work as it does elsewhere.
  const second = await context.newPage();
  await second.evaluate(purify);

  const waiting = [...known.mails];
  let opinions = 0;
  const work = async (page) => {
    for (let mail; (mail = waiting.shift());) {
      const before = browser.faults.length;
      await read(page, mail);
      await judge(page, second, mail, browser);
      opinions += 1;
      // Others work beside it; the mail that they had open is not far.
      for (let at = before; at < browser.faults.length; at += 1) browser.faults[at] += ` [about ${mail.name}]`;
    }
  };
  await Promise.all(pages.map(work));
  check(opinions === known.mails.length, "each mail was looked at");
  await context.close();

  // Once more with the images from elsewhere, which the web unit asks for and does not get.
  const asking = await browser.window({ expected: [/Failed to load resource/] });
  const page = await signIn(asking, known.account);
  for (const { uid, name } of known.mails) {
    const path = `${origin}/mail/body?f=INBOX&m=${uid}&images=1`;
    await page.goto(path);
    check(page.url() === path, `${name}: images led to ${page.url()}`);
  }
  say(`${known.mails.length} mails in ${own.size} windows`);
}

/** All that a reader does with a mail. */
async function read(page, { uid, name }) {
  const go = async (path) => {
    await page.goto(`${origin}${path}`);
    // What a mail starts takes its time.
    await page.waitForTimeout(50);
    const { href, pwned } = await page.evaluate(() => ({ href: location.href, pwned: window.pwned }));
    check(href === `${origin}${path}` && !pwned, `${name}: ${path} became ${href}, ${pwned ? "and something ran" : "and nothing ran"}`);
  };
  await go(`/mail?f=INBOX&m=${uid}`);
  const subject = await page.locator("#subject").textContent();
  check(subject.startsWith("hostile "), `${name} is shown: ${subject}`);
  const box = await page.locator("iframe.body").boundingBox();
  for (const [x, y] of [[0.03, 0.05], [0.1, 0.1], [0.3, 0.1], [0.05, 0.2], [0.5, 0.5]]) await page.mouse.move(box.x + box.width * x, box.y + box.height * y);
  for (const summary of await page.locator(".message summary").all()) await summary.click();
  for (const word of ["reply", "reply-all", "forward"]) {
    await go(`/compose?${word}=${uid}&f=INBOX`);
    check(await page.locator("form[action='/compose'] #text").count(), `${name}: ${word} has its field`);
  }
  await page.goto(`${origin}/mail/body?f=INBOX&m=${uid}&print=1`);
  await page.pdf();
  check(page.url().includes("print=1"), `${name}: printing led to ${page.url()}`);
  for (const path of ["/mail/headers", "/mail/conversation"]) await go(`${path}?f=INBOX&m=${uid}`);
  await go(`/mail?f=INBOX&q=subject%3A%22hostile%20${encodeURIComponent(name)}%22`);
}

/** What DOMPurify still takes out of what we serve is a fault of ours. */
async function judge(page, second, { uid, name }, browser) {
  for (const more of ["", "&as=text", "&print=1"]) {
    const served = await page.evaluate(async (path) => (await fetch(path)).text(), `/mail/body?f=INBOX&m=${uid}${more}`);
    check(served.includes("<main"), `${name}: ${served}`);
    const found = await second.evaluate((text) => {
      const served = new DOMParser().parseFromString(text, "text/html");
      const forbidden = ["form", "input", "button", "style", "dialog", "audio", "video"];
      // SAFE_FOR_XML takes away words such as </noscript> in a title: for those who put the result into a noscript, which we never write.
      DOMPurify.sanitize(served.body.innerHTML, { ADD_ATTR: ["target"], FORBID_TAGS: forbidden, SAFE_FOR_XML: false });
      const removed = DOMPurify.removed.map(({ element, attribute }) => (element ? element.outerHTML : `${attribute?.name}="${attribute?.value}"`));
      const styles = [...served.querySelectorAll("style")].map((style) => style.textContent).join("\n");
      return [...removed, ...(styles.match(/url\(|image-set|@import|@font-face|expression|position:\s*fixed|-moz-binding/gi) ?? [])];
    }, served);
    for (const one of found) browser.faults.push(`${name}${more}: a second opinion takes away ${one.slice(0, 300)}`);
  }
}
