// node run.mjs SCENARIO: runs scenarios/SCENARIO.mjs, which tests/browser_test.py feeds.
import { start } from "./harness.mjs";

const { default: scenario } = await import(`./scenarios/${process.argv[2]}.mjs`);
const browser = await start();
try {
  await scenario(browser);
} catch (error) {
  // What the browser said meanwhile tells more than what was waited for.
  console.error(browser.faults.join("\n"));
  for (const page of browser.pages()) {
    const held = await page.locator("body").ariaSnapshot({ timeout: 5000 }).catch((reason) => String(reason));
    console.error(`\n${page.url()}\n${held.slice(0, 3000)}`);
  }
  throw error;
}
await browser.end();
process.exit(0);
