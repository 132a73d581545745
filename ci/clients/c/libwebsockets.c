// libwebsockets: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (1 << 20)

// The library wants room in front of what it sends, and masks in place.
static unsigned char message[LWS_PRE + SIZE], closing[LWS_PRE + 2] = {[LWS_PRE] = 1000 >> 8, 1000 & 255};
static size_t received;
static enum { OPENED, SENT, ECHOED, CLOSING, CLOSED } state;

static int callback(struct lws *socket, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        printf("refused %s\n", in ? (char *)in : "");
        state = CLOSED;
        break;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        puts("opened");
        lws_callback_on_writable(socket);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (state == OPENED) {
            state = SENT;
            lws_write(socket, message + LWS_PRE, SIZE, LWS_WRITE_BINARY);
        } else if (state == ECHOED) {
            state = CLOSING;
            // A close frame. After `lws_close_reason` it would not tell the code that comes back.
            lws_write(socket, closing + LWS_PRE, 2, 4);
        }
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        for (size_t i = 0; i < length; i++, received++) {
            if (((unsigned char *)in)[i] != received % 251) {
                abort();
            }
        }
        if (lws_is_final_fragment(socket)) {
            if (received != SIZE || !lws_frame_is_binary(socket)) {
                abort();
            }
            puts("echoed");
            state = ECHOED;
            lws_callback_on_writable(socket);
        }
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (length < 2) {
            abort();
        }
        printf("closed %d\n", ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1]);
        return 1;
    case LWS_CALLBACK_CLIENT_CLOSED:
        state = CLOSED;
        break;
    default:
        break;
    }
    return 0;
}

int main(int count, char **arguments) {
    (void)count;
    for (int i = 0; i < SIZE; i++) {
        message[LWS_PRE + i] = i % 251;
    }
    // "ws://HOST:PORT/PATH"
    char host[256], path[256];
    if (sscanf(arguments[1], "ws://%255[^/]%255s", host, path) != 2) {
        abort();
    }
    char *address = strdup(host);
    char *colon = strchr(address, ':');
    *colon = 0;
    lws_set_log_level(0, NULL);
    struct lws_protocols protocols[] = {{"", callback, 0, 0, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        // Otherwise it puts a scheme in front of the Origin.
        .options = LWS_SERVER_OPTION_JUST_USE_RAW_ORIGIN,
    };
    struct lws_client_connect_info to = {
        .context = lws_create_context(&info),
        .address = address,
        .port = atoi(colon + 1),
        .path = path,
        .host = host,
        .origin = *arguments[2] ? arguments[2] : NULL,
        .ietf_version_or_minus_one = -1,
    };
    lws_client_connect_via_info(&to);
    while (state != CLOSED) {
        lws_service(to.context, 0);
    }
}
