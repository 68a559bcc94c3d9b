//! Containers and TTL znodes: those that the leader may delete by itself one day.
//!
//! A dense list, so that looking through it can stop and go on anywhere. A znode's place in it
//! stands in its side record.

use super::cow::Slab;
use super::znode::{OwnerKind, OwnerRules, Znodes};
use crate::types::WallTime;

/// The list. Place 0 is never used.
#[derive(Clone)]
pub(super) struct Reapable {
    pub(super) places: Slab<u32>,
}

/// When a znode may go (client-protocol section 9).
#[derive(Clone, Copy, Debug)]
pub struct ReapRules {
    /// The leader's clock.
    pub now: WallTime,
    /// `znode.container.maxNeverUsedIntervalMs`: after that a container that never had a child
    /// may go; 0 = never.
    pub never_used_ms: i64,
}

impl Reapable {
    pub(super) fn new() -> Self {
        Self { places: Slab::new() }
    }

    pub(super) fn add(&mut self, id: u32, znodes: &mut Znodes) {
        let place = self.places.push(id);
        znodes.side_mut(id).next = place;
    }

    pub(super) fn remove(&mut self, id: u32, znodes: &mut Znodes) {
        let place = znodes.side(id).expect("a reapable znode has a side record").next;
        assert!(*self.places.get(place) == id, "a reapable znode knows its place");
        let last = *self.places.get(self.places.len() - 1);
        *self.places.get_mut(place) = last;
        znodes.side_mut(last).next = place;
        self.places.pop();
    }

    /// Looks at up to `steps` znodes from place `from` on and hands out those that may go. `None`:
    /// that was the last. Else where to go on.
    pub(super) fn candidates(
        &self,
        (from, steps): (u32, u32),
        (rules, owners): (ReapRules, OwnerRules),
        znodes: &Znodes,
        mut found: impl FnMut(u32),
    ) -> Option<u32> {
        let from = from.max(1);
        let end = from.saturating_add(steps).min(self.places.len());
        for place in from..end {
            let id = *self.places.get(place);
            if znodes.children(id) == 0 && is_due(id, rules, owners, znodes) {
                found(id);
            }
        }
        (end < self.places.len()).then_some(end)
    }
}

fn is_due(id: u32, rules: ReapRules, owners: OwnerRules, znodes: &Znodes) -> bool {
    let stat = znodes.persisted(id);
    let age = rules.now.0.saturating_sub(stat.mtime);
    match owners.kind(stat.ephemeral_owner) {
        OwnerKind::Container if stat.cversion > 0 => true,
        OwnerKind::Container => {
            rules.never_used_ms != 0 && stat.cversion == 0 && age > rules.never_used_ms
        }
        OwnerKind::Ttl(ttl) => ttl != 0 && age > ttl,
        OwnerKind::Persistent | OwnerKind::Session(_) => false,
    }
}
