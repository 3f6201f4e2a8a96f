//! What a stamp cannot order, and what is no record's affair.

use bytes::Bytes;
use ttguard::command::Command;

use super::{Asker, Question};
use crate::faults::Fault;
use crate::history::Asked;

impl Asker {
    pub(super) fn unordered(&mut self) -> Question {
        let key = Bytes::from_static(b"m8");
        let number = self.world.history.borrow().next_number();
        let kinds = if self.world.plan.clients.scripts { 5 } else { 3 };
        match self.random.u8(..kinds) {
            3 => {
                let (value, number) = self.value(&key, Asked::Once);
                self.world.strike(Fault::Script);
                Self::script("set", key, value, number)
            }
            4 => {
                let value = Bytes::from(format!("added#{number}#"));
                self.note(&key, &value, Asked::Once);
                self.world.strike(Fault::Script);
                Self::script("add", key, value, number)
            }
            0 => {
                let value = Bytes::from(format!("unstamped#{number}#"));
                self.note(&key, &value, Asked::Once);
                Question::writing(
                    Command::Put {
                        key: key.clone(),
                        value,
                    },
                    vec![(key, number)],
                )
            }
            1 => {
                let value = Bytes::from(format!("added#{number}#"));
                self.note(&key, &value, Asked::Once);
                Question::writing(
                    Command::PutCat {
                        key: key.clone(),
                        value,
                    },
                    vec![(key, number)],
                )
            }
            _ => {
                let key = Bytes::from_static(b"n9");
                self.note(&key, &Bytes::new(), Asked::Once);
                let command = Command::AddInt {
                    key: key.clone(),
                    number: number as i32,
                };
                Question::writing(command, vec![(key, number)])
            }
        }
    }

    pub(super) fn control(&mut self) -> Question {
        Question::new(match self.random.u8(..7) {
            0 => Command::Rnum,
            1 => Command::FwmKeys {
                prefix: Bytes::new(),
                max: -1,
            },
            2 => Command::IterInit,
            3 => Command::IterNext,
            4 if self.random.u8(..4) == 0 => Command::Vanish,
            5 => Command::Sync,
            _ => Command::Stat,
        })
    }
}
