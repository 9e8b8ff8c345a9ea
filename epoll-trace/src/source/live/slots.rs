//! What is followed by index. Indices are handed out from 0 on, so a list serves; read in their order, memory comes in order too.

/// Values by index; each stays where it is.
pub(super) struct Slots<T> {
    values: Vec<Option<Box<T>>>,
}

impl<T> Slots<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { values: Vec::new() }
    }

    /// The value at `index`.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.values.get(index as usize)?.as_deref()
    }

    /// As [`Slots::get`], to be changed.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.values.get_mut(index as usize)?.as_deref_mut()
    }

    /// Puts `value` at `index`.
    pub(super) fn insert(&mut self, index: u32, value: T) {
        let index = index as usize;
        if index >= self.values.len() {
            self.values.resize_with(index + 1, || None);
        }
        self.values[index] = Some(Box::new(value));
    }

    /// Takes the value at `index` away.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        self.values.get_mut(index as usize)?.take().map(|value| *value)
    }

    /// All with their indices, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let values = (0..).zip(&self.values);
        values.filter_map(|(index, value)| Some((index, value.as_deref()?)))
    }

    /// All, by ascending index.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter().filter_map(|value| value.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn values_come_by_index_and_go() {
        let mut slots = Slots::new();
        slots.insert(5, 'b');
        slots.insert(2, 'a');
        assert_eq!(slots.iter().collect::<Vec<_>>(), [(2, &'a'), (5, &'b')]);
        assert_eq!(
            (slots.remove(2), slots.remove(2), slots.remove(9)),
            (Some('a'), None, None)
        );
        slots.get_mut(5).into_iter().for_each(|value| *value = 'c');
        assert_eq!(slots.get(5), Some(&'c'));
        assert_eq!(slots.values().count(), 1);
    }
}
