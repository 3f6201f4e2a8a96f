//! From method and path to an answer; knows no socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

use super::access::Denied;
use super::{Readiness, State};
use crate::logging;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// A browser asks its user for name and password.
const SCHEMES: HeaderValue = HeaderValue::from_static("Basic realm=\"ttguard\"");

const NOT_FOUND: &str =
    "nothing here; there is:\n/metrics\n/healthz\n/livez\n/readyz\n/api/reload (POST)\n/api/log (PUT)\n";

/// What a page is for.
enum Page {
    /// For all: it is asked by who has no token.
    Open(fn(&State) -> Response<Full<Bytes>>),
    /// For whoever may see the rest.
    Seen(fn(&State) -> Response<Full<Bytes>>),
    /// Changes something when it is sent this method, by whoever may. It is told the query.
    Change(Method, fn(&State, &str) -> Response<Full<Bytes>>),
}

/// The answer to a request. For HEAD it is that of GET; hyper leaves the body out.
pub fn respond<B>(state: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    let (method, headers) = (request.method(), request.headers());
    let page = match request.uri().path() {
        "/metrics" => Page::Seen(metrics),
        "/healthz" | "/livez" => Page::Open(alive),
        "/readyz" => Page::Open(ready),
        "/api/reload" => Page::Change(Method::POST, reload),
        "/api/log" => Page::Change(Method::PUT, log),
        _ => return plain(StatusCode::NOT_FOUND, NOT_FOUND),
    };
    let access = (state.access)();
    let (fits, methods) = match &page {
        Page::Change(wanted, _) => (method == wanted, wanted.to_string()),
        _ => (method == Method::GET || method == Method::HEAD, "GET, HEAD".to_owned()),
    };
    if !fits {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("allowed: {methods}\n"));
        response
            .headers_mut()
            .extend(HeaderValue::try_from(methods).ok().map(|methods| (ALLOW, methods)));
        return response;
    }
    let allowed = match &page {
        Page::Open(_) => Ok(()),
        Page::Seen(_) => access.may_see(headers),
        Page::Change(..) => access.may_change(headers),
    };
    match (allowed, page) {
        (Err(denied), _) => deny(denied),
        (Ok(()), Page::Open(page) | Page::Seen(page)) => page(state),
        (Ok(()), Page::Change(_, page)) => page(state, request.uri().query().unwrap_or_default()),
    }
}

fn deny(denied: Denied) -> Response<Full<Bytes>> {
    match denied {
        Denied::Unauthorized => {
            let mut response = plain(StatusCode::UNAUTHORIZED, "a token is asked for\n");
            response.headers_mut().insert(WWW_AUTHENTICATE, SCHEMES);
            response
        }
        Denied::Foreign => plain(StatusCode::FORBIDDEN, "not from another page\n"),
    }
}

/// Answers when the new settings are in effect, or none of them is.
fn reload(state: &State, _: &str) -> Response<Full<Bytes>> {
    match (state.reload)() {
        Ok(keys) if keys.is_empty() => plain(StatusCode::OK, "nothing has changed\n"),
        Ok(keys) => plain(StatusCode::OK, format!("changed: {}\n", keys.join(", "))),
        Err(why) => plain(StatusCode::CONFLICT, format!("{}\n", why.replace('\n', " "))),
    }
}

/// `level=debug` in the query, which holds until the next reload.
fn log(_: &State, query: &str) -> Response<Full<Bytes>> {
    let level = query.split('&').find_map(|pair| pair.strip_prefix("level="));
    match level.filter(|level| logging::set_level(level)) {
        Some(level) => plain(StatusCode::OK, format!("log level {level}\n")),
        None => plain(
            StatusCode::BAD_REQUEST,
            "allowed: ?level= and error, warn, info, debug, trace or off, or one for a module, as in \
             info,ttguard::backend=debug\n",
        ),
    }
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

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
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
