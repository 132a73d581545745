// java.net.http: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;

public class JdkClient {
    public static void main(String[] args) throws Exception {
        var message = new byte[1 << 20];
        for (int i = 0; i < message.length; i++) {
            message[i] = (byte) (i % 251);
        }
        var done = new CountDownLatch(1);
        var listener = new WebSocket.Listener() {
            private final ByteArrayOutputStream read = new ByteArrayOutputStream();

            @Override
            public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer data, boolean last) {
                var bytes = new byte[data.remaining()];
                data.get(bytes);
                read.writeBytes(bytes);
                if (last) {
                    if (!Arrays.equals(read.toByteArray(), message)) {
                        throw new IllegalStateException("not the echo");
                    }
                    System.out.println("echoed");
                    socket.sendClose(WebSocket.NORMAL_CLOSURE, "");
                }
                socket.request(1);
                return null;
            }

            @Override
            public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
                System.out.println("closed " + code);
                done.countDown();
                return null;
            }
        };
        var builder = HttpClient.newHttpClient().newWebSocketBuilder();
        if (args.length > 1 && !args[1].isEmpty()) {
            builder.header("Origin", args[1]);
        }
        WebSocket socket;
        try {
            socket = builder.buildAsync(URI.create(args[0]), listener).join();
        } catch (CompletionException error) {
            System.out.println("refused " + error.getCause());
            return;
        }
        System.out.println("opened");
        socket.sendBinary(ByteBuffer.wrap(message), true).join();
        done.await();
    }
}
