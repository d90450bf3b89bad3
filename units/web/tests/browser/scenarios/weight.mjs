// What the list costs a browser that sees it for the first time: bytes, requests and heap. `./bench --web` prints it.
import { known, open, origin, say, signIn } from "../harness.mjs";

/** Megabytes of JavaScript objects that are in use. */
async function heap(session) {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return (metrics.find(({ name }) => name === "JSHeapUsedSize").value / 1e6).toFixed(1);
}

export default async function (browser) {
  const first = await browser.window();
  await (await signIn(first, known.account)).close();
  const context = await browser.window({ storageState: await first.storageState() });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Performance.enable");
  let [requests, bytes] = [0, 0];
  session.on("Network.requestWillBeSent", ({ request }) => (requests += request.url.startsWith("http")));
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.goto(`${origin}/mail`);
  await page.waitForTimeout(2000);
  say(`first view: ${requests} requests, ${(bytes / 1000).toFixed(1)} kB, heap ${await heap(session)} MB`);
  const subjects = await page.locator(".row .subject").allTextContents();
  for (const subject of subjects.slice(0, 20)) await open(page, subject.trim());
  say(`after ${Math.min(subjects.length, 20)} messages: heap ${await heap(session)} MB`);
}
