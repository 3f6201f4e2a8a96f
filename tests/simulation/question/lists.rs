//! `misc`: single records and lists of them.

use bytes::Bytes;

use super::{Asker, Question};
use crate::history::Asked;
use crate::plan::Database;

impl Asker {
    pub(super) fn write_list(&mut self) -> Question {
        let deletes = self.world.plan.clients.deletes;
        match self.random.u8(..6) {
            0 if deletes => {
                let key = self.key();
                self.world.history.borrow_mut().out_asked(&key);
                Self::misc("outlist", vec![key], Vec::new())
            }
            1 if deletes => {
                let key = self.key();
                self.world.history.borrow_mut().out_asked(&key);
                Self::misc("out", vec![key], Vec::new())
            }
            2 => {
                let key = self.key();
                let (value, number) = self.value(&key, Asked::Repeatable);
                Self::misc("put", vec![key.clone(), value], vec![(key, number)])
            }
            _ => {
                let mut keys = vec![self.key(), self.key(), self.key()];
                if self.world.plan.database == Database::Tree {
                    // There a list adds values, and nothing is promised for their order.
                    keys = vec![Bytes::from_static(b"d6"), Bytes::from_static(b"d7")];
                }
                keys.sort();
                keys.dedup();
                let (mut arguments, mut writes) = (Vec::new(), Vec::new());
                for key in keys {
                    let (value, number) = self.value(&key, Asked::Repeatable);
                    arguments.extend([key.clone(), value]);
                    writes.push((key, number));
                }
                Self::misc("putlist", arguments, writes)
            }
        }
    }

    pub(super) fn read_list(&mut self) -> Question {
        let (first, second) = (self.key(), self.key());
        if self.random.bool() {
            Self::misc("get", vec![first], Vec::new())
        } else {
            Self::misc("getlist", vec![first, second], Vec::new())
        }
    }
}
