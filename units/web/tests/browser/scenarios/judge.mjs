// Whether the harness notices what it is there to notice: a judge that never fails proves nothing.
import { check, origin } from "../harness.mjs";

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
  await page.goto("about:blank");
  await page.evaluate(() => fetch("https://asked.test/").catch(() => {}));
  for (const words of ["console: printed", "dialog: asked", "policy: img-src https://refused.test/", "404", "thrown", "request: https://asked.test/"]) {
    check(browser.faults.some((fault) => fault.includes(words)), `not noticed: ${words} in ${browser.faults.join("\n")}`);
  }
  check(browser.heard.some((name) => name.includes("asked.test")), "the connection is noticed");
  browser.faults.length = browser.heard.length = 0;
}
