//! What an edge does with a request: its guard is asked the whole of it, and says what became of it.

use super::routes::may_be_copy;
use super::{Behind, Next, Pipeline};
use crate::command::{Command, Verb};
use crate::engine::completion::{Form, is_repeatable};
use crate::engine::denial::is_long_list;
use crate::engine::request::Request;
use crate::engine::state::Cause;
use crate::engine::write::settlement::Tickets;
use crate::store::guards::Asking;

impl Pipeline {
    /// Puts a request on its way to the guard, or says what it must wait for.
    pub(super) fn ask_guard(&self, request: Request, behind: Behind) -> Next {
        match request.command.verb() {
            // An endless answer has a connection of its own.
            Verb::Repl if self.channel().in_flight() > 0 => Self::wait(request, Cause::Earlier),
            Verb::Repl => Next::Streams(request),
            Verb::Vanish if may_be_copy(&request) => self.vanish(request, behind),
            _ => self.ask_whole(request),
        }
    }

    /// As [`Self::ask_guard`], once it is known that it is what it seems to be.
    pub(super) fn ask_whole(&self, mut request: Request) -> Next {
        if let Some(cause) = self.engine().awaits_stamp(&mut request) {
            return Self::wait(request, cause);
        }
        if self.takes_long_here(&request) {
            return self.ask_alone(request);
        }
        let (channel, engine) = (self.channel(), self.engine());
        if channel.leaves_in_pieces.get() {
            if channel.in_flight() > 0 {
                return Self::wait(request, Cause::Earlier);
            }
            channel.leaves_in_pieces.set(false);
        }
        let Some(via) = engine.via(channel.links.current(), request.command.key(), 1) else {
            return Self::wait(request, Cause::Lane);
        };
        let asking = self.asking_of(&request);
        let (command, deadline) = (request.command.clone(), request.deadline);
        let writes = !is_repeatable(&command);
        let completion = self.completion_of(&command, request, Tickets::None, Form::AsIs, writes);
        let in_pieces = engine.ask(&via, asking, &command, deadline, completion);
        channel.leaves_in_pieces.set(in_pieces);
        Next::Gone
    }

    fn asking_of(&self, request: &Request) -> Asking {
        Asking {
            client: self.channel().client,
            form: request.form,
            edit: request.edit,
            stamp: request.stamp,
        }
    }

    /// Whether another thread has to see to its strings, or may have to see to those of its answer.
    fn takes_long_here(&self, request: &Request) -> bool {
        let lists = matches!(request.command, Command::FwmKeys { .. } | Command::Misc { .. });
        request.unlooked || is_long_list(&request.command) || (lists && !self.channel().listener.keys.is_open())
    }

    /// Asks it alone among its client's requests, with the help of another thread.
    fn ask_alone(&self, request: Request) -> Next {
        let asking = self.asking_of(&request);
        self.run(request, |sequence, request| {
            Box::pin(sequence.ask_guard(asking, request.command, request.unlooked))
        })
    }
}
