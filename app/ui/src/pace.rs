//! The pace of refetches: the first change is shown immediately, and those that follow closely are batched.
//!
//! Each refetch is a request, which counts towards the rate limit of the user. While changes keep coming, the pauses
//! between requests grow; whatever changes during a pause is refetched at its end.

use std::time::Duration;

/// The pause after the first request.
const SHORTEST: Duration = Duration::from_secs(1);
/// The pause while changes keep coming.
const LONGEST: Duration = Duration::from_secs(8);

/// The pace of one list.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The current pause; `None` if there is none.
    pause: Option<Duration>,
    /// Whether something has changed during the pause.
    is_due: bool,
}

impl Pace {
    /// Something has changed. If it is to be refetched now, returns the pause that follows.
    pub(crate) fn changed(&mut self) -> Option<Duration> {
        if self.pause.is_some() {
            self.is_due = true;
            return None;
        }
        self.pause = Some(SHORTEST);
        self.pause
    }

    /// The pause has ended. If something has to be refetched now, returns the next pause.
    pub(crate) fn pause_ended(&mut self) -> Option<Duration> {
        let is_due = std::mem::take(&mut self.is_due);
        self.pause = self.pause.filter(|_| is_due).map(|pause| (pause * 2).min(LONGEST));
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_is_refetched_at_once_and_the_last_one_is_not_lost() {
        let mut pace = Pace::default();
        assert_eq!(pace.changed(), Some(SHORTEST));
        for _ in 0..100 {
            assert_eq!(pace.changed(), None, "one request at the end of the pause is enough");
        }
        assert_eq!(pace.pause_ended(), Some(SHORTEST * 2));
        assert_eq!(pace.pause_ended(), None, "nothing has changed since");
        assert_eq!(pace.changed(), Some(SHORTEST), "after a quiet time, it starts again");
    }

    #[test]
    fn pauses_grow_while_changes_keep_coming() {
        let mut pace = Pace::default();
        let (mut requests, mut took) = (0, Duration::ZERO);
        let mut pause = pace.changed();
        while took < Duration::from_secs(3600) {
            requests += 1;
            took += pause.unwrap();
            assert_eq!(pace.changed(), None);
            pause = pace.pause_ended();
            assert!(pause.unwrap() <= LONGEST);
        }
        assert!(requests < 460, "{requests}");
    }
}
