//! From method and path to an answer; knows no socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

use super::access::Denied;
use super::reply::{HTML, PROMETHEUS, Soon, json, plain, text};
use super::{Readiness, State, key, page};
use crate::logging;

/// A browser asks its user for name and password.
const SCHEMES: HeaderValue = HeaderValue::from_static("Basic realm=\"ttguard\"");

/// What a page is for.
enum Page {
    /// For all: it is asked by who has no token.
    Open(fn(&State) -> Response<Full<Bytes>>),
    /// For whoever may see the rest.
    Seen(fn(&State) -> Response<Full<Bytes>>),
    /// The same, where the answer is not known at once. It is told the query.
    Asked(for<'a> fn(&'a State, &'a str) -> Soon<'a>),
    /// Changes something when it is sent this method, by whoever may. It is told the query.
    Change(Method, fn(&State, &str) -> Response<Full<Bytes>>),
}

/// Everything there is.
const PAGES: &[(&str, Page)] = &[
    ("/", Page::Seen(dashboard)),
    ("/metrics", Page::Seen(metrics)),
    ("/healthz", Page::Open(alive)),
    ("/livez", Page::Open(alive)),
    ("/readyz", Page::Open(ready)),
    ("/api/status", Page::Seen(|state| json(&state.facts.status()))),
    ("/api/refusals", Page::Seen(|state| json(&state.facts.refusals()))),
    ("/api/clients", Page::Seen(|state| json(&state.facts.clients()))),
    ("/api/backends", Page::Seen(|state| json(&state.facts.backends()))),
    ("/api/edges", Page::Seen(|state| json(&state.facts.edges()))),
    (key::PATH, Page::Asked(key::respond)),
    ("/api/history/recent", Page::Seen(|state| json(&state.facts.recent()))),
    ("/api/history/hour", Page::Seen(|state| json(&state.facts.hour()))),
    ("/api/reload", Page::Change(Method::POST, reload)),
    ("/api/log", Page::Change(Method::PUT, log)),
];

/// Whether a path is asked for health: that is answered whatever else there is to do.
pub fn is_health(path: &str) -> bool {
    PAGES
        .iter()
        .any(|(known, page)| *known == path && matches!(page, Page::Open(_)))
}

/// The answer where there is no room for one.
pub fn busy() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many answers at once, try again\n");
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The answer to a request. For HEAD it is that of GET; hyper leaves the body out.
pub async fn respond<B>(state: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    let (method, headers) = (request.method(), request.headers());
    let path = request.uri().path();
    let Some((_, page)) = PAGES.iter().find(|(known, _)| *known == path) else {
        return not_found();
    };
    let access = (state.access)();
    let (fits, methods) = match page {
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
    let allowed = match page {
        Page::Open(_) => Ok(()),
        Page::Seen(_) | Page::Asked(_) => access.may_see(headers),
        Page::Change(..) => access.may_change(headers),
    };
    let query = request.uri().query().unwrap_or_default();
    match (allowed, page) {
        (Err(denied), _) => deny(denied),
        (Ok(()), Page::Open(page) | Page::Seen(page)) => page(state),
        (Ok(()), Page::Asked(page)) => page(state, query).await,
        (Ok(()), Page::Change(_, page)) => page(state, query),
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
        Denied::Misnamed => plain(
            StatusCode::FORBIDDEN,
            "not by this name; allowed: localhost, an address, a name in admin_hosts\n",
        ),
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
            format!("allowed: ?level= and {}\n", logging::LEVELS_ALLOWED),
        ),
    }
}

fn not_found() -> Response<Full<Bytes>> {
    let paths: Vec<_> = PAGES
        .iter()
        .map(|(path, page)| match page {
            Page::Change(method, _) => format!("{path} ({method})"),
            Page::Asked(_) => format!("{path}?key=KEY"),
            Page::Open(_) | Page::Seen(_) => (*path).to_owned(),
        })
        .collect();
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
