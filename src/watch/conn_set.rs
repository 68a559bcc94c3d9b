//! The connections that watch one path, with their modes: four bytes each.

/// What a connection wants to hear of a path. They combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes(pub(super) u32);

impl Modes {
    pub(super) const NONE: Self = Self(0);
    pub(super) const DATA: Self = Self(1);
    pub(super) const CHILD: Self = Self(2);
    pub(super) const PERSISTENT: Self = Self(4);
    pub(super) const RECURSIVE: Self = Self(8);
    pub(super) const ALL: Self = Self(15);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Connection slots from here on do not fit.
pub(super) const SLOTS_MAX: u32 = 1 << 28;
/// Up to here the set is a plain list.
const LIST_MAX: usize = 8;

/// One connection and its modes; 0 is an empty place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Member(u32);

impl Member {
    const EMPTY: Self = Self(0);

    fn new(slot: u32, modes: Modes) -> Self {
        assert!(slot < SLOTS_MAX, "a shard has fewer connections than that");
        Self(slot << 4 | modes.0)
    }

    fn slot(self) -> u32 {
        self.0 >> 4
    }

    fn modes(self) -> Modes {
        Modes(self.0 & Modes::ALL.0)
    }
}

/// A list while it is short, then a table with linear probing.
#[derive(Default)]
pub(super) struct ConnSet {
    members: Vec<Member>,
    len: usize,
}

impl ConnSet {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn home(&self, slot: u32) -> usize {
        let bits = self.members.len().trailing_zeros();
        let spread = u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(spread >> (64 - bits)).expect("a few bits")
    }

    fn position(&self, slot: u32) -> Option<usize> {
        if self.members.len() <= LIST_MAX {
            return self.members.iter().position(|member| member.slot() == slot);
        }
        let mut at = self.home(slot);
        loop {
            let member = self.members[at];
            if member == Member::EMPTY {
                return None;
            }
            if member.slot() == slot {
                return Some(at);
            }
            at = (at + 1) & (self.members.len() - 1);
        }
    }

    pub(super) fn get(&self, slot: u32) -> Modes {
        self.position(slot).map_or(Modes::NONE, |at| self.members[at].modes())
    }

    /// Gives a connection these modes; none takes it out.
    pub(super) fn set(&mut self, slot: u32, modes: Modes) {
        match (self.position(slot), modes) {
            (None, Modes::NONE) => {}
            (Some(at), Modes::NONE) => self.take_out(at),
            (Some(at), modes) => self.members[at] = Member::new(slot, modes),
            (None, modes) => self.add(Member::new(slot, modes)),
        }
    }

    fn add(&mut self, member: Member) {
        self.len += 1;
        if self.members.len() < LIST_MAX || (self.len <= LIST_MAX && self.is_list()) {
            self.members.push(member);
            return;
        }
        if self.is_list() || self.len * 8 > self.members.len() * 7 {
            self.resize();
        }
        self.put(member);
    }

    fn is_list(&self) -> bool {
        self.members.len() <= LIST_MAX
    }

    /// Into a table with room.
    fn put(&mut self, member: Member) {
        let mut at = self.home(member.slot());
        while self.members[at] != Member::EMPTY {
            at = (at + 1) & (self.members.len() - 1);
        }
        self.members[at] = member;
    }

    /// A table for the present number of members, at most 7/8 full and at least a quarter.
    fn resize(&mut self) {
        let places = (self.len * 8 / 7 + 1).next_power_of_two().max(2 * LIST_MAX);
        let old = std::mem::replace(&mut self.members, vec![Member::EMPTY; places]);
        for member in old.into_iter().filter(|member| *member != Member::EMPTY) {
            self.put(member);
        }
    }

    fn take_out(&mut self, at: usize) {
        self.len -= 1;
        if self.is_list() {
            self.members.swap_remove(at);
            return;
        }
        let mask = self.members.len() - 1;
        let (mut hole, mut next) = (at, (at + 1) & mask);
        while self.members[next] != Member::EMPTY {
            // Whoever sits behind its home because of us moves up.
            let home = self.home(self.members[next].slot());
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.members[hole] = self.members[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.members[hole] = Member::EMPTY;
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.is_list() {
            return;
        }
        if self.len <= LIST_MAX / 2 {
            let mut list = Vec::with_capacity(LIST_MAX);
            list.extend(self.members.iter().filter(|member| **member != Member::EMPTY));
            self.members = list;
        } else if self.len * 8 < self.members.len() {
            self.resize();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Modes)> {
        let members = self.members.iter().filter(|member| **member != Member::EMPTY);
        members.map(|member| (member.slot(), member.modes()))
    }

    /// Takes `gone` from every member; `heard` gets each that had modes of `wanted`, with what it
    /// had. Members without modes leave.
    pub(super) fn sweep(
        &mut self,
        (wanted, gone): (Modes, Modes),
        mut heard: impl FnMut(u32, Modes),
    ) {
        let mut left = 0;
        for member in &mut self.members {
            let (slot, modes) = (member.slot(), member.modes());
            if !modes.has_any(wanted) {
                continue;
            }
            heard(slot, modes);
            let rest = modes.without(gone);
            if rest == Modes::NONE {
                *member = Member::EMPTY;
                left += 1;
            } else {
                *member = Member::new(slot, rest);
            }
        }
        if left == 0 {
            return;
        }
        self.len -= left;
        if self.is_list() {
            self.members.retain(|member| *member != Member::EMPTY);
        } else if self.len == 0 {
            self.members = Vec::new();
        } else {
            // Holes break the runs of the table: lay it out anew.
            self.resize();
            self.shrink();
        }
    }
}
