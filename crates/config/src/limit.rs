//! A limit that can be switched off.

/// A limit: a value, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit<T> {
    /// Nothing is limited.
    Off,
    /// At most this much.
    At(T),
}

impl<T> Limit<T> {
    /// The value, or nothing where the limit is off.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(value) => Some(value),
        }
    }
}
