//! A least-recently-used list of items with owners: the youngest item of an owner and the oldest of all are found without
//! a search.
//!
//! Two doubly linked lists through one vector, whose slots are reused. The lists of the owners have the same order as
//! the list of all, so the oldest of all is also the oldest of its owner.

/// Instead of a slot's number: there is none.
const NONE: usize = usize::MAX;

/// A collection of items that belong to owners, which have small numbers.
pub(crate) struct Lru<T> {
    slots: Vec<Slot<T>>,
    vacant: Vec<usize>,
    oldest: usize,
    youngest: usize,
    owners: Vec<Owner>,
}

struct Slot<T> {
    item: Option<T>,
    owner: usize,
    /// In the list of all items.
    all: Neighbours,
    /// In the list of the owner's.
    own: Neighbours,
}

#[derive(Clone, Copy)]
struct Neighbours {
    older: usize,
    younger: usize,
}

#[derive(Clone, Copy)]
struct Owner {
    youngest: usize,
    items: usize,
}

impl<T> Default for Lru<T> {
    fn default() -> Lru<T> {
        Lru { slots: Vec::new(), vacant: Vec::new(), oldest: NONE, youngest: NONE, owners: Vec::new() }
    }
}

impl<T> Lru<T> {
    /// Adds an item, the youngest from now on.
    pub(crate) fn push(&mut self, owner: usize, item: T) {
        if self.owners.len() <= owner {
            self.owners.resize(owner + 1, Owner { youngest: NONE, items: 0 });
        }
        let all = Neighbours { older: self.youngest, younger: NONE };
        let own = Neighbours { older: self.owners[owner].youngest, younger: NONE };
        let slot = Slot { item: Some(item), owner, all, own };
        let at = match self.vacant.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        match self.slots.get_mut(all.older) {
            Some(older) => older.all.younger = at,
            None => self.oldest = at,
        }
        if let Some(older) = self.slots.get_mut(own.older) {
            older.own.younger = at;
        }
        self.youngest = at;
        self.owners[owner].youngest = at;
        self.owners[owner].items += 1;
    }

    /// The number of items of an owner.
    pub(crate) fn count(&self, owner: usize) -> usize {
        self.owners.get(owner).map_or(0, |owner| owner.items)
    }

    /// The youngest item of an owner.
    pub(crate) fn youngest_of(&self, owner: usize) -> Option<&T> {
        self.slots.get(self.owners.get(owner)?.youngest)?.item.as_ref()
    }

    /// Removes the youngest item of an owner.
    pub(crate) fn pop_youngest_of(&mut self, owner: usize) -> Option<T> {
        self.remove(self.owners.get(owner)?.youngest)
    }

    /// The oldest item of all.
    pub(crate) fn oldest(&self) -> Option<&T> {
        self.slots.get(self.oldest)?.item.as_ref()
    }

    /// Removes the oldest item of all.
    pub(crate) fn pop_oldest(&mut self) -> Option<T> {
        self.remove(self.oldest)
    }

    /// The number of slots, vacant or not; for going through all of them.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The item in a slot.
    pub(crate) fn item_mut(&mut self, at: usize) -> Option<&mut T> {
        self.slots.get_mut(at)?.item.as_mut()
    }

    /// Removes the item in a slot.
    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        let slot = self.slots.get_mut(at)?;
        let item = slot.item.take()?;
        let (owner, all, own) = (slot.owner, slot.all, slot.own);
        match self.slots.get_mut(all.older) {
            Some(older) => older.all.younger = all.younger,
            None => self.oldest = all.younger,
        }
        match self.slots.get_mut(all.younger) {
            Some(younger) => younger.all.older = all.older,
            None => self.youngest = all.older,
        }
        if let Some(older) = self.slots.get_mut(own.older) {
            older.own.younger = own.younger;
        }
        match self.slots.get_mut(own.younger) {
            Some(younger) => younger.own.older = own.older,
            None => self.owners[owner].youngest = own.older,
        }
        self.owners[owner].items -= 1;
        self.vacant.push(at);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_of_an_owner_and_the_oldest_of_all() {
        let mut lru = Lru::default();
        for (owner, item) in [(0, 'a'), (2, 'b'), (0, 'c'), (2, 'd')] {
            lru.push(owner, item);
        }
        assert_eq!((lru.count(0), lru.count(1), lru.count(2), lru.count(9)), (2, 0, 2, 0));
        assert_eq!((lru.youngest_of(0), lru.youngest_of(1), lru.oldest()), (Some(&'c'), None, Some(&'a')));
        assert_eq!((lru.pop_youngest_of(0), lru.pop_oldest(), lru.pop_oldest()), (Some('c'), Some('a'), Some('b')));
        lru.push(1, 'e');
        assert_eq!((lru.pop_youngest_of(2), lru.pop_youngest_of(2)), (Some('d'), None));
        assert_eq!((lru.pop_oldest(), lru.pop_oldest()), (Some('e'), None));
        assert_eq!(lru.slots(), 4);
    }

    /// Against a plain list, with every operation in every place.
    #[test]
    fn it_behaves_like_a_list_that_is_searched() {
        let (mut lru, mut list, mut random) = (Lru::default(), Vec::<(usize, u32)>::new(), 1u32);
        for item in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (owner, choice) = ((random >> 16) as usize % 5, random >> 28);
            match choice {
                0..8 => {
                    lru.push(owner, item);
                    list.push((owner, item));
                }
                8..12 => {
                    let at = list.iter().rposition(|(of, _)| *of == owner);
                    assert_eq!(lru.pop_youngest_of(owner), at.map(|at| list.remove(at).1));
                }
                12..14 => {
                    let oldest = (!list.is_empty()).then(|| list.remove(0).1);
                    assert_eq!(lru.pop_oldest(), oldest);
                }
                _ => {
                    let at = (random >> 8) as usize % lru.slots().max(1);
                    if let Some(removed) = lru.remove(at) {
                        list.retain(|(_, item)| *item != removed);
                    }
                }
            }
            assert_eq!(lru.oldest(), list.first().map(|(_, item)| item));
            assert_eq!(lru.count(owner), list.iter().filter(|(of, _)| *of == owner).count());
        }
    }
}
