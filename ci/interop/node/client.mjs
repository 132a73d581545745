// The example `client` against a server of Node's `ws`, and the client of `examples/framing` that compresses. `ci/interop.sh`
// passes where they are.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe } from "node:test";
import { WebSocketServer } from "ws";
import { event, need, test } from "./suite.mjs";

const CLIENT = need("CLIENT");
const COMPRESSING_CLIENT = need("COMPRESSING_CLIENT");

/** Runs a client, and gives its lines and whether it succeeded. */
const runs = (client) => (url, ...args) =>
  new Promise((done) => {
    execFile(client, [url, ...args], { timeout: 10_000 }, (error, stdout) => {
      done({ lines: stdout.trimEnd().split("\n"), succeeded: error === null });
    });
  });
const run = runs(CLIENT);

describe("example client with Node's ws", () => {
  let server, url;
  const seen = [];
  before(async () => {
    server = createServer((request, response) => response.writeHead(302, { location: "/login" }).end("elsewhere"));
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: { threshold: 0 },
      handleProtocols: (offered) => (offered.has("v1.chat") ? "v1.chat" : false),
    });
    server.on("upgrade", (request, socket, head) => {
      if (request.url === "/refused") {
        socket.end("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 12\r\n\r\nwho are you?");
        return;
      }
      if (request.url === "/plain") {
        // As a server that knows no upgrades answers.
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
        return;
      }
      sockets.handleUpgrade(request, socket, head, (socket) => {
        const connection = { headers: request.headers, messages: [], closed: event(socket, "close") };
        seen.push(connection);
        socket.on("message", (message, binary) => {
          connection.messages.push(message.toString());
          socket.send(message, { binary });
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `ws://127.0.0.1:${server.address().port}`;
  });
  after(() => server.close());

  test("messages go there and back, and it closes with 1000", async () => {
    const { lines, succeeded } = await run(`${url}/chat`, "hello, Wörld 🦀", "", "x".repeat(60_000));
    assert.deepEqual(lines.slice(0, 3), ["subprotocol: none", "hello, Wörld 🦀", ""]);
    assert.equal(lines[3].length, 60_000);
    assert.ok(succeeded);
    const { closed, headers } = seen.at(-1);
    const [code, reason] = await closed;
    assert.deepEqual([code, reason.toString()], [1000, "done"]);
    assert.equal(headers.host, new URL(url).host);
    assert.equal(headers["sec-websocket-extensions"], undefined);
  });

  test("a subprotocol is selected", async () => {
    const { lines } = await run(`${url}/chat`, "--subprotocol", "v2.chat", "--subprotocol", "v1.chat", "hello");
    assert.deepEqual(lines, ["subprotocol: v1.chat", "hello"]);
    const { lines: none } = await run(`${url}/chat`, "--subprotocol", "v9.chat", "hello");
    assert.deepEqual(none, ["subprotocol: none", "hello"]);
  });

  test("permessage-deflate is agreed on and done", async () => {
    const text = "again, ".repeat(1000) + "and again";
    const { lines, succeeded } = await runs(COMPRESSING_CLIENT)(`${url}/chat`, text, "hello", text);
    assert.equal(lines[0], "deflate: permessage-deflate");
    // Not `deepEqual`: a difference would be printed whole.
    assert.ok(lines[1] === text && lines[2] === "hello" && lines[3] === text && succeeded);
    assert.ok(seen.at(-1).messages[2] === text);
  });

  test("fields and the origin are sent", async () => {
    await run(`${url}/chat`, "--origin", "https://app.example.com", "--header", "Authorization: Bearer 0xfeed");
    const { headers } = seen.at(-1);
    assert.deepEqual([headers.origin, headers.authorization], ["https://app.example.com", "Bearer 0xfeed"]);
  });

  test("refusals can be read", async () => {
    const refused = await run(`${url}/refused`);
    assert.equal(refused.succeeded, false);
    assert.equal(refused.lines[0], "401 Unauthorized");
    assert.ok(refused.lines.includes("www-authenticate: Bearer"));
    assert.equal(refused.lines.at(-1), "who are you?");
    const plain = await run(`${url}/plain`);
    assert.deepEqual([plain.succeeded, plain.lines[0], plain.lines.at(-1)], [false, "200 OK", "page"]);
  });
});
