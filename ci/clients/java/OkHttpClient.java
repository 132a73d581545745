// OkHttp: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import okhttp3.Request;
import okhttp3.Response;
import okhttp3.WebSocket;
import okhttp3.WebSocketListener;
import okio.ByteString;

public class OkHttpClient {
    public static void main(String[] args) {
        var bytes = new byte[1 << 20];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i % 251);
        }
        var message = ByteString.of(bytes);
        var client = new okhttp3.OkHttpClient();
        var request = new Request.Builder().url(args[0]);
        if (args.length > 1 && !args[1].isEmpty()) {
            request.header("Origin", args[1]);
        }
        client.newWebSocket(request.build(), new WebSocketListener() {
            @Override
            public void onOpen(WebSocket socket, Response response) {
                System.out.println("opened");
                socket.send(message);
            }

            @Override
            public void onMessage(WebSocket socket, ByteString data) {
                if (!data.equals(message)) {
                    throw new IllegalStateException("not the echo");
                }
                System.out.println("echoed");
                socket.close(1000, null);
            }

            @Override
            public void onClosed(WebSocket socket, int code, String reason) {
                System.out.println("closed " + code);
            }

            @Override
            public void onFailure(WebSocket socket, Throwable error, Response response) {
                System.out.println("refused " + error.getMessage());
            }
        });
        client.dispatcher().executorService().shutdown();
    }
}
