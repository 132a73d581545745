// QtWebSockets: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

#include <QCoreApplication>
#include <QWebSocket>
#include <cstdlib>
#include <iostream>

int main(int count, char **arguments) {
    QCoreApplication application(count, arguments);
    QByteArray message(1 << 20, 0);
    for (int i = 0; i < message.size(); i++) {
        message[i] = static_cast<char>(i % 251);
    }
    QWebSocket socket(arguments[2]);
    bool opened = false;
    QObject::connect(&socket, &QWebSocket::connected, [&] {
        opened = true;
        std::cout << "opened" << std::endl;
        socket.sendBinaryMessage(message);
    });
    QObject::connect(&socket, &QWebSocket::binaryMessageReceived, [&](const QByteArray &echo) {
        if (echo != message) {
            std::abort();
        }
        std::cout << "echoed" << std::endl;
        socket.close(QWebSocketProtocol::CloseCodeNormal);
    });
    QObject::connect(&socket, &QWebSocket::disconnected, [&] {
        if (opened) {
            std::cout << "closed " << socket.closeCode() << std::endl;
        } else {
            std::cout << "refused " << socket.errorString().toStdString() << std::endl;
        }
        application.quit();
    });
    socket.open(QUrl(arguments[1]));
    return application.exec();
}
