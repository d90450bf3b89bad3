// Sign-in, list, message, answer with a file, search: four ways to look at them.
import { check, known, open, PHONE, row, say, signIn, WIDE, TEXT } from "../harness.mjs";

const WAYS = {
  wide: { viewport: WIDE },
  "wide-plain": { viewport: WIDE, javaScriptEnabled: false },
  phone: { viewport: PHONE, hasTouch: true, isMobile: true },
  "phone-plain": { viewport: PHONE, hasTouch: true, isMobile: true, javaScriptEnabled: false },
};

export default async function (browser) {
  for (const [way, options] of Object.entries(WAYS)) {
    const context = await browser.window(options);
    const page = await signIn(context, known.accounts[way]);
    check((await page.locator(".row").count()) === 3, "three messages");
    check(await row(page, "Plan").evaluate((it) => it.classList.contains("unread")), "not read yet");
    await fits(page);

    const body = await open(page, "Plan");
    await body.getByText("See you at *noon*").waitFor();
    check(!(await row(page, "Plan").evaluate((it) => it.classList.contains("unread"))), "read now");
    check((await page.locator(".list").isVisible()) === (options.viewport === WIDE), "a telephone shows one at a time");
    await fits(page);

    await page.getByRole("link", { name: "Reply", exact: true }).click();
    await page.waitForURL(/\/compose\?reply=/);
    await fits(page);
    const text = await page.locator("#text").inputValue();
    check(text.includes("> See you at *noon*"), `the answer quotes: ${text}`);
    await page.locator("#files").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("The plan.\n") });
    await page.getByRole("button", { name: "Attach", exact: true }).click();
    await page.getByText("The draft is saved.").waitFor();
    await page.getByRole("list", { name: "Attached files" }).getByText("plan.txt").waitFor();
    await page.locator(TEXT).fill(`I bring the plan, which is attached.\n\n${text}`);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByText(/The message is sent in/).waitFor();

    await page.getByRole("link", { name: "Mail", exact: true }).click();
    await page.locator("#find").fill("subject:holiday");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.getByRole("heading", { name: "Search", exact: true }).waitFor();
    for (let tries = 0; !(await page.locator(".row").count()) && tries < 20; tries += 1) {
      // The server's index is some seconds late.
      await page.waitForTimeout(1000);
      await page.reload();
    }
    check((await page.locator(".row .subject").allTextContents()).join() === "Holiday", "the search finds one message");
    await context.close();
    say(way);
  }
}

/** Nothing is wider than the window. */
async function fits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(over <= 0, `${page.url()} is ${over} pixels wider than the window`);
}
