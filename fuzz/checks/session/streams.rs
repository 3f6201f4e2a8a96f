//! Streams that carry everything at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ttguard::transport::memory::{self, Carrier, Connection, Deed, Side};
use ttguard::transport::{Reader, Writer};

/// Room in each direction: more than anything that is sent here.
const ROOM: usize = 1 << 22;

/// All connections.
#[derive(Debug, Default)]
pub struct Streams(Mutex<BTreeMap<u64, Connection>>);

impl Streams {
    /// A new connection: the dialler's end, and the acceptor's.
    pub fn open(self: &Arc<Self>) -> ((Reader, Writer), (Reader, Writer)) {
        let carrier: Arc<dyn Carrier> = Arc::<Self>::clone(self);
        let mut connections = self.0.lock();
        let id = connections.len() as u64;
        let (connection, dialler, acceptor) = memory::connection(id, ROOM, ROOM, &carrier);
        connections.insert(id, connection);
        (dialler, acceptor)
    }

    /// Nothing is carried any more.
    pub fn end(&self) {
        self.0.lock().clear();
    }
}

impl Carrier for Streams {
    fn happened(&self, connection: u64, side: Side, deed: Deed) {
        let Some(connection) = self.0.lock().get(&connection).cloned() else {
            return;
        };
        let (pipe, back) = (connection.written_by(side), connection.written_by(side.other()));
        match deed {
            Deed::Wrote(count) => drop(pipe.arrive(count)),
            Deed::Finished => pipe.arrive_end(),
            Deed::Closed => back.break_writes(true),
            Deed::Reset => {
                pipe.break_reads(false);
                back.break_writes(true);
            }
        }
    }
}
