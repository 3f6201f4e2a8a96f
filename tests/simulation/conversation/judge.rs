//! Whether an answer can be right.

use bytes::Bytes;
use ttguard::command::{Command, Reply};

use crate::history::History;
use crate::plan::MAPPED;
use crate::question::Question;
use crate::world::World;

/// Whether an answer can be right.
pub(super) fn judge(world: &World, question: &Question, reply: &Reply) {
    let mut history = world.history.borrow_mut();
    let asked_at = question.asked_at;
    let asked_clock = world.clock.least_since(asked_at, question.asked_clock);
    match (&question.command, reply) {
        (Command::Get { key }, Reply::Value(value)) => {
            history.read(world, key, asked_at, |held| held == Some(value), reply);
        }
        (Command::Get { key } | Command::Vsiz { key }, Reply::Code(1)) => {
            history.read(world, key, asked_at, |held| held.is_none(), reply);
        }
        (Command::Vsiz { key }, Reply::Number(size)) => {
            history.read(
                world,
                key,
                asked_at,
                |held| held.is_some_and(|held| held.len() == *size as usize),
                reply,
            );
        }
        (Command::Mget { keys }, Reply::Records(found)) => {
            judge_list(world, question, keys, found, reply, &mut history)
        }
        (
            Command::Misc {
                function, arguments, ..
            },
            Reply::Strings { code: 0, strings },
        ) if function == "getlist" => {
            let found: Vec<_> = strings
                .chunks(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect();
            judge_list(world, question, arguments, &found, reply, &mut history);
        }
        (
            Command::Misc {
                function, arguments, ..
            },
            Reply::Strings { code, strings },
        ) if function == "get" => {
            if *code <= 1 {
                history.read(world, &arguments[0], asked_at, |held| held == strings.first(), reply);
            }
        }
        (Command::Out { key }, Reply::Code(0)) => history.out_acknowledged(world, key, asked_at),
        (Command::FwmKeys { .. }, Reply::Keys(keys)) => {
            if keys.iter().any(|key| key.starts_with(b"timestamp.")) {
                world.violated("hidden", || format!("a hidden key was shown: {keys:?}"));
            }
        }
        (
            Command::Misc {
                function, arguments, ..
            },
            Reply::Strings { code: 0, .. },
        ) if function == "out" || function == "outlist" => {
            for key in arguments {
                history.out_acknowledged(world, key, asked_at);
            }
        }
        (Command::Misc { .. }, Reply::Strings { code, .. }) => {
            let numbers: Vec<_> = question.writes.iter().map(|(_, number)| *number).collect();
            match code {
                0 => numbers.iter().for_each(|number| history.acknowledged(world, *number)),
                2..=5 => history.list_refused(world, &numbers, *code, asked_clock),
                _ => {}
            }
        }
        (Command::Ext { function, value, .. }, Reply::Value(answer)) => {
            let expected: &[u8] = if function == MAPPED { b"ok" } else { value };
            if answer != expected {
                world.violated("I3", || format!("{:?} was answered {reply:?}", question.command));
            }
            for (_, number) in &question.writes {
                history.acknowledged(world, *number);
            }
        }
        (Command::Ext { function, .. }, Reply::Code(code @ 2..=5)) if function != MAPPED => {
            world.violated("I6", || format!("{:?} was refused with code {code}", question.command));
        }
        (_, reply) => {
            for (_, number) in &question.writes {
                match reply.code() {
                    0 => history.acknowledged(world, *number),
                    2..=5 => history.refused(world, *number, reply.code(), asked_clock),
                    _ => {}
                }
            }
        }
    }
}

fn judge_list(
    world: &World,
    question: &Question,
    keys: &[Bytes],
    found: &[(Bytes, Bytes)],
    reply: &Reply,
    history: &mut History,
) {
    if found.iter().any(|(key, _)| !keys.contains(key)) {
        world.violated("I3", || format!("{:?} was answered {reply:?}", question.command));
    }
    for key in keys {
        let value = found.iter().find(|(echoed, _)| echoed == key).map(|(_, value)| value);
        history.read(world, key, question.asked_at, |held| held == value, reply);
    }
}
