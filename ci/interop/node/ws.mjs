// Node's `ws` against the examples. `ci/interop.sh` starts them and passes where each listens.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { afterEach, describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { FOREIGN_HOST, FOREIGN_ORIGIN, close, echo, event, need, outcome, test } from "./suite.mjs";

const ECHO = need("ECHO");
const LISTED_ORIGIN = need("LISTED_ORIGIN");
const ORIGINS = need("ORIGINS");
const ORIGINS_FILE = need("ORIGINS_FILE");
const ORIGINS_STDERR = need("ORIGINS_STDERR");

const connected = [];
function connect(address, { path = "/ws", subprotocols = [], ...options } = {}) {
  const socket = new WebSocket(`ws://${address}${path}`, subprotocols, options);
  connected.push(socket);
  return socket;
}
// A socket that a failed test left open would keep the process alive.
afterEach(() => {
  for (const socket of connected.splice(0)) socket.on("error", () => {}).terminate();
});

/** Connects, and gives the open socket and the answer that opened it. */
async function open(address, options) {
  const socket = connect(address, options);
  const upgraded = event(socket, "upgrade");
  await event(socket, "open");
  const [answer] = await upgraded;
  return { socket, answer };
}

/** Connects, and gives the status, and the text if it is refused. */
const ask = (address, options) => outcome(connect(address, options));

const FRAMING = need("FRAMING");
const servers = [
  ["framing with tungstenite", FRAMING, "/tungstenite"],
  ["framing with fastwebsockets", FRAMING, "/fastwebsockets"],
  ["framing with tokio-websockets", FRAMING, "/tokio-websockets"],
  ["framing with yawc", FRAMING, "/yawc", "permessage-deflate"],
  ["echo", ECHO, "/ws"],
  ["tcp", need("TCP"), "/ws"],
  ["hyper", need("HYPER"), "/ws"],
  ["same_url", need("SAME_URL"), "/"],
  ["origins", ORIGINS, "/ws"],
];

for (const [name, address, path, extensions] of servers) {
  describe(`example ${name}`, () => {
    test("echoes text and binary, then closes with 1000", async () => {
      const { socket, answer } = await open(address, { path });
      assert.equal(answer.statusCode, 101);
      assert.equal(answer.headers["sec-websocket-extensions"], extensions);
      assert.equal(socket.extensions, extensions ?? "");
      await echo(socket, "hello, Wörld 🦀");
      await echo(socket, Buffer.from([0, 1, 0x80, 0xff]));
      await echo(socket, "");
      await close(socket);
    });

    test("echoes 1 MiB of text and of binary", async () => {
      const { socket } = await open(address, { path });
      await echo(socket, "x".repeat(2 ** 20));
      await echo(socket, randomBytes(2 ** 20));
      await close(socket);
    });

    test("refuses a foreign origin with 403", async () => {
      assert.deepEqual(await ask(address, { path, origin: "https://foreign.example" }), FOREIGN_ORIGIN);
    });

    test("refuses a foreign host with 403, though its page is of the same origin", async () => {
      const host = `rebound.example:${address.split(":")[1]}`;
      assert.deepEqual(await ask(address, { path, headers: { Host: host } }), FOREIGN_HOST);
      const rebound = { path, headers: { Host: host }, origin: `http://${host}` };
      assert.deepEqual(await ask(address, rebound), FOREIGN_HOST);
    });
  });
}

describe("origins", () => {
  for (const [name, origin] of [
    ["the same origin", `http://${ECHO}`],
    ["a listed origin", LISTED_ORIGIN],
    ["no origin", undefined],
  ]) {
    test(`${name} is accepted`, async () => {
      const { socket } = await open(ECHO, { origin });
      await echo(socket, "hello");
      await close(socket);
    });
  }

  test("another port or another name of the same host is foreign", async () => {
    const port = ECHO.split(":")[1];
    for (const origin of ["http://127.0.0.1:1", "http://127.0.0.1", `http://localhost:${port}`, "null"]) {
      assert.deepEqual(await ask(ECHO, { origin }), FOREIGN_ORIGIN, origin);
    }
  });
});

describe("subprotocols", () => {
  test("the server's preference decides", async () => {
    for (const subprotocols of [["v1.chat", "v2.chat"], ["v2.chat", "v1.chat"]]) {
      const { socket } = await open(ECHO, { subprotocols });
      assert.equal(socket.protocol, "v2.chat");
      await close(socket);
    }
  });

  test("the only one in common is selected", async () => {
    const { socket } = await open(ECHO, { subprotocols: ["v0.chat", "v1.chat"] });
    assert.equal(socket.protocol, "v1.chat");
    await close(socket);
  });

  test("none in common: none is answered", async () => {
    // `ws` gives up on such an answer, as browsers do; so look at the answer itself.
    const socket = connect(ECHO, { subprotocols: ["v3.chat"] });
    const failed = once(socket, "error");
    const [answer] = await event(socket, "upgrade");
    assert.equal(answer.statusCode, 101);
    assert.equal(answer.headers["sec-websocket-protocol"], undefined);
    const [error] = await failed;
    assert.equal(error.message, "Server sent no subprotocol");
  });

  test("none offered: none is answered", async () => {
    const { socket, answer } = await open(ECHO);
    assert.equal(socket.protocol, "");
    assert.equal(answer.headers["sec-websocket-protocol"], undefined);
    await close(socket);
  });
});

test("20 sockets at once each get their own messages", async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => open(ECHO)));
  assert.deepEqual(sockets.map(({ socket }) => socket.readyState), Array(20).fill(WebSocket.OPEN));
  await Promise.all(sockets.map(({ socket }, i) => echo(socket, `message ${i}`)));
  await Promise.all(sockets.map(({ socket }) => close(socket)));
});

describe("the list of origins is rewritten while the example origins serves", () => {
  const [FIRST, SECOND, THIRD] = ["first", "second", "third"].map((name) => `https://${name}.ws.example`);

  async function within2s(what, done) {
    const deadline = Date.now() + 2000;
    while (Date.now() < deadline) {
      if (await done()) return;
      await sleep(20);
    }
    assert.fail(`after 2 s: ${what}`);
  }

  /** Renamed into place, so that the example reads the whole text or the old one. */
  async function rewrite(text) {
    await writeFile(`${ORIGINS_FILE}.new`, text);
    await rename(`${ORIGINS_FILE}.new`, ORIGINS_FILE);
  }

  async function accepts(origin) {
    const { status } = await ask(ORIGINS, { origin });
    assert.ok([101, 403].includes(status), `answered ${status}`);
    return status === 101;
  }

  test("a new origin is accepted within 2 s, and the removed one refused", async () => {
    await rewrite(`${FIRST}\n`);
    await within2s(`${FIRST} is still refused`, () => accepts(FIRST));
    assert.equal(await accepts(SECOND), false);

    await rewrite(`# the next\n\n${SECOND}\n`);
    await within2s(`${SECOND} is still refused`, () => accepts(SECOND));
    assert.equal(await accepts(FIRST), false);
  });

  for (const [name, text, fault] of [
    ["a bad line", `${THIRD}\nhttps://third.ws.example/path\n`, "`https://third.ws.example/path`"],
    ["no final newline", THIRD, "does not end with a newline"],
  ]) {
    test(`${name}: the old list stays in force, and stderr says why`, async () => {
      await rewrite(`${SECOND}\n`);
      await within2s(`${SECOND} is still refused`, () => accepts(SECOND));
      const before = (await readFile(ORIGINS_STDERR, "utf8")).length;
      await rewrite(text);
      await within2s("nothing on stderr", async () => {
        const said = (await readFile(ORIGINS_STDERR, "utf8")).slice(before);
        return said.includes(fault) && said.includes("the old list stays in force\n");
      });
      assert.equal(await accepts(SECOND), true);
      assert.equal(await accepts(THIRD), false);
    });
  }
});
