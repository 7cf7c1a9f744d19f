//! The path of a place within a saga, as messages show it.

use std::fmt;

/// Returns a word for a message: its first 63 characters, without control characters.
pub(super) fn short(word: &str) -> String {
    word.chars().filter(|letter| !letter.is_control()).take(63).collect()
}

/// A place within a saga.
pub(super) struct Path<'a> {
    up: Option<&'a Self>,
    name: Name<'a>,
}

enum Name<'a> {
    Field(&'a str),
    Place(usize),
    /// Each entry.
    Any,
}

impl<'a> Path<'a> {
    /// Returns the path of the spec or the status.
    pub(super) const fn root(name: &'a str) -> Self {
        Self { up: None, name: Name::Field(name) }
    }

    /// Returns the path of each entry of this list or map.
    pub(super) const fn any(&'a self) -> Self {
        Self { up: Some(self), name: Name::Any }
    }

    pub(super) const fn field(&'a self, name: &'a str) -> Self {
        Self { up: Some(self), name: Name::Field(name) }
    }

    pub(super) const fn place(&'a self, place: usize) -> Self {
        Self { up: Some(self), name: Name::Place(place) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match (&self.name, self.up.is_some()) {
            (Name::Field(name), true) => write!(f, ".{}", short(name)),
            (Name::Field(name), false) => f.write_str(name),
            (Name::Place(place), _) => write!(f, "[{place}]"),
            (Name::Any, _) => f.write_str("[]"),
        }
    }
}
