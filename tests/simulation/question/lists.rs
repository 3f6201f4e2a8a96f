//! `misc`: single records and lists of them.

use std::rc::Rc;

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

    /// Writes of many keys, of which hardly anything is known: one by one, or as one list.
    pub fn batch(&mut self) -> Vec<Question> {
        let world = Rc::clone(&self.world);
        let (clients, most) = (&world.plan.clients, world.plan.batches.keys);
        let first = self.random.usize(..most);
        // Behind those that are written alone, also where a key is its digits.
        let keys =
            (first..most.min(first + self.random.usize(4..40))).map(|number| Bytes::from(format!("w{}", 100 + number)));
        let keys: Vec<_> = keys.collect();
        let lists = clients.lists && world.plan.database != Database::Tree;
        match self.random.u8(..3) {
            0 if lists && clients.deletes => {
                keys.iter()
                    .for_each(|key| self.world.history.borrow_mut().out_asked(key));
                vec![Self::misc("outlist", keys, Vec::new())]
            }
            1 if lists => {
                let (mut arguments, mut writes) = (Vec::new(), Vec::new());
                for key in keys {
                    let (value, number) = self.value(&key, Asked::Repeatable);
                    arguments.extend([key.clone(), value]);
                    writes.push((key, number));
                }
                vec![Self::misc("putlist", arguments, writes)]
            }
            _ => keys.into_iter().map(|key| self.put_of(key)).collect(),
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
