// Pictures of the webmail, as docs/mail.md shows them.
import { known, open, origin, PHONE, signIn } from "../harness.mjs";

const SIZE = { width: 1120, height: 640 };

export default async function (browser) {
  const take = async (page, name) => {
    const path = `${known.pictures}/${name}.png`;
    await page.screenshot({ path, animations: "disabled", caret: "hide" });
  };
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.window({ viewport: SIZE, colorScheme });
    const page = await signIn(context, known.account);
    const body = await open(page, "Summer fair");
    await body.getByText("Tables").first().waitFor();
    await take(page, `mail-${colorScheme}`);
    if (colorScheme === "light") {
      await page.getByRole("link", { name: "Reply", exact: true }).click();
      await page.waitForURL(/reply=/);
      await take(page, "write");
    } else {
      await page.goto(`${origin}/settings/filters/rule`);
      await take(page, "filter-dark");
    }
    await context.close();
  }
  const context = await browser.window({ viewport: PHONE, isMobile: true, hasTouch: true });
  const page = await signIn(context, known.account);
  await take(page, "phone-list");
  await (await open(page, "Summer fair")).getByText("Tables").first().waitFor();
  await take(page, "phone-message");
  await context.close();
}
