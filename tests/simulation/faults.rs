//! Every kind of fault, and how often each struck.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $kind,)*
        }

        /// Every kind, in the order of the source.
        pub const KINDS: &[Fault] = &[$(Fault::$kind),*];
    };
}

kinds! {
    /// Bytes took much longer than usual.
    Delay,
    /// Bytes arrived before others that had been written earlier, on another connection.
    Overtaken,
    /// What was written at once arrived in pieces.
    Split,
    /// A lane was reset on its way, after any byte.
    LaneReset,
    /// A lane was reset for the guard only: what it had written still arrived.
    LaneHalfReset,
    /// A reset took bytes with it that its receiver had not read.
    ResetLostUnread,
    /// A lane stood still on its way to the backend.
    LaneStalled,
    /// Answers stood still on their way from the backend.
    AnswersStalled,
    /// A client's connection was reset on its way, after any byte.
    ClientReset,
    /// A client's connection stood still.
    ClientStalled,
    /// The peer took few bytes at once, so that writes were cut.
    NarrowPipe,
    /// The backend sent bytes that nobody had asked for.
    Unasked,
    /// The backend answered a failure to what it had carried out.
    WrongCode,
    /// The backend's answer made no sense.
    Garbled,
    /// The backend answered before it had the whole request.
    EarlyAnswer,
    /// The backend was started again with its records.
    RestartKept,
    /// The backend was started again, empty.
    RestartEmpty,
    /// The backend was started again with older records.
    RestartOlder,
    /// The backend refused connections.
    Refused,
    /// The backend accepted and then said nothing.
    SilentAccept,
    /// Something that is no Tyrant answered.
    NotTyrant,
    /// The backend closed a connection, as with `-tout`.
    ServerClosed,
    /// A write failed (disk full).
    FailedWrite,
    /// A write failed after it was stored (update log full).
    StoredYetFailed,
    /// The whole backend stood still (SIGSTOP).
    Paused,
    /// One request kept its thread for long.
    SlowRequest,
    /// A write was carried out after its lane had ended.
    Zombie,
    /// A write was carried out so late that no fence is promised to hold for it.
    LateZombie,
    /// A client sent a request in part and stopped for a while.
    ClientStopped,
    /// A client went away without waiting.
    ClientVanished,
    /// A client asked and never read.
    NeverRead,
    /// A client half-closed and read on.
    HalfClosed,
    /// A client sent several requests at once.
    Pipelined,
    /// A client wrote many keys at once that hardly anything is known of.
    UnknownBatch,
    /// A client gave up waiting and used the connection again.
    GaveUp,
    /// A client sent what is no request.
    BadFrame,
    /// A client sent one byte.
    OneByte,
    /// A client sent its request byte by byte.
    Dripped,
    /// A client's clock was wrong.
    SkewedClock,
    /// A client's clock jumped.
    ClockJumped,
    /// The guard was killed and started again.
    GuardKilled,
    /// The guard was killed while what it had sent stood still on its way.
    GuardKilledStalled,
    /// The guard was told to stop, and started again.
    GuardDrained,
    /// Two writes of a key had equal stamps.
    EqualStamps,
    /// The ledger forgot keys for want of room.
    Evicted,
    /// The guard only observed, and let a write through that is older than what it overwrote.
    LetThrough,
    /// A write that lost against a newer one was answered as a success.
    RefusedAsSuccess,
    /// A write was refused by a stamp that is no time.
    RefusedOpaque,
    /// A list was added to a B+ tree beside what was there.
    Duplicated,
    /// Puts of several clients came in one request.
    SharedPuts,
    /// Such a request failed.
    SharedPutsFailed,
    /// A record was removed where no tombstone can be kept beside it.
    Unrecorded,
    /// A script changed a record.
    Script,
    /// A script's name stood for a guarded put.
    MappedScript,
    /// A client followed the update log.
    Replicated,
    /// A client followed the update log and did not read it.
    ReplicaStalled,
    /// The guard's process stood still, while all others went on.
    GuardStalled,
    /// The guard's own clock jumped ahead.
    GuardClockAhead,
    /// The guard's own clock jumped back.
    GuardClockBack,
    /// A guard was started with a clock that differs from the former one's.
    GuardClockSkewed,
    /// A read gave fewer bytes than had arrived.
    ShortRead,
    /// A write took fewer bytes than there was room for.
    ShortWrite,
    /// A read or a write was interrupted.
    Interrupted,
    /// A connection to the backend failed late.
    LateFailure,
    /// A connection to the backend was reset as soon as it was open.
    Stillborn,
    /// A reset took bytes with it that its sender had written.
    ResetLostSent,
    /// A lane was reset for the guard, and what it had written was delivered much later.
    HeldBack,
}

/// How often each kind struck.
#[derive(Clone, Debug)]
pub struct Tally(Vec<u64>);

impl Default for Tally {
    fn default() -> Self {
        Self(vec![0; KINDS.len()])
    }
}

impl Tally {
    /// One more.
    pub fn strike(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
    }

    /// How often a kind struck.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Kinds that never struck.
    pub fn missing(&self) -> Vec<Fault> {
        KINDS.iter().copied().filter(|fault| self.of(*fault) == 0).collect()
    }
}
