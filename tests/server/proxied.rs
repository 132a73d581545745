//! Behind proxies that forbid `/admin`: `ci/proxies.sh` starts them, and says where each listens.

use std::{env, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    support::{Client, Handshake, Over, events, serve_on},
    unaccepted::{SECOND, app, refused},
};

/// More than a proxy takes to pass a request on.
const A_WHILE: Duration = Duration::from_millis(500);

#[tokio::test]
#[ignore = "needs nginx, HAProxy and Apache: see `ci/proxies.sh`"]
async fn a_path_that_the_proxy_forbids_is_never_served_behind_a_refused_upgrade() {
    let address = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is for `ci/proxies.sh` to set"));
    let (report, mut events) = events();
    let server = serve_on(&address("SMUGGLED_TO"), app(report)).await;
    for name in ["NGINX_FORBIDS", "HAPROXY_FORBIDS", "APACHE_FORBIDS"] {
        let proxy = address(name).parse().unwrap();
        let (_, head) = Client::handshake(proxy, &Handshake::valid()).await;
        head.accepts(Over::Http1, name);
        assert_eq!(status(proxy).await, 403, "{name}: the path is forbidden");
        let attacks = refused().into_iter().flat_map(|(_, handshake, _)| {
            let handshake = handshake.bytes();
            [vec![[&handshake, SECOND].concat()], vec![handshake, SECOND.into()]]
        });
        join_all(attacks.map(|parts| send(proxy, parts))).await;
        assert_eq!(events.unread(), [""; 0], "{name}");
    }
    // The route itself is there, and serves whoever asks the server.
    assert_eq!(status(server).await, 200);
    assert_eq!(events.next().await, "served");
}

/// The status of the forbidden path, asked for as it is.
async fn status(address: SocketAddr) -> u16 {
    let mut client = Client::connect(address).await;
    client.send(SECOND).await;
    client.head().await.status
}

/// Sends one part after the other, whatever is answered: a proxy may wait for content that was announced.
async fn send(address: SocketAddr, parts: Vec<Vec<u8>>) {
    let mut client = Client::connect(address).await;
    for part in parts {
        client.try_send(&part).await;
        let _ = timeout(A_WHILE, client.rest()).await;
    }
}
