//! A drain, from the view of the clients.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot::{self, error::TryRecvError},
    time::{Instant, sleep},
};

use super::support::{Server, ask, open, status};

pub(super) const OVER: Duration = Duration::from_secs(5);
pub(super) const DEADLINE: Duration = Duration::from_secs(8);

/// How many tries the signals have to be even. A machine that halts for a twentieth of a second moves clients from one tenth to the next.
const TRIES: usize = 5;

pub(super) async fn run(count: usize) {
    const STUBBORN: usize = 50;
    println!(
        "a drain of {count} connections over {OVER:?}, {STUBBORN} of which do not heed it, with a deadline of {DEADLINE:?}"
    );
    for _ in 0..TRIES {
        let tenths = drain(count - STUBBORN, STUBBORN).await;
        let even = (count - STUBBORN) as f64 / 10.0;
        if tenths.iter().all(|tenth| (*tenth as f64 / even - 1.0).abs() <= 0.1) {
            return;
        }
        println!("not all of them are within 10 % of {even}");
    }
    panic!("{TRIES} drains were uneven");
}

/// Drains a server. Returns how many of the polite clients were asked to close in each tenth of the time.
async fn drain(polite: usize, stubborn: usize) -> [usize; 10] {
    let mut server = Server::start("1000000");
    let talkers = open(server.address(), "/polite", polite).await;
    let silent = open(server.address(), "/stubborn", stubborn).await;
    let clients: Vec<_> = talkers.into_iter().map(|stream| tokio::spawn(talk(stream))).collect();
    sleep(Duration::from_secs(1)).await;
    server.get("/drain").await;
    let start = Instant::now();
    sleep(Duration::from_millis(50)).await;
    assert!(refused(server.address()).await, "a handshake is let in during a drain");

    let (mut asked, mut lost, mut sent) = (Vec::new(), 0, 0);
    for client in clients {
        let Talk { asked_at, unanswered, messages } = client.await.unwrap();
        asked.push(asked_at.duration_since(start).as_secs_f64());
        lost += unanswered;
        sent += messages;
    }
    println!("messages sent {sent}, lost {lost}");
    assert_eq!(lost, 0, "messages were lost");
    let tenth = |at: &f64| (1..10).filter(|tenth| *at >= OVER.as_secs_f64() / 10.0 * f64::from(*tenth)).count();
    let mut tenths = [0_usize; 10];
    for at in &asked {
        tenths[tenth(at)] += 1;
    }
    println!("asked to close in each tenth of that time: {tenths:?}");

    for mut stream in silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    let ended = start.elapsed();
    println!("the last were ended after {:.2} s", ended.as_secs_f64());
    assert!(ended + Duration::from_millis(50) >= DEADLINE && ended < DEADLINE + Duration::from_secs(1));
    assert_eq!(server.line(), format!("{polite} {stubborn}"), "who left, and who was ended");
    assert!(server.exited().await, "the process does not exit");
    println!("the server has exited\n");
    tenths
}

/// Whether a client is refused, with a 503 or because the server no longer listens.
async fn refused(address: SocketAddr) -> bool {
    if TcpStream::connect(address).await.is_err() {
        return true;
    }
    let mut stream = ask(address, "/polite").await;
    status(&mut stream).await == 503
}

/// The messages and signals that a client saw.
struct Talk {
    asked_at: Instant,
    messages: u64,
    unanswered: u64,
}

/// Sends messages until the server asks to close. Then finishes, and counts the answers.
async fn talk(stream: TcpStream) -> Talk {
    let (mut read, mut write) = stream.into_split();
    let (stop, mut stopped) = oneshot::channel::<()>();
    let sending = tokio::spawn(async move {
        let mut messages = 0_u64;
        while matches!(stopped.try_recv(), Err(TryRecvError::Empty)) {
            write.write_all(&messages.to_be_bytes()).await.unwrap();
            messages += 1;
            sleep(Duration::from_millis(200)).await;
        }
        // The last message, sent after the server has said that it stops.
        write.write_all(&messages.to_be_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
        messages + 1
    });
    let (mut asked_at, mut stop, mut answers) = (None, Some(stop), 0);
    let mut message = [0; 8];
    while read.read_exact(&mut message).await.is_ok() {
        if &message == b"goodbye!" {
            asked_at = Some(Instant::now());
            stop.take();
        } else {
            assert_eq!(u64::from_be_bytes(message), answers, "in their order");
            answers += 1;
        }
    }
    let messages = sending.await.unwrap();
    Talk { asked_at: asked_at.expect("it was asked"), messages, unanswered: messages - answers }
}
