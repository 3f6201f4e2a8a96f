//! A connection that an edge has opened for one of its clients: who asks there is that client, and no link of the edge's.
//!
//! An endless answer has one, so that it holds up nobody on the link. What the listener admits, counts and refuses is the
//! client, and the edge is believed about that by the rules of a link.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::context::Context;
use super::gate::Gate;
use super::link;
use super::seat::Seat;
use super::served::Served;
use super::session::{Edge, LINGER, Session};
use crate::config::ListenerSettings;
use crate::metrics::CloseReason;
use crate::protocol::link::hello::Behalf;
use crate::transport::{self, Who, Writer};

/// The code of what is denied.
const DENIED: u8 = 5;

/// What an edge is told of a client that is not served.
const WHY: &[u8] = b"the client may not connect, or has no seat";

/// Serves a client of an edge's on a connection of the edge's, which `keep` takes note of as that client's session.
pub(super) async fn serve_for(
    behalf: Behalf,
    edge: Edge,
    context: Rc<Context>,
    gate: Arc<Gate>,
    listener: Arc<ListenerSettings>,
    keep: impl FnOnce(&Rc<dyn Served>),
) {
    let Some(writer) = edge.writer else {
        return;
    };
    let who = asks_there(behalf, &writer);
    let seat = Seat::through_an_edge(&gate, &listener, &who);
    let answered = async {
        match &seat {
            Ok(_) => link::grant(&writer).await,
            // So that the edge does not ask again.
            Err(_) => link::answer(&writer, DENIED, vec![Bytes::from_static(WHY)]).await,
        }
    };
    let patience = context.engine.settings().pairing.frame_timeout;
    let is_answered = matches!(timeout(patience, answered).await, Ok(Ok(())));
    let _seat = match seat {
        Ok(seat) if is_answered => seat,
        without => {
            let reason = without.err().unwrap_or(CloseReason::Client);
            context.engine.shared.metrics.sessions_closed.of(reason).increment(1);
            // It is told why before it sees the end.
            writer.acknowledged(LINGER).await;
            return writer.reset();
        }
    };
    let session = Session::new(context, writer, who, listener);
    let served: Rc<dyn Served> = Rc::<Session>::clone(&session);
    keep(&served);
    drop(served);
    // It gets no link: who comes through an edge is none.
    session.serve(edge.reader, edge.input).await;
}

/// Who asks on a connection of an edge's.
fn asks_there(behalf: Behalf, writer: &Writer) -> Who {
    let edge = transport::Edge {
        name: behalf.edge,
        host: writer.peer().host(),
        certificate: writer.certificate(),
    };
    Who::through(edge, link::peer_of(behalf.opened.from), behalf.opened.certificate)
}
