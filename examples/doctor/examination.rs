//! The questions to the server, and its answers.

use ws_handshake::{
    Origin, WsRequest,
    testing::{ForeignOrigin, foreign_origins},
};

use super::server::{Answer, Server};

pub(super) struct Examination {
    pub(super) http1: Pages,
    /// `None` if the server does not take WebSockets over HTTP/2.
    pub(super) http2: Option<Pages>,
    /// A page whose host name points at this server (DNS rebinding). `None` if TLS stops such a page.
    pub(super) rebound: Option<Answer>,
    /// A page of the same host over plain HTTP. `None` if your own pages use plain HTTP too.
    pub(super) without_tls: Option<Answer>,
    /// Whether the server answers a second request after a refusal. `None` if the server refuses nothing.
    pub(super) answers_behind_refusal: Option<bool>,
}

/// The pages that try to connect.
pub(super) struct Pages {
    pub(super) own: Answer,
    pub(super) foreign: Vec<(ForeignOrigin, Answer)>,
}

impl Examination {
    /// Returns an error if the server has no answer even for your own page.
    pub(super) async fn of(server: &Server) -> Result<Self, String> {
        if let Answer::Failed(error) = server.ask(server.page(&server.own_page)).await {
            return Err(error);
        }
        let http1 = Pages::over_http1(server).await;
        let answers_behind_refusal = match http1.refused() {
            Some(origin) => server.answers_behind_refusal(origin).await.ok(),
            None => None,
        };
        let rebound = if server.tls { None } else { Some(rebound(server).await) };
        let http2 = Pages::over_http2(server).await;
        Ok(Self { http1, http2, rebound, without_tls: without_tls(server).await, answers_behind_refusal })
    }

    /// The foreign pages that can connect.
    pub(super) fn connected(&self) -> Vec<&ForeignOrigin> {
        let mut connected: Vec<_> = self.http1.connected().collect();
        for origin in self.http2.iter().flat_map(Pages::connected) {
            if !connected.contains(&origin) {
                connected.push(origin);
            }
        }
        connected
    }

    /// An answer to a foreign page that does not decide about it, although your own page can connect.
    pub(super) fn undecided(&self) -> Option<&Answer> {
        let http2 = self.http2.iter().filter(|http2| http2.own.is_connected());
        let foreign = [&self.http1].into_iter().chain(http2).flat_map(|pages| &pages.foreign);
        foreign.map(|(_, answer)| answer).find(|answer| !answer.is_connected() && !answer.is_refusal())
    }
}

impl Pages {
    async fn over_http1(server: &Server) -> Self {
        Self::ask(server, async |request| server.ask(request).await).await
    }

    async fn over_http2(server: &Server) -> Option<Self> {
        // The first request shows whether the server takes any.
        server.ask_over_http2(server.page(&server.own_page)).await?;
        let ask = async |request| server.ask_over_http2(request).await.unwrap_or(Answer::Failed("it has ended".into()));
        Some(Self::ask(server, ask).await)
    }

    async fn ask(server: &Server, ask: impl AsyncFn(WsRequest) -> Answer) -> Self {
        let mut foreign = Vec::new();
        for origin in foreign_origins(&server.own_page) {
            let answer = ask(server.page(&origin.origin)).await;
            foreign.push((origin, answer));
        }
        // Your own page is last: if the server's limit is reached by then, the result is not mistaken for a check of origins.
        Self { own: ask(server.page(&server.own_page)).await, foreign }
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = &ForeignOrigin> {
        self.foreign.iter().filter(|(_, answer)| answer.is_connected()).map(|(origin, _)| origin)
    }

    /// A foreign page that is refused, although your own page can connect.
    fn refused(&self) -> Option<&Origin> {
        let refused = self.foreign.iter().find(|(_, answer)| answer.is_refusal());
        refused.filter(|_| self.own.is_connected()).map(|(foreign, _)| &foreign.origin)
    }
}

/// A page of a site that pointed its host name at this server after the page was loaded.
async fn rebound(server: &Server) -> Answer {
    let host = if server.port == 80 { "evil.example".into() } else { format!("evil.example:{}", server.port) };
    let origin = format!("http://{host}");
    server.ask(server.request.clone().origin(origin).header("host", host)).await
}

/// A page that an attacker on the network wrote into a connection without TLS.
async fn without_tls(server: &Server) -> Option<Answer> {
    let origin = server.own_page.as_str().strip_prefix("https").map(|rest| format!("http{rest}"))?;
    Some(server.ask(server.request.clone().origin(origin)).await)
}
