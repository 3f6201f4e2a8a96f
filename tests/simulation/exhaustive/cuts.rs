//! Every request and every answer, cut at every byte, on both sides of the guard.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use tokio::task::spawn_local;
use tokio::time::{Duration, Instant, sleep};
use ttguard::command::{Command, Reply, Verb};
use ttguard::guard::rules::LedgerMode;

use super::backend::{FAULTS, Fault, Trap, Way};
use super::book::hidden_of;
use super::caller::{Caller, Heard, bytes_of, shape_of};
use super::requests::{self, FIRST, Request};
use super::small::{DEADLINE, Kind, SLACK, Small, expect, put, value};
use super::worlds::{Run, live};

/// After so long the fault has struck, and whoever comes now must be served in time.
const NEXT_COMES: Duration = Duration::from_millis(30);

/// Longer than any answer may take.
const LONG: Duration = Duration::from_millis(600);

/// What is cut, and how.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nothing,
    /// The client sends so many bytes of its request.
    Client {
        after: usize,
        fault: Fault,
    },
    /// The backend receives, or sends, so many bytes.
    Backend(Trap),
}

impl Cut {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Client { after, fault } => format!("client/{after}/{fault:?}"),
            Self::Backend(Trap { way, after, fault, .. }) => format!("{way:?}/{after}/{fault:?}"),
        }
    }
}

/// What the keys that clients see hold.
type Contents = BTreeMap<Bytes, Bytes>;

/// What an undisturbed world has shown.
struct Course {
    before: Contents,
    after: Contents,
    /// Bytes that reached the backend, and bytes that it sent.
    bytes: [usize; 2],
}

/// Every way to keep stamps, with keys that the guard knows and with keys that it does not.
pub fn kinds() -> Vec<Kind> {
    let ledgers = [LedgerMode::Inline, LedgerMode::Record];
    let kinds = ledgers.map(|ledger| [true, false].map(|warm| Kind::new(ledger, warm)));
    kinds.into_iter().flatten().collect()
}

/// Runs every cut of one request.
pub fn run(run: &Run, kind: Kind, request: &Request) {
    let name = |cut: Cut| format!("cut/{kind}/{}/{}", request.name, cut.name());
    let mut course = None;
    run.always(&name(Cut::Nothing), || {
        course = Some(live(world(kind, request, Cut::Nothing, None))?);
        Ok(())
    });
    let Some(course) = course else {
        return;
    };
    let asked: usize = request.commands.iter().map(|command| bytes_of(command).len()).sum();
    for fault in FAULTS {
        // What is known of a key makes no difference to a request that is never whole.
        let least = if kind == Kind::new(LedgerMode::Inline, true) {
            0
        } else {
            asked
        };
        let client = (least..=asked).map(|after| Cut::Client { after, fault });
        let backend = traps(fault, course.bytes).map(Cut::Backend);
        for cut in client.chain(backend) {
            run.once(&name(cut), || live(world(kind, request, cut, Some(&course))).map(drop));
        }
    }
}

/// The backend's fault at every byte of what it is asked and of what it answers. A cut between two answers strikes when the
/// second request has been carried out; where it has not, that is a cut between two requests.
fn traps(fault: Fault, [asked, answered]: [usize; 2]) -> impl Iterator<Item = Trap> {
    let trap = move |way, after, is_inside| Trap {
        way,
        after,
        fault,
        is_inside,
    };
    let requests = (0..=asked).map(move |after| trap(Way::Requests, after, false));
    let replies = (0..answered).map(move |after| trap(Way::Replies, after, true));
    // Behind the last answer there is none that a stall could hold up.
    let end = (fault != Fault::Stall).then(|| trap(Way::Replies, answered, false));
    requests.chain(replies).chain(end)
}

async fn world(kind: Kind, request: &Request, cut: Cut, course: Option<&Course>) -> Result<Course, String> {
    let small = Small::new(kind);
    small.begin(async |_| {}).await;
    small.prepare().await?;
    let before = contents(&small);
    let marked = small.backend.book.borrow().commands.len();
    let trap = if let Cut::Backend(trap) = cut { Some(trap) } else { None };
    small.backend.set(trap);
    let mut victim = small.connect(0);
    ask(&mut victim, request, cut);
    let next = {
        let small = Rc::clone(&small);
        spawn_local(async move { serve_the_next(&small).await })
    };
    let heard = hear(&mut victim, request, cut).await?;
    let bytes = small.backend.counted();
    next.await
        .map_err(|error| error.to_string())?
        .map_err(|how| format!("the next client: {how}"))?;
    drop(victim);
    small.settle().await?;
    small.broken()?;
    let after = contents(&small);
    check_answers(request, cut, &heard)?;
    check_frames(request, cut, &small.backend.book.borrow().commands[marked..])?;
    if let Some(course) = course {
        check_contents(
            course,
            &after,
            heard.len() == request.answers.len() && !heard.is_empty(),
        )?;
    }
    judge(&small, course).await?;
    small.end().await;
    Ok(Course { before, after, bytes })
}

fn contents(small: &Small) -> Contents {
    let records = small.backend.records.borrow();
    let shown = records
        .iter()
        .filter(|(key, _)| !key.starts_with(b"timestamp.") && *key != "o");
    shown.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn ask(victim: &mut Caller, request: &Request, cut: Cut) {
    let bytes: Vec<u8> = request
        .commands
        .iter()
        .flat_map(|command| bytes_of(command).to_vec())
        .collect();
    match cut {
        Cut::Client { after, fault } => {
            victim.write(&bytes[..after]);
            victim.strike(fault);
        }
        _ => victim.write(&bytes),
    }
}

/// All answers up to the end. Whoever waits for the answer to a whole request is given one, or the end.
async fn hear(victim: &mut Caller, request: &Request, cut: Cut) -> Result<Vec<Reply>, String> {
    let mut answers = Vec::new();
    for shape in request.commands.iter().filter_map(shape_of) {
        match victim.hear(shape, LONG).await {
            Heard::Answer(reply) => answers.push(reply),
            Heard::Silence if !matches!(cut, Cut::Client { .. }) => {
                return Err("neither an answer nor an end".to_owned());
            }
            Heard::End | Heard::Silence => return Ok(answers),
        }
    }
    if let Heard::Answer(unasked) = victim.hear_end(Duration::from_millis(5)).await {
        answers.push(unasked);
    }
    Ok(answers)
}

/// Another client of the same worker, once the fault has struck.
async fn serve_the_next(small: &Small) -> Result<(), String> {
    sleep(NEXT_COMES).await;
    let mut caller = small.connect(0);
    let get = Command::Get { key: Bytes::from("o") };
    let asked = Instant::now();
    let heard = caller.ask(&get, DEADLINE + SLACK).await;
    expect(&heard, &Reply::Value(requests::first_value()), || {
        format!("get after {:?}", asked.elapsed())
    })?;
    let heard = caller.ask(&put("o", FIRST + 1, "next"), DEADLINE + SLACK).await;
    expect(&heard, &Reply::OK, || "put".to_owned())?;
    let heard = caller.ask(&get, DEADLINE + SLACK).await;
    expect(&heard, &Reply::Value(value(FIRST + 1, "next")), || {
        "get after put".to_owned()
    })
}

/// Every answer that was given is the right one, and those that nothing stood in the way of were given.
fn check_answers(request: &Request, cut: Cut, heard: &[Reply]) -> Result<(), String> {
    if !request.answers.starts_with(heard) {
        return Err(format!("answered {heard:?} instead of {:?}", request.answers));
    }
    let whole = match cut {
        Cut::Nothing => usize::MAX,
        Cut::Client { fault: Fault::Rst, .. } | Cut::Backend(_) => 0,
        Cut::Client { after, .. } => whole_frames(request, after),
    };
    if heard.len() < whole.min(request.answers.len()) {
        return Err(format!("answered only {heard:?} although the request was whole"));
    }
    Ok(())
}

fn whole_frames(request: &Request, bytes: usize) -> usize {
    let mut end = 0;
    let ends = request.commands.iter().map(|command| {
        end += bytes_of(command).len();
        end
    });
    ends.filter(|end| *end <= bytes).count()
}

/// Of a request that was never whole nothing reaches the backend, not even in another form.
fn check_frames(request: &Request, cut: Cut, carried_out: &[Command]) -> Result<(), String> {
    let Cut::Client { after, .. } = cut else {
        return Ok(());
    };
    let whole = whole_frames(request, after);
    let mut victims = carried_out.iter().filter(|command| !is_of_others(command));
    let forbidden = match request.commands.get(whole) {
        None => None,
        Some(_) if whole == 0 => victims.next(),
        Some(cut) => victims.find(|command| command.verb() == cut.verb()),
    };
    match forbidden {
        None => Ok(()),
        Some(command) => Err(format!("{command:?} reached the backend though the request was cut")),
    }
}

/// Whether a request is of the client that comes after the fault, or ends a spell of a primed lane.
fn is_of_others(command: &Command) -> bool {
    let is_its_key = |key: &Bytes| key == "o" || *key == hidden_of(b"o");
    match command {
        Command::Vsiz { key } if key.is_empty() => true,
        Command::Get { key } | Command::Put { key, .. } | Command::Vsiz { key } => is_its_key(key),
        Command::Mget { keys } => keys.iter().all(is_its_key),
        Command::Misc { arguments, .. } => arguments.first().is_some_and(is_its_key),
        other => other.verb() == Verb::Stat,
    }
}

/// Each key holds what it held before or what the request makes of it; the latter when it was acknowledged.
fn check_contents(course: &Course, after: &Contents, acknowledged: bool) -> Result<(), String> {
    let keys = [&course.before, &course.after, after]
        .into_iter()
        .flat_map(Contents::keys);
    for key in keys {
        let now = after.get(key);
        if now != course.after.get(key) && (acknowledged || now != course.before.get(key)) {
            return Err(format!("{key:?} holds {now:?}, acknowledged: {acknowledged}"));
        }
    }
    Ok(())
}

/// What the guard believes fits what is stored.
async fn judge(small: &Small, course: Option<&Course>) -> Result<(), String> {
    // By the other worker: its lane has seen nothing of all this.
    small.judge(1, "k").await?;
    if course.is_some_and(|course| course.before.contains_key(&b"n"[..]) != course.after.contains_key(&b"n"[..])) {
        small.judge(1, "n").await?;
    }
    small.settle().await?;
    small.broken()
}
