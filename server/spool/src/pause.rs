//! Backoff between polls.

use std::time::Duration;

/// Pauses between polls: short at first, then doubled each time up to a limit, until something was found.
#[derive(Clone, Debug)]
pub struct Pause {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    /// Starts with the shortest pause, which must not be zero.
    pub const fn between(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    /// The next pause. The one after it is twice as long, unless this is [reset](Self::reset).
    pub fn take(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now
    }

    /// To be called when something was found: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.next = self.shortest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again() {
        let ms = Duration::from_millis;
        let mut pause = Pause::between(ms(5), ms(50));
        let taken: Vec<_> = (0..6).map(|_| pause.take()).collect();
        assert_eq!(taken, [ms(5), ms(10), ms(20), ms(40), ms(50), ms(50)]);
        pause.reset();
        assert_eq!((pause.take(), pause.take()), (ms(5), ms(10)));
    }
}
