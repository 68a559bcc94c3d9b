//! Key to number, in one probe: the table behind paths, sessions and ACL lists.
//!
//! A slot is 8 bytes: 32 bits of the key's hash and a number; the caller verifies the key itself.
//! Slots of a sub-table are sorted by hash (linear probing that keeps order), so that a search
//! ends early, a load of 7/8 is fine, and growing is one pass that asks for no key again. The
//! table is cut into many sub-tables, each growing by an eighth on its own, so no insertion ever
//! stops the core: at 10 M znodes a sub-table is about 100 KB. Sub-tables are [`Piece`]s: copied
//! when first changed while an image or another tree shares them.

use std::hash::Hasher;

use bytemuck::{Pod, Zeroable};
use siphasher::sip::SipHasher13;

use super::cow::{Piece, widen};

/// The secret key of a tree's hashes: clients must not be able to choose collisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// SipHash-1-3 of `bytes`.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.0[0], self.0[1]).hash(bytes)
    }

    /// The hash of a number.
    pub fn hash_number(self, number: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        hasher.write_u64(number);
        hasher.finish()
    }
}

/// One place. `id` is the number plus one; 0 is empty.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Slot {
    hash: u32,
    id: u32,
}

/// One sub-table. Homes are spread over `homes` slots; a few more follow for what is pushed on.
#[derive(Clone)]
pub(super) struct SubTable {
    pub(super) slots: Piece<Slot>,
    pub(super) homes: u32,
    pub(super) len: u32,
}

/// The table. Numbers must be below `u32::MAX`.
#[derive(Clone)]
pub struct Index {
    pub(super) tables: Vec<SubTable>,
}

impl Index {
    /// `tables` is how many sub-tables: a power of two.
    pub fn new(tables: usize) -> Self {
        assert!(tables.is_power_of_two(), "sub-tables are chosen by bits of the hash");
        let empty = SubTable { slots: Piece::zeroed(0), homes: 0, len: 0 };
        Self { tables: vec![empty; tables] }
    }

    fn table_of(&self, hash: u64) -> usize {
        let bits = self.tables.len().trailing_zeros();
        usize::try_from((hash >> 32) >> (32 - bits)).expect("a few bits")
    }

    /// The number under `hash` for which `is_it` says yes.
    pub fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let table = &self.tables[self.table_of(hash)];
        let at = table.position(low(hash), is_it)?;
        Some(table.slots.items()[at].id - 1)
    }

    /// Adds a number; its key must not be there yet.
    pub fn insert(&mut self, hash: u64, id: u32) {
        assert!(id < u32::MAX, "numbers are stored plus one");
        let table = self.table_of(hash);
        let table = &mut self.tables[table];
        if u64::from(table.len + 1) * 8 > u64::from(table.homes) * 7 {
            table.grow();
        }
        let slot = Slot { hash: low(hash), id: id + 1 };
        while !table.place(slot) {
            table.lengthen();
        }
        table.len += 1;
    }

    /// Takes a number out. It must be there.
    pub fn remove(&mut self, hash: u64, id: u32) {
        let table = self.table_of(hash);
        let table = &mut self.tables[table];
        let at = table.position(low(hash), |found| found == id);
        table.take_out(at.expect("only what is in the index is removed"));
    }

    /// Puts another number in the place of `old`.
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        assert!(new < u32::MAX, "numbers are stored plus one");
        let table = self.table_of(hash);
        let table = &mut self.tables[table];
        let at = table.position(low(hash), |found| found == old);
        let at = at.expect("only what is in the index is replaced");
        table.slots.items_mut()[at].id = new + 1;
    }

    /// Every number, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let slots = self.tables.iter().flat_map(|table| table.slots.items());
        slots.filter(|slot| slot.id != 0).map(|slot| slot.id - 1)
    }

    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| widen(table.len)).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.len == 0)
    }

    /// Bytes of its slots.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|table| size_of_val(table.slots.items())).sum()
    }
}

/// The 32 bits that a slot keeps.
fn low(hash: u64) -> u32 {
    u32::try_from(hash & 0xffff_ffff).expect("32 bits")
}

/// Where a hash wants to be among `homes` slots: grows with the hash, so order by hash is order by
/// home.
fn home(hash: u32, homes: u32) -> usize {
    usize::try_from((u64::from(hash) * u64::from(homes)) >> 32).expect("below 2^32")
}

impl SubTable {
    fn position(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        let slots = self.slots.items();
        let start = home(hash, self.homes);
        for (k, slot) in slots.get(start..)?.iter().enumerate() {
            if slot.id == 0 || slot.hash > hash {
                return None;
            }
            if slot.hash == hash && is_it(slot.id - 1) {
                return Some(start + k);
            }
        }
        None
    }

    /// Places a slot by order; `false` if the end of the table is in the way.
    fn place(&mut self, slot: Slot) -> bool {
        let start = home(slot.hash, self.homes);
        let slots = self.slots.items();
        let behind = |other: &Slot| other.id == 0 || other.hash > slot.hash;
        let Some(at) = slots[start..].iter().position(behind).map(|k| start + k) else {
            return false;
        };
        let Some(gap) = slots[at..].iter().position(|other| other.id == 0).map(|k| at + k) else {
            return false;
        };
        let slots = self.slots.items_mut();
        slots.copy_within(at..gap, at + 1);
        slots[at] = slot;
        true
    }

    /// Empties a place and closes the gap for those that had been pushed on.
    fn take_out(&mut self, at: usize) {
        let homes = self.homes;
        let slots = self.slots.items_mut();
        let stays =
            |(k, slot): (usize, &Slot)| slot.id == 0 || home(slot.hash, homes) == at + 1 + k;
        let run = slots[at + 1..].iter().enumerate().position(stays);
        let end = run.map_or(slots.len(), |run| at + 1 + run);
        slots.copy_within(at + 1..end, at);
        slots[end - 1] = Slot::zeroed();
        self.len -= 1;
    }

    fn grow(&mut self) {
        let homes = self.homes + self.homes / 8 + 8;
        self.rebuild(homes, 8 + (homes / 64).min(24));
    }

    /// Only keys whose hashes are equal, or a rare crowd, reach the end: more room behind it.
    fn lengthen(&mut self) {
        let spare = self.slots.items().len() - widen(self.homes);
        self.rebuild(self.homes, u32::try_from(spare * 2).expect("below the number of slots"));
    }

    fn rebuild(&mut self, homes: u32, spare: u32) {
        let mut slots = Piece::zeroed(widen(homes + spare));
        let to: &mut [Slot] = slots.items_mut();
        let mut next = 0;
        for &slot in self.slots.items().iter().filter(|slot| slot.id != 0) {
            let at = home(slot.hash, homes).max(next);
            if at == to.len() {
                return self.rebuild(homes, spare * 2);
            }
            to[at] = slot;
            next = at + 1;
        }
        (self.slots, self.homes) = (slots, homes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Random insertions and removals against a map, with hashes squeezed so that they collide.
    #[test]
    fn index_equals_a_map_whatever_the_hashes() {
        for bits in [64, 8, 2, 0] {
            let mut index = Index::new(4);
            let mut model = BTreeMap::new();
            let mut state = 1_u64;
            for step in 0..20_000_u32 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let id =
                    u32::try_from(state >> 52).expect("12 bits") % if bits < 8 { 64 } else { 4096 };
                let hash = HashKey([1, 2]).hash_number(u64::from(id));
                let hash = if bits == 64 { hash } else { (hash & ((1 << bits) - 1)) * 0x0101_0101 };
                if model.remove(&id).is_some() {
                    index.remove(hash, id);
                } else {
                    index.insert(hash, id);
                    model.insert(id, hash);
                }
                assert_eq!(index.find(hash, |found| found == id), model.get(&id).map(|_| id));
                assert_eq!(index.len(), model.len(), "step {step}");
            }
            for (&id, &hash) in &model {
                assert_eq!(index.find(hash, |found| found == id), Some(id));
            }
            let mut all: Vec<u32> = index.iter().collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(model.keys().copied()));
        }
    }
}
