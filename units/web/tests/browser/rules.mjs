// What every page is held to: WCAG 2.2 AA and good practice by axe-core in both colour schemes, and HTML by html-validate.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { HtmlValidate } from "html-validate";
import { check, PHONE, WIDE } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const LOOKS = [
  ["light", WIDE],
  ["dark", WIDE],
  ["dark", PHONE],
];

const validator = new HtmlValidate({
  root: true,
  extends: ["html-validate:recommended"],
  rules: {
    // A button sends its form and a field takes text if nothing else is said, and both are meant: the attribute adds bytes to every row.
    "no-implicit-button-type": "off",
    "no-implicit-input-type": "off",
    // The end tag of an option may be left out.
    "no-implicit-close": "off",
    // All boxes of a list have one name: those that are ticked are sent.
    "form-dup-name": ["error", { shared: ["radio", "button", "reset", "submit", "checkbox"] }],
    // The editor is none that HTML has an element for.
    "prefer-native-element": ["error", { exclude: ["textbox"] }],
    // A list may have a name, and that of attached files has no heading that would give it one.
    "aria-label-misuse": ["error", { allowAnyNamable: true }],
  },
});

/** What axe finds in a page, in each of the looks. */
export async function accessible(page, name) {
  const faults = [];
  for (const [colorScheme, size] of LOOKS) {
    await page.setViewportSize(size);
    // A colour on its way to another is none that anyone reads.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate((values) => axe.run(document, values), { runOnly: TAGS });
    const told = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}\n    ${node.failureSummary}`));
    check(passes.length > 5, `${name}: axe looks at something`);
    faults.push(...told.map((text) => `${name}, ${colorScheme}, ${size.width}: ${text}`));
  }
  await page.setViewportSize(WIDE);
  return faults;
}

/** Keeps the HTML of what a window is served, so that `valid` can judge it. */
export function collect(context) {
  const served = new Map();
  context.on("response", async (response) => {
    const kind = (await response.headerValue("content-type")) ?? "";
    const url = response.url();
    // What strangers wrote is not ours to write well.
    if (!kind.startsWith("text/html") || response.status() === 303 || url.includes("/mail/body")) return;
    const text = await response.text().catch(() => "");
    if (text.startsWith("<!DOCTYPE")) served.set(`${response.request().method()} ${url} ${response.status()}`, text);
  });
  return served;
}

/** What html-validate finds in the pages. */
export async function valid(served) {
  const faults = new Set();
  for (const [name, text] of served) {
    const { results } = await validator.validateString(text);
    for (const { messages } of results) {
      for (const { ruleId, message, selector } of messages) faults.add(`${ruleId}: ${message} (${selector}) at ${name}`);
    }
  }
  return [...faults];
}
