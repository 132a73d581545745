// websocket (WebSocket-Node): opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import websocket from "websocket";

const [url, origin] = process.argv.slice(2);
const message = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
const client = new websocket.client({ maxReceivedMessageSize: 2 << 20, maxReceivedFrameSize: 2 << 20 });
client.on("connectFailed", (error) => console.log("refused", error.message.split("\n")[0]));
client.on("connect", (socket) => {
  console.log("opened");
  socket.on("message", ({ binaryData }) => {
    if (!message.equals(binaryData)) throw new Error("not the echo");
    console.log("echoed");
    socket.close(1000);
  });
  socket.on("close", (code) => console.log("closed", code));
  socket.sendBytes(message);
});
client.connect(url, [], origin || undefined);
