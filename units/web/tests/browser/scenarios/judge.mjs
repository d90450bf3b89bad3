// Whether the harness notices what it is there to notice: a judge that never fails proves nothing.
import { check, expectDialog, origin } from "../harness.mjs";
import { accessible } from "../rules.mjs";

export default async function (browser) {
  const context = await browser.window();
  const page = await context.newPage();
  await page.goto(`${origin}/sign-in`);
  await page.evaluate(async () => {
    console.error("printed");
    alert("asked");
    const picture = new Image();
    const refused = new Promise((done) => picture.addEventListener("error", done));
    picture.src = "https://refused.test/";
    await refused;
    await fetch("/nothing-here");
    setTimeout(() => { throw new Error("thrown"); });
  });
  await dialogs(page, browser);
  await page.evaluate(() => document.querySelector("main").append(document.createElement("button")));
  const found = await accessible(page, "a button without a name");
  check(found.length === 3 && found.every((fault) => fault.includes("button-name")), `axe finds it in each look: ${found}`);
  await page.goto("about:blank");
  await page.evaluate(() => fetch("https://asked.test/").catch(() => {}));
  for (const words of ["console: printed", "dialog: asked", "policy: img-src https://refused.test/", "404", "thrown", "request: https://asked.test/"]) {
    check(browser.faults.some((fault) => fault.includes(words)), `not noticed: ${words} in ${browser.faults.join("\n")}`);
  }
  check(browser.heard.some((name) => name.includes("asked.test")), "the connection is noticed");
  browser.faults.length = browser.heard.length = 0;
}

/** Only the announced dialog is answered, once, and one that is announced has to come. */
async function dialogs(page, browser) {
  const confirm = (words) => page.evaluate((text) => window.confirm(text), words);
  const noticed = (words) => browser.faults.filter((fault) => fault === `dialog: ${words}`).length;
  check(await expectDialog(page, /^Sure/, () => confirm("Sure?")), "an announced dialog is answered with yes");
  check(noticed("Sure?") === 0, "an announced dialog is no fault");
  check(!(await confirm("Sure?")) && noticed("Sure?") === 1, "the same dialog without being announced is a fault");
  await expectDialog(page, /^Once/, async () => check((await confirm("Once")) && !(await confirm("Once")), "one dialog is announced, not two"));
  check(noticed("Once") === 1, "the second dialog is a fault");
  for (const [why, act] of [["another dialog came", () => confirm("Other")], ["no dialog came", () => {}]]) {
    const failed = await expectDialog(page, /^Never/, act).then(() => false, () => true);
    check(failed, `${why} instead of the announced one`);
  }
  check(noticed("Other") === 1, "a dialog with other words than the announced one is a fault");
  check(!(await confirm("Never")) && noticed("Never") === 1, "an announcement ends with what was done");
}
