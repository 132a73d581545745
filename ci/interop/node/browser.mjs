// Debian's Chromium against the examples that serve a page. `ci/interop.sh` starts them and passes where each listens.

import assert from "node:assert/strict";
import { after, before, describe, test as unbounded } from "node:test";
import { chromium } from "playwright-core";

const need = (name) => process.env[name] ?? assert.fail(`set ${name}`);
const ECHO = need("ECHO");
const OTHER = need("OTHER");
const ALLOWS_OTHER = need("ALLOWS_OTHER");
const SAME_URL = need("SAME_URL");
const [, PORT] = ECHO.split(":");

const TIMEOUT = 15_000;
const test = (name, run) => unbounded(name, { timeout: 2 * TIMEOUT }, run);

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A name under an attacker's control that resolves to this machine: DNS rebinding.
      "--host-resolver-rules=MAP rebound.example 127.0.0.1",
    ],
  });
});
after(() => browser?.close());

/** Runs `look` on the page at `url`; `said` collects what the page writes to its console. */
async function on(url, look) {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT);
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  try {
    await page.goto(url);
    await look(page, said);
  } finally {
    await page.close();
  }
}

/** Waits until the element's text is no longer `from`, and gives it. */
async function changed(page, selector, from) {
  const element = await page.waitForFunction(
    ([selector, from]) => {
      const { textContent } = document.querySelector(selector);
      return textContent !== from && textContent;
    },
    [selector, from],
  );
  return element.jsonValue();
}

/** Waits for as many echoes, and gives them all. */
async function echoes(page, count) {
  await page.locator(`#echoes li:nth-child(${count})`).waitFor();
  return page.locator("#echoes li").allTextContents();
}

async function opens(page, { origin, subprotocol }) {
  assert.equal(await changed(page, "#state", "connecting"), "open");
  assert.equal(await page.textContent("#origin"), origin);
  assert.equal(await page.textContent("#subprotocol"), subprotocol);
  assert.deepEqual(await echoes(page, 1), ["hello"]);
}

async function isRefused(page, said) {
  assert.equal(await changed(page, "#state", "connecting"), "closed (1006)");
  assert.equal(await page.locator("#echoes li").count(), 0);
  // 1006 is also what a port where nothing listens gives.
  assert.ok(said.some((text) => text.includes("Unexpected response code: 403")), said.join("\n"));
}

describe("the page of the example echo", () => {
  test("opens the socket, with the negotiated subprotocol, and hello comes back", () =>
    on(`http://${ECHO}/`, (page) => opens(page, { origin: `http://${ECHO}`, subprotocol: "v2.chat" })));

  test("opens the socket by the name localhost too", () =>
    on(`http://localhost:${PORT}/`, (page) =>
      opens(page, { origin: `http://localhost:${PORT}`, subprotocol: "v2.chat" })));

  test("shows none where no subprotocol is offered", () =>
    on(`http://${OTHER}/`, (page) => opens(page, { origin: `http://${OTHER}`, subprotocol: "none" })));

  test("echoes what is typed in the form", () =>
    on(`http://${ECHO}/`, async (page) => {
      await echoes(page, 1);
      await page.fill("#text", "typed, Wörld 🦀");
      await page.click("button");
      assert.deepEqual(await echoes(page, 2), ["hello", "typed, Wörld 🦀"]);
    }));
});

describe("a page of another origin", () => {
  test("is refused", () => on(`http://${OTHER}/?to=ws://${ECHO}/ws`, isRefused));

  test("is refused under another name of the same server", () =>
    on(`http://localhost:${PORT}/?to=ws://${ECHO}/ws`, isRefused));

  test("is accepted where it is listed", () =>
    on(`http://${OTHER}/?to=ws://${ALLOWS_OTHER}/ws`, (page) =>
      opens(page, { origin: `http://${OTHER}`, subprotocol: "none" })));

  test("is refused where its name was rebound to the server", () =>
    on(`http://rebound.example:${PORT}/`, async (page, said) => {
      await isRefused(page, said);
      assert.equal(await page.textContent("#origin"), `http://rebound.example:${PORT}`);
    }));
});

test("the page of the example same_url reaches the socket at its own URL", () =>
  on(`http://${SAME_URL}/`, async (page) => {
    assert.equal(await changed(page, "#said", "connecting"), "hello from the page");
  }));
