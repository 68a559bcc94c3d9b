//! Which sets of voters decide.

use crate::types::{ServerId, Zxid};

/// The voters of a configuration, any majority of which decides (`QuorumMaj.java`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    voters: Vec<ServerId>,
}

impl Quorum {
    /// A majority of these voters. At least one, each named once.
    pub fn majority(mut voters: Vec<ServerId>) -> Self {
        voters.sort_unstable();
        assert!(!voters.is_empty(), "a quorum of nobody decides nothing");
        assert!(voters.windows(2).all(|pair| pair[0] != pair[1]), "a voter is named twice");
        Self { voters }
    }

    /// All voters, in the order of their ids.
    pub fn voters(&self) -> &[ServerId] {
        &self.voters
    }

    /// How many voters decide.
    pub fn size(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The largest zxid that a quorum has acknowledged. `acked` holds one zxid for each voter, in
    /// the order of [`Quorum::voters`]; what a voter acknowledges includes all before it.
    pub fn decided(&self, acked: &[Zxid]) -> Zxid {
        assert_eq!(acked.len(), self.voters.len(), "one acknowledgement a voter");
        // The largest value that at least `size` voters reach; n is a handful.
        acked
            .iter()
            .copied()
            .filter(|zxid| acked.iter().filter(|other| *other >= zxid).count() >= self.size())
            .max()
            .expect("the smallest acknowledgement is reached by all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_decides() {
        #[rustfmt::skip]
        let table: [(&[i64], i64); 7] = [
            (&[7], 7), (&[0], 0), (&[3, 5], 3), (&[1, 2, 3], 2), (&[9, 0, 0], 0),
            (&[4, 4, 0], 4), (&[5, 1, 4, 2, 3], 3),
        ];
        for (acked, decided) in table {
            let voters = (1..=acked.len()).map(|id| ServerId(i64::try_from(id).unwrap()));
            let quorum = Quorum::majority(voters.collect());
            let acked: Vec<Zxid> = acked.iter().map(|zxid| Zxid(*zxid)).collect();
            assert_eq!(quorum.decided(&acked), Zxid(decided), "{acked:?}");
        }
    }

    #[test]
    #[should_panic(expected = "named twice")]
    fn a_voter_counts_once() {
        Quorum::majority(vec![ServerId(1), ServerId(1)]);
    }
}
