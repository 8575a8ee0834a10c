//! A bounded cache that evicts the least recently used entries: filling it does not evict those in use.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Recently used entries, at most twice `most`: an entry in neither generation is dropped.
pub struct Recent<K, V> {
    most: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// A cache of at least the `most` most recently used entries.
    pub fn new(most: usize) -> Self {
        Self { most, young: HashMap::new(), old: HashMap::new() }
    }

    /// The value for `key`.
    pub fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// The value for `key`, inserting `new` if there is none.
    pub fn get_or(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        self.age();
        let old = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| old.unwrap_or_else(new))
    }

    /// Inserts `value` for `key`.
    pub fn insert(&mut self, key: K, value: V) {
        self.age();
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    fn age(&mut self) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_whatever_comes() {
        let mut recent = Recent::new(10);
        recent.insert("busy".to_owned(), 7);
        for n in 0..1000 {
            *recent.get_or(n.to_string(), || 0) += n;
            assert_eq!(recent.get("busy").copied(), Some(7), "{n}");
        }
        assert!(recent.young.len() + recent.old.len() <= 20);
        assert_eq!(recent.get("999").copied(), Some(999));
        assert_eq!(recent.get("1"), None);
        assert_eq!(*recent.get_or("busy".to_owned(), || 0), 7);
    }
}
