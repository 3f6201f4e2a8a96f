//! Which keys the guard will have to look up for requests that have not been taken up.

use bytes::Bytes;

use super::Pipeline;
use crate::clock::now;
use crate::command::Command;
pub use crate::engine::look_up::Looked;
use crate::guard::verdict::Change;
use crate::protocol::request;

impl Pipeline {
    /// Has the key of a request looked up, where it will be judged by what is stored.
    pub fn look_up(&self, request: request::Request) -> Looked {
        let (channel, engine) = (self.channel(), self.engine());
        let Some(via) = engine.via_now(channel.links.current(), None) else {
            return Looked::Enough;
        };
        let (mut command, listener) = (request.command, &channel.listener);
        let (access, keys) = (listener.access, &listener.keys);
        let is_denied = access.denies(request.form.protocol(), &command).is_some()
            || channel.cannot_tell_keys(&command)
            || !keys.is_open() && !keys.enter(&mut command, &engine.settings().limits.request);
        if is_denied || request.edit.is_some() {
            return Looked::Past;
        }
        let (key, change) = match &command {
            // It gets its stamp when it is taken up.
            Command::Put { key, .. } | Command::PutNr { key, .. } | Command::Out { key } if engine.gives_stamps() => {
                let Some(stamp) = engine.give(&command, now()) else {
                    return Looked::Past;
                };
                match command {
                    Command::Out { .. } => (key, Change::delete(Some(stamp))),
                    _ => (key, Change::Stamped { stamp, value: b"" }),
                }
            }
            Command::Put { key, value } | Command::PutKeep { key, value } | Command::PutNr { key, value } => {
                (key, engine.change_of(value))
            }
            Command::PutCat { key, value } if engine.stamp_column().is_some() => (key, engine.change_of(value)),
            Command::Out { key } => (key, Change::Delete),
            _ => return Looked::Past,
        };
        // A slice would keep all that was read beside it.
        engine.look_ahead(&via, &Bytes::copy_from_slice(key), change)
    }
}
