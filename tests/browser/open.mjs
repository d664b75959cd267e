// Opens pages in Chromium and prints what it found on each, one JSON line a page.
//
// Usage: node open.mjs '{"url": "...", ...}' ... with the members
//   url        what to open
//   scheme     "light" or "dark"
//   width      of the window, in pixels
//   scripts    false to turn scripts off
//   act        a step to take after the page was loaded, see below
//   shot       a file to save a picture of the whole page in
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Containers let nobody make the namespaces of its sandbox. It opens only pages of these tests.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

/** What markup can run, and where links lead. Runs in the page. */
function inspected() {
  const all = [...document.querySelectorAll("*")];
  return {
    scripts: [...document.scripts].map((script) => script.src || "inline"),
    handlers: all.flatMap((node) => node.getAttributeNames().filter((name) => name.startsWith("on"))),
    styles: all.filter((node) => node.hasAttribute("style")).length + document.querySelectorAll("style").length,
    links: [...new Set([...document.links].map((link) => new URL(link.href).protocol))],
    foreign: all.map((node) => node.localName).filter((name) => ["iframe", "object", "embed", "img", "svg", "base"].includes(name)),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    hacked: window.hacked ?? null,
    text: document.body.innerText,
  };
}

/** Steps that a person would take. */
const acts = {
  search: async (page, word) => {
    await page.getByRole("searchbox").fill(word);
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/[?&]q=/);
  },
  next: async (page) => {
    await page.getByRole("navigation", { name: "Pages of services" }).getByRole("link", { name: "Next page" }).click();
    await page.waitForURL(/cursor=/);
  },
  // Says that the page is open, then waits for a text that comes without loading it again.
  wait: async (page, text) => {
    await page.getByText("Changes appear by themselves.").waitFor({ timeout: 60_000 });
    await page.evaluate(() => { window.stayed = true; });
    console.log(JSON.stringify({ open: true }));
    await page.getByText(text, { exact: false }).first().waitFor({ timeout: 60_000 });
    if (!(await page.evaluate(() => window.stayed))) throw new Error("the page was loaded again");
  },
  try: async (page, operation) => {
    await page.locator(`#${operation} .try summary`).click();
    await page.locator(`#${operation}`).getByRole("button", { name: "Send" }).click();
    await page.locator(`#${operation} output`).getByText("200").first().waitFor({ timeout: 60_000 });
  },
};

for (const job of process.argv.slice(2).map((text) => JSON.parse(text))) {
  const { url, scheme = "light", width = 1280, scripts = true, act, shot, print = false } = job;
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width, height: 900 },
    javaScriptEnabled: scripts,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const [errors, dialogs, hosts] = [[], [], new Set()];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  const answer = await page.goto(url, { waitUntil: "load" });
  if (act) await acts[act[0]](page, act[1]);
  if (print) await page.emulateMedia({ media: "print" });
  // axe is evaluated by the debugger, which no policy of the page concerns.
  const violations = [];
  if (scripts) {
    await page.evaluate(axe);
    const { violations: found } = await page.evaluate(() => axe.run());
    violations.push(...found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).slice(0, 3).join(" ")}`));
  }
  const found = scripts ? await page.evaluate(inspected) : { text: await page.locator("body").innerText() };
  if (shot) await page.screenshot({ path: shot, fullPage: job.full ?? true });
  console.log(JSON.stringify({ status: answer.status(), errors, dialogs, hosts: [...hosts], violations, ...found }));
  await context.close();
}
await browser.close();
