// What else people do: second factor, conversations, filters, absence, undo, later, snooze, an old session, sign-out everywhere, keys alone.
import { ask, check, known, open, origin, row, say, signIn, TEXT, written } from "../harness.mjs";
import { code } from "../totp.mjs";

const button = (page, name) => page.getByRole("button", { name, exact: true });

export default async function (browser) {
  const expected = new Map([[guesses, [/status of 403/]], [expiry, [/status of 401/]]]);
  for (const part of [guesses, everywhere, expiry, conversation, filter, absence, outbox, snooze, keys, factor]) {
    const context = await browser.window({ expected: expected.get(part) ?? [] });
    await part(context, browser);
    await context.close();
    say(part.name);
  }
}

async function guesses(context) {
  const page = await context.newPage();
  await page.goto(`${origin}/sign-in`);
  for (const [password, words] of [["not this one", "Address or password is wrong."], [known.password, null]]) {
    await page.locator("#account").fill(known.account);
    await page.locator("#password").fill(password);
    await button(page, "Sign in").click();
    if (words) await page.getByRole("alert").getByText(words).waitFor();
  }
  await page.waitForURL(`${origin}/mail`);
}

async function everywhere(context, browser) {
  const here = await signIn(context, known.account, "/account");
  const other = await browser.window();
  const there = await signIn(other, known.account);
  await button(here, "Sign out everywhere").click();
  await here.waitForURL(/\/sign-in/);
  await there.reload();
  check(there.url().includes("/sign-in"), "the other window is signed out too");
  await other.close();
}

/** A page that was left open for too long: what is asked for next leads to the sign-in, and from there back. */
async function expiry(context) {
  const page = await signIn(context, known.account);
  await ask("expire");
  await row(page, "Tea").locator("a").click();
  await page.waitForURL(/\/sign-in/);
  await page.locator("#account").fill(known.account);
  await page.locator("#password").fill(known.password);
  await button(page, "Sign in").click();
  await page.waitForURL(new RegExp(`^${origin}/mail`));
  await open(page, "Tea");
}

async function conversation(context) {
  const page = await signIn(context, known.account);
  await page.locator(".orders summary").click();
  await page.getByRole("link", { name: "By conversation" }).click();
  await page.locator(".thread").waitFor();
  check((await page.locator(".row", { hasText: "Tea" }).count()) === 1, "three messages about tea are one row");
  await row(page, "Tea").locator("a").click();
  const strip = page.locator("nav.conversation a");
  await strip.first().waitFor();
  check((await strip.count()) === 3, "the conversation has three messages");
  await strip.first().click();
  await page.frameLocator("iframe.body").getByText("Shall we?").waitFor();
}

async function filter(context) {
  const page = await signIn(context, known.account, "/mail/folders");
  await page.getByLabel("Name", { exact: true }).first().fill("Lists");
  await button(page, "Create").click();
  await page.getByText("The folders were changed.").waitFor();
  await page.goto(`${origin}/settings/filters/rule`);
  await page.getByLabel("Name of the rule").fill("Lists");
  await page.locator("[name=field-0]").selectOption({ label: "Subject" });
  await page.locator("[name=value-0]").fill("[list]");
  await page.locator("[name=into]").selectOption("Lists");
  await button(page, "Save").click();
  await page.getByText("Saved.").waitFor();
  await ask("deliver", { to: known.account, subject: "[list] News" });
  check((await ask("arrived", { account: known.account, folder: "Lists" })).length === 1, "the rule files the mail");
}

async function absence(context) {
  const page = await signIn(context, known.account, "/settings/away");
  await page.getByLabel("Answer senders automatically").check();
  await page.locator("[name=subject]").fill("Away");
  await page.locator("[name=text]").fill("Back on Monday.");
  await button(page, "Save").click();
  await page.getByText("Saved.").waitFor();
  await ask("write", { sender: known.friend, to: known.account });
  const answers = await ask("arrived", { account: known.friend });
  check(answers.some((text) => text.includes("Back on Monday.")), `the absence is answered: ${answers}`);
  await page.getByLabel("Answer senders automatically").uncheck();
  await button(page, "Save").click();
  await page.getByText("Saved.").waitFor();
}

async function outbox(context) {
  const page = await signIn(context, known.account, "/compose");
  await page.locator("#to").fill(known.other);
  await page.locator("#subject").fill("Too soon");
  await page.locator(TEXT).fill("Words");
  await button(page, "Send").click();
  await button(page, "Undo").click();
  await page.locator(TEXT).waitFor();
  check((await written(page)).includes("Words"), "what was undone is there to write on");
  await page.locator("main summary", { hasText: "Send later" }).click();
  await page.locator("#when").fill(new Date(Date.now() + 7200_000).toISOString().slice(0, 16));
  await button(page, "Send at this time").click();
  await page.getByText("The message is sent on").waitFor();
  await button(page, "Do not send").click();
  await page.locator(TEXT).waitFor();
  await button(page, "Discard").click();
  await page.goto(`${origin}/compose/outbox`);
  await page.getByText("Nothing waits to be sent or to come back.").waitFor();
  check((await ask("messages", { account: known.other })).length === 0, "nothing was sent");
}

async function snooze(context) {
  const page = await signIn(context, known.account);
  await open(page, "Bill");
  await page.locator(".snooze summary").click();
  await button(page, "For 3 hours").click();
  await page.goto(`${origin}/mail`);
  check((await row(page, "Bill").count()) === 0, "the message is away");
  await page.goto(`${origin}/compose/outbox`);
  await page.getByText("Comes back to the inbox").waitFor();
  await button(page, "Bring back now").click();
  // It leads back to the list.
  await row(page, "Bill").waitFor();
}

/** No pointer from here on. */
async function keys(context) {
  const page = await context.newPage();
  const press = async (...all) => {
    for (const key of all) await page.keyboard.press(key);
  };
  const tabTo = async (wanted) => {
    for (let count = 0; count < 80; count += 1) {
      await press("Tab");
      if (await page.evaluate((selector) => document.activeElement.matches(selector), wanted)) return;
    }
    check(false, `the tab key does not reach ${wanted}`);
  };
  await page.goto(`${origin}/sign-in`);
  await page.locator("#account").waitFor();
  if (!(await page.evaluate(() => document.activeElement.id === "account"))) await tabTo("#account");
  await page.keyboard.type(known.account);
  await tabTo("#password");
  await page.keyboard.type(known.password);
  await press("Enter");
  await page.waitForURL(`${origin}/mail`);
  await press("Tab");
  check(await page.evaluate(() => document.activeElement.matches(".skip")), "the first key leads past the head");
  await press("Enter");
  await page.waitForURL(/#main$/);
  await page.waitForTimeout(500);
  check(await page.evaluate(() => document.activeElement.id !== "list-title"), "the link past the head draws no list");
  await press("j", "o");
  await page.locator("#subject").waitFor();
  await press("u");
  await page.locator("#subject").waitFor({ state: "detached" });
  await press("s");
  await page.getByText("1 message was marked.").waitFor();
  await press("/");
  await page.keyboard.type("words");
  await press("Enter");
  await page.getByRole("heading", { name: "Search", exact: true }).waitFor();
  await press("?");
  await page.waitForURL(`${origin}/mail/keys`);
  await page.goto(`${origin}/mail`);
  await press("j", "o");
  await page.locator("#subject").waitFor();
  await press("r");
  await page.waitForURL(/\/compose\?reply/);
  await tabTo("#text, #editor");
  await page.keyboard.type("By keys alone. ");
  await tabTo("button[value=save]:not(.hidden)");
  await press("Enter");
  await page.getByText("The draft is saved.").waitFor();
  check((await written(page)).includes("By keys alone."), "the draft has what was typed");
}

async function factor(context) {
  const page = await signIn(context, known.account, "/account");
  await button(page, "Set up a second factor").click();
  const key = await page.locator(".code").first().textContent();
  await page.locator("[name=current]").first().fill(known.password);
  await page.locator("[name=code]").first().fill(code(key));
  await button(page, "Switch it on").click();
  await page.getByText("Write these recovery codes down").waitFor();
  await button(page, "Sign out").click();
  await page.locator("#account").fill(known.account);
  await page.locator("#password").fill(known.password);
  await button(page, "Sign in").click();
  await page.locator("[name=code]").waitFor();
  // The code of now was used to switch it on; the next one is good a little early.
  await page.locator("[name=code]").fill(code(key, 1));
  await button(page, "Sign in").click();
  await page.waitForURL(`${origin}/mail`);
}
