// undici: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import { WebSocket } from "undici";

const [url, origin] = process.argv.slice(2);
const message = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
const socket = new WebSocket(url, origin ? { headers: { origin } } : {});
socket.binaryType = "arraybuffer";
let opened = false;
socket.addEventListener("error", ({ message }) => opened || console.log("refused", message));
socket.addEventListener("open", () => {
  opened = true;
  console.log("opened");
  socket.send(message);
});
socket.addEventListener("message", ({ data }) => {
  if (!message.equals(Buffer.from(data))) throw new Error("not the echo");
  console.log("echoed");
  socket.close(1000);
});
socket.addEventListener("close", ({ code }) => opened && console.log("closed", code));
