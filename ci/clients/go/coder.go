// coder/websocket, as Debian has it under its first name: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an
// Origin or nothing.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"nhooyr.io/websocket"
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
	ctx := context.Background()
	socket, _, err := websocket.Dial(ctx, os.Args[1], &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		fmt.Println("refused", err)
		return
	}
	fmt.Println("opened")
	socket.SetReadLimit(2 << 20)
	if err := socket.Write(ctx, websocket.MessageBinary, message); err != nil {
		log.Fatal(err)
	}
	_, read, err := socket.Read(ctx)
	if err != nil || !bytes.Equal(read, message) {
		log.Fatal("not the echo: ", err)
	}
	fmt.Println("echoed")
	// It fails unless the server answers with the same code.
	if err := socket.Close(websocket.StatusNormalClosure, ""); err != nil {
		log.Fatal(err)
	}
	fmt.Println("closed 1000")
}
