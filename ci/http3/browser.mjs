// Debian's Chromium, whose WebSockets over HTTP/3 are behind a flag, with a server whose address is in $HTTP3. $HTTP3_STDOUT is what
// the example `http3` has printed; a proxy has none.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, test as unbounded } from "node:test";
import tls from "node:tls";
import { chromium } from "../interop/node/node_modules/playwright-core/index.mjs";

const PORT = process.env.HTTP3.split(":")[1];
const ORIGIN = `https://localhost:${PORT}`;
const test = (name, run) => unbounded(name, { timeout: 60_000 }, run);

/** Chromium trusts no certificate for QUIC that it does not know, so it is told which. */
async function fingerprint() {
  const socket = tls.connect({ host: "127.0.0.1", port: Number(PORT), servername: "localhost", rejectUnauthorized: false });
  await new Promise((done, fail) => socket.once("secureConnect", done).once("error", fail));
  const { publicKey } = new X509Certificate(socket.getPeerCertificate(true).raw);
  socket.destroy();
  return createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
}

let browser, foreign;
before(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      // The servers listen on IPv4 alone, and Chromium would try `::1` first.
      "--host-resolver-rules=MAP localhost 127.0.0.1",
      "--enable-features=EnableWebsocketsOverHttp3",
      `--origin-to-force-quic-on=localhost:${PORT}`,
      `--ignore-certificate-errors-spki-list=${await fingerprint()}`,
    ],
  });
  foreign = createServer((request, response) => response.end("a page of somebody else"));
  await new Promise((done) => foreign.listen(0, "127.0.0.1", done));
});
after(async () => {
  await browser?.close();
  foreign?.close();
});

/** Opens a socket from the page, and says what becomes of it. */
const converse = (url) =>
  new Promise((done) => {
    const socket = new WebSocket(url, ["v1.chat"]);
    const heard = [];
    socket.onopen = () => socket.send("hello");
    socket.onmessage = ({ data }) => {
      heard.push(data);
      socket.close(1000, "done");
    };
    socket.onclose = ({ code, wasClean }) => done({ subprotocol: socket.protocol, heard, code, wasClean });
  });

describe("Chromium over HTTP/3", () => {
  test("a page and its socket share a connection", async () => {
    const page = await browser.newPage();
    await page.goto(`${ORIGIN}/`);
    const protocol = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
    assert.equal(protocol, "h3");
    const outcome = await page.evaluate(converse, `wss://localhost:${PORT}/ws`);
    assert.deepEqual(outcome, { subprotocol: "v1.chat", heard: ["hello"], code: 1000, wasClean: true });
    if (process.env.HTTP3_STDOUT) {
      const printed = await readFile(process.env.HTTP3_STDOUT, "utf8");
      assert.match(printed, /a socket over HTTP\/3\.0\n/);
      assert.doesNotMatch(printed, /a socket over HTTP\/[12]/);
    }
    await page.close();
  });

  test("a foreign page is refused", async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${foreign.address().port}/`);
    const outcome = await page.evaluate(converse, `wss://localhost:${PORT}/ws`);
    assert.deepEqual(outcome, { subprotocol: "", heard: [], code: 1006, wasClean: false });
    await page.close();
  });
});
