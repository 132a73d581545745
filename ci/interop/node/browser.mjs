// Debian's Chromium against the examples that serve a page. `ci/interop.sh` starts them, and passes where each listens
// and where it writes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { after, afterEach, before, describe, test as unbounded } from "node:test";
import { chromium } from "playwright-core";
import { need } from "./suite.mjs";

const ECHO = need("ECHO");
const OTHER = need("OTHER");
const ALLOWS_OTHER = need("ALLOWS_OTHER");
const SAME_URL = need("SAME_URL");
const CHAT = need("CHAT");
const CLUSTER = need("CLUSTER");
const FRAMING = need("FRAMING");
const TOKEN = need("TOKEN");
const TLS = need("TLS");
const TLS_CHAT = need("TLS_CHAT");
const TLS_ALLOWS_OTHER = need("TLS_ALLOWS_OTHER");
const [, PORT] = ECHO.split(":");

const TIMEOUT = 15_000;
const test = (name, run) => unbounded(name, { timeout: 2 * TIMEOUT }, run);

const launch = (...args) =>
  chromium.launch({
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
      // The example tls makes its own.
      "--ignore-certificate-errors",
      ...args,
    ],
  });

let browser, withoutHttp2;
before(async () => {
  [browser, withoutHttp2] = await Promise.all([launch(), launch("--disable-http2")]);
});
after(() => Promise.all([browser?.close(), withoutHttp2?.close()]));

/** Runs `look` with what opens a tab at a URL: the tabs share their connections among them, and with no others. */
async function inTabs(look, chosen = browser) {
  const context = await chosen.newContext();
  context.setDefaultTimeout(TIMEOUT);
  try {
    await look(async (url) => {
      const page = await context.newPage();
      const said = [];
      page.on("console", (message) => said.push(message.text()));
      await page.goto(url);
      return { page, said };
    });
  } finally {
    await context.close();
  }
}

/** Runs `look` on the page at `url`; `said` collects what the page writes to its console. */
const on = (url, look, chosen) =>
  inTabs(async (tab) => {
    const { page, said } = await tab(url);
    await look(page, said);
  }, chosen);

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

/** Scripts are told no more than 1006, which is also what a port where nothing listens gives. */
const saysWhy = (said, why) => assert.ok(said.some((text) => text.includes(why)), said.join("\n"));

async function isRefused(page, said) {
  assert.equal(await changed(page, "#state", "connecting"), "closed (1006)");
  assert.equal(await page.locator("#echoes li").count(), 0);
  saysWhy(said, "Unexpected response code: 403");
}

describe("the example hijack: a page of somebody else, and the cookie of a visitor of the bank's", async () => {
  const addresses = (await readFile(need("HIJACK_STDOUT"), "utf8")).match(/http:\/\/[\d.:]+/g);
  const [unguarded, guarded, attacker] = addresses;

  const attack = (look) =>
    inTabs(async (tab) => {
      for (const bank of [unguarded, guarded]) {
        const { page } = await tab(bank);
        assert.equal(await changed(page, "#account", "…"), "alice has 1,000 coins");
      }
      const { page, said } = await tab(attacker);
      await look(async (id, last) => {
        await page.locator(`#${id} p`, { hasText: last }).waitFor();
        return page.locator(`#${id} p`).textContent();
      }, said);
      if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
    });

  test("without the layer it reads the account, and acts on it", () =>
    attack(async (saidBy) => {
      assert.equal(
        await saidBy("unguarded", "Mallory"),
        "alice has 1,000 coins\nalice has sent all of them to Mallory",
      );
    }));

  test("with the layer it is refused with 403", () =>
    attack(async (saidBy, said) => {
      assert.equal(await saidBy("guarded", "closed"), "closed (1006)");
      saysWhy(said, "Unexpected response code: 403");
    }));
});

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

test("two tabs of the example chat hear each other, and a name is nobody else's", () =>
  on(`http://${CHAT}/`, (ada) =>
    on(`http://${CHAT}/`, async (ben) => {
      const say = async (page, text) => {
        await page.fill("#text", text);
        await page.click("button");
      };
      const heard = (page, text) => page.locator("#said li", { hasText: text }).waitFor();
      await say(ada, "ada");
      await heard(ada, "ada joined");
      await say(ben, "ada");
      await heard(ben, "that name is taken");
      await say(ben, "ben");
      await heard(ada, "ben joined");
      await say(ada, "hello, Wörld");
      for (const page of [ada, ben]) await heard(page, "ada: hello, Wörld");
      await say(ben, "and hello to you");
      await heard(ada, "ben: and hello to you");
      await ben.close();
      await heard(ada, "ben left");
    }),
  ));

test("a page of the example cluster hears what was said while it was away, and says what it could not, once", () =>
  on(`http://${CLUSTER}/`, (ada) =>
    on(`http://${CLUSTER}/`, async (ben) => {
      const say = async (page, name, text) => {
        await page.fill("#from", name);
        await page.fill("#text", text);
        await page.click("button");
      };
      const heard = (page, text) => page.locator("#said li:not(.unsaid)", { hasText: text }).waitFor();
      for (const page of [ada, ben]) await page.locator("#state", { hasText: /^connected$/ }).waitFor();
      await say(ada, "ada", "one");
      await heard(ben, "ada: one");
      await ben.evaluate(() => socket.close());
      await say(ben, "ben", "two");
      await say(ada, "ada", "three");
      const all = [];
      for (const page of [ada, ben]) {
        await heard(page, "ben: two");
        await heard(page, "ada: three");
        all.push(await page.locator("#said li").allTextContents());
      }
      assert.deepEqual(all[0], all[1], "in the same order");
      assert.deepEqual(all[0].sort(), ["ada: one", "ada: three", "ben: two"]);
    }),
  ));

test("a page trades its key for a ticket, or shows it, in a subprotocol that is not answered", () =>
  on(`http://${TOKEN}/`, async (page) => {
    const said = async (button, ...lines) => {
      await page.evaluate(() => document.getElementById("log").replaceChildren());
      await page.click(`button[value=${button}]`);
      for (const line of lines) await page.locator("#log", { hasText: line }).waitFor();
      const [url] = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).slice(-1));
      assert.ok(url === undefined || !url.includes("?"), url);
    };
    await said("ticket", "open, by v1.chat", "hello alice");
    await said("bearer", "open, by v1.chat", "hello alice");
    await page.fill("#key", "bm9ib2R5");
    await said("ticket", "no ticket: 401");
    await said("bearer", "closed: 1006");
  }));

test("a page agrees on permessage-deflate with the route of yawc alone", () =>
  // The example framing has no page, and admits those of its own origin alone: its refusal is one.
  on(`http://${FRAMING}/yawc`, async (page) => {
    const rows = [["yawc", "permessage-deflate"], ["tungstenite", ""], ["fastwebsockets", ""], ["tokio-websockets", ""]];
    for (const [path, extensions] of rows) {
      const said = await page.evaluate(
        (path) =>
          new Promise((done, failed) => {
            const socket = new WebSocket(`ws://${location.host}/${path}`);
            const text = "x".repeat(100_000);
            socket.onopen = () => socket.send(text);
            socket.onmessage = ({ data }) => done({ same: data === text, extensions: socket.extensions });
            socket.onclose = ({ code }) => failed(new Error(`closed (${code})`));
          }),
        path,
      );
      assert.deepEqual(said, { same: true, extensions }, path);
    }
  }));

test("the page of the example same_url reaches the socket at its own URL", () =>
  on(`http://${SAME_URL}/`, async (page) => {
    assert.equal(await changed(page, "#said", "connecting"), "hello from the page");
  }));

/** The lines that the example has written since. */
async function written(variable) {
  const read = () => readFile(need(variable), "utf8");
  const { length } = await read();
  return async () => (await read()).slice(length).split("\n").slice(0, -1);
}

/** What the example tls says of handshakes since: the version of those that it accepted, why it refused the others. */
async function handshakes(variable) {
  const stdout = await written(variable);
  return async () => (await stdout()).filter((line) => /^a socket by |handshake refused/.test(line));
}

/** Opens a socket in the page, closes it once `hello` has come back, and gives all that the page sees of it. */
const converse = (page, url, subprotocols = []) =>
  page.evaluate(
    ([url, subprotocols]) =>
      new Promise((resolve) => {
        const seen = [];
        const socket = new WebSocket(url, subprotocols);
        socket.onopen = () => {
          seen.push(`open (${socket.protocol || "none"})`);
          socket.send("hello");
        };
        socket.onmessage = ({ data }) => {
          seen.push(data);
          socket.close(1000, "done");
        };
        socket.onerror = () => seen.push("error");
        socket.onclose = ({ code, wasClean }) => {
          seen.push(`close ${code}, ${wasClean ? "clean" : "not clean"}`);
          resolve(seen);
        };
      }),
    [url, subprotocols],
  );
const CONVERSED = (subprotocol) => [`open (${subprotocol})`, "hello", "close 1000, clean"];
const FAILED = ["error", "close 1006, not clean"];

const relays = [];
/** Listens in place of `address`, and counts the connections that are made to it. */
async function relay(address) {
  const [host, port] = address.split(":");
  const opened = [];
  let connections = 0;
  const server = net.createServer((client) => {
    connections += 1;
    const upstream = net.connect(Number(port), host);
    for (const socket of [client, upstream]) opened.push(socket.on("error", () => {}));
    client.pipe(upstream).pipe(client);
  });
  relays.push({ server, opened });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `127.0.0.1:${server.address().port}`, connections: () => connections };
}
afterEach(() => {
  for (const { server, opened } of relays.splice(0)) {
    server.close();
    for (const socket of opened) socket.destroy();
  }
});

for (const [version, method, nextHopProtocol, chosen] of [
  ["HTTP/2", "CONNECT", "h2", () => browser],
  ["HTTP/1.1", "GET", "http/1.1", () => withoutHttp2],
]) {
  const A_SOCKET = method === "CONNECT" ? "a socket by CONNECT over HTTP/2.0" : "a socket by GET over HTTP/1.1";

  describe(`on TLS, over ${version}`, () => {
    const visit = (url, look) => on(url, look, chosen());
    /** The version over which the page itself was loaded. */
    const loadedOver = (page) =>
      page.evaluate(() => performance.getEntriesByType("navigation").map((entry) => entry.nextHopProtocol));

    test(`the page opens its socket by ${method}, and hello and 1 MiB come back`, async () => {
      const since = await handshakes("TLS_STDOUT");
      await visit(`https://${TLS}/`, async (page) => {
        assert.deepEqual(await loadedOver(page), [nextHopProtocol]);
        await opens(page, { origin: `https://${TLS}`, subprotocol: "none" });
        const same = await page.evaluate(
          () =>
            new Promise((resolve) => {
              const sent = "0123456789abcdef".repeat(2 ** 16);
              socket.onmessage = ({ data }) => resolve(data === sent);
              socket.onclose = ({ code }) => resolve(`closed with ${code}`);
              socket.send(sent);
            }),
        );
        assert.equal(same, true);
      });
      assert.deepEqual(await since(), [A_SOCKET]);
    });

    test("the page gets its subprotocol, and its close is clean for the server too", async () => {
      const [since, stderr] = await Promise.all([handshakes("TLS_CHAT_STDOUT"), written("TLS_CHAT_STDERR")]);
      await visit(`https://${TLS_CHAT}/`, async (page) => {
        await opens(page, { origin: `https://${TLS_CHAT}`, subprotocol: "v1.chat" });
        const closed = await page.evaluate(
          () =>
            new Promise((resolve) => {
              socket.addEventListener("close", ({ code, wasClean }) => resolve({ code, wasClean }));
              socket.close(1000, "done");
            }),
        );
        assert.deepEqual(closed, { code: 1000, wasClean: true });
      });
      assert.deepEqual([await since(), await stderr()], [[A_SOCKET], []]);
    });

    test("a page that offers none of the subprotocols required there gets an error and 1006", async () => {
      const since = await handshakes("TLS_CHAT_STDOUT");
      await visit(`https://${TLS_CHAT}/`, async (page, said) => {
        await echoes(page, 1);
        assert.deepEqual(await converse(page, `wss://${TLS_CHAT}/ws`, ["unknown"]), FAILED);
        saysWhy(said, "Unexpected response code: 400");
        assert.deepEqual(await converse(page, `wss://${TLS_CHAT}/ws`, ["unknown", "v1.chat"]), CONVERSED("v1.chat"));
      });
      const [own, refusal, accepted, ...rest] = await since();
      assert.deepEqual([own, accepted, rest], [A_SOCKET, A_SOCKET, []]);
      assert.match(refusal, /none of the subprotocols known here is offered/);
    });

    test("a page of another origin is refused", () =>
      inTabs(async (tab) => {
        const since = await handshakes("TLS_CHAT_STDOUT");
        const target = await relay(TLS_CHAT);
        // A browser opens sockets over HTTP/2 only where it has a connection that speaks it: this makes one.
        const { page: own } = await tab(`https://${target.address}/`);
        await opens(own, { origin: `https://${target.address}`, subprotocol: "v1.chat" });
        const { page, said } = await tab(`https://${TLS}/`);
        const connections = target.connections();
        assert.deepEqual(await converse(page, `wss://${target.address}/ws`, ["v1.chat"]), FAILED);
        saysWhy(said, "Unexpected response code: 403");
        // It came on the connection of the other tab, whose socket lives on.
        if (version === "HTTP/2") assert.equal(target.connections(), connections);
        await own.click("button");
        assert.deepEqual(await echoes(own, 2), ["hello", "hello"]);
        const [first, refusal, ...rest] = await since();
        assert.deepEqual([first, rest], [A_SOCKET, []]);
        assert.match(refusal, /pages of this origin may not connect/);
        assert.ok(refusal.includes(`"https://${TLS}"`), refusal);
      }, chosen()));

    test("a page of another origin is accepted where it is listed", () =>
      inTabs(async (tab) => {
        const { page: own } = await tab(`https://${TLS_ALLOWS_OTHER}/`);
        await echoes(own, 1);
        const { page } = await tab(`https://${TLS}/`);
        const since = await handshakes("TLS_ALLOWS_OTHER_STDOUT");
        assert.deepEqual(await converse(page, `wss://${TLS_ALLOWS_OTHER}/ws`), CONVERSED("none"));
        assert.deepEqual(await since(), [A_SOCKET]);
      }, chosen()));

    test("a page is refused under another name of the same server, and where its name was rebound to it", async () => {
      const [, port] = TLS.split(":");
      await visit(`https://localhost:${port}/?to=wss://${TLS}/ws`, isRefused);
      const since = await handshakes("TLS_STDOUT");
      await visit(`https://rebound.example:${port}/`, isRefused);
      const [refusal, ...rest] = await since();
      assert.match(refusal, /this host is not served here/);
      assert.deepEqual(rest, []);
    });
  });
}

test("a page in the clear reaches a socket on TLS where it is listed, and is refused elsewhere", () =>
  on(`http://${OTHER}/`, async (page, said) => {
    assert.deepEqual(await converse(page, `wss://${TLS_ALLOWS_OTHER}/ws`), CONVERSED("none"));
    assert.deepEqual(await converse(page, `wss://${TLS}/ws`), FAILED);
    saysWhy(said, "Unexpected response code: 403");
  }));

test("a page that offers subprotocols where none is answered gives up, though the server accepts", () =>
  on(`https://${TLS}/`, async (page, said) => {
    assert.deepEqual(await converse(page, `wss://${TLS}/ws`, ["unknown"]), FAILED);
    saysWhy(said, "Sent non-empty 'Sec-WebSocket-Protocol' header but no response was received");
  }));

test("two tabs share one connection over HTTP/2, and closing one leaves the other's socket open", () =>
  inTabs(async (tab) => {
    const since = await handshakes("TLS_STDOUT");
    const target = await relay(TLS);
    const url = `https://${target.address}/`;
    const { page: first } = await tab(url);
    await opens(first, { origin: `https://${target.address}`, subprotocol: "none" });
    const connections = target.connections();
    const { page: second } = await tab(url);
    await opens(second, { origin: `https://${target.address}`, subprotocol: "none" });
    assert.equal(target.connections(), connections);
    assert.deepEqual(await since(), Array(2).fill("a socket by CONNECT over HTTP/2.0"));

    await first.close();
    await second.fill("#text", "still here");
    await second.click("button");
    assert.deepEqual(await echoes(second, 2), ["hello", "still here"]);
  }));
