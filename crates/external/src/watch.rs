//! Follows public addresses while the server runs.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::belief::Belief;
use crate::{Discovery, Finder, Found, Source};

/// How soon a change that was heard once is asked for again.
const DOUBT: Duration = Duration::from_secs(5);

/// Asks `sources` for the public address of every `bound` one, every `every` (less where a change
/// was heard once), and tells `on_change` everything that is believed whenever that has changed.
/// `known` is what a [`Finder::discover`] has found already; it is not told again. Ends with its
/// task.
pub async fn watch(
    finder: Finder,
    sources: Vec<Source>,
    bound: Vec<IpAddr>,
    every: Duration,
    known: Vec<Found>,
    mut on_change: impl FnMut(&[Found]),
) {
    let mut state = State::new(&bound, known);
    loop {
        let is_doubted = state.watched.iter().any(|(_, belief)| belief.is_doubted());
        sleep(if is_doubted { every.min(DOUBT) } else { every }).await;
        if state.hear(&finder.discover(&sources, &bound).await) {
            on_change(&state.found);
        }
    }
}

#[derive(Debug)]
struct State {
    watched: Vec<(IpAddr, Belief)>,
    found: Vec<Found>,
    /// Relay addresses without an answer, of which somebody was told.
    silent: Vec<IpAddr>,
}

impl State {
    fn new(bound: &[IpAddr], known: Vec<Found>) -> Self {
        let of = |bound: IpAddr| known.iter().find(|found| found.bound == bound);
        let watched = bound
            .iter()
            .map(|bound| (*bound, Belief::new(of(*bound).map(|found| found.public))))
            .collect();
        Self { watched, found: known, silent: Vec::new() }
    }

    /// Whether something else is believed now.
    fn hear(&mut self, discovery: &Discovery) -> bool {
        let mut has_changed = false;
        for (bound, belief) in &mut self.watched {
            let answer = discovery.found.iter().find(|found| found.bound == *bound);
            let was_silent = self.silent.contains(bound);
            match answer {
                Some(_) if was_silent => {
                    self.silent.retain(|silent| silent != bound);
                    info!(%bound, "the public address is found again");
                }
                None if !was_silent => {
                    self.silent.push(*bound);
                    let reasons =
                        discovery.failures.iter().filter(|failure| failure.bound == *bound);
                    let reasons: Vec<_> = reasons.map(ToString::to_string).collect();
                    let stays = belief.believed().map(|public| public.to_string());
                    warn!(
                        stays = stays.as_deref().unwrap_or("none"),
                        "the public address is not found: {}",
                        reasons.join("; ")
                    );
                }
                Some(_) | None => {}
            }
            if !belief.hear(answer.map(|found| found.public)) {
                continue;
            }
            let Some(found) = answer else { continue };
            has_changed = true;
            let before = self.found.iter().position(|known| known.bound == *bound);
            let old = before.map(|place| self.found.remove(place).public.to_string());
            info!(
                %bound, public = %found.public, by = %found.by,
                before = old.as_deref().unwrap_or("none"),
                "the public address has changed; new allocations get it"
            );
            self.found.push(found.clone());
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::fake_stun::{FakeStun, Say};

    const SOON: Duration = Duration::from_secs(30);
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_change_is_told_once_when_it_was_heard_twice() {
        let stun = FakeStun::start(&[Say::Mapped(ip(7))]);
        let (mut changes, known) = (watched(&stun, Vec::new()), ip(7));
        assert_eq!(timeout(SOON, changes.recv()).await.unwrap().unwrap(), [known]);
        stun.say(Say::Mapped(ip(8)));
        let asked = stun.asked();
        assert_eq!(timeout(SOON, changes.recv()).await.unwrap().unwrap(), [ip(8)]);
        assert!(stun.asked() >= asked + 2);
        assert!(changes.try_recv().is_err());
    }

    #[tokio::test]
    async fn what_is_known_is_not_told_again_and_outlives_silence() {
        let stun = FakeStun::start(&[Say::Mapped(ip(7))]);
        let known = Found { bound: LOCAL, public: ip(7), by: Source::Auto };
        let mut changes = watched(&stun, vec![known]);
        while stun.asked() < 5 {
            tokio::task::yield_now().await;
        }
        assert!(changes.try_recv().is_err());
        // A lie heard once between truths, then silence.
        let mut state =
            State::new(&[LOCAL], vec![Found { bound: LOCAL, public: ip(7), by: Source::Auto }]);
        let of = |public| Discovery {
            found: vec![Found { bound: LOCAL, public, by: Source::Metadata }],
            failures: Vec::new(),
        };
        assert!(!state.hear(&of(ip(66))));
        assert!(!state.hear(&Discovery::default()));
        assert_eq!(state.silent, [LOCAL]);
        assert!(!state.hear(&of(ip(7))));
        assert!(state.silent.is_empty());
        assert_eq!(state.found[0].public, ip(7));
    }

    /// What is told while this server is watched.
    fn watched(stun: &FakeStun, known: Vec<Found>) -> mpsc::UnboundedReceiver<Vec<IpAddr>> {
        let (sender, changes) = mpsc::unbounded_channel();
        let sources = vec![Source::Stun(stun.name())];
        let finder = Finder::new("127.0.0.1:1".parse().unwrap(), Vec::new());
        let tell = move |found: &[Found]| {
            let _ = sender.send(found.iter().map(|found| found.public).collect());
        };
        tokio::spawn(watch(finder, sources, vec![LOCAL], Duration::from_millis(5), known, tell));
        changes
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }
}
