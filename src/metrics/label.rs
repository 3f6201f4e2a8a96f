//! The values of every label, as plain enums.

use crate::command::{Reason, Verb};
use crate::guard::spread::Lies;
use crate::guard::verdict;
use crate::protocol::Protocol;
use crate::protocol::tyrant::opcode::{Opcode, TABLE};

/// A label: a fixed set of values, each with an index.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, by index.
    const ALL: &'static [Self];

    /// The value as it is scraped.
    fn as_str(self) -> &'static str;

    /// The place of this value in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $type:ident as $name:literal { $($(#[$value_doc:meta])* $value:ident = $text:expr,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$value_doc])* $value,)*
        }

        impl Label for $type {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(Self::$value),*];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// How a request ended.
    Outcome as "outcome" {
        /// The backend did what was asked (code 0), or nothing is owed.
        Answered = "answered",
        /// The backend answered a code other than 0.
        Failed = "failed",
        /// ttguard refused it and said so.
        Refused = "refused",
        /// The session was reset instead of an answer.
        Closed = "closed",
    }

    /// What became of a request that was put on a lane.
    Carried as "outcome" {
        /// The backend did what was asked (code 0).
        Answered = "answered",
        /// The backend answered a code other than 0.
        Failed = "failed",
        /// It was sent, and no answer will come.
        Lost = "lost",
        /// It never left.
        Unsent = "unsent",
        /// The answer was larger than the settings allow.
        TooLarge = "too_large",
    }

    /// On which side of our clock a stamp lies.
    Side as "side" {
        /// Behind it: in the past.
        Behind = "behind",
        /// Ahead of it: in the future.
        Ahead = "ahead",
    }

    /// What the pairing guard did so that nobody is given the answer to another question.
    Intervention as "rule" {
        /// A session was reset because its request was not answered in time.
        Deadline = "deadline",
        /// A session was reset because its client went on before it had its answer.
        GaveUp = "gave_up",
        /// A session was reset because a request that must not be sent twice was lost.
        LaneLost = "lane_lost",
        /// A command was not carried out because what followed it shows that the client meant another.
        Misread = "misread",
        /// A lane was given up because an answer was late.
        LateAnswer = "late_answer",
        /// A lane was given up because an answer did not parse.
        BadAnswer = "bad_answer",
        /// A lane was given up because an answer belonged to another question.
        Mismatch = "mismatch",
        /// A lane was given up because of bytes that nobody had asked for.
        Unasked = "unasked",
    }

    /// What must never happen, and did.
    Alarm as "alarm" {
        /// The backend named a key that was not asked for.
        UnaskedKey = "unasked_key",
        /// The backend sent bytes that answer no question.
        UnaskedAnswer = "unasked_answer",
        /// A client in a namespace would have been shown a record outside of it.
        ForeignKey = "foreign_key",
        /// The backend holds an older stamp of a key than it has stored before.
        StampBack = "stamp_back",
        /// The backend holds a stamp further ahead of the clock than any guard has let in.
        StampAhead = "stamp_ahead",
        /// Two servers stand behind the one address of the backend.
        TwoServers = "two_servers",
        /// Another ttguard has taken the claim of the store.
        Deposed = "deposed",
        /// Two guards have told this edge, one after the other, that they hold the claim.
        TwoClaimants = "two_claimants",
    }

    /// What became of the claim of the store.
    ClaimChange as "change" {
        /// This process has taken it.
        Taken = "taken",
        /// It could not be renewed in time: writes are held until it is.
        Lapsed = "lapsed",
        /// Another has taken it.
        Deposed = "deposed",
    }

    /// How the settings were read again.
    Reload as "outcome" {
        /// They are in force.
        Applied = "applied",
        /// They were not valid: nothing has changed.
        Refused = "refused",
    }

    /// What the guard decided about one record.
    Judged as "verdict" {
        /// Newer than what is stored: sent on.
        Accepted = "accepted",
        /// Carries no stamp; sent on.
        Unstamped = "unstamped",
        /// A command that no stamp can order; sent on.
        Unordered = "unordered",
        /// Older than what is stored; refused.
        Stale = "stale",
        /// As old as what is stored, with other bytes; refused.
        Tie = "tie",
        /// Too far ahead of the clock; refused.
        Future = "future",
        /// Carries no stamp; refused.
        UnstampedRefused = "unstamped_refused",
        /// A command that the settings refuse.
        Denied = "denied",
        /// A delete, sent on; it leaves a tombstone.
        Deleted = "deleted",
        /// A command that can change any record, sent on without judging any: all are read back afterwards.
        Unguarded = "unguarded",
    }

    /// Why a session ended.
    CloseReason as "reason" {
        /// The client closed or reset it.
        Client = "client",
        /// A request could not be decoded.
        Fault = "fault",
        /// A request's deadline passed.
        Deadline = "deadline",
        /// A second request came while an answer was owed and pipelining is forbidden.
        GaveUp = "gave_up",
        /// The lane died with a request that must not be sent twice.
        LaneLost = "lane_lost",
        /// The client did not read its answers.
        Backlog = "backlog",
        /// The backend's answer was larger than the settings allow.
        Reply = "reply",
        /// The buffers of all sessions together reached their limit.
        Memory = "memory",
        /// A command that this listener does not serve.
        RefusedCommand = "refused_command",
        /// It came from a network that may not connect.
        Network = "network",
        /// It did not speak TLS where that is spoken, or showed no right certificate.
        Tls = "tls",
        /// There were too many sessions.
        Limit = "limit",
        /// There were too many sessions of the same client.
        ClientLimit = "client_limit",
        /// The client asked nothing for too long.
        Idle = "idle",
        /// The backend was out of reach for too long.
        BackendDown = "backend_down",
        /// ttguard is stopping.
        Drain = "drain",
        /// Anything else.
        Other = "other",
    }

    /// How an attempt to connect a lane ended.
    ConnectOutcome as "outcome" {
        /// The lane is up.
        Up = "up",
        /// The connection was refused, or the host not reached.
        Refused = "refused",
        /// It took too long.
        Timeout = "timeout",
        /// What answers there does not speak Tyrant's protocol.
        NotTyrant = "not_tyrant",
        /// The server is not the one that is trusted, or does not trust this side.
        Tls = "tls",
        /// Another run of the server answers than the one that has the other lanes.
        OtherRun = "other_run",
        /// The guard that an edge asks does not serve: it waits for its store's claim.
        Waits = "waits",
    }

    /// What a certificate is for.
    Certificate as "certificate" {
        /// It is shown to clients.
        Listener = "listener",
        /// It is that of an authority of clients.
        ListenerCa = "listener_ca",
        /// It is shown to the backend.
        Backend = "backend",
        /// It is that of an authority of the backend.
        BackendCa = "backend_ca",
    }

    /// What a look-up of the backend's name has found.
    NameOutcome as "outcome" {
        /// Addresses.
        Found = "found",
        /// That there is none, or that the name is unknown.
        Unknown = "unknown",
        /// Nothing, in the time that it may take.
        Timeout = "timeout",
    }

    /// Why a lane was taken out of service.
    FenceReason as "reason" {
        /// A request was not answered in time.
        Deadline = "deadline",
        /// An answer did not parse, or did not belong to its question.
        BadAnswer = "bad_answer",
        /// Bytes came that nobody had asked for.
        Unasked = "unasked",
        /// The backend closed it.
        Eof = "eof",
        /// The backend reset it.
        Reset = "reset",
        /// Any other failure to read or write.
        Io = "io",
        /// The claim of the store was not held any more.
        Unclaimed = "unclaimed",
    }

    /// How a fence ended.
    FenceOutcome as "outcome" {
        /// The backend ended the connection: nothing of it can still be carried out.
        Ended = "ended",
        /// `fence_timeout` passed first.
        Timeout = "timeout",
    }

    /// Why a request had to wait.
    WaitCause as "cause" {
        /// A newer write of its key was in flight.
        OlderInFlight = "older_in_flight",
        /// A write of its key was in flight on another lane.
        OtherLane = "other_lane",
        /// Its key had to be read back.
        Lookup = "lookup",
        /// A lane with a write of its key was being fenced.
        Fence = "fence",
        /// The lane's queue was full.
        QueueFull = "queue_full",
        /// No lane was up.
        LaneDown = "lane_down",
        /// Writes were held back after a start.
        StartHold = "start_hold",
    }

    /// What a request waited for at the timestamp guard.
    KeyWait as "cause" {
        /// The outcome of a write of its key that is in flight.
        InFlight = "key_in_flight",
        /// Its key being read back.
        Lookup = "lookup",
        /// The fence of a lane with a write of its key.
        Fence = "fence",
    }

    /// What was sent again.
    RetryKind as "kind" {
        /// A read.
        Read = "read",
        /// A stamped write.
        Write = "write",
        /// Anything that had not been sent yet.
        Unsent = "unsent",
        /// A write that shared a request which failed, by itself.
        Apart = "apart",
        /// A read whose answer had to wait for room.
        Room = "room",
    }

    /// Why a key was read back.
    LookupCause as "cause" {
        /// It was not in the ledger and the write lay below the horizon.
        Horizon = "horizon",
        /// The outcome of an earlier write was unknown.
        Unknown = "unknown",
        /// The stamps were equal and the bytes had to be compared.
        Tie = "tie",
        /// A delete needed the newest stamp for its tombstone.
        Delete = "delete",
    }

    /// The version that runs.
    Version as "version" {
        /// This one.
        Running = env!("CARGO_PKG_VERSION"),
    }
}

impl Label for Protocol {
    const NAME: &'static str = "protocol";
    const ALL: &'static [Self] = &[Self::Binary, Self::Memcached, Self::Http];

    fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Memcached => "memcached",
            Self::Http => "http",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for Reason {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = &[Self::Stale, Self::Tie, Self::Future, Self::Unstamped, Self::Denied];

    fn as_str(self) -> &'static str {
        self.name()
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Judged {
    /// The verdict on a record that is refused for this reason.
    pub fn refused(reason: Reason) -> Self {
        match reason {
            Reason::Stale => Self::Stale,
            Reason::Tie => Self::Tie,
            Reason::Future => Self::Future,
            Reason::Unstamped => Self::UnstampedRefused,
            Reason::Denied => Self::Denied,
        }
    }
}

impl From<verdict::WaitCause> for WaitCause {
    fn from(cause: verdict::WaitCause) -> Self {
        match cause {
            verdict::WaitCause::OlderInFlight => Self::OlderInFlight,
            verdict::WaitCause::OtherLane => Self::OtherLane,
            verdict::WaitCause::Lookup => Self::Lookup,
            verdict::WaitCause::Fence => Self::Fence,
        }
    }
}

impl From<verdict::WaitCause> for KeyWait {
    fn from(cause: verdict::WaitCause) -> Self {
        match cause {
            verdict::WaitCause::OlderInFlight | verdict::WaitCause::OtherLane => Self::InFlight,
            verdict::WaitCause::Lookup => Self::Lookup,
            verdict::WaitCause::Fence => Self::Fence,
        }
    }
}

impl From<verdict::ReadCause> for LookupCause {
    fn from(cause: verdict::ReadCause) -> Self {
        match cause {
            verdict::ReadCause::Horizon => Self::Horizon,
            verdict::ReadCause::Unknown => Self::Unknown,
            verdict::ReadCause::Tie => Self::Tie,
            verdict::ReadCause::Delete => Self::Delete,
        }
    }
}

impl Label for Lies {
    const NAME: &'static str = "lies";
    const ALL: &'static [Self] = &Lies::ALL;

    fn as_str(self) -> &'static str {
        self.name()
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for Verb {
    const NAME: &'static str = "command";
    const ALL: &'static [Self] = &{
        let mut verbs = [Verb::Put; TABLE.len()];
        let mut at = 0;
        while at < verbs.len() {
            verbs[at] = TABLE[at].verb;
            at += 1;
        }
        verbs
    };

    fn as_str(self) -> &'static str {
        Opcode::of(self).name
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn check<L: Label>() {
        let names: HashSet<_> = L::ALL.iter().map(|value| value.as_str()).collect();
        assert_eq!(names.len(), L::ALL.len(), "{}: two values of one name", L::NAME);
        for (at, value) in L::ALL.iter().enumerate() {
            assert_eq!(value.index(), at, "{}", value.as_str());
        }
    }

    #[test]
    fn every_value_stands_at_its_index_under_a_name_of_its_own() {
        check::<Verb>();
        check::<Protocol>();
        check::<Carried>();
        check::<Side>();
        check::<Lies>();
        check::<KeyWait>();
        check::<Intervention>();
        check::<Alarm>();
        check::<ClaimChange>();
        check::<Reload>();
        check::<Outcome>();
        check::<Judged>();
        check::<Reason>();
        check::<CloseReason>();
        check::<ConnectOutcome>();
        check::<NameOutcome>();
        check::<Certificate>();
        check::<FenceReason>();
        check::<FenceOutcome>();
        check::<WaitCause>();
        check::<RetryKind>();
        check::<LookupCause>();
        check::<Version>();
        assert_eq!(Verb::ALL.len(), 26);
    }
}
