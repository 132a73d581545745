// websocketpp: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

#include <cstdlib>
#include <iostream>
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_no_tls_client.hpp>

using Client = websocketpp::client<websocketpp::config::asio_client>;

int main(int, char **arguments) {
    std::string message(1 << 20, 0);
    for (std::size_t i = 0; i < message.size(); i++) {
        message[i] = static_cast<char>(i % 251);
    }
    Client client;
    client.clear_access_channels(websocketpp::log::alevel::all);
    client.clear_error_channels(websocketpp::log::elevel::all);
    client.init_asio();
    client.set_open_handler([&](websocketpp::connection_hdl socket) {
        std::cout << "opened" << std::endl;
        client.send(socket, message, websocketpp::frame::opcode::binary);
    });
    client.set_message_handler([&](websocketpp::connection_hdl socket, Client::message_ptr echo) {
        if (echo->get_payload() != message) {
            std::abort();
        }
        std::cout << "echoed" << std::endl;
        client.close(socket, websocketpp::close::status::normal, "");
    });
    client.set_close_handler([&](websocketpp::connection_hdl socket) {
        std::cout << "closed " << client.get_con_from_hdl(socket)->get_remote_close_code() << std::endl;
    });
    client.set_fail_handler([&](websocketpp::connection_hdl socket) {
        auto failed = client.get_con_from_hdl(socket);
        std::cout << "refused " << failed->get_ec().message() << " " << failed->get_response_code() << std::endl;
    });
    websocketpp::lib::error_code error;
    auto connection = client.get_connection(arguments[1], error);
    if (*arguments[2] != 0) {
        connection->append_header("Origin", arguments[2]);
    }
    client.connect(connection);
    client.run();
}
