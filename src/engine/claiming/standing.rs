//! How far a process is with the claim of its store.

/// How far a process is with the claim of its store, for those who run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is nothing to claim: the store is in this process, or the settings say that nobody else writes to it.
    Unclaimed,
    /// The store has not been reached yet.
    Unknown {
        /// That was tried.
        is_tried: bool,
    },
    /// It waits for its turn.
    Waiting {
        /// Who holds the claim, or has last.
        holder: String,
        /// That one has shown signs of life while it was watched.
        is_alive: bool,
        /// It has shown none for so long already that it may be gone.
        is_silent: bool,
    },
    /// It has taken the claim, and waits for what the holder before may have left on its way.
    Settling {
        /// The epoch.
        epoch: u64,
    },
    /// It holds the claim.
    Held {
        /// The epoch.
        epoch: u64,
    },
    /// Another has taken the claim from it.
    Deposed {
        /// Who.
        by: String,
    },
    /// The store cannot keep a claim, and why.
    Unkeepable(&'static str),
}

impl Standing {
    /// Why this process may not write to the store; nothing where it may.
    pub fn hindrance(&self) -> Option<String> {
        match self {
            Self::Unclaimed | Self::Held { .. } => None,
            Self::Unknown { .. } => Some("the store has not been reached, so its claim is not held".to_owned()),
            Self::Waiting { holder, .. } => Some(format!("the claim of the store is held by {holder}")),
            Self::Settling { .. } => Some("the claim of the store was taken just now".to_owned()),
            Self::Deposed { by } => Some(format!("the claim of the store was lost to {by}")),
            Self::Unkeepable(why) => Some(format!("the store cannot keep a claim: {why}")),
        }
    }

    /// Whether it is known how things stand, or nothing is to be found out soon.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Unknown { is_tried } => *is_tried,
            Self::Waiting {
                is_alive, is_silent, ..
            } => *is_alive || *is_silent,
            _ => true,
        }
    }

    /// Whether another is known to write to the store, or has taken that over from this one.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Waiting { is_alive: true, .. } | Self::Deposed { .. })
    }

    /// The epoch that it holds; nothing where it holds none.
    pub fn epoch(&self) -> Option<u64> {
        match self {
            Self::Held { epoch } => Some(*epoch),
            _ => None,
        }
    }
}

/// How a process ends, as far as its claim goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The store is done with all that it sent.
    InOrder,
    /// That is not known: others have to wait until it can be.
    Unsure,
}
