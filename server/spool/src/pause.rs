//! How long to wait before looking again.

use std::time::Duration;

/// Pauses between looks at something that may have changed: short at first, then twice as long each time, up to a
/// limit, until there was something.
#[derive(Clone, Debug)]
pub struct Pause {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    /// Begins with the shortest, which must not be zero.
    pub const fn between(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    /// The pause to make now. The one after it is twice as long, unless it is [reset](Self::reset).
    pub fn take(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now
    }

    /// There was something: the next is the shortest again.
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
