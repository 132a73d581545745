// Boost.Beast: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdlib>
#include <iostream>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

int main(int, char **arguments) {
    std::string message(1 << 20, 0);
    for (std::size_t i = 0; i < message.size(); i++) {
        message[i] = static_cast<char>(i % 251);
    }
    // "ws://HOST:PORT/PATH"
    std::string url = arguments[1];
    url.erase(0, 5);
    auto authority = url.substr(0, url.find('/'));
    auto colon = authority.find(':');
    asio::io_context context;
    asio::ip::tcp::resolver resolver{context};
    websocket::stream<asio::ip::tcp::socket> socket{context};
    asio::connect(socket.next_layer(), resolver.resolve(authority.substr(0, colon), authority.substr(colon + 1)));
    socket.set_option(websocket::stream_base::decorator([&](websocket::request_type &request) {
        if (*arguments[2] != 0) {
            request.set(beast::http::field::origin, arguments[2]);
        }
    }));
    beast::error_code error;
    socket.handshake(authority, url.substr(url.find('/')), error);
    if (error) {
        std::cout << "refused " << error.message() << std::endl;
        return 0;
    }
    std::cout << "opened" << std::endl;
    socket.binary(true);
    socket.write(asio::buffer(message));
    beast::flat_buffer echo;
    socket.read(echo);
    if (beast::buffers_to_string(echo.data()) != message) {
        std::abort();
    }
    std::cout << "echoed" << std::endl;
    socket.close(websocket::close_code::normal);
    std::cout << "closed " << socket.reason().code << std::endl;
}
