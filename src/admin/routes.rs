//! From method and path to an answer; knows no socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use serde::Serialize;

use super::{Readiness, State, key};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

const NOT_FOUND: &str = "nothing here; there is:\n/metrics\n/api/key?key=KEY\n/healthz\n/livez\n/readyz\n";

/// The answer to a request, as soon as it is known: the one place that every request passes before anything is looked up
/// for it.
pub async fn answer<B>(state: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        key::PATH => key::respond(state, request).await,
        path => respond(state, request.method(), path),
    }
}

/// The answer to a request that needs nobody else. For HEAD it is that of GET; hyper leaves the body out.
pub fn respond(state: &State, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let page = match path {
        "/metrics" => metrics,
        "/healthz" | "/livez" => alive,
        "/readyz" => ready,
        _ => return plain(StatusCode::NOT_FOUND, NOT_FOUND),
    };
    if method != Method::GET && method != Method::HEAD {
        return only_get();
    }
    page(state)
}

fn metrics(state: &State) -> Response<Full<Bytes>> {
    (state.refresh)(&state.metrics);
    text(StatusCode::OK, PROMETHEUS, state.metrics.render())
}

/// That this runs is all there is to say.
fn alive(_: &State) -> Response<Full<Bytes>> {
    plain(StatusCode::OK, "ok\n")
}

fn ready(state: &State) -> Response<Full<Bytes>> {
    match (state.readiness)() {
        Readiness::Ready => plain(StatusCode::OK, "ready\n"),
        Readiness::NotReady(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", why.replace('\n', " "))),
    }
}

/// To any other method.
pub(super) fn only_get() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

pub(super) fn json(document: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(document) {
        Ok(body) => text(StatusCode::OK, JSON, body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

pub(super) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    text(status, PLAIN, body)
}

fn text(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
