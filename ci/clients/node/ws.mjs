// ws: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import WebSocket from "ws";

const [url, origin] = process.argv.slice(2);
const message = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
const socket = new WebSocket(url, origin ? { origin } : {});
socket.on("error", (error) => console.log("refused", error.message));
socket.on("open", () => {
  console.log("opened");
  socket.send(message);
});
socket.on("message", (data) => {
  if (!message.equals(data)) throw new Error("not the echo");
  console.log("echoed");
  socket.close(1000);
  socket.on("close", (code) => console.log("closed", code));
});
