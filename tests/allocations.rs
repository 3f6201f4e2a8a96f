//! Small requests take no memory of their own once a session is warm: neither session, guard nor lane allocates.
//!
//! Everything in this process is counted: the proxy, and a client and a backend that allocate nothing themselves. So
//! it is the only test of its binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use ttguard::config::{Address, BackendUrl, ListenerSettings, Settings};
use ttguard::front::server::Server;

/// Requests before anything is counted, and requests that are.
const WARM_UP: usize = 2_000;
const COUNTED: usize = 5_000;

/// What may be allocated once in a while: a timer's slot, a wider table.
const ALLOWED: usize = COUNTED / 100;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// How often the backend was sent a `putlist`.
static PUTLISTS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A backend that has each `put` and each `putlist` stored, finds a value of one byte for each key that is asked for
/// alone, and says what a hash says to `stat`.
fn backend() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let stat = b"pid\t1\ntime\t2.0\nru_real\t1.0\ntype\thash\n";
    let (mut bytes, mut held) = ([0; 4096], 0);
    stream.set_nodelay(true).expect("nodelay");
    loop {
        match stream.read(&mut bytes[held..]) {
            Ok(count) if count > 0 => held += count,
            _ => return,
        }
        loop {
            let size =
                |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
            let known = |least: usize| held >= least;
            let (frame, said) = match bytes[1] {
                _ if !known(2) => break,
                0x88 => (2, 5 + stat.len()),
                0x90 => match misc(&bytes[..held]) {
                    Some(frame) => (frame, 5),
                    None => break,
                },
                0x10 if known(10) => (10 + size(2) + size(6), 1),
                0x30 if known(6) => (6 + size(2), 6),
                // No record.
                0x38 if known(6) => (6 + size(2), 1),
                0x31 if known(10) && size(2) == 1 => (10 + size(6), 14 + size(6)),
                // The guard asks once for the key and the record of its stamp: neither is there.
                0x31 if known(10) && known(14 + size(6)) => (14 + size(6) + size(10 + size(6)), 5),
                0x10 | 0x30 | 0x31 | 0x38 => break,
                other => panic!("command {other:#x}"),
            };
            if !known(frame) {
                break;
            }
            let mut reply = [0; 128];
            match bytes[1] {
                0x88 => {
                    reply[1..5].copy_from_slice(&(stat.len() as u32).to_be_bytes());
                    reply[5..said].copy_from_slice(stat);
                }
                0x38 => reply[0] = 1,
                // There is no other function than `putlist`.
                0x90 if bytes[14..frame].starts_with(b"putlist") => {
                    PUTLISTS.fetch_add(1, Ordering::Relaxed);
                }
                0x90 => reply[0] = 1,
                0x30 => reply[4] = 1,
                0x31 if said > 5 && known(frame) => {
                    let key = size(6);
                    (reply[4], reply[8], reply[12]) = (1, key as u8, 1);
                    reply[13..13 + key].copy_from_slice(&bytes[10..10 + key]);
                }
                _ => {}
            }
            bytes.copy_within(frame..held, 0);
            held -= frame;
            if stream.write_all(&reply[..said]).is_err() {
                return;
            }
        }
    }
}

/// How long the `misc` at the head of these bytes is, when it is all there.
fn misc(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let mut end = 14 + number(2)?;
    for _ in 0..number(10)? {
        end += 4 + number(end)?;
    }
    (end <= bytes.len()).then_some(end)
}

/// Puts that are sent together: they share a request.
const TOGETHER: usize = 8;

/// One client, one question at a time: puts of ever newer stamps, and gets.
struct Client {
    stream: TcpStream,
    frame: [u8; 27 * TOGETHER],
    stamp: u64,
}

impl Client {
    fn write_put(&mut self, place: usize) {
        self.stamp += 1;
        let frame = &mut self.frame[27 * place..27 * (place + 1)];
        frame[..10].copy_from_slice(&[0xC8, 0x10, 0, 0, 0, 3, 0, 0, 0, 14]);
        frame[10..13].copy_from_slice(b"key");
        write!(&mut frame[13..], "{:013}v", self.stamp).expect("room for the value");
    }

    fn put(&mut self) {
        self.write_put(0);
        assert_eq!(self.ask(27), 0, "a put is stored");
    }

    fn put_together(&mut self) {
        (0..TOGETHER).for_each(|place| self.write_put(place));
        self.stream.write_all(&self.frame).expect("send");
        let mut codes = [1; TOGETHER];
        self.stream.read_exact(&mut codes).expect("answers");
        assert_eq!(codes, [0; TOGETHER], "all puts are stored");
    }

    fn get(&mut self) {
        self.frame[..9].copy_from_slice(&[0xC8, 0x30, 0, 0, 0, 3, b'k', b'e', b'y']);
        assert_eq!(self.ask(9), 0, "a get finds a value");
        let mut value = [0; 5];
        self.stream.read_exact(&mut value).expect("a value");
        assert_eq!(value, [0, 0, 0, 1, 0]);
    }

    fn ask(&mut self, size: usize) -> u8 {
        self.stream.write_all(&self.frame[..size]).expect("send");
        let mut code = [0];
        self.stream.read_exact(&mut code).expect("an answer");
        code[0]
    }
}

#[test]
fn small_requests_allocate_nothing() {
    let settings = Settings {
        listeners: vec![ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()))],
        backend: format!("tyrant://{}", backend())
            .parse::<BackendUrl>()
            .expect("a backend"),
        admin: None,
        workers: 1,
        claim: false,
        ..Settings::default()
    };
    let server = Server::start(settings).expect("a proxy");
    let Address::Tcp(address) = server.listen[0].clone() else {
        panic!("it listens on TCP");
    };
    thread::spawn(move || server.run_until(std::future::pending()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    let mut client = Client {
        stream: TcpStream::connect(address).expect("connect"),
        frame: [0; 27 * TOGETHER],
        stamp: now.as_millis() as u64 - 100_000,
    };
    client.stream.set_nodelay(true).expect("nodelay");
    for (what, ask) in [
        ("put", Client::put as fn(&mut Client)),
        ("puts that share a request", Client::put_together),
        ("get", Client::get),
    ] {
        (0..WARM_UP).for_each(|_| ask(&mut client));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..COUNTED).for_each(|_| ask(&mut client));
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert!(allocated <= ALLOWED, "{COUNTED} times {what}: {allocated} allocations");
        println!("{COUNTED} times {what}: {allocated} allocations");
    }
    let putlists = PUTLISTS.load(Ordering::Relaxed);
    assert_eq!(
        putlists,
        WARM_UP + COUNTED,
        "those that are sent together share a request"
    );
}
