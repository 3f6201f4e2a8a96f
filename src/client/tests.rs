//! A connection against a peer that says what it likes.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Far above what any exchange on one machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

const GET: Command = Command::Get {
    key: Bytes::from_static(b"key"),
};

/// What a server answers to [`GET`].
const VALUE: &[u8] = b"\0\0\0\0\x05value";

async fn connected() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let route = Route::Tcp(listener.local_addr().expect("its address"));
    let connection = Connection::connect(&route, Limits::REPLY, deadline()).await;
    let (peer, _) = listener.accept().await.expect("accept");
    (connection.expect("connect"), peer)
}

fn deadline() -> Option<Instant> {
    Some(Instant::now() + PATIENCE)
}

/// What becomes of a question, where the server says this and ends the connection.
async fn told(said: &[u8]) -> Result<Reply, Trouble> {
    let (mut connection, mut peer) = connected().await;
    peer.write_all(said).await.expect("write");
    peer.shutdown().await.expect("end");
    connection.ask(&GET, deadline()).await
}

#[tokio::test]
async fn an_answer_is_whole_and_alone_or_none() {
    assert_eq!(told(VALUE).await.expect("an answer"), Reply::Value("value".into()));
    assert_eq!(told(b"\x01").await.expect("an answer"), Reply::Code(1));
    for cut in 0..VALUE.len() {
        let trouble = told(&VALUE[..cut]).await.expect_err("no answer");
        assert!(matches!(trouble, Trouble::Ended), "{cut}: {trouble:?}");
    }
    let more = told(&[VALUE, b"\0"].concat()).await;
    assert!(matches!(more, Err(Trouble::Unasked(1))), "{more:?}");
    let huge = told(b"\0\x7f\xff\xff\xff").await;
    assert!(matches!(huge, Err(Trouble::Unreadable(_))), "{huge:?}");
}

#[tokio::test]
async fn what_is_silent_is_waited_for_until_the_deadline() {
    let (mut connection, _peer) = connected().await;
    tokio::time::pause();
    let begin = Instant::now();
    let trouble = connection.ask(&GET, Some(begin + PATIENCE)).await;
    assert!(matches!(trouble, Err(Trouble::TimedOut)), "{trouble:?}");
    assert!(begin.elapsed() >= PATIENCE);
}

#[tokio::test]
async fn questions_that_are_asked_ahead_are_sent_while_answers_are_read() {
    const QUESTIONS: usize = 100;
    let (mut connection, mut peer) = connected().await;
    // More than a socket holds, on both ways: the peer reads no further before its answer has left.
    let value = Bytes::from(vec![b'v'; 1 << 20]);
    let put = Command::Put {
        key: Bytes::from_static(b"key"),
        value: value.clone(),
    };
    let mut asked = Outgoing::new();
    request::encode(&put, &mut asked);
    let (mut question, answer) = (
        vec![0; asked.len()],
        [VALUE[..1].to_vec(), 0x10_0000u32.to_be_bytes().to_vec()],
    );
    let serve = async {
        for _ in 0..QUESTIONS {
            peer.read_exact(&mut question).await.expect("a question");
            peer.write_all(&answer.concat()).await.expect("write");
            peer.write_all(&value).await.expect("write");
        }
    };
    let ask = async {
        for _ in 0..QUESTIONS {
            connection.put(&put);
        }
        for _ in 0..QUESTIONS {
            let reply = connection.next(Shape::Value, deadline()).await.expect("an answer");
            assert_eq!(reply, Reply::Value(value.clone()));
        }
    };
    tokio::join!(serve, ask);
    assert!(connection.out.is_empty());
    assert_eq!(connection.received(), (QUESTIONS * (5 + value.len())) as u64);
}

#[tokio::test]
async fn a_question_that_is_owed_nothing_leaves_at_once() {
    let (mut connection, mut peer) = connected().await;
    let put = Command::PutNr {
        key: Bytes::from_static(b"k"),
        value: Bytes::from_static(b"v"),
    };
    connection.put(&put);
    connection.flush(deadline()).await.expect("sent");
    let mut question = [0; 12];
    peer.read_exact(&mut question).await.expect("a question");
    assert_eq!(&question[..2], b"\xc8\x18");
}
