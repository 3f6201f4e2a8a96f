//! From method and path to an answer; knows no socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::{Readiness, State, page};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Not even as an image or a script may another site's page have what is here.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

type Page = fn(&State) -> Response<Full<Bytes>>;

/// Everything there is.
const PAGES: &[(&str, Page)] = &[
    ("/", dashboard),
    ("/metrics", metrics),
    ("/healthz", alive),
    ("/livez", alive),
    ("/readyz", ready),
    ("/api/status", |state| json(&state.facts.status())),
    ("/api/refusals", |state| json(&state.facts.refusals())),
    ("/api/clients", |state| json(&state.facts.clients())),
    ("/api/backends", |state| json(&state.facts.backends())),
    ("/api/history/recent", |state| json(&state.facts.recent())),
    ("/api/history/hour", |state| json(&state.facts.hour())),
];

/// The answer to a request. For HEAD it is that of GET; hyper leaves the body out.
pub fn respond(state: &State, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let Some((_, page)) = PAGES.iter().find(|(known, _)| *known == path) else {
        return not_found();
    };
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, METHODS);
        return response;
    }
    page(state)
}

fn not_found() -> Response<Full<Bytes>> {
    let paths: Vec<_> = PAGES.iter().map(|(path, _)| *path).collect();
    plain(
        StatusCode::NOT_FOUND,
        format!("nothing here; there is:\n{}\n", paths.join("\n")),
    )
}

fn dashboard(_: &State) -> Response<Full<Bytes>> {
    let (policy, page) = page::page();
    let mut response = text(StatusCode::OK, HTML, page);
    let headers = response.headers_mut();
    // The policy is made of our own words and hexadecimal digits.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
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

fn json(document: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(document) {
        Ok(body) => text(StatusCode::OK, JSON, body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    text(status, PLAIN, body)
}

fn text(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}
