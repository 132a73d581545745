// Node's own `http2` client, which speaks extended CONNECT (RFC 8441), against the examples: in the clear with prior
// knowledge, and on TLS by ALPN. `ws` frames the streams. `ci/interop.sh` starts the examples and passes where each
// listens.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { on } from "node:events";
import http2 from "node:http2";
import { afterEach, describe } from "node:test";
import { Receiver, Sender } from "ws";
import { event, need, test } from "./suite.mjs";

const ECHO = need("ECHO");
const LISTED_ORIGIN = need("LISTED_ORIGIN");
const SAME_URL = need("SAME_URL");
const TLS = need("TLS");
const TLS_CHAT = need("TLS_CHAT");

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;

const sessions = [];
/** Connects, and waits for the server's settings: only then may a client use `:protocol`. */
async function connect(url) {
  // The certificate is made by the example at start.
  const session = http2.connect(url, { rejectUnauthorized: false });
  sessions.push(session);
  const [settings] = await event(session, "remoteSettings");
  return { session, settings };
}
// A session that a failed test left open would keep the process alive.
afterEach(() => {
  for (const session of sessions.splice(0)) session.on("error", () => {}).destroy();
});

const CONNECT = { ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", "sec-websocket-version": "13" };

/** Sends a handshake with those fields in place of its own; one that is `undefined` is left out. */
function request(session, fields = {}) {
  const sent = Object.entries({ ...CONNECT, ...fields }).filter(([, value]) => value !== undefined);
  return session.request(Object.fromEntries(sent), { endStream: false });
}

/** Sends a request, and gives its answer, which must not leave the stream open. */
async function ask(session, fields) {
  const stream = request(session, fields);
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  const ended = event(stream, "end");
  const [[headers]] = await Promise.all([event(stream, "response"), ended]);
  return { status: headers[":status"], headers, text };
}

/** A WebSocket on a stream. */
class Socket {
  constructor(stream) {
    this.stream = stream;
    this.sender = new Sender(stream);
    this.receiver = new Receiver();
  }

  /** Nothing is read from the stream before. */
  read() {
    this.stream.pipe(this.receiver);
    return this;
  }

  /** Sends a message in as many frames. */
  send(message, frames = 1) {
    const options = { binary: typeof message !== "string", mask: true, compress: false };
    const length = Math.ceil(message.length / frames);
    for (let i = 0; i < frames; i++) {
      this.sender.send(message.slice(i * length, (i + 1) * length), { ...options, fin: i === frames - 1 });
    }
  }

  /** Waits for the message, and that nothing else comes in its place. */
  async receives(message) {
    const [data, binary] = await event(this.receiver, "message");
    assert.equal(binary, typeof message !== "string");
    // Not `deepEqual`: a difference in 1 MiB would be printed.
    assert.ok(data.equals(Buffer.from(message)), `${data.length} other bytes came back`);
  }

  async echo(message, frames) {
    const received = this.receives(message);
    this.send(message, frames);
    await received;
  }
}

/** Opens a socket that is not read yet. */
async function openUnread(session, fields) {
  const stream = request(session, fields);
  const [answer] = await event(stream, "response");
  assert.equal(answer[":status"], 200);
  for (const name of ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions"]) {
    assert.equal(answer[name], undefined, name);
  }
  return { socket: new Socket(stream), answer };
}

async function open(session, fields) {
  const { socket, answer } = await openUnread(session, fields);
  return { socket: socket.read(), answer };
}

/** Sends `fields`, and wants the refusal with all that it owes over HTTP/2. */
async function isRefused(session, fields, status, text) {
  const refused = await ask(session, fields);
  assert.deepEqual({ status: refused.status, text: refused.text }, { status, text });
  const { headers } = refused;
  assert.equal(headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["sec-websocket-version"], text.startsWith("`Sec-WebSocket-Version`") ? "13" : undefined);
  for (const name of ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol"]) {
    assert.equal(headers[name], undefined, name);
  }
}

const SPEAKS_WEBSOCKET_ONLY = "this resource speaks WebSocket only";
const ASKS_FOR_ELSE = "the request has WebSocket headers, but does not ask for `websocket`";
const FOREIGN_ORIGIN = "pages of this origin may not connect";
const NOT_SHARED = "none of the subprotocols known here is offered";

/** What the fields of a handshake are refused with. */
const refusals = (authority) => [
  ["no version", { "sec-websocket-version": undefined }, 400, "`Sec-WebSocket-Version` is missing"],
  ["version 8", { "sec-websocket-version": "8" }, 400, "`Sec-WebSocket-Version` must be 13"],
  [
    "a repeated version",
    { "sec-websocket-version": ["13", "13"] },
    400,
    "`Sec-WebSocket-Version` is sent more than once",
  ],
  ["a foreign origin", { origin: "https://foreign.example" }, 403, FOREIGN_ORIGIN],
  ["another port's origin", { origin: "https://127.0.0.1:1" }, 403, FOREIGN_ORIGIN],
  ["the origin null", { origin: "null" }, 403, FOREIGN_ORIGIN],
  ["a malformed origin", { origin: "https://foreign.example/" }, 400, "`Origin` is not a serialized origin"],
  ["a repeated origin", { origin: [LISTED_ORIGIN, LISTED_ORIGIN] }, 400, "`Origin` is sent more than once"],
  [
    "another site's page without an origin",
    { "sec-fetch-site": "cross-site" },
    403,
    "a page of another site may not connect without an `Origin`",
  ],
  ["a foreign :authority", { ":authority": "foreign.example" }, 403, "this host is not served here"],
  [
    "a foreign :authority, though its page is of the same origin",
    { ":authority": "foreign.example", origin: "https://foreign.example" },
    403,
    "this host is not served here",
  ],
  ["a malformed :authority", { ":authority": "127.0.0.1:99999" }, 400, "the request names a malformed host"],
  ["an :authority with a user", { ":authority": `user@${authority}` }, 400, "the request names a malformed host"],
  [
    "a host that disagrees with :authority",
    { ":authority": authority, host: "localhost" },
    400,
    "`Host` and the request's target disagree",
  ],
  ["a host in place of :authority", { ":authority": undefined, host: authority }, 400, "the request names no host"],
  [
    "malformed subprotocols",
    { "sec-websocket-protocol": "v1.chat v2.chat" },
    400,
    "`Sec-WebSocket-Protocol` is not a list of tokens",
  ],
  [
    "a repeated subprotocol",
    { "sec-websocket-protocol": ["v1.chat", "v1.chat"] },
    400,
    "`Sec-WebSocket-Protocol` offers a subprotocol twice",
  ],
  [
    "33 subprotocols",
    { "sec-websocket-protocol": Array.from({ length: 33 }, (_, i) => `v${i}`).join() },
    400,
    "`Sec-WebSocket-Protocol` offers too many subprotocols",
  ],
  [
    "malformed extensions",
    { "sec-websocket-extensions": "permessage-deflate;" },
    400,
    "`Sec-WebSocket-Extensions` is malformed",
  ],
  [
    "33 extensions",
    { "sec-websocket-extensions": Array.from({ length: 33 }, (_, i) => `x${i}`).join() },
    400,
    "`Sec-WebSocket-Extensions` makes too many offers",
  ],
  ["another :protocol with the fields of a handshake", { ":protocol": "connect-udp" }, 400, ASKS_FOR_ELSE],
  [
    "another :protocol, by the handler,",
    { ":protocol": "connect-udp", "sec-websocket-version": undefined },
    400,
    SPEAKS_WEBSOCKET_ONLY,
  ],
  [
    "a plain CONNECT with the fields of a handshake",
    { ":protocol": undefined, ":path": undefined, ":authority": authority },
    400,
    ASKS_FOR_ELSE,
  ],
  [
    "a GET, which over HTTP/2 opens no socket,",
    { ":method": "GET", ":protocol": undefined, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" },
    400,
    SPEAKS_WEBSOCKET_ONLY,
  ],
];

for (const [name, address, scheme] of [
  ["in the clear", ECHO, "http"],
  ["on TLS", TLS, "https"],
]) {
  const url = `${scheme}://${address}`;

  describe(`HTTP/2 ${name}`, () => {
    test("the server announces extended CONNECT", async () => {
      const { session, settings } = await connect(url);
      assert.equal(settings.enableConnectProtocol, true);
      assert.equal(session.alpnProtocol, scheme === "https" ? "h2" : "h2c");
    });

    for (const [what, fields] of [
      ["websocket", {}],
      ["WebSocket in mixed case", { ":protocol": "WebSocket" }],
      ["websocket with a key, which means nothing here,", { "sec-websocket-key": "not base64" }],
      ["websocket with an extension, which is not agreed on,", { "sec-websocket-extensions": "permessage-deflate" }],
      ["websocket with a host that agrees with :authority", { ":authority": address, host: address }],
      ["websocket from a page of the same origin", { origin: url }],
      ["websocket from a page of a listed origin", { origin: LISTED_ORIGIN }],
    ]) {
      test(`${what} opens a socket that echoes text and binary`, async () => {
        const { session } = await connect(url);
        const { socket } = await open(session, fields);
        await socket.echo("hello, Wörld 🦀");
        await socket.echo(Buffer.from([0, 1, 0x80, 0xff]));
        await socket.echo("");
      });
    }

    test("1 MiB of binary in one frame and in 7 comes back", async () => {
      const { session } = await connect(url);
      const { socket } = await open(session);
      await socket.echo(randomBytes(2 ** 20));
      await socket.echo(randomBytes(2 ** 20), 7);
    });

    test("what is sent before the answer arrives is not lost", async () => {
      const { session } = await connect(url);
      const stream = request(session);
      const answered = event(stream, "response");
      const socket = new Socket(stream).read();
      await socket.echo("early");
      const [answer] = await answered;
      assert.equal(answer[":status"], 200);
    });

    test("150 sockets on one session each get their own messages", async () => {
      const { session } = await connect(url);
      const opened = await Promise.all(Array.from({ length: 150 }, () => open(session)));
      await Promise.all(opened.map(({ socket }, i) => socket.echo(`message ${i}`)));
      await Promise.all(opened.map(({ socket }, i) => socket.echo(randomBytes(1000 + i))));
    });

    test("a socket that is not read does not stop the others, and loses nothing", async () => {
      const { session } = await connect(url);
      const { socket: unread } = await openUnread(session);
      // More than the client has room for, so that the server has to wait with the rest.
      const messages = Array.from({ length: 8 }, () => randomBytes(2 ** 16));
      for (const message of messages) unread.send(message);

      const { socket } = await open(session);
      await socket.echo(randomBytes(2 ** 20));
      await socket.echo("still here");

      const received = on(unread.receiver, "message", { signal: AbortSignal.timeout(10_000) });
      unread.read();
      for (const message of messages) {
        const { value } = await received.next();
        assert.ok(message.equals(value[0]), `${value[0].length} other bytes came back`);
      }
    });

    test("a close frame is answered with one, and the stream ended", async () => {
      const { session } = await connect(url);
      const { socket } = await open(session);
      await socket.echo("hello");
      const concluded = event(socket.receiver, "conclude");
      const ended = event(socket.stream, "end");
      const closed = event(socket.stream, "close");
      socket.sender.close(1000, "done", true);
      const [code, reason] = await concluded;
      assert.deepEqual([code, String(reason)], [1000, "done"]);
      await ended;
      socket.stream.end();
      await closed;
      assert.equal(socket.stream.rstCode, NGHTTP2_NO_ERROR);
    });

    test("a stream that the client ends without a close frame is ended by the server", async () => {
      const { session } = await connect(url);
      const { socket } = await open(session);
      const ended = event(socket.stream, "end");
      socket.stream.end();
      await ended;
    });

    test("a socket that is cancelled leaves the others alive", async () => {
      const { session } = await connect(url);
      const [{ socket: gone }, { socket: stays }] = await Promise.all([open(session), open(session)]);
      const closed = event(gone.stream, "close");
      gone.stream.close(NGHTTP2_CANCEL);
      await closed;
      await stays.echo("still here");
      const { socket } = await open(session);
      await socket.echo("and new ones open");
    });

    for (const [what, fields, status, text] of refusals(address)) {
      test(`${what} is refused with ${status}, and the session goes on`, async () => {
        const { session } = await connect(url);
        const { socket: before } = await open(session);
        await isRefused(session, fields, status, text);
        await before.echo("opened before");
        const { socket } = await open(session);
        await socket.echo("opened after");
      });
    }

    test("a plain CONNECT without the fields of a handshake finds no route, and the session goes on", async () => {
      const { session } = await connect(url);
      const plain = { ":protocol": undefined, ":path": undefined, ":authority": address };
      const { status } = await ask(session, { ...plain, "sec-websocket-version": undefined });
      assert.equal(status, 404);
      const { socket } = await open(session);
      await socket.echo("opened after");
    });

    test("the page and its socket share a session", async () => {
      const { session } = await connect(url);
      const { socket } = await open(session);
      const get = { ":method": "GET", ":protocol": undefined, "sec-websocket-version": undefined };
      const page = await ask(session, { ...get, ":path": "/" });
      assert.equal(page.status, 200);
      assert.match(page.text, /<title>ws-handshake: echo/);
      await isRefused(session, get, 400, SPEAKS_WEBSOCKET_ONLY);
      await socket.echo("opened before");
    });
  });
}

describe("subprotocols over HTTP/2", () => {
  for (const [what, url, offered, selected] of [
    ["the server's preference decides", `http://${ECHO}`, "v1.chat, v2.chat", "v2.chat"],
    ["one on each line: the only one in common is selected", `http://${ECHO}`, ["v0.chat", "v1.chat"], "v1.chat"],
    ["none in common: none is answered", `http://${ECHO}`, "v0.chat", undefined],
    ["where one is required, the one in common is selected", `https://${TLS_CHAT}`, "v0.chat, v1.chat", "v1.chat"],
  ]) {
    test(what, async () => {
      const { session } = await connect(url);
      const { socket, answer } = await open(session, { "sec-websocket-protocol": offered });
      assert.equal(answer["sec-websocket-protocol"], selected);
      await socket.echo("hello");
    });
  }

  test("where one is required, a handshake without any in common is refused with 400", async () => {
    const { session } = await connect(`https://${TLS_CHAT}`);
    await isRefused(session, { "sec-websocket-protocol": "v0.chat" }, 400, NOT_SHARED);
    await isRefused(session, {}, 400, NOT_SHARED);
    const { socket } = await open(session, { "sec-websocket-protocol": "v1.chat" });
    await socket.echo("opened after");
  });
});

test("one URL answers GET with the page and extended CONNECT with the socket", async () => {
  const { session } = await connect(`http://${SAME_URL}`);
  const get = { ":method": "GET", ":protocol": undefined, "sec-websocket-version": undefined };
  const page = await ask(session, { ...get, ":path": "/" });
  assert.equal(page.status, 200);
  assert.match(page.text, /<title>ws-handshake: one URL/);
  const { socket } = await open(session, { ":path": "/" });
  await socket.echo("hello");
  await isRefused(session, { ":path": "/", origin: "https://foreign.example" }, 403, FOREIGN_ORIGIN);
  await socket.echo("still here");
});
