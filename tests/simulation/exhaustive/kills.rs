//! Every story, with each of its actors killed at each of its steps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::task::spawn_local;
use tokio::time::{Duration, advance, sleep};

use super::fates::Fates;
use super::small::{DEADLINE, Small};
use super::stories::{Part, Story};
use super::worlds::{Run, live};

/// Who is killed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// A client's connection is reset.
    Client(usize),
    /// A lane breaks for the guard alone; the backend goes on with what it had, a while later.
    LaneReset(usize),
    /// The backend ends a lane.
    LaneEnd(usize),
    /// The backend is started again, with its records.
    Backend,
    /// The guard is killed and started again; the backend goes on with what it had, a while later.
    Guard,
    /// All deadlines pass before the next bytes arrive.
    Timer,
}

const ACTORS: [Actor; 9] = [
    Actor::Client(0),
    Actor::Client(1),
    Actor::LaneReset(0),
    Actor::LaneReset(1),
    Actor::LaneEnd(0),
    Actor::LaneEnd(1),
    Actor::Backend,
    Actor::Guard,
    Actor::Timer,
];

type Killing = (Actor, u64);

/// Runs a story undisturbed, then with every killing.
pub fn run(run: &Run, story: &Story) {
    let name = format!("kill/{:?}/{}", story.kind.ledger, story.name);
    let mut steps = 0;
    run.always(&format!("{name}/nobody"), || {
        steps = live(world(story, None))?;
        Ok(())
    });
    for actor in ACTORS {
        if matches!(actor, Actor::Client(client) if client >= story.parts.len()) {
            continue;
        }
        for step in 0..steps {
            let name = format!("{name}/{actor:?}/{step}");
            run.once(&name, || live(world(story, Some((actor, step)))).map(drop));
        }
    }
}

/// The steps that it took.
async fn world(story: &Story, killing: Option<Killing>) -> Result<u64, String> {
    let small = Small::new(story.kind);
    let lines: Rc<Vec<Cell<u64>>> = Rc::new(story.parts.iter().map(|_| Cell::new(u64::MAX)).collect());
    let doom = Rc::new(Cell::new(None::<Killing>));
    let executioner = {
        let (small, lines, doom) = (Rc::clone(&small), Rc::clone(&lines), Rc::clone(&doom));
        async move |step| {
            if let Some((actor, at)) = doom.get()
                && at == step
            {
                kill(&small, actor, &lines).await;
            }
        }
    };
    small.begin(executioner).await;
    small.prepare().await?;
    let first = small.wires.steps();
    doom.set(killing.map(|(actor, step)| (actor, first + step)));
    let fates = Rc::new(RefCell::new(Fates::new(killing.is_some())));
    play_all(&small, story, &lines, &fates).await?;
    let steps = small.wires.steps() - first;
    small.settle().await?;
    small.broken()?;
    fates.borrow().check_end(&small)?;
    small.judge(0, "k").await?;
    small.judge(1, "k").await?;
    small.judge(0, "n").await?;
    small.settle().await?;
    small.broken()?;
    small.end().await;
    Ok(steps)
}

async fn kill(small: &Small, actor: Actor, lines: &[Cell<u64>]) {
    let backend = &small.backend;
    let lanes = small.wires.lanes();
    match actor {
        Actor::Client(client) => small.wires.reset(lines[client].get()),
        Actor::LaneReset(lane) => backend.sever(lanes[lane]),
        Actor::LaneEnd(lane) => backend.close(lanes[lane]),
        Actor::Backend => backend.restart(),
        Actor::Guard => {
            backend.rest(&lanes);
            small.end_guard().await;
            small.start_guard();
        }
        Actor::Timer => advance(DEADLINE + Duration::from_millis(1)).await,
    }
}

async fn play_all(
    small: &Rc<Small>,
    story: &Story,
    lines: &Rc<Vec<Cell<u64>>>,
    fates: &Rc<RefCell<Fates>>,
) -> Result<(), String> {
    let mut players = Vec::new();
    for (client, part) in story.parts.iter().enumerate() {
        let (small, lines, fates) = (Rc::clone(small), Rc::clone(lines), Rc::clone(fates));
        let part = part.clone();
        players.push(spawn_local(
            async move { play(&small, &part, &lines[client], &fates).await },
        ));
    }
    for player in players {
        player.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// One client. When its connection ends it goes on with the next question on another one.
async fn play(small: &Small, part: &Part, line: &Cell<u64>, fates: &RefCell<Fates>) -> Result<(), String> {
    sleep(Duration::from_millis(part.begins)).await;
    let mut caller = small.connect(part.worker);
    line.set(caller.id);
    let mut talk = fates.borrow_mut().begin(part);
    if part.pipelined {
        part.asks.iter().for_each(|_| talk.asked(small));
        caller.write_all(&part.asks);
        for ask in &part.asks {
            let heard = caller.hear_answer(ask).await;
            fates.borrow_mut().heard(small, &mut talk, ask, &heard)?;
        }
        return Ok(());
    }
    for ask in &part.asks {
        talk.asked(small);
        caller.write_all(std::slice::from_ref(ask));
        let heard = caller.hear_answer(ask).await;
        if fates.borrow_mut().heard(small, &mut talk, ask, &heard)? {
            caller = small.connect(part.worker);
            line.set(caller.id);
        }
    }
    Ok(())
}
