//! The response of a handler that accepts.

use http::{HeaderMap, HeaderValue, Response};

use crate::handshake::{DeflateParams, ServerHandshake, header::belongs_to_handshake};

/// What a handler wants to put into the accepting response.
#[derive(Debug, Default)]
pub(super) struct Acceptance {
    pub(super) agreed: Agreed,
    /// The extensions that the handler itself selected. Boxed, because few handlers select any.
    pub(super) extensions: Option<Box<HeaderValue>>,
    pub(super) headers: Option<Box<HeaderMap>>,
}

/// The subprotocol and the extension that the stream uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Agreed {
    pub(super) subprotocol: Option<HeaderValue>,
    pub(super) deflate: Option<DeflateParams>,
}

impl Acceptance {
    /// Accepts with the subprotocol and extension that the layer selected.
    pub(super) fn new(server: &ServerHandshake) -> Self {
        let agreed = Agreed { subprotocol: server.selected().cloned(), deflate: server.deflate() };
        Self { agreed, extensions: None, headers: None }
    }

    /// Builds the response that accepts the handshake.
    pub(super) fn into_response<B: Default>(self, server: &ServerHandshake) -> Response<B> {
        let Agreed { subprotocol, deflate } = self.agreed;
        let extensions = self.extensions.map(|extensions| *extensions);
        let extensions = extensions.or_else(|| deflate.and_then(DeflateParams::to_field));
        let mut response = server.response_with(subprotocol, extensions);
        for (name, value) in self.headers.iter().flat_map(|headers| headers.iter()) {
            if !belongs_to_handshake(name) {
                // Headers that no longer fit into the `HeaderMap` are left out.
                let _ = response.headers_mut().try_append(name, value.clone());
            }
        }
        response
    }
}

impl Agreed {
    pub(super) fn is_empty(&self) -> bool {
        self.subprotocol.is_none() && self.deflate.is_none()
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().and_then(|name| name.to_str().ok())
    }
}
