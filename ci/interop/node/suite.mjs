// What the suites share.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test as unbounded } from "node:test";

/** What the script that runs a suite has to pass in the environment. */
export const need = (name) => process.env[name] ?? assert.fail(`set ${name}`);

export const test = (name, run) => unbounded(name, { timeout: 15_000 }, run);

/** Every event is awaited with this: it rejects if `error` comes first. */
export const event = (emitter, name) => once(emitter, name, { signal: AbortSignal.timeout(10_000) });

/** What becomes of a socket of `ws`: the status, and the text if it is refused. */
export async function outcome(socket) {
  const opened = event(socket, "open").then(() => ({ status: 101 }));
  const refused = event(socket, "unexpected-response").then(async ([, answer]) => {
    let text = "";
    for await (const chunk of answer) text += chunk;
    return { status: answer.statusCode, text };
  });
  // The one that loses is left to fail when its time is up.
  opened.catch(() => {});
  refused.catch(() => {});
  return Promise.race([opened, refused]);
}

export async function echo(socket, message) {
  const echoed = event(socket, "message");
  socket.send(message);
  const [data, binary] = await echoed;
  assert.equal(binary, typeof message !== "string");
  // Not `deepEqual`: a difference in 1 MiB would be printed.
  assert.ok(data.equals(Buffer.from(message)), `${data.length} other bytes came back`);
}

export async function close(socket) {
  const closed = event(socket, "close");
  socket.close(1000, "done");
  const [code] = await closed;
  assert.equal(code, 1000);
}

export const FOREIGN_ORIGIN = { status: 403, text: "pages of this origin may not connect" };
export const FOREIGN_HOST = { status: 403, text: "this host is not served here" };
