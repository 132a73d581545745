//! What is printed: who can connect, why that matters, and what to do.

use ws_handshake::testing::ForeignOrigin;

use super::{
    examination::{Examination, Pages},
    server::{Answer, Server},
};

/// The report, and the exit status.
pub(super) fn write(server: &Server, examination: &Examination) -> (String, u8) {
    let Examination { http1, http2, rebound, without_tls, answers_behind_refusal } = examination;
    let connected = examination.connected();
    let any_site = connected.iter().any(|foreign| foreign.origin.host() == Some("evil.example"));
    let (verdict, advice, status) = match (&http1.own, connected.is_empty()) {
        (Answer::Connected, true) => ("Pages of other origins cannot connect.", "", 0),
        (_, true) => ("Nothing can be told: your own page cannot connect.", OWN_PAGE_REFUSED, 2),
        (_, false) if any_site => ("Pages of other sites can connect.", ANY_SITE, 1),
        (_, false) => ("Pages of some other origins can connect.", SOME_ORIGINS, 1),
    };
    let mut rows = vec![
        ("your own page", format!("{}, from {}", said(&http1.own).replace("CONNECTS", "connects"), server.own_page)),
        ("another site", of_pages(&http1.foreign[..1])),
        ("null", of_pages(&http1.foreign[1..2])),
        ("look-alikes", of_pages(&http1.foreign[2..])),
    ];
    let mut notes = vec![advice];
    let mut may_connect = |name, answer: &Option<Answer>, note| {
        let Some(answer) = answer else { return };
        rows.push((name, said(answer)));
        if *answer == Answer::Connected {
            notes.push(note);
        }
    };
    may_connect("a rebound host", rebound, REBOUND);
    may_connect("without TLS", without_tls, WITHOUT_TLS);
    if let Some(answers) = *answers_behind_refusal {
        rows.push((
            "behind a refusal",
            if answers { "the connection STAYS OPEN" } else { "the connection closes" }.into(),
        ));
        notes.extend(answers.then_some(STAYS_OPEN));
    }
    rows.push(("HTTP/2", http2.as_ref().map_or("no WebSockets over HTTP/2".into(), over_http2)));

    let rows: Vec<_> = rows.iter().map(|(name, said)| format!("  {name:<16}  {said}\n")).collect();
    let notes: Vec<_> = notes.iter().filter(|note| !note.is_empty()).map(|note| format!("\n{note}\n")).collect();
    (format!("{}: {verdict}\n\n{}{}", server.url, rows.concat(), notes.concat()), status)
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Connected => "CONNECTS".into(),
        Answer::Refused(status) => format!("is refused ({status})"),
        Answer::Failed(error) => format!("has no answer: {error}"),
    }
}

fn of_pages(pages: &[(ForeignOrigin, Answer)]) -> String {
    let connected = pages.iter().filter(|(_, answer)| *answer == Answer::Connected);
    let listed: Vec<_> = connected.map(|(foreign, _)| format!("{foreign} ({})", foreign.description)).collect();
    match pages {
        [] => "there are none".into(),
        [(_, answer), ..] if listed.is_empty() => said(answer),
        _ => format!("CONNECTS: {}", listed.join(", ")),
    }
}

fn over_http2(pages: &Pages) -> String {
    match (&pages.own, pages.connected().count()) {
        (Answer::Connected, 0) => "the same".into(),
        (own, 0) => format!("your own page {}: browsers that use HTTP/2 cannot connect", said(own)),
        (_, connected) => format!("CONNECTS: {connected} of these {} foreign pages", pages.foreign.len()),
    }
}

const ANY_SITE: &str = "\
Why: Browsers let every page open WebSockets to every server, and send your visitor's cookies with the handshake. A page of
  another site can read and send messages as your visitor.
Do: Check the `Origin` header of each handshake.
  axum, tower, hyper: `.layer(WsHandshakeLayer::new())`, on the last line before you serve.
  Elsewhere: compare `Origin` with each of your own origins as a whole string, and answer 403 to others.";

const SOME_ORIGINS: &str = "\
Why: The check of `Origin` takes these origins for your own. A page of one of them can read and send messages as your visitor.
Do: Compare origins as whole strings: scheme, host and port.";

const OWN_PAGE_REFUSED: &str = "\
Do: Check the path. Add what the server asks for: --header \"Cookie: ...\", --subprotocol ..., or --origin with the address of
  your pages.";

const REBOUND: &str = "\
A rebound host: A page of another site can point the name of its own host at this server. That matters if the server is on
  localhost or in a private network, and asks for no login.
Do: Compare `Host` with the names of your server. With ws-handshake: `allow_host(AllowHost::list([..])?)` or
  `AllowHost::loopback()`.";

const WITHOUT_TLS: &str = "\
Without TLS: Somebody on the network can write a page of your host over `http://`.
Do: Send `Strict-Transport-Security`, or list your origins with `https://`.";

const STAYS_OPEN: &str = "\
Behind a refusal: The server answers a second request on the connection. Some proxies take the connection for a WebSocket by
  then, and let that request past their own rules.
Do: Close the connection behind each refused handshake.";
