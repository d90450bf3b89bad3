// Templates and a formatted signature, with and without the script: kept, used, edited, deleted; judged by axe and html-validate.
import { equal, match, ok } from "node:assert/strict";
import { known, origin, say, signIn, TEXT, written } from "../harness.mjs";
import { accessible, collect, valid } from "../rules.mjs";

const WAYS = { script: {}, plain: { javaScriptEnabled: false } };

export default async function (browser) {
  const faults = [];
  for (const [way, options] of Object.entries(WAYS)) {
    const context = await browser.window(options);
    const served = collect(context);
    const page = await signIn(context, known.accounts[way], "/settings/signature");
    // Without scripts axe cannot run.
    const judge = async (name) => way === "script" && faults.push(...(await accessible(page, name)));
    await signature(page, way, judge);
    await keep(page, judge);
    await use(page, judge);
    await edit(page, way, judge);
    await insert(page);
    await remove(page);
    faults.push(...(await valid(served)));
    await context.close();
    say(way);
  }
  equal(faults.join("\n"), "");
}

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Presses a button and waits for the page that it leads to, which may look like the one before. */
const press = (page, it) => Promise.all([page.waitForEvent("framenavigated"), it.click()]);

const choose = (page, selector) => page.locator(selector).setInputFiles({ name: "logo.png", mimeType: "image/png", buffer: Buffer.from(known.png, "base64") });

/** Waits until so many images are drawn. Playwright's own waiting needs `eval`, which the page forbids. */
async function drawn(page, count) {
  const end = Date.now() + 60_000;
  const found = () => page.evaluate(() => [...document.querySelectorAll("#editor img")].filter((image) => image.naturalWidth === 10).length);
  while ((await found()) !== count) {
    ok(Date.now() < end, `${count} images are drawn`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function signature(page, way, judge) {
  if (way === "plain") {
    await page.locator("#text").fill("Kim");
    await press(page, button(page, "Save"));
    await page.getByText("Saved.").waitFor();
    equal(await page.locator("#text").inputValue(), "Kim");
    return;
  }
  await page.locator("#editor").click();
  await page.keyboard.press("Control+b");
  await page.keyboard.type("Kim");
  await page.keyboard.press("Control+b");
  await page.keyboard.press("Enter");
  await choose(page, "#picture");
  await drawn(page, 1);
  await judge("signature");
  await press(page, button(page, "Save"));
  await page.getByText("Saved.").waitFor();
  await drawn(page, 1);
  match(await page.locator("#editor img").getAttribute("src"), /^data:image\/png;base64,/);
  // Once more, with the image as the page has it now; and the switch is for the signature alone.
  await press(page, button(page, "Save"));
  await page.getByText("Saved.").waitFor();
  await drawn(page, 1);
  equal(await page.locator("#editor b").first().innerText(), "Kim");
}

async function keep(page, judge) {
  await page.goto(`${origin}/compose`);
  ok((await written(page)).includes("Kim"), "the signature is there");
  await page.locator("#to").fill(known.friend);
  await page.locator("#subject").fill("Invitation");
  if (await page.locator("#editor").isVisible()) {
    await drawn(page, 1);
    await page.locator("#editor").focus();
    await page.keyboard.press("Control+Home");
    await page.keyboard.type("Please come. ");
    await choose(page, "#picture");
    await drawn(page, 2);
  } else await page.locator("#text").fill(`Please come.\n${await page.locator("#text").inputValue()}`);
  await page.locator("main summary", { hasText: "Templates" }).click();
  await judge("writing, templates open");
  await press(page, button(page, "Save as template"));
  await page.getByText("The template is saved.").waitFor();
  await press(page, button(page, "Discard"));
}

async function use(page, judge) {
  await page.goto(`${origin}/compose/templates`);
  await judge("templates");
  await page.getByRole("link", { name: "Invitation", exact: true }).click();
  await page.locator(TEXT).waitFor();
  ok((await written(page)).includes("Please come."), "the message begins with the template");
  if (await page.locator("#editor").isVisible()) await drawn(page, 2);
  equal(await page.locator("#to").inputValue(), known.friend);
  await press(page, button(page, "Send"));
  await page.waitForURL(/\/compose\/outbox/);
}

async function edit(page, way, judge) {
  await page.goto(`${origin}/compose/templates`);
  await page.getByRole("link", { name: "Edit Invitation" }).click();
  await page.locator(TEXT).waitFor();
  if (way === "script") await drawn(page, 2);
  await judge("template");
  equal(await button(page, "Send").count(), 0, "a template is not sent");
  await page.locator("#subject").fill("Invitation to lunch");
  await press(page, page.locator("button[value=save]:not(.hidden)"));
  await page.getByText("The template is saved.").waitFor();
  if (way === "script") await drawn(page, 2);
  ok((await written(page)).includes("Please come."), "the text is as it was");
}

async function insert(page) {
  await page.goto(`${origin}/compose`);
  await page.locator("main summary", { hasText: "Templates" }).click();
  await page.getByLabel("Template", { exact: true }).selectOption({ label: "Invitation to lunch" });
  await press(page, button(page, "Insert"));
  await page.getByText("The template was inserted.").waitFor();
  ok((await written(page)).includes("Please come."), "its text is there");
  equal(await page.locator("#subject").inputValue(), "Invitation to lunch");
  await press(page, button(page, "Discard"));
}

async function remove(page) {
  await page.goto(`${origin}/compose/templates`);
  await press(page, button(page, "Delete template Invitation to lunch"));
  await page.getByText("The template was moved to the trash.").waitFor();
  await page.getByText("There are no templates yet.").waitFor();
}
