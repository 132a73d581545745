# Mojolicious: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use v5.36;
use Mojo::UserAgent;

my ($url, $origin) = @ARGV;
my $message = pack 'C*', map { $_ % 251 } 0 .. (1 << 20) - 1;
my $agent = Mojo::UserAgent->new;
$| = 1;
$agent->websocket($url => ($origin ? {Origin => $origin} : {}) => sub ($agent, $answer) {
    unless ($answer->is_websocket) {
        my $response = $answer->res;
        say 'refused ', $response->code, ' ', $response->message, ': ', $response->body;
        return Mojo::IOLoop->stop;
    }
    say 'opened';
    $answer->max_websocket_size(2 << 20);
    $answer->on(binary => sub ($socket, $bytes) {
        die 'not the echo' unless $bytes eq $message;
        say 'echoed';
        $socket->finish(1000);
    });
    $answer->on(finish => sub ($socket, $code, $reason) {
        say "closed $code";
        Mojo::IOLoop->stop;
    });
    $answer->send({binary => $message});
});
Mojo::IOLoop->start;
