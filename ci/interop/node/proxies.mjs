// Node's `ws`, its `http2` and bare sockets against the example `echo` behind proxies. `ci/proxies.sh` starts them,
// each by its snippet of docs/proxies, and passes where each listens.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http2 from "node:http2";
import net from "node:net";
import { after, afterEach, before, describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { FOREIGN_HOST, FOREIGN_ORIGIN, close, echo, event, need, outcome, test } from "./suite.mjs";

const ECHO = need("ECHO");
const ECHO_LOG = need("ECHO_LOG");
const SUBPROTOCOL = "v2.chat";

const connected = [];
function kept(connection) {
  connected.push(connection.on("error", () => {}));
  return connection;
}
// What a failed test left open would keep the process alive.
afterEach(() => {
  for (const connection of connected.splice(0)) (connection.terminate ?? connection.destroy).call(connection);
});

/** Connects as a page of the proxy's own origin does, unless told otherwise. */
function connect(address, { subprotocols = [SUBPROTOCOL], ...options } = {}) {
  return kept(new WebSocket(`ws://${address}/ws`, subprotocols, { origin: `http://${address}`, ...options }));
}

/** A client that is no browser. */
const NO_PAGE = { origin: undefined };

async function open(address, options) {
  const socket = connect(address, options);
  await event(socket, "open");
  return socket;
}

/** Connects, and gives the status, and the text if it is refused. */
const ask = (address, options) => outcome(connect(address, options));

/** Stands between a proxy and the example, and keeps what each connection of the proxy's begins with. */
async function tap(address) {
  const began = [];
  const open = new Set();
  const [host, port] = ECHO.split(":");
  const server = net.createServer((proxy) => {
    const upstream = net.connect(port, host);
    const at = began.push("") - 1;
    proxy.on("data", (bytes) => {
      began[at] = (began[at] + bytes.toString("latin1", 0, PREFACE.length)).slice(0, PREFACE.length);
    });
    proxy.pipe(upstream).pipe(proxy);
    for (const [one, other] of [[proxy, upstream], [upstream, proxy]]) {
      open.add(one);
      one.on("error", () => {}).on("close", () => other.destroy());
    }
  });
  server.listen(address.split(":")[1], "127.0.0.1");
  await event(server, "listening");
  const close = () => {
    server.close();
    for (const one of open) one.destroy();
  };
  return { began, close };
}
const PREFACE = "PRI * HTTP/2.0\r\n";

const taps = {};
before(async () => {
  for (const name of ["HAPROXY_HTTP2", "HAPROXY_SHARED", "HAPROXY_BARE", "NGHTTPX_HTTP2"]) {
    taps[name] = await tap(need(`${name}_TAP`));
  }
});
after(() => Object.values(taps).forEach(({ close }) => close()));

// RFC 6455 §5.2; the mask is zero.
function frame(opcode, payload) {
  assert.ok(payload.length < 126);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]);
}

async function http2Session(address) {
  const session = kept(http2.connect(`http://${address}`));
  await event(session, "remoteSettings");
  return session;
}

/** A socket by extended CONNECT; reading begins with the first listener for `data`. */
async function http2Socket(session, address, fields = {}) {
  const stream = session.request(
    {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "http",
      ":authority": address,
      ":path": "/ws",
      "sec-websocket-version": "13",
      origin: `http://${address}`,
      ...fields,
    },
    { endStream: false },
  );
  kept(stream);
  const [answer] = await event(stream, "response");
  assert.equal(answer[":status"], 200);
  return stream;
}

async function http2Echo(stream, text) {
  const echoed = event(stream, "data");
  stream.write(frame(1, text));
  assert.equal((await echoed)[0].toString("latin1", 2), text);
}

/** What a client may send to a proxy: handshakes and tunnels that announce content. */
const announcingContent = {
  "an upgrade": (address) =>
    raw(address, [
      "GET /ws HTTP/1.1",
      `Host: ${address}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Content-Length: 5",
    ]),
  "a CONNECT": (address) => raw(address, [`CONNECT ${address} HTTP/1.1`, `Host: ${address}`, "Content-Length: 5"]),
};
const tunnelsOverHttp2 = {
  "an extended CONNECT over HTTP/2": { ":protocol": "websocket", ":scheme": "http", ":path": "/ws" },
  "a CONNECT over HTTP/2": {},
};
const announcingContentOverHttp2 = Object.fromEntries(
  Object.entries(tunnelsOverHttp2).map(([what, fields]) => [
    what,
    async (address) => tunnel(await http2Session(address), address, fields),
  ]),
);

/** Sends the head and 5 bytes more, and waits for an answer or the end. */
async function raw(address, lines) {
  const [host, port] = address.split(":");
  const socket = kept(net.connect(port, host));
  socket.write(`${lines.join("\r\n")}\r\n\r\nhello`);
  await Promise.race([event(socket, "data"), event(socket, "close")]);
}

async function tunnel(session, address, fields) {
  const stream = session.request(
    { ":method": "CONNECT", ":authority": address, ...fields, "content-length": "5", "sec-websocket-version": "13" },
    { endStream: false },
  );
  const answered = Promise.race(["response", "close"].map((name) => once(stream, name)));
  kept(stream).write("hello");
  // An error is as good as an end.
  await answered.catch(() => {});
}

/** Sends 4 MiB by each of `count` sockets, and reads none of the echoes. */
async function readNothing(address, count, options) {
  const sockets = await Promise.all(Array.from({ length: count }, () => open(address, options)));
  for (const socket of sockets) {
    socket._socket.pause();
    for (let i = 0; i < 128; i++) socket.send(Buffer.alloc(2 ** 15));
  }
  await sleep(500);
}

/** Echoes until nothing comes back for 1.5 s: on a busy machine it takes a while until all windows are used up. */
async function stalls(socket) {
  for (let i = 0; i < 20; i++) {
    const echoed = once(socket, "message");
    socket.send(Buffer.alloc(2 ** 16));
    if ((await Promise.race([echoed, sleep(1500, "stalled")])) === "stalled") return;
    await sleep(100);
  }
  assert.fail("every message came back");
}

const proxies = [
  { name: "nginx", address: need("NGINX"), brief: need("NGINX_BRIEF") },
  { name: "Apache", address: need("APACHE"), brief: need("APACHE_BRIEF") },
  { name: "Caddy", address: need("CADDY") },
  { name: "HAProxy", address: need("HAPROXY"), brief: need("HAPROXY_BRIEF"), overHttp2: true },
  {
    name: "HAProxy that speaks HTTP/2 to the server",
    address: need("HAPROXY_HTTP2"),
    brief: need("HAPROXY_HTTP2_BRIEF"),
    overHttp2: true,
  },
  { name: "nghttpx", address: need("NGHTTPX"), brief: need("NGHTTPX_BRIEF"), overHttp2: true },
];

for (const { name, address, brief, overHttp2 } of proxies) {
  describe(`behind ${name}`, () => {
    test("the page opens its socket, which echoes and closes with 1000", async () => {
      const page = await fetch(`http://${address}/`);
      assert.match(await page.text(), /new WebSocket/);
      const socket = await open(address);
      assert.equal(socket.protocol, SUBPROTOCOL);
      await echo(socket, "hello, Wörld 🦀");
      await echo(socket, randomBytes(2 ** 20));
      await close(socket);
    });

    test("a page over `https` is let in, as where the proxy ends TLS", async () => {
      assert.deepEqual(await ask(address, { origin: `https://${address}` }), { status: 101 });
    });

    test("a foreign origin is refused with 403, the server's own address among them", async () => {
      for (const origin of ["https://foreign.example", `http://${ECHO}`, "http://127.0.0.1"]) {
        assert.deepEqual(await ask(address, { origin }), FOREIGN_ORIGIN, origin);
      }
    });

    test("the server sees the host that the client names, and refuses a foreign one", async () => {
      const host = `rebound.example:${address.split(":")[1]}`;
      const rebound = { headers: { Host: host }, origin: `http://${host}` };
      assert.deepEqual(await ask(address, rebound), FOREIGN_HOST);
    });

    if (overHttp2) {
      test("a client over HTTP/2 opens a socket by extended CONNECT", async () => {
        const session = await http2Session(address);
        const stream = await http2Socket(session, address, { "sec-websocket-protocol": SUBPROTOCOL });
        assert.equal(stream.sentHeaders[":protocol"], "websocket");
        await http2Echo(stream, "hello");
      });
    }

    if (brief) {
      test("an idle socket ends after the time in the snippet, here cut to 1 s, and not before", async () => {
        const began = performance.now();
        const [lasting, ended] = await Promise.all([open(address), open(brief)]);
        await event(ended, "close");
        assert.ok(performance.now() - began > 900);
        await sleep(500);
        await echo(lasting, "hello");
      });
    }

    for (const [what, attack] of Object.entries({
      ...announcingContent,
      ...(overHttp2 ? announcingContentOverHttp2 : {}),
    })) {
      test(`${what} that announces content leaves the sockets of others alone`, async () => {
        const other = await open(address);
        await echo(other, "one");
        await attack(address);
        await sleep(100);
        await echo(other, "two");
        await close(other);
      });
    }

    test("a client that reads nothing leaves the sockets of others alone", async () => {
      const other = await open(address);
      await readNothing(address, 4);
      await echo(other, randomBytes(2 ** 18));
      await close(other);
    });
  });
}

describe("nginx and `Host`", () => {
  const log = async () => `${await readFile(`${ECHO_LOG}.stdout`)}${await readFile(`${ECHO_LOG}.stderr`)}`;

  test("by default its own page is refused, and the server's log says that its origin has to be listed", async () => {
    const address = need("NGINX_DEFAULT_HOST");
    assert.deepEqual(await ask(address), FOREIGN_ORIGIN);
    const line = (await log()).split("\n").find((line) => line.includes(`http://${address}`));
    assert.match(line ?? "", /list its origin with `add_trusted_origins`, or have the proxy in front keep `Host`/);
  });

  test("by default a page is let in whose origin is the one in `proxy_pass`", async () => {
    assert.deepEqual(await ask(need("NGINX_DEFAULT_HOST"), { origin: `http://${ECHO}` }), { status: 101 });
  });

  test("by default, with a named upstream, `allow_host` refuses that name first", async () => {
    assert.deepEqual(await ask(need("NGINX_NAMED")), FOREIGN_HOST);
  });

  test("a listed origin is let in though `Host` is another", async () => {
    assert.deepEqual(await ask(need("NGINX_LISTED"), { subprotocols: [] }), { status: 101 });
    const foreign = { subprotocols: [], origin: "https://foreign.example" };
    assert.deepEqual(await ask(need("NGINX_LISTED"), foreign), FOREIGN_ORIGIN);
  });

  test("with `$host` the port is lost, and a page on a port of its own is refused", async () => {
    assert.deepEqual(await ask(need("NGINX_PORTLESS")), FOREIGN_ORIGIN);
    assert.deepEqual(await ask(need("NGINX_PORTLESS"), { origin: "http://127.0.0.1" }), { status: 101 });
  });
});

describe("HTTP/2 between proxy and server", () => {
  /** Opens one socket for each of three clients; gives the number of connections that the proxy makes for them. */
  async function connections(name) {
    const { began } = taps[name];
    const before = began.length;
    const sockets = [];
    for (let i = 0; i < 3; i++) sockets.push(await open(need(name), NO_PAGE));
    for (const socket of sockets) await echo(socket, "hello");
    for (const socket of sockets) await close(socket);
    assert.deepEqual(new Set(began), new Set([PREFACE]));
    return began.length - before;
  }

  test("HAProxy gives each client a connection of its own", async () => {
    assert.equal(await connections("HAPROXY_HTTP2"), 3);
  });

  test("without `set-uri` HAProxy says `https` to the server, which refuses its own page of `http`", async () => {
    assert.deepEqual(await ask(need("HAPROXY_SHARED")), FOREIGN_ORIGIN);
  });

  test("HAProxy with `http-reuse always` has one for all clients, and so has nghttpx with `proto=h2`", async () => {
    for (const name of ["HAPROXY_SHARED", "NGHTTPX_HTTP2"]) assert.ok((await connections(name)) <= 1, name);
  });

  for (const [what, attack] of Object.entries({ ...announcingContent, ...announcingContentOverHttp2 })) {
    test(`on a shared connection, HAProxy's denials keep ${what} that announces content from the server`, async () => {
      const other = await open(need("HAPROXY_SHARED"), NO_PAGE);
      await attack(need("HAPROXY_SHARED"));
      await sleep(100);
      await echo(other, "hello");
      await close(other);
    });
  }
});

// What the snippets are made for. Once hyper is mended these fail, and the snippets can say less.
describe("hyper still ends the whole HTTP/2 connection when a CONNECT on it announces content", () => {
  async function ends(address, attack) {
    const other = await open(address, NO_PAGE);
    await echo(other, "one");
    const closed = event(other, "close");
    await attack(address);
    assert.equal((await closed)[0], 1006);
  }

  for (const [what, fields] of Object.entries(tunnelsOverHttp2)) {
    test(`straight: ${what} ends another socket of the same client`, async () => {
      const session = await http2Session(ECHO);
      const other = await http2Socket(session, ECHO);
      await http2Echo(other, "one");
      const closed = event(session, "close");
      await tunnel(session, ECHO, fields);
      await closed;
      assert.ok(other.destroyed);
    });
  }

  for (const [what, attack] of Object.entries({ ...announcingContent, ...announcingContentOverHttp2 })) {
    // HAProxy makes no upgrade of a request with content.
    if (what !== "an upgrade") {
      test(`${what} ends the socket of another client behind HAProxy with \`http-reuse always\` and no denials`, () =>
        ends(need("HAPROXY_BARE"), attack));
    }
    test(`${what} ends the socket of another client behind nghttpx with \`proto=h2\``, () =>
      ends(need("NGHTTPX_HTTP2"), attack));
  }
});

describe("clients that read nothing still bring other sockets on the same HTTP/2 connection to a halt", () => {
  test("straight: two sockets use the connection's window up, by hyper's default windows", async () => {
    const session = await http2Session(ECHO);
    const other = await http2Socket(session, ECHO);
    await http2Echo(other, "one");
    const unread = await Promise.all([0, 1].map(() => http2Socket(session, ECHO)));
    for (const stream of unread) stream.write(Buffer.concat(Array(2 ** 15).fill(frame(2, Buffer.alloc(122)))));
    await sleep(500);
    const echoed = once(other, "data");
    other.write(frame(1, "two"));
    assert.equal(await Promise.race([echoed, sleep(1500, "stalled")]), "stalled");
    for (const stream of unread) stream.close(http2.constants.NGHTTP2_CANCEL);
    assert.equal((await echoed)[0].toString("latin1", 2), "two");
  });

  // Behind HAProxy with `http-reuse always` it comes and goes with the timing.
  test("four, behind nghttpx with `proto=h2`", async () => {
    const other = await open(need("NGHTTPX_HTTP2"), NO_PAGE);
    await echo(other, "one");
    await readNothing(need("NGHTTPX_HTTP2"), 4, NO_PAGE);
    await stalls(other);
  });
});
