//! One row of a core's table of connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use super::inbound::Inbound;
use super::outbound::Outbound;
use crate::types::{ConnId, Instant};

/// Uses of a slot are told apart by this many bits: what fits beside the slot and a kind into
/// the 64 bits that the kernel carries for us.
pub(super) const GENERATION_BITS: u32 = 28;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The slot is not in use.
    Free,
    /// Nothing complete has arrived.
    Fresh,
    /// An operator's word has arrived; its answer is awaited.
    Word,
    /// The first frame was handed over.
    Open,
    /// Its bytes were no frames: it is hung up on when the replies of this turn are queued.
    Condemned,
    /// Hung up: what is queued is being sent, nothing is taken.
    Ending,
    /// All is sent and our side is shut: waiting for the other side's end.
    Draining,
    /// Both sides are shut: waiting for the kernel to let go.
    Dead,
}

/// A socket and what waits on either side of it.
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, most of them independent")]
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Option<OwnedFd>,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// The kernel watches for bytes (epoll), or has our receive (io_uring).
    pub(super) reading: bool,
    /// Our receive goes on and on (io_uring).
    pub(super) many: bool,
    /// Our receive is to be given back; the answer is under way.
    pub(super) cancelling: bool,
    /// The kernel watches for room to send.
    pub(super) writing: bool,
    /// The service does not accept more frames now.
    pub(super) paused: bool,
    /// Kept frames are in the list of connections to go on with.
    pub(super) backlogged: bool,
    /// Too much waits to be sent.
    pub(super) congested: bool,
    /// In the list of connections to be sent to.
    pub(super) dirty: bool,
    /// The other side has ended; kept frames are still handed over.
    pub(super) ended: bool,
    /// It was paused with bytes under way: receive in small steps until it is calm.
    pub(super) cautious: bool,
    /// Bytes thrown away since our side was shut.
    pub(super) drained: u32,
    pub(super) peer: SocketAddr,
    /// When `Fresh`, `Word`, `Ending` and `Draining` end by force.
    pub(super) deadline: Instant,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
}

impl Connection {
    pub(super) fn vacant() -> Self {
        Self {
            socket: None,
            generation: 1,
            stage: Stage::Free,
            reading: false,
            many: false,
            cancelling: false,
            writing: false,
            paused: false,
            backlogged: false,
            congested: false,
            dirty: false,
            ended: false,
            cautious: false,
            drained: 0,
            peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            deadline: Instant::default(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
        }
    }

    /// Makes the slot ready for its next use.
    pub(super) fn vacate(&mut self) {
        let generation = (self.generation + 1) % (1 << GENERATION_BITS);
        // A stale entry in the list of connections to be sent to stays harmless: it is in the
        // list once at most, whoever uses the slot.
        let dirty = self.dirty;
        let backlogged = self.backlogged;
        *self = Self { generation: generation.max(1), dirty, backlogged, ..Self::vacant() };
    }

    pub(super) fn id(&self, slot: u32) -> ConnId {
        ConnId { slot, generation: self.generation }
    }

    /// Whether the socket should be read now.
    pub(super) fn wants_bytes(&self) -> bool {
        match self.stage {
            Stage::Fresh | Stage::Draining => !self.ended,
            Stage::Open => !(self.paused || self.backlogged || self.congested || self.ended),
            Stage::Free | Stage::Word | Stage::Condemned | Stage::Ending | Stage::Dead => false,
        }
    }

    /// Whether room to send is awaited.
    pub(super) fn wants_room(&self) -> bool {
        let sends = !matches!(self.stage, Stage::Free | Stage::Draining | Stage::Dead);
        sends && !self.outbound.is_empty()
    }

    /// Whether a receive may go on and on without being asked for again.
    pub(super) fn is_calm(&self) -> bool {
        self.stage == Stage::Open && !self.cautious
    }

    /// Whether it ends by force at its deadline.
    pub(super) fn has_deadline(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Word | Stage::Ending | Stage::Draining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // Beside it a session costs what the front holds; both together stay below 512 bytes.
        assert!(size_of::<Connection>() <= 144, "{}", size_of::<Connection>());
    }

    #[test]
    fn generations_never_become_zero() {
        let mut connection = Connection::vacant();
        connection.generation = (1 << GENERATION_BITS) - 1;
        connection.vacate();
        assert_eq!(connection.generation, 1);
    }
}
