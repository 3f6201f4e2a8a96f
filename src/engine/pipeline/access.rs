//! Which commands are denied to the clients of a listener.

use super::{Next, Pipeline};
use crate::command::function::Function;
use crate::command::{Command, Verb};
use crate::engine::channel::Channel;
use crate::engine::denial::{denial, note, tells_of_records};
use crate::engine::request::Request;
use crate::engine::state::Cause;
use crate::metrics::Outcome;
use crate::protocol::Protocol;
use crate::protocol::tyrant::dialect::Dialect;

impl Channel {
    /// The command for which a request is denied here; nothing where it may be asked.
    pub fn denies(&self, request: &Request) -> Option<Verb> {
        let access = self.listener.access;
        let protocol = request.form.protocol();
        match &request.command {
            _ if request.barred => Some(request.command.verb()),
            // It is sent under another command's number, and in what unit its timestamp is nobody knows.
            Command::Restore { .. } if self.listener.dialect == Dialect::PyTyrant => Some(Verb::Restore),
            Command::Copy { .. } | Command::Restore { .. } if self.engine.settings().has_no_place_for_copies() => {
                Some(request.command.verb())
            }
            // It makes a link of the connection that it comes first on, and means nothing to a store.
            Command::Misc { function, .. } if Function::named(function) == Function::Link => Some(Verb::Misc),
            // It would be answered as if it were done.
            Command::Misc { .. } if self.engine.denies_misc() => Some(Verb::Misc),
            Command::Ext { function, .. }
                if let (true, Some(meaning)) = (
                    access.allows(protocol, Verb::Ext),
                    self.engine.settings().rules.ext_meaning(function),
                ) =>
            {
                let verb = meaning.verb();
                (!access.allows(protocol, verb)).then_some(verb)
            }
            // A script can touch any record.
            Command::Ext { .. } if !self.listener.keys.is_open() => Some(Verb::Ext),
            // memcached's `get` names several keys, and is `get` to the server's mask.
            Command::Mget { .. } if protocol == Protocol::Memcached => {
                (!access.allows(protocol, Verb::Get)).then_some(Verb::Get)
            }
            command => access.denies(protocol, command),
        }
    }

    /// Whether some keys are denied here, and what the backend keeps does not let one tell which keys a command is about:
    /// the keys of a fixed-length database are their digits, and in a skeleton a function of `misc` can mean anything.
    pub fn cannot_tell_keys(&self, command: &Command) -> bool {
        !self.listener.keys.is_open() && {
            let can = self.engine.capabilities();
            !can.knows_keys() || !can.knows_functions && matches!(command, Command::Misc { .. })
        }
    }
}

impl Pipeline {
    /// Answers a denied command, and counts it. In the binary protocol a read is not answered, for a client takes any
    /// code for "no record": the session ends instead.
    pub(super) fn deny(&self, request: Request, by: Verb) -> Next {
        let is_unanswered = request.form.is_binary() && tells_of_records(&request.command);
        if is_unanswered && self.channel().in_flight() > 0 {
            // What was asked before is answered first.
            return Self::wait(request, Cause::Earlier);
        }
        note(by, request.barred, self.channel().listener.dialect);
        match denial(self.engine(), &request.command, request.form) {
            Ok(answer) => self.answer(request, Outcome::Refused, answer),
            Err(failure) => self.fail(request, failure),
        }
        Next::Gone
    }
}
