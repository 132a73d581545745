// The example `doctor` on servers of Node's `ws`, on this crate's examples, and on axum's extractor and socketioxide alone.
// `ci/interop.sh` passes where they are.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, describe } from "node:test";
import { WebSocketServer } from "ws";
import { need, test } from "./suite.mjs";

const DOCTOR = need("DOCTOR");

/** Runs the doctor, and gives its report and its exit status. */
const examine = (url, ...args) =>
  new Promise((done) => {
    execFile(DOCTOR, [url, ...args], { timeout: 60_000 }, (error, stdout) => {
      done({ report: stdout, status: error?.code ?? 0 });
    });
  });

const GUARDED = { status: 0, verdict: "Pages of other origins cannot connect." };
const OPEN = { status: 1, verdict: "Pages of other sites can connect." };
const LOOSE = { status: 1, verdict: "Pages of some other origins can connect." };
const UNKNOWN = { status: 2, verdict: "Nothing can be told: " };

async function holds(expected, url, ...args) {
  const { report, status } = await examine(url, ...args);
  assert.ok(report.startsWith(`${url}: ${expected.verdict}`), report);
  assert.equal(status, expected.status, report);
  return report;
}

describe("doctor on Node's ws", () => {
  const servers = [];
  const listen = async (options) => {
    const server = createServer((request, response) => response.end("a page"));
    new WebSocketServer({ server, ...options }).on("connection", (socket) => socket.on("error", () => {}));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
    return `http://127.0.0.1:${server.address().port}`;
  };
  after(() => servers.forEach((server) => server.close()));

  test("without a check", async () => {
    const report = await holds(OPEN, `${await listen()}/ws`);
    assert.match(report, /another site +CONNECTS: https:\/\/evil\.example/);
  });
  test("with a list", async () => {
    const own = new Set();
    const url = await listen({ verifyClient: ({ origin }) => own.has(origin) });
    own.add(url);
    const report = await holds(GUARDED, `${url}/ws`);
    assert.match(report, /DNS rebinding +gets 401 Unauthorized.*\n +behind a refusal +the connection closes\n/);
  });
  test("with a comparison of the host alone", async () => {
    const url = await listen({ verifyClient: ({ origin }) => origin !== "null" && new URL(origin).hostname === "127.0.0.1" });
    const report = await holds(LOOSE, `${url}/ws`);
    assert.match(report, /look-alikes +CONNECTS: http:\/\/127\.0\.0\.1:\d+ \(has another port\)\n/);
  });
  test("with a search in the origin", async () => {
    const url = await listen({ verifyClient: ({ origin }) => origin.startsWith("http://127.0.0.1") });
    const report = await holds(LOOSE, `${url}/ws`);
    assert.match(report, /look-alikes +CONNECTS: http:\/\/127\.0\.0\.1\.evil\.example:\d+ \(begins with your host\), /);
  });
  test("with a comparison of Origin and Host", async () => {
    const url = await listen({ verifyClient: ({ origin, req }) => origin === `http://${req.headers.host}` });
    const report = await holds(GUARDED, `${url}/ws`);
    assert.match(report, /DNS rebinding +CONNECTS\n/);
  });
  test("on a path that it does not serve", async () => {
    const report = await holds(UNKNOWN, `${await listen({ path: "/other" })}/ws`);
    assert.match(report, /your own page +gets 400 Bad Request/);
  });
});

describe("doctor on this crate's examples", () => {
  const subprotocol = ["--subprotocol", "v1.chat"];
  const rows = [
    ["echo", GUARDED, `http://${need("ECHO")}/ws`, subprotocol],
    ["echo, from a page that is listed", GUARDED, `http://${need("ECHO")}/ws`, [...subprotocol, "--origin", need("LISTED_ORIGIN")]],
    ["echo, from a page that is not listed", UNKNOWN, `http://${need("ECHO")}/ws`, [...subprotocol, "--origin", "https://other.example"]],
    ["tcp", GUARDED, `http://${need("TCP")}/`, []],
    ["hyper", GUARDED, `ws://${need("HYPER")}/ws`, []],
    ["same_url", GUARDED, `http://${need("SAME_URL")}/`, []],
    ["framing", GUARDED, `http://${need("FRAMING")}/tungstenite`, []],
    ["chat", GUARDED, `http://${need("CHAT")}/ws`, subprotocol],
    ["cluster", GUARDED, `http://${need("CLUSTER")}/chat`, subprotocol],
    ["guarded, chat", GUARDED, `http://${need("GUARDED")}/chat`, []],
    ["guarded, GraphQL", GUARDED, `http://${need("GUARDED")}/graphql`, ["--subprotocol", "graphql-transport-ws"]],
    ["guarded, Socket.IO", GUARDED, `http://${need("GUARDED")}/socket.io/?EIO=4&transport=websocket`, []],
    ["axum's extractor alone", OPEN, `http://${need("UNGUARDED")}/chat`, []],
    ["socketioxide alone", OPEN, `http://${need("UNGUARDED")}/socket.io/?EIO=4&transport=websocket`, []],
    ["tls", GUARDED, `https://${need("TLS")}/ws`, ["--insecure"]],
    ["tls, with a certificate that nobody has signed", UNKNOWN, `https://${need("TLS")}/ws`, []],
  ];
  for (const [name, expected, url, args] of rows) {
    test(name, async () => {
      const report = await holds(expected, url, ...args);
      if (url.startsWith("https") && expected === GUARDED) assert.match(report, /HTTP\/2 +as over HTTP\/1\.1\n/);
    });
  }
});
