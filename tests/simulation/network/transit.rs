//! What is on its way, and when it arrives.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use ttguard::transport::memory::Side;

use super::{Arrival, Between, Event, Line, Network, index};
use crate::faults::Fault;
use crate::world::World;

impl Network {
    pub(super) fn send(&self, world: &World, id: u64, line: &mut Line, side: Side, mut count: usize, now: u64) {
        let plan = &world.plan.network;
        if self.wound(world, id, line, side, count, now) || self.hold_back(world, id, line, side, count, now) {
            return;
        }
        let is_lane = line.between == Between::GuardAndServer;
        let (cut, stall) = if is_lane {
            (plan.lane_cut, plan.lane_stall)
        } else {
            (plan.client_cut, plan.client_stall)
        };
        if world.strikes(cut) {
            let whole = world.below(count as u64 + 1) as usize;
            if whole > 0 {
                self.schedule(world, id, line, side, Arrival::Bytes(whole), now);
            }
            self.cut(world, id, line);
            return;
        }
        if world.strikes(stall) {
            let at = now + plan.stall;
            let way = &mut line.ways[index(side)];
            way.last_arrival = way.last_arrival.max(at);
            line.disturbed = true;
            world.strike(match (is_lane, side) {
                (true, Side::Dialler) => Fault::LaneStalled,
                (true, Side::Acceptor) => Fault::AnswersStalled,
                (false, _) => Fault::ClientStalled,
            });
        }
        while count > 1 && world.strikes(plan.split) {
            let part = 1 + world.below(count as u64 - 1) as usize;
            self.schedule(world, id, line, side, Arrival::Bytes(part), now);
            count -= part;
            world.strike(Fault::Split);
        }
        self.schedule(world, id, line, side, Arrival::Bytes(count), now);
    }

    pub(super) fn latency(&self, world: &World) -> u64 {
        let plan = &world.plan.network;
        if world.healed() {
            return 0;
        }
        if world.strikes(plan.delay) {
            world.strike(Fault::Delay);
            return plan.long_latency;
        }
        world.below(plan.latency + 1)
    }

    pub(super) fn schedule(&self, world: &World, id: u64, line: &mut Line, side: Side, arrival: Arrival, now: u64) {
        let at = now + self.latency(world);
        let way = &mut line.ways[index(side)];
        way.last_arrival = way.last_arrival.max(at);
        let sequence = self.next_event.get();
        self.next_event.set(sequence + 1);
        let event = (way.last_arrival, sequence, id, side == Side::Acceptor, arrival);
        self.events.borrow_mut().push(Reverse(event));
    }

    /// Carries everything, for ever.
    pub async fn carry(&self, world: Rc<World>) {
        loop {
            let due = self.events.borrow().peek().map(|Reverse(event)| event.0);
            match due {
                Some(at) if at <= world.now() => {
                    let event = self.events.borrow_mut().pop();
                    if let Some(Reverse(event)) = event {
                        self.arrive(&world, event);
                    }
                }
                Some(at) => {
                    let wait = Duration::from_millis(at - world.now());
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = sleep(wait) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn arrive(&self, world: &World, (_, sequence, id, acceptor, arrival): Event) {
        if sequence < self.newest_arrived.get() {
            world.strike(Fault::Overtaken);
        }
        self.newest_arrived.set(self.newest_arrived.get().max(sequence));
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.get_mut(&id) else {
            return;
        };
        world.trace(&[4, id, u64::from(acceptor)], || {
            format!("#{id} from {:?} arrives {arrival:?}", side_of(acceptor))
        });
        let side = side_of(acceptor);
        let pipe = line.pipes.written_by(side).clone();
        let back = line.pipes.written_by(side.other()).clone();
        let reader_is_gone = line.ways[index(side.other())].gone;
        match arrival {
            Arrival::Bytes(_) if reader_is_gone => {
                // The answer to bytes for a closed socket.
                pipe.break_writes(true);
                back.break_reads(false);
            }
            Arrival::Bytes(count) => {
                let answered = line.ways[index(side.other())].written;
                // What was lost by a reset does not arrive.
                let count = pipe.arrive(count);
                let way = &mut line.ways[index(side)];
                way.arrived += count as u64;
                if line.between == Between::ClientAndGuard {
                    way.arrivals.push((way.arrived, world.now()));
                }
                if let (Side::Dialler, Some((at, heard))) = (side, line.gave_up)
                    && way.arrived > at
                {
                    // An answer that was on its way already cannot be called back.
                    line.silenced |= answered == heard;
                    line.gave_up = None;
                }
                line.spoil();
            }
            Arrival::End => pipe.arrive_end(),
            Arrival::Reset => {
                pipe.break_reads(false);
                back.break_writes(true);
            }
        }
    }
}

fn side_of(acceptor: bool) -> Side {
    if acceptor { Side::Acceptor } else { Side::Dialler }
}
