// faye-websocket: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import faye from "faye-websocket";

const [url, origin] = process.argv.slice(2);
const message = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
const socket = new faye.Client(url, [], origin ? { headers: { Origin: origin } } : {});
let opened = false;
socket.on("error", (error) => opened || console.log("refused", error.message));
socket.on("open", () => {
  opened = true;
  console.log("opened");
  socket.send(message);
});
socket.on("message", ({ data }) => {
  if (!message.equals(Buffer.from(data))) throw new Error("not the echo");
  console.log("echoed");
  socket.close(1000);
});
socket.on("close", ({ code }) => opened && console.log("closed", code));
