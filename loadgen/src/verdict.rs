//! Whether a run says something about the server.
//!
//! A closed loop whose client has no time left measures the client. On a machine where client and
//! server share the cores that alone is no mistake: when both are at their limit, the rate is what
//! this machine gives to the pair, and the processor time per operation is the server's own. So:
//!
//! * `Wrong`: the server broke a promise of the protocol. No figure counts.
//! * `Invalid`: the client was the bottleneck: its busiest thread above 85 % of a core while the
//!   server still had room, or an open loop whose requests left late through no fault of the server.
//! * `Shared`: client and server were both at their limit, or the machine had no idle time left.
//!   The rate is a lower bound; processor time per operation and comparisons in the same run hold.
//! * `Valid`: the client waited for the server.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Valid,
    Shared,
    Invalid,
    Wrong,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Shared => "shared",
            Self::Invalid => "INVALID",
            Self::Wrong => "WRONG",
        }
    }
}

/// The state, and what a reader should know about the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub state: State,
    pub reasons: Vec<String>,
}

/// What the judgement rests on. Shares are of one core (threads) or of the machine's time.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub is_open_loop: bool,
    pub answers: u64,
    pub p99: Duration,
    pub lag_p99: Duration,
    pub client_busiest: f64,
    pub client_starved: f64,
    pub server_busiest: Option<f64>,
    pub idle: f64,
    pub steal: f64,
    /// Of the machine's time: taken by neither client nor server. Unknown if the server's is.
    pub others: Option<f64>,
    pub lost: usize,
    pub errors: u64,
    pub violations: usize,
}

/// Of a core. Above it, queues build up in the client.
const BUSY: f64 = 0.85;
/// Of the machine. Below it, nobody had room.
const IDLE: f64 = 0.10;
/// A schedule kept this well is kept.
const LAG_OK: Duration = Duration::from_millis(1);
const STEAL_NOTED: f64 = 0.10;
const STARVED_NOTED: f64 = 0.10;
const OTHERS_NOTED: f64 = 0.15;

pub fn judge(facts: &Facts) -> Verdict {
    let mut reasons = Vec::new();
    let mut state = State::Valid;
    let percent = |share: f64| (share * 100.0).round();
    if facts.client_busiest > BUSY {
        let client = percent(facts.client_busiest);
        let server_full = facts.server_busiest.is_some_and(|busiest| busiest > BUSY);
        let machine_full = facts.server_busiest.is_some() && facts.idle < IDLE;
        if server_full || machine_full {
            state = State::Shared;
            reasons.push(format!(
                "client ({client} % of a core) and server were both at their limit: the rate is a \
                 lower bound"
            ));
        } else {
            state = State::Invalid;
            reasons.push(match facts.server_busiest {
                Some(server) => format!(
                    "the client was the bottleneck: its thread used {client} % of a core, the \
                     server's busiest only {} %; try --threads",
                    percent(server)
                ),
                None => format!(
                    "the client was the bottleneck, or may have been: its thread used {client} % \
                     of a core, and the server's process is not on this machine; try --threads"
                ),
            });
        }
    }
    if facts.is_open_loop && facts.lag_p99 > LAG_OK.max(facts.p99 / 10) {
        state = State::Invalid;
        reasons.push(format!(
            "the client lagged its own schedule: 1 % of the requests left {:.1} ms late or more",
            facts.lag_p99.as_secs_f64() * 1e3
        ));
    }
    if facts.answers == 0 {
        state = State::Invalid;
        reasons.push("nothing was answered in the measured time".to_owned());
    } else if facts.errors * 2 > facts.answers {
        state = State::Invalid;
        reasons.push("most answers were errors".to_owned());
    }
    if facts.violations > 0 {
        state = State::Wrong;
        reasons.push("the server broke a promise of the protocol".to_owned());
    }
    if facts.lost > 0 {
        reasons.push(format!("{} connections were lost on the way", facts.lost));
    }
    if facts.client_starved > STARVED_NOTED {
        reasons.push(format!(
            "the client waited {} % of the time for a core: latencies include that",
            percent(facts.client_starved)
        ));
    }
    if let Some(others) = facts.others.filter(|others| *others > OTHERS_NOTED) {
        reasons.push(format!(
            "other programs took {} % of the machine's time: rates and latencies suffer from them",
            percent(others)
        ));
    }
    if facts.steal > STEAL_NOTED {
        reasons.push(format!("the host took {} % of the machine's time", percent(facts.steal)));
    }
    Verdict { state, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_may_not_pass_its_own_limit_off_as_the_servers() {
        const QUIET: Facts = Facts {
            is_open_loop: false,
            answers: 1000,
            p99: Duration::from_millis(4),
            lag_p99: Duration::ZERO,
            client_busiest: 0.5,
            client_starved: 0.0,
            server_busiest: Some(0.6),
            idle: 0.4,
            steal: 0.0,
            others: Some(0.05),
            lost: 0,
            errors: 0,
            violations: 0,
        };
        let busy = Facts { client_busiest: 0.9, ..QUIET };
        let open = Facts { is_open_loop: true, ..QUIET };
        let lag = Duration::from_millis(2);
        #[rustfmt::skip]
        let table = [
            ("it waited for the server",          QUIET,                                          State::Valid),
            ("client full, server not",           busy,                                           State::Invalid),
            ("client full, server unknown",       Facts { server_busiest: None, ..busy },         State::Invalid),
            ("both full",                         Facts { server_busiest: Some(0.9), ..busy },    State::Shared),
            ("no idle time left for anybody",     Facts { idle: 0.02, ..busy },                   State::Shared),
            ("open loop on time",                 open,                                           State::Valid),
            ("open loop late",                    Facts { lag_p99: lag, ..open },                 State::Invalid),
            ("late, but little beside the p99",   Facts { lag_p99: lag, p99: lag * 20, ..open },  State::Valid),
            ("closed loops have no schedule",     Facts { lag_p99: lag, ..QUIET },                State::Valid),
            ("nothing came",                      Facts { answers: 0, ..QUIET },                  State::Invalid),
            ("only errors came",                  Facts { errors: 900, ..QUIET },                 State::Invalid),
            ("wrong beats everything",            Facts { violations: 1, answers: 0, ..busy },    State::Wrong),
        ];
        for (what, facts, state) in table {
            let verdict = judge(&facts);
            assert_eq!(verdict.state, state, "{what}");
            assert_eq!(verdict.reasons.is_empty(), state == State::Valid, "{what}");
        }
    }
}
