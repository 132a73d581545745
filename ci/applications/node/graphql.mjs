// The client `graphql-ws` against the applications that serve GraphQL. `ci/applications.sh` starts the applications and passes
// their addresses.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const servers = [
  ["async-graphql on `WsStream`", need("GRAPHQL_STREAM")],
  ["async-graphql with its axum integration", need("GRAPHQL_AXUM")],
  ["juniper with its axum integration", need("GRAPHQL_JUNIPER")],
];

function need(name) {
  return process.env[name] ?? assert.fail(`set ${name}`);
}

/** A client in a page of `origin`. A browser sets that header; Node has no page, so that it is set here. */
function client(address, origin) {
  class PageSocket extends WebSocket {
    constructor(url, subprotocols) {
      super(url, subprotocols, { origin });
    }
  }
  return createClient({ url: `ws://${address}/subscriptions`, webSocketImpl: PageSocket, retryAttempts: 0 });
}

for (const [name, address] of servers) {
  describe(name, { timeout: 15_000 }, () => {
    test("a subscription yields to the end", async () => {
      const page = client(address, `http://${address}`);
      const heard = [];
      for await (const { data, errors } of page.iterate({ query: "subscription { left(from: 3) }" })) {
        assert.equal(errors, undefined);
        heard.push(data.left);
      }
      assert.deepEqual(heard, [2, 1, 0]);
      await page.dispose();
    });

    test("two subscriptions share a socket", async () => {
      const page = client(address, `http://${address}`);
      let opened = 0;
      page.on("opened", () => opened++);
      const silence = page.iterate({ query: "subscription { silence }" });
      const waiting = silence.next();
      const first = await page.iterate({ query: "subscription { left(from: 1) }" }).next();
      assert.equal(first.value.data.left, 0);
      await silence.return();
      assert.equal((await waiting).done, true);
      assert.equal(opened, 1);
      await page.dispose();
    });

    test("a query that is wrong is an error, and no end of the socket", async () => {
      const page = client(address, `http://${address}`);
      const open = page.iterate({ query: "subscription { silence }" });
      const waiting = open.next();
      const asked = page.iterate({ query: "subscription { nothing }" }).next();
      const errors = await asked.then(({ value }) => value.errors, (errors) => errors);
      assert.ok(errors.length > 0, "no errors");
      const next = await page.iterate({ query: "subscription { left(from: 1) }" }).next();
      assert.equal(next.value.data.left, 0);
      await open.return();
      await waiting;
      await page.dispose();
    });

    test("a page of another site is refused", async () => {
      const page = client(address, "https://evil.example");
      const asked = page.iterate({ query: "subscription { left(from: 1) }" }).next();
      await assert.rejects(asked, (error) => /403/.test(error.message ?? error.error?.message));
      await page.dispose();
    });
  });
}
