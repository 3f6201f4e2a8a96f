//! Raw bytes through a real socket.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::recent::history::History;

/// A proxy that nothing has happened to.
struct Examples;

impl api::Facts for Examples {
    fn status(&self) -> api::Status {
        api::Status {
            version: "1".into(),
            now: 2.0,
            started: 1.0,
            readiness: Readiness::NotReady("no lane is up".into()).into(),
            listeners: vec!["127.0.0.1:1978".into()],
            sessions: api::Sessions { open: 1, max: 2 },
            ledger: api::Ledger {
                entries: 1,
                entries_max: 2,
                bytes: 3,
                bytes_max: 4,
                evicted: 5,
                horizon_age_seconds: -0.5,
                pending_keys: 6,
            },
            buffered_bytes: 0,
            buffered_max_bytes: 1,
            counts: api::Counts::of(&Metrics::new(&[])),
            keys: "shown".into(),
            settings: vec![("lanes".into(), "1".into())],
        }
    }

    fn refusals(&self) -> Vec<crate::recent::refusals::Shown> {
        Vec::new()
    }

    fn clients(&self) -> Vec<crate::recent::clients::Shown> {
        Vec::new()
    }

    fn edges(&self) -> Vec<crate::recent::edges::Shown> {
        Vec::new()
    }

    fn backends(&self) -> Vec<api::Backend> {
        Vec::new()
    }

    fn recent(&self) -> crate::recent::history::Shown {
        History::default().recent()
    }

    fn hour(&self) -> crate::recent::history::Shown {
        History::default().hour()
    }
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

fn state(readiness: Readiness) -> State {
    State {
        metrics: Arc::new(Metrics::new(&[])),
        refresh: Box::new(|metrics| metrics.ledger_entries.set(42)),
        readiness: Box::new(move || readiness.clone()),
        inquire: Box::new(|key| Box::pin(async move { Err(format!("nothing of {key:?}")) })),
        facts: Box::new(Examples),
        reload: Box::new(|| Ok(vec!["lanes"])),
        access: Box::new(|| Arc::new(Access::new(&crate::config::Settings::default(), None).expect("no token"))),
    }
}

async fn start(readiness: Readiness) -> Server {
    start_by(state(readiness)).await
}

async fn start_asking(readiness: Readiness, inquire: impl Fn(Bytes) -> key::Inquiry + Send + Sync + 'static) -> Server {
    start_by(State {
        inquire: Box::new(inquire),
        ..state(readiness)
    })
    .await
}

async fn start_by(state: State) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(state);
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, state, stopped));
    Server { address, stop, serving }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back until the server ends the connection, by FIN or reset.
    async fn send(&self, bytes: &str) -> String {
        let mut socket = self.connect().await;
        let _ = socket.write_all(bytes.as_bytes()).await; // the server may close before it has read all
        rest(&mut socket).await
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await
    }
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn has_status(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

#[tokio::test]
async fn metrics_are_refreshed_and_rendered() {
    let server = start(Readiness::Ready).await;
    let answer = server.get("/metrics?from=anyone").await;
    assert!(has_status(&answer, 200), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\nttguard_ledger_entries 42\n"), "{answer}");
}

#[tokio::test]
async fn head_has_the_same_head_and_no_body() {
    let server = start(Readiness::Ready).await;
    let answer = server.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(has_status(&answer, 200), "{answer}");
    assert!(answer.contains("content-length: 3\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn health_is_that_it_runs_and_readiness_says_why_not() {
    let ready = start(Readiness::Ready).await;
    for (path, body) in [("/healthz", "ok\n"), ("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let answer = ready.get(path).await;
        assert!(
            has_status(&answer, 200) && answer.ends_with(&format!("\r\n\r\n{body}")),
            "{answer}"
        );
    }

    let waiting = start(Readiness::NotReady("no lane\nis up".into())).await;
    let answer = waiting.get("/readyz").await;
    assert!(
        has_status(&answer, 503) && answer.ends_with("\r\n\r\nno lane is up\n"),
        "{answer}"
    );
    assert!(has_status(&waiting.get("/healthz").await, 200));
}

#[tokio::test]
async fn a_key_is_asked_for_with_its_escapes_and_mistakes_are_told() {
    let server = start(Readiness::Ready).await;
    let answer = server.get("/api/key?other=x&key=a%00%2Fb+c").await;
    assert!(
        has_status(&answer, 503) && answer.ends_with("\r\n\r\nnothing of b\"a\\0/b c\"\n"),
        "{answer}"
    );
    for wrong in ["", "?", "?kex=1", "?key=%", "?key=%1", "?key=%zz"] {
        let answer = server.get(&format!("/api/key{wrong}")).await;
        assert!(
            has_status(&answer, 400) && answer.ends_with("allowed: ?key=KEY\n"),
            "{answer}"
        );
    }
    let answer = server
        .send("POST /api/key?key=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(has_status(&answer, 405), "{answer}");
}

#[tokio::test]
async fn every_document_is_json_and_is_not_kept() {
    let server = start(Readiness::Ready).await;
    let names = [
        "status",
        "refusals",
        "clients",
        "backends",
        "history/recent",
        "history/hour",
    ];
    for name in names {
        let answer = server.get(&format!("/api/{name}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        assert!(
            has_status(&answer, 200) && head.contains("content-type: application/json"),
            "{head}"
        );
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(head.contains("cross-origin-resource-policy: same-origin"), "{head}");
        let document: serde_json::Value = serde_json::from_str(body).expect(name);
        if name == "status" {
            assert_eq!(document["why_not"], "no lane is up");
            assert_eq!(document["counts"]["verdicts"]["stale"], 0);
        }
    }
}

#[tokio::test]
async fn the_dashboard_comes_with_a_policy_that_lets_nothing_else_in() {
    let server = start(Readiness::Ready).await;
    let answer = server.get("/").await;
    assert!(
        has_status(&answer, 200) && answer.contains("content-type: text/html"),
        "{answer}"
    );
    let policy = answer
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn a_wrong_path_is_told_what_there_is() {
    let server = start(Readiness::Ready).await;
    for path in ["/metrics/", "//metrics", "/../metrics"] {
        let answer = server.get(path).await;
        assert!(has_status(&answer, 404) && answer.contains("\n/readyz\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_and_its_body_not_read() {
    let server = start(Readiness::Ready).await;
    let answer = server
        .send("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000\r\n\r\n")
        .await;
    assert!(
        has_status(&answer, 405) && answer.contains("allow: GET, HEAD\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = start(Readiness::Ready).await;
    let answer = server.send("\u{1}\u{2} nonsense\r\n\r\n").await;
    assert!(has_status(&answer, 400), "{answer}");
    assert!(has_status(&server.get("/healthz").await, 200));
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let server = start(Readiness::Ready).await;
    let head = "GET /healthz HTTP/1.1\r\nX: ";
    // Exactly as much as is read, so that nothing is left over and the answer is not lost to a reset.
    let answer = server
        .send(&format!("{head}{}", "x".repeat(MAX_HEAD_BYTES - head.len())))
        .await;
    assert!(has_status(&answer, 431), "{answer}");
    let answer = server.send(&format!("{head}{}", "x".repeat(1 << 20))).await;
    assert!(answer.is_empty() || has_status(&answer, 431), "{answer}");
    let many = "X: x\r\n".repeat(500);
    let answer = server.send(&format!("GET /healthz HTTP/1.1\r\n{many}\r\n")).await;
    assert!(has_status(&answer, 431), "{answer}");
    assert!(has_status(&server.get("/healthz").await, 200));
}

#[tokio::test]
async fn half_a_request_holds_up_nobody() {
    let server = start(Readiness::Ready).await;
    let mut stalled = server.connect().await;
    stalled.write_all(b"GET /healthz HT").await.unwrap();
    assert!(has_status(&server.get("/healthz").await, 200));
    stalled.write_all(b"TP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(has_status(&rest(&mut stalled).await, 200));
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_closed_when_its_time_is_over() {
    let server = start(Readiness::Ready).await;
    let before = tokio::time::Instant::now();
    for bytes in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"] {
        let answer = server.send(bytes).await;
        assert!(!has_status(&answer, 200), "{answer}");
    }
    assert!(before.elapsed() >= HEAD_TIMEOUT * 2);
}

/// Connections from these addresses of this machine, by turns, each of which sends `bytes` and no more.
async fn hold(server: &Server, count: usize, addresses: &[[u8; 4]], bytes: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for index in 0..count {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((addresses[index % addresses.len()], 0).into()).unwrap();
        let mut socket = socket.connect(server.address).await.unwrap();
        socket.write_all(bytes.as_bytes()).await.unwrap();
        held.push(socket);
    }
    held
}

const ONE: &[[u8; 4]] = &[[127, 0, 0, 1]];

#[tokio::test]
async fn half_sent_requests_leave_room_for_whoever_sends_a_whole_one() {
    let many: Vec<_> = (1..100).map(|last| [127, 0, 0, last]).collect();
    for addresses in [ONE, &[[127, 0, 0, 2], [127, 0, 0, 3]], &many] {
        for bytes in ["", "GET /", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "] {
            let server = start(Readiness::Ready).await;
            let mut held = hold(&server, 3 * places::HALVES_MAX, addresses, bytes).await;
            for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
                assert!(has_status(&server.get(path).await, 200), "{path} beside {bytes:?}");
            }
            // The oldest was dropped for the others.
            assert_eq!(rest(&mut held[0]).await, "");
        }
    }
}

#[tokio::test]
async fn the_newest_halves_stay_and_are_answered_when_they_are_whole() {
    let server = start(Readiness::Ready).await;
    let mut held = hold(&server, 2 * places::HALVES_MAX, ONE, "GET /healthz HTTP/1.1\r\n").await;
    let newest = held.last_mut().unwrap();
    newest.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
    assert!(has_status(&rest(newest).await, 200));
}

#[tokio::test]
async fn answers_under_way_leave_room_for_health_and_for_other_addresses() {
    let server = start_asking(Readiness::Ready, |_| Box::pin(std::future::pending())).await;
    let asking = "GET /api/key?key=k HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _held = hold(&server, places::PAGES_PER_ADDRESS, &[[127, 0, 0, 2]], asking).await;
    // Nothing tells when the last of them has been read.
    let mut more = Vec::new();
    loop {
        let mut one = hold(&server, 1, &[[127, 0, 0, 2]], asking).await.remove(0);
        let mut head = [0; 12];
        let answered = timeout(Duration::from_millis(100), one.read_exact(&mut head)).await;
        if answered.is_ok() {
            assert_eq!(&head, b"HTTP/1.1 503");
            break;
        }
        more.push(one);
    }
    assert!(
        more.is_empty(),
        "the share of one address is {}",
        places::PAGES_PER_ADDRESS
    );
    assert!(has_status(&server.get("/metrics").await, 200), "another address");
    for path in ["/livez", "/readyz"] {
        let mut one = hold(&server, 1, &[[127, 0, 0, 2]], &format!("GET {path} HTTP/1.1\r\n\r\n")).await;
        assert!(has_status(&rest(&mut one[0]).await, 200), "{path}");
    }
}

#[tokio::test]
async fn neither_bodies_nor_whoever_keeps_a_connection_hold_a_place() {
    let server = start(Readiness::Ready).await;
    let body = "POST /api/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nx";
    let kept = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    for bytes in [body, kept] {
        let held = hold(&server, 3 * places::PAGES_MAX, ONE, bytes).await;
        assert!(has_status(&server.get("/livez").await, 200));
        for mut socket in held {
            let answer = rest(&mut socket).await;
            assert!(has_status(&answer, 200) || has_status(&answer, 503), "{answer}");
        }
        assert!(has_status(&server.get("/metrics").await, 200));
    }
}

/// Whatever admin does, whoever waits for it goes on.
#[test]
fn a_stuck_admin_holds_up_nobody_else() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (stuck, is_stuck) = std::sync::mpsc::channel();
    let (go_on, gone_on) = std::sync::mpsc::channel::<()>();
    let gone_on = parking_lot::Mutex::new(gone_on);
    let state = State {
        refresh: Box::new(move |_| {
            let _ = stuck.send(());
            let _ = gone_on.lock().recv();
        }),
        ..state(Readiness::Ready)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (stop, stopped) = oneshot::channel::<()>();
        let mut ended = spawn(listener, Arc::new(state), std::future::ready(()), stopped).unwrap();
        let mut client = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut client, b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        is_stuck.recv().unwrap();
        stop.send(()).unwrap();
        assert!(timeout(END_TIMEOUT, &mut ended).await.is_err(), "it is stuck");
        drop(go_on);
        ended.await.unwrap();
    });
}

#[tokio::test]
async fn a_stop_does_not_wait_for_stalled_clients() {
    let server = start(Readiness::Ready).await;
    let mut stalled = server.connect().await;
    stalled.write_all(b"GET /").await.unwrap();
    assert!(has_status(&server.get("/healthz").await, 200));
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    assert!(before.elapsed() <= DRAIN_TIMEOUT * 2);
    assert_eq!(rest(&mut stalled).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}
