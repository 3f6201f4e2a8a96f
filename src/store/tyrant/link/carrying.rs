//! How a lane serves until its end, or until another one takes its place.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant as Moment;

use super::{Link, Opened};
use crate::pairing::owed::Lost;
use crate::store::completion::Completion;
use crate::store::events::Events;
use crate::store::tyrant::fence::{LastSeen, fence};
use crate::store::tyrant::lane::{HalfReceived, Lane, LaneFault};

/// Lanes of a link that have handed over their place and still carry something large, at most.
pub const HANDED_OVER_MAX: usize = 4;

/// How long none is tried to take a lane's place after one could not be had: what holds up others asks with each read.
const SUCCESSOR_PAUSE: Duration = Duration::from_millis(100);

/// How a lane came to its end, or to that of its service.
pub(super) enum Carried<F> {
    /// It is out of service: whether it was of use, and what is left to do, which is its fence.
    Ended { useful: bool, fencing: F },
    /// Another one takes its place.
    HandedOver(Opened),
}

impl<P: Completion> Link<P> {
    /// Carries requests until the lane is out of service, or another one has taken its place.
    pub(super) async fn carry<E: Events>(
        self: Rc<Self>,
        (reader, writer, greeting): Opened,
        events: &Rc<E>,
        last_seen: &Rc<LastSeen>,
    ) -> Carried<impl Future<Output = ()> + use<P, E> + 'static> {
        let lane = self.new_lane();
        events.changed();
        let service = Rc::clone(&self).serve(
            Rc::clone(&lane),
            (reader, writer, greeting),
            Rc::clone(events),
            Rc::clone(last_seen),
        );
        let mut service = Box::pin(service);
        let mut not_before = Moment::now();
        loop {
            tokio::select! {
                biased;
                fencing = &mut service => return Carried::Ended { useful: lane.was_useful(), fencing },
                () = lane.held_up() => {}
            }
            if !self.may_hand_over(&lane) || Moment::now() < not_before {
                continue;
            }
            let opened = tokio::select! {
                biased;
                fencing = &mut service => return Carried::Ended { useful: lane.was_useful(), fencing },
                opened = self.open() => opened,
            };
            // What was large has come meanwhile, as a rule where no other connection can be had.
            if !self.may_hand_over(&lane) {
                continue;
            }
            match opened.and_then(|opened| self.admit(opened, &**events)) {
                Ok(opened) => {
                    self.former.borrow_mut().push(Rc::clone(&lane));
                    *self.lane.borrow_mut() = None;
                    events.handed_over();
                    for completion in lane.hand_over() {
                        completion.lost(Lost::Unsent);
                    }
                    events.batch_done();
                    spawn_local(async move {
                        service.await.await;
                        self.former.borrow_mut().retain(|one| !Rc::ptr_eq(one, &lane));
                        self.former_ended.notify_one();
                    });
                    return Carried::HandedOver(opened);
                }
                Err((fault, error)) => {
                    events.connect_failed(fault, &error);
                    not_before = Moment::now() + SUCCESSOR_PAUSE;
                }
            }
        }
    }

    /// Puts a new lane into the place.
    fn new_lane(&self) -> Rc<Lane<P>> {
        let settings = self.settings.borrow().clone();
        let lane = Rc::new(Lane::new(settings.ids.next(), settings.lane, settings.tenure));
        *self.lane.borrow_mut() = Some(Rc::clone(&lane));
        if self.retired.get() || self.parting.get() {
            lane.retire();
        }
        lane
    }

    /// Whether a lane is to hand over its place, and one more may.
    fn may_hand_over(&self, lane: &Lane<P>) -> bool {
        let is_full = self.former.borrow().len() >= HANDED_OVER_MAX;
        lane.holds_up() && !is_full && !self.retired.get() && !self.parting.get()
    }

    /// Has a lane carry requests until it is out of service; returns what is left to do then: its fence.
    async fn serve<E: Events>(
        self: Rc<Self>,
        lane: Rc<Lane<P>>,
        (mut reader, writer, greeting): Opened,
        events: Rc<E>,
        last_seen: Rc<LastSeen>,
    ) -> impl Future<Output = ()> + use<P, E> + 'static {
        let held = Cell::new(HalfReceived::default());
        let note = |now| events.half_received(held.replace(now), now);
        let after_batch = || {
            note(lane.half_received());
            if lane.take_proof() {
                events.proved();
            }
            events.batch_done();
        };
        let fault = lane.run(&mut reader, &writer, after_batch).await;
        note(HalfReceived::default());
        let place = self.lane.borrow_mut().take_if(|current| Rc::ptr_eq(current, &lane));
        let has_place = place.is_some();
        if has_place {
            self.note_down(&fault);
        }
        self.record.borrow_mut().fencing += 1;
        events.down(lane.id(), &fault, has_place);
        for (lost, completion) in lane.abandon() {
            completion.lost(lost);
        }
        events.batch_done();
        let patience = self.settings.borrow().fence_timeout;
        let id = lane.id();
        async move {
            let instance = greeting.run.instance.as_ref();
            // Nothing that it owed can change anything: the server may stop where it is.
            let ended = matches!(fault, LaneFault::HandedOver)
                || fence(reader, writer, &fault, instance, &last_seen, patience).await;
            self.record.borrow_mut().fencing -= 1;
            events.fenced(id, ended);
        }
    }
}
