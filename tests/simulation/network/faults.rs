//! What happens to connections on their way: they break, stand still, or bring what nobody sent.

use std::io;

use ttguard::transport::memory::Side;

use super::{Arrival, Between, Line, Network, index};
use crate::faults::Fault;
use crate::plan::How;
use crate::tap::Said;
use crate::world::World;

/// How many of so many bytes a read or a write takes at once.
pub(super) fn portion(world: &World, most: usize, short: f64, fault: Fault) -> io::Result<usize> {
    if world.strikes(world.plan.kernel.interrupted) {
        world.strike(Fault::Interrupted);
        return Err(io::ErrorKind::Interrupted.into());
    }
    if most > 1 && world.strikes(short) {
        world.strike(fault);
        return Ok(1 + world.below(most as u64 - 1) as usize);
    }
    Ok(most)
}

impl Network {
    /// A connection to the backend is reset before anything has travelled on it.
    pub fn reset_at_once(&self, world: &World, id: u64) {
        if let Some(line) = self.lines.borrow_mut().get_mut(&id) {
            self.break_off(world, id, line, false, false);
        }
    }

    /// This side ends the connection with a reset, before which what it had written may not have arrived.
    pub(super) fn lose_sent(&self, world: &World, line: &Line, side: Side) {
        let pipe = line.pipes.written_by(side);
        if pipe.in_transit() > 0 && world.strikes(world.plan.kernel.reset_loses_sent) {
            world.strike(Fault::ResetLostSent);
            pipe.lose_transit();
        }
    }

    /// What stands between guard and backend resets the guard's side and keeps what the guard has written, which arrives
    /// later; true when it does.
    pub(super) fn hold_back(
        &self,
        world: &World,
        id: u64,
        line: &mut Line,
        side: Side,
        count: usize,
        now: u64,
    ) -> bool {
        let may = line.between == Between::GuardAndServer && side == Side::Dialler;
        if !may || !world.strikes(world.plan.kernel.held_back) {
            return false;
        }
        world.strike(Fault::HeldBack);
        let way = &mut line.ways[index(side)];
        way.last_arrival = way.last_arrival.max(now + world.plan.network.stall);
        self.schedule(world, id, line, side, Arrival::Bytes(count), now);
        self.break_off(world, id, line, world.flip(), true);
        true
    }

    /// Bytes appear at the dialler that the acceptor never wrote.
    pub fn forge(&self, id: u64, bytes: &[u8]) {
        if let Some(line) = self.lines.borrow_mut().get_mut(&id) {
            let taken = line.pipes.homeward.taken();
            if let Some(tap) = &mut line.tap {
                tap.read(taken);
                tap.lost(taken);
                // A request may be on its way before they are read.
                tap.answering(bytes, Said::Codes);
            }
            line.pipes.homeward.forge(bytes);
        }
    }

    /// A client sends a request although an answer is owed, where that means that it has given up. The request begins
    /// `offset` bytes behind what was written so far; `heard` bytes have come back until now.
    pub fn give_up(&self, id: u64, offset: usize, heard: u64) {
        if let Some(line) = self.lines.borrow_mut().get_mut(&id) {
            let at = line.ways[index(Side::Dialler)].written + offset as u64;
            line.gave_up.get_or_insert((at, heard));
        }
    }

    /// What the guard sends to the backend on connections that are open now arrives no earlier than this.
    pub fn stall_lanes(&self, until: u64) {
        let mut lines = self.lines.borrow_mut();
        for line in lines
            .values_mut()
            .filter(|line| line.between == Between::GuardAndServer)
        {
            let way = &mut line.ways[index(Side::Dialler)];
            way.last_arrival = way.last_arrival.max(until);
            line.disturbed = true;
        }
    }

    /// The guard stands still: whoever asks may wait longer than promised.
    pub fn disturb_clients(&self) {
        let mut lines = self.lines.borrow_mut();
        let clients = lines.values_mut();
        clients
            .filter(|line| line.between == Between::ClientAndGuard)
            .for_each(|line| line.disturbed = true);
    }

    /// Ends what was cut and never noticed, as keepalive does.
    pub fn sweep(&self) {
        for line in self.lines.borrow_mut().values_mut().filter(|line| line.cut) {
            for pipe in [&line.pipes.outward, &line.pipes.homeward] {
                pipe.break_reads(false);
                pipe.break_writes(true);
            }
        }
    }

    /// Strikes where a small world has its one fault; true when that has dealt with the bytes.
    pub(super) fn wound(&self, world: &World, id: u64, line: &mut Line, side: Side, count: usize, now: u64) -> bool {
        let Some(wound) = world
            .plan
            .wound
            .filter(|wound| wound.between == line.between && wound.side == side)
        else {
            return false;
        };
        if world.healed() {
            return false;
        }
        let before = self.written.get();
        self.written.set(before + count as u64);
        if !(before..before + count as u64).contains(&wound.at) {
            return false;
        }
        let whole = (wound.at - before) as usize;
        world.trace(&[13, id], || format!("#{id} is wounded behind {whole} bytes"));
        line.disturbed = true;
        self.schedule(world, id, line, side, Arrival::Bytes(whole), now);
        match wound.how {
            How::Stall => {
                line.ways[index(side)].last_arrival += world.plan.network.stall;
                self.schedule(world, id, line, side, Arrival::Bytes(count - whole), now);
            }
            How::Rst => {
                self.schedule(world, id, line, side, Arrival::Reset, now);
                self.silence(world, line, side);
            }
            How::Fin => {
                self.schedule(world, id, line, side, Arrival::End, now);
                self.silence(world, line, side);
            }
        }
        true
    }

    /// The side that wrote the last bytes has ended: nothing more reaches it, nothing more leaves it.
    fn silence(&self, world: &World, line: &mut Line, side: Side) {
        line.cut = true;
        line.ways[index(side)].gone = true;
        if line.between == Between::GuardAndServer {
            line.abandoned.get_or_insert(world.now());
        }
        line.pipes.written_by(side.other()).break_reads(true);
    }

    /// Bytes that the side has written on whose bytes a small world has its one fault.
    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Whether this connection is broken on its way.
    pub fn is_cut(&self, id: u64) -> bool {
        self.lines.borrow().get(&id).is_none_or(|line| line.cut)
    }

    /// The connection breaks on its way, for both sides or for the guard alone.
    pub(super) fn cut(&self, world: &World, id: u64, line: &mut Line) {
        let lose = world.flip();
        if lose {
            world.strike(Fault::ResetLostUnread);
        }
        let guard_only = line.between == Between::GuardAndServer && world.flip();
        world.strike(match (line.between, guard_only) {
            (Between::ClientAndGuard, _) => Fault::ClientReset,
            (Between::GuardAndServer, true) => Fault::LaneHalfReset,
            (Between::GuardAndServer, false) => Fault::LaneReset,
        });
        self.break_off(world, id, line, lose, guard_only);
    }

    fn break_off(&self, world: &World, id: u64, line: &mut Line, lose: bool, guard_only: bool) {
        world.trace(&[3, id, u64::from(guard_only)], || format!("#{id} is cut"));
        line.disturbed = true;
        line.cut = true;
        if line.between == Between::GuardAndServer {
            line.abandoned.get_or_insert(world.now());
        }
        line.pipes.homeward.break_reads(lose);
        line.pipes.outward.break_writes(!guard_only);
        line.pipes.homeward.break_writes(true);
        if !guard_only {
            line.pipes
                .outward
                .break_reads(lose && line.between == Between::ClientAndGuard);
        }
    }
}
