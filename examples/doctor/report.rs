//! The report: which pages can connect, why that matters, and what to do.

use http::StatusCode;
use ws_handshake::testing::ForeignOrigin;

use super::{
    examination::{Examination, Pages},
    server::{Answer, Server},
};

/// The report, and the exit status.
pub(super) fn write(server: &Server, examination: Result<Examination, String>) -> (String, u8) {
    let examination = match examination {
        Ok(examination) => examination,
        Err(error) => return (format!("{}: Nothing can be told: {error}\n", server.url), 2),
    };
    let connected = examination.connected();
    // Every site can have a sandboxed frame.
    let any_site =
        connected.iter().any(|foreign| foreign.origin.is_opaque() || foreign.origin.host() == Some("evil.example"));
    let own = &examination.http1.own;
    let (verdict, advice, status) = match (connected.is_empty(), own.is_connected(), examination.undecided()) {
        (false, _, _) if any_site => ("Pages of other sites can connect.".into(), ANY_SITE, 1),
        (false, ..) => ("Pages of some other origins can connect.".into(), SOME_ORIGINS, 1),
        (true, false, _) => {
            let rows = format!("  your own page     {}, from {}\n", said(own), server.own_page);
            let verdict = "Nothing can be told: your own page cannot connect.";
            return (format!("{}: {verdict}\n\n{rows}\nDo: {}\n", server.url, own_page_refused(own)), 2);
        }
        (true, true, Some(answer)) => (format!("Nothing can be told: a foreign page {}.", said(answer)), UNDECIDED, 2),
        (true, true, None) => ("Pages of other origins cannot connect.".into(), "", 0),
    };
    let (rows, mut notes) = rows(server, &examination);
    notes.insert(0, advice);
    let notes: Vec<_> = notes.iter().filter(|note| !note.is_empty()).map(|note| format!("\n{note}\n")).collect();
    let also = if status == 0 && !notes.is_empty() { " But see below." } else { "" };
    let rows: Vec<_> = rows.iter().map(|(name, said)| format!("  {name:<16}  {said}\n")).collect();
    (format!("{}: {verdict}{also}\n\n{}{}", server.url, rows.concat(), notes.concat()), status)
}

type Rows = Vec<(&'static str, String)>;

fn rows(server: &Server, examination: &Examination) -> (Rows, Vec<&'static str>) {
    let Examination { http1, http2, rebound, without_tls, answers_behind_refusal } = examination;
    let mut rows = vec![
        ("your own page", format!("{}, from {}", said(&http1.own).replace("CONNECTS", "connects"), server.own_page)),
        ("another site", of_pages(&http1.foreign[..1])),
        ("null", of_pages(&http1.foreign[1..2])),
        ("look-alikes", of_pages(&http1.foreign[2..])),
    ];
    let mut notes = Vec::new();
    let mut may_connect = |name, answer: &Option<Answer>, note| {
        let Some(answer) = answer else { return };
        rows.push((name, said(answer)));
        notes.extend(answer.is_connected().then_some(note));
    };
    may_connect("DNS rebinding", rebound, REBOUND);
    may_connect("`http://` page", without_tls, WITHOUT_TLS);
    if let Some(answers) = *answers_behind_refusal {
        let connection = if answers { "the connection STAYS OPEN" } else { "the connection closes" };
        rows.push(("behind a refusal", connection.into()));
        notes.extend(answers.then_some(STAYS_OPEN));
    }
    rows.push(("HTTP/2", http2.as_ref().map_or("no WebSockets over HTTP/2".into(), over_http2)));
    // Browsers use HTTP/2 only over TLS.
    let refused = server.tls && http2.as_ref().is_some_and(|pages| !pages.own.is_connected());
    notes.extend(refused.then_some(HTTP2_REFUSED));
    (rows, notes)
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Connected => "CONNECTS".into(),
        Answer::Refused(status, line) if line.is_empty() => format!("gets {status}"),
        Answer::Refused(status, line) => format!("gets {status}: {line}"),
        Answer::Failed(error) => format!("has no answer: {error}"),
    }
}

fn of_pages(pages: &[(ForeignOrigin, Answer)]) -> String {
    let connected = pages.iter().filter(|(_, answer)| answer.is_connected());
    let listed: Vec<_> = connected.map(|(foreign, _)| format!("{foreign} ({})", foreign.description)).collect();
    match pages {
        [] => "there are none".into(),
        [(_, answer), ..] if listed.is_empty() => said(answer),
        _ => format!("CONNECTS: {}", listed.join(", ")),
    }
}

fn over_http2(pages: &Pages) -> String {
    match (&pages.own, pages.connected().count()) {
        (Answer::Connected, 0) => "as over HTTP/1.1".into(),
        (own, 0) => format!("your own page {}", said(own)),
        (_, connected) => format!("CONNECTS: {connected} of these {} foreign pages", pages.foreign.len()),
    }
}

/// What to do if the server does not accept your own page.
fn own_page_refused(own: &Answer) -> &'static str {
    let Answer::Refused(status, _) = own else { return "Ask again." };
    match *status {
        StatusCode::UNAUTHORIZED => "Send what the server asks for, such as --header \"Cookie: ...\".",
        StatusCode::FORBIDDEN => {
            "Name the address of your pages with --origin. If it is the one above, the server has to list it."
        }
        StatusCode::NOT_FOUND => "Check the path.",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            "A limit of the server is reached. Wait, or raise the limit, and ask again."
        }
        status if status.is_success() => "The server answers with a page, and not with a WebSocket. Check the path.",
        status if status.is_redirection() => "The server redirects. Ask at the place that it names.",
        status if status.is_server_error() => "The server fails. Its log may say why.",
        _ => "Check the path. Add what the server asks for: --subprotocol ..., or --header \"Cookie: ...\".",
    }
}

const ANY_SITE: &str = "\
Why: Browsers let every page open WebSockets to every server, and send your visitor's cookies with the handshake. A page of
  another site can read and send messages as your visitor.
Do: Check the `Origin` header of each handshake.
  axum, tower, hyper: with the crate ws-handshake, `.layer(WsHandshakeLayer::new())` on the last line before you serve. If the
  layer is there already, move it behind your routes and behind every other `.layer(..)`.
  Elsewhere: compare `Origin` with each of your own origins as a whole string, and answer 403 to others.";

const SOME_ORIGINS: &str = "\
Why: The check of `Origin` takes these origins for your own. A page of one of them can read and send messages as your visitor.
Do: Compare origins as whole strings: scheme, host and port.";

const UNDECIDED: &str = "\
Why: The server refuses for another reason than the page. It may be a limit that this examination has reached.
Do: Wait, or raise the limit, and ask again.";

const REBOUND: &str = "\
DNS rebinding: A page of another site can point the name of its own host at this server. That matters if the server is on
  localhost or in a private network, and asks for no login.
Do: Compare `Host` with the names of your server. With ws-handshake: `allow_host(AllowHost::list([..])?)` or
  `AllowHost::loopback()`.";

const WITHOUT_TLS: &str = "\
`http://` page: Somebody on the network can write a page of your host over `http://`, and it can connect.
Do: Send `Strict-Transport-Security`, or list your origins with `https://`.";

const STAYS_OPEN: &str = "\
Behind a refusal: The server answers a second request on the connection. Some proxies take the connection for a WebSocket by
  then, and let that request past their own rules.
Do: Close the connection behind each refused handshake.";

const HTTP2_REFUSED: &str = "\
HTTP/2: The server takes WebSockets over HTTP/2, and refuses your own page there. Browsers that use HTTP/2 cannot connect.
Do: Have the route take `CONNECT`: in axum `any(handler)`, and not `get(handler)`.";
