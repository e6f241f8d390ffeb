//! Objects with ids of a prefix and a counter, such as `pi_1`.

/// An object with an id.
pub(crate) trait Named {
    fn id(&self) -> &str;
}

/// All objects of a kind, in the order of their creation.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    prefix: &'static str,
    first: usize,
    all: Vec<T>,
}

impl<T: Named> Numbered<T> {
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self { prefix, first: 1, all: Vec::new() }
    }

    /// The same objects with ids from `first` on.
    pub(crate) fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Adds the object that `make` returns for the next id. Returns the id.
    pub(crate) fn add(&mut self, make: impl FnOnce(String) -> T) -> String {
        let id = format!("{}{}", self.prefix, self.all.len().saturating_add(self.first));
        self.all.push(make(id.clone()));
        id
    }

    /// Whether an id is of an earlier account.
    pub(crate) fn is_earlier(&self, id: &str) -> bool {
        let number = id.strip_prefix(self.prefix).and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number < self.first)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.all.get(self.position(id)?).filter(|object| object.id() == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let position = self.position(id)?;
        self.all.get_mut(position).filter(|object| object.id() == id)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.all.iter()
    }

    fn position(&self, id: &str) -> Option<usize> {
        id.strip_prefix(self.prefix)?.parse::<usize>().ok()?.checked_sub(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for String {
        fn id(&self) -> &str {
            self
        }
    }

    #[test]
    fn an_id_finds_its_object_only() {
        let mut all = Numbered::new("pi_");
        assert_eq!(all.add(|id| id), "pi_1");
        assert_eq!(all.add(|id| id), "pi_2");
        assert_eq!(all.get("pi_2").unwrap(), "pi_2");
        assert_eq!(all.get_mut("pi_1").unwrap(), "pi_1");
        for unknown in ["pi_0", "pi_3", "pi_+1", "pi_01", "pi_", "pm_1", ""] {
            assert_eq!(all.get(unknown), None, "{unknown}");
            assert_eq!(all.get_mut(unknown), None, "{unknown}");
        }
        assert_eq!(all.iter().count(), 2);
    }
}
