# faye-websocket: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

require "eventmachine"
require "faye/websocket"

$stdout.sync = true
url, origin = ARGV
message = (0...(1 << 20)).map { |i| i % 251 }
EM.run do
  headers = origin.to_s.empty? ? {} : { "Origin" => origin }
  socket = Faye::WebSocket::Client.new(url, [], headers: headers)
  opened = false
  socket.on(:error) { |event| puts "refused #{event.message}" unless opened }
  socket.on(:open) do
    opened = true
    puts "opened"
    socket.send(message)
  end
  socket.on(:message) do |event|
    raise "not the echo" unless event.data == message
    puts "echoed"
    socket.close(1000)
  end
  socket.on(:close) do |event|
    puts "closed #{event.code}" if opened
    EM.stop
  end
end
