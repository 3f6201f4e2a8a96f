//! Which of its worker's links a session uses.
//!
//! Large values have lanes of their own: on a lane that everybody shares they would hold up whoever asks for little, and
//! one connection, which the server serves with one thread, carries fewer of them than several do. A session changes its
//! link only while nothing of it is under way, so that its requests stay in their order.

use std::cell::Cell;

use crate::command::{Command, Reply};

/// The links of one session.
#[derive(Debug)]
pub struct Links {
    /// Requests and replies of so many bytes are large.
    bulk_size: usize,
    link: usize,
    bulk_link: usize,
    is_bulk: Cell<bool>,
    /// What the last read brought was large; the next one's probably is.
    reads_bulk: Cell<bool>,
}

impl Links {
    /// By `link`, and by `bulk_link` for what takes at least `bulk_size` bytes.
    pub fn new(link: usize, bulk_link: usize, bulk_size: usize) -> Self {
        Self {
            bulk_size,
            link,
            bulk_link,
            is_bulk: Cell::new(false),
            reads_bulk: Cell::new(false),
        }
    }

    /// The link of all that is under way.
    pub fn current(&self) -> usize {
        if self.is_bulk.get() { self.bulk_link } else { self.link }
    }

    /// Chooses the link for what follows; whether what is asked for `is_large` is known of some. To be called only while
    /// nothing is under way.
    pub fn choose(&self, command: &Command, is_large: bool) {
        self.is_bulk.set(match command {
            Command::Get { .. } | Command::Mget { .. } => is_large || self.reads_bulk.get(),
            _ => size_of_values(command) >= self.bulk_size,
        });
    }

    /// Takes note of the size of an answer that will be asked for again.
    pub fn expects(&self, size: usize) {
        self.reads_bulk.set(size >= self.bulk_size);
    }

    /// Takes note of an answer.
    pub fn answered(&self, reply: &Reply) {
        match reply {
            Reply::Value(value) => self.reads_bulk.set(value.len() >= self.bulk_size),
            Reply::Records(records) => {
                let size: usize = records.iter().map(|(_, value)| value.len()).sum();
                self.reads_bulk.set(size >= self.bulk_size);
            }
            _ => {}
        }
    }
}

/// Bytes of the values that a command stores.
fn size_of_values(command: &Command) -> usize {
    match command {
        Command::Put { value, .. }
        | Command::PutKeep { value, .. }
        | Command::PutCat { value, .. }
        | Command::PutShl { value, .. }
        | Command::PutNr { value, .. } => value.len(),
        Command::Misc { arguments, .. } => arguments.iter().map(bytes::Bytes::len).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn large_values_and_those_who_read_them_go_their_own_way() {
        let links = Links::new(1, 5, 100);
        let put = |size| Command::Put {
            key: Bytes::from(vec![b'k'; 1000]),
            value: Bytes::from(vec![0; size]),
        };
        let get = Command::Get { key: Bytes::new() };
        let link = |command: &Command| {
            links.choose(command, false);
            links.current()
        };
        assert_eq!((link(&put(99)), link(&put(100)), link(&get)), (1, 5, 1));
        links.answered(&Reply::Value(Bytes::from(vec![0; 100])));
        assert_eq!((link(&get), link(&put(1)), link(&get)), (5, 1, 5));
        links.answered(&Reply::Code(1));
        assert_eq!(link(&get), 5, "a miss says nothing");
        links.answered(&Reply::Records(vec![(Bytes::new(), Bytes::from(vec![0; 99]))]));
        assert_eq!(link(&get), 1);
        links.choose(&get, true);
        assert_eq!(links.current(), 5, "others have found it large");
    }
}
