// gorilla/websocket: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
)

func main() {
	message := make([]byte, 1<<20)
	for i := range message {
		message[i] = byte(i % 251)
	}
	header := http.Header{}
	if os.Args[2] != "" {
		header.Set("Origin", os.Args[2])
	}
	socket, response, err := websocket.DefaultDialer.Dial(os.Args[1], header)
	if err != nil {
		status := ""
		if response != nil {
			status = response.Status
		}
		fmt.Println("refused", err, status)
		return
	}
	fmt.Println("opened")
	if err := socket.WriteMessage(websocket.BinaryMessage, message); err != nil {
		log.Fatal(err)
	}
	_, read, err := socket.ReadMessage()
	if err != nil || !bytes.Equal(read, message) {
		log.Fatal("not the echo: ", err)
	}
	fmt.Println("echoed")
	closing := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := socket.WriteMessage(websocket.CloseMessage, closing); err != nil {
		log.Fatal(err)
	}
	_, _, err = socket.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		log.Fatal(err)
	}
	fmt.Println("closed", closed.Code)
}
