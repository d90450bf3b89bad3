// Every page and what opens in it, judged by axe and html-validate (rules.mjs).
import { check, known, open, origin, row, say, signIn, TEXT } from "../harness.mjs";
import { accessible, collect, valid } from "../rules.mjs";
import { code } from "../totp.mjs";

export default async function (browser) {
  const guest = await browser.window({ expected: [/status of (403|404)/] });
  const served = collect(guest);
  const faults = [];
  let count = 0;
  const judge = async (page, name) => {
    count += 1;
    faults.push(...(await accessible(page, name)));
  };
  const button = (page, name) => page.getByRole("button", { name, exact: true });

  const page = await guest.newPage();
  await page.goto(`${origin}/sign-in`);
  await judge(page, "sign-in");
  await page.locator("#account").fill(known.account);
  await page.locator("#password").fill("not the password");
  await button(page, "Sign in").click();
  await page.getByRole("alert").waitFor();
  await judge(page, "sign-in, refused");
  await page.close();

  const mail = await signIn(guest, known.account);
  await judge(mail, "list");
  await mail.locator(".others summary").click();
  await mail.locator(".orders summary").click();
  await mail.locator(".find-help summary").click();
  await judge(mail, "list, menus open");
  await open(mail, "Everything");
  for (const summary of await mail.locator(".message summary").all()) await summary.click();
  await judge(mail, "message");
  for (const link of ["All header fields", "Conversation"]) {
    await mail.getByRole("link", { name: link, exact: true }).click();
    await mail.getByRole("heading", { name: "Everything" }).or(mail.getByRole("heading", { level: 1 })).first().waitFor();
    await judge(mail, link);
    await mail.goBack();
  }
  const go = async (path, name = path) => {
    await mail.goto(`${origin}${path}`);
    await judge(mail, name);
  };
  await go("/mail?g=1", "list by conversation");
  await row(mail, "Tea").locator("a").click();
  await mail.locator("#subject").waitFor();
  await judge(mail, "conversation beside the list");
  await go("/mail?q=subject%3Anothing", "search without results");
  await go("/mail?q=before%3Anever", "search with doubts");
  await go("/mail");
  await row(mail, "Bill").locator("input").check();
  await mail.locator("#rows-form").getByRole("button", { name: "Delete", exact: true }).click();
  await mail.getByText("1 message was moved to the trash").waitFor();
  await judge(mail, "undo");
  await go("/mail?f=Deleted+Items");
  await go("/mail?f=INBOX&m=99999", "a message that is gone");
  await go("/mail/folders");
  for (const summary of await mail.locator("main summary").all()) await summary.click();
  await judge(mail, "folders, opened");
  await go("/mail/keys");

  await go("/compose");
  await mail.locator("#to").fill("nobody at all");
  await mail.locator(TEXT).fill("Words");
  await mail.locator("#files").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("plan") });
  await mail.getByText("Send later").click();
  await button(mail, "Send").click();
  await mail.getByRole("alert").waitFor();
  await mail.locator("main summary").first().click();
  await judge(mail, "writing, with a problem");
  await go("/compose/outbox", "outbox, empty");
  await go("/compose");
  await mail.locator("#to").fill(known.account);
  await mail.locator("#subject").fill("Later");
  await mail.locator(TEXT).fill("Words");
  await mail.locator("main summary").first().click();
  await mail.locator("#when").fill(new Date(Date.now() + 7200_000).toISOString().slice(0, 16));
  await button(mail, "Send at this time").click();
  await mail.getByText("The message is sent on").waitFor();
  await judge(mail, "outbox");

  for (const path of ["/compose/templates", "/settings", "/settings/signature", "/settings/filters", "/settings/filters/rule", "/settings/filters/raw", "/settings/away"]) await go(path);
  await mail.goto(`${origin}/settings/filters/rule`);
  await mail.getByLabel("Name of the rule").fill("Bills");
  await mail.locator("[name=value-0]").fill("bill");
  await mail.locator("[name=seen]").check();
  await button(mail, "Save").click();
  await mail.getByText("Saved.").waitFor();
  await judge(mail, "filters, with a rule");
  await go("/settings/filters/raw", "scripts, with one");
  await mail.goto(`${origin}/settings`);
  await mail.getByLabel("Time zone").fill("Mars/Olympus");
  await button(mail, "Save").click();
  await mail.getByRole("alert").waitFor();
  await judge(mail, "settings, with a problem");
  await go("/nothing-here", "nothing here");

  await go("/account");
  await mail.locator("form[action='/account/app-passwords/add'] [name=current]").fill(known.password);
  await mail.locator("form[action='/account/app-passwords/add'] [name=name]").fill("Phone");
  await button(mail, "Make an app password").click();
  await mail.getByText("is shown only now").waitFor();
  await judge(mail, "app password");
  await mail.goto(`${origin}/account`);
  await button(mail, "Set up a second factor").click();
  const key = await mail.locator(".code").first().textContent();
  await judge(mail, "second factor");
  await mail.locator("[name=current]").first().fill(known.password);
  await mail.locator("[name=code]").first().fill(code(key));
  await button(mail, "Switch it on").click();
  await mail.getByText("Write these recovery codes down").waitFor();
  await judge(mail, "recovery codes");
  await go("/account", "account with a second factor");
  await button(mail, "Sign out").click();
  await mail.locator("#account").fill(known.account);
  await mail.locator("#password").fill(known.password);
  await button(mail, "Sign in").click();
  await mail.locator("[name=code]").waitFor();
  await judge(mail, "sign-in, second step");

  await guest.close();
  say(`${count} states of pages by axe, ${served.size} by html-validate`);
  faults.push(...(await valid(served)));
  check(!faults.length, faults.join("\n"));
}
