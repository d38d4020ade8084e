//! Links: how records refer to records without pointers.

/// A record's index, or none. All bits zero is none, so that an unused table is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(u16);

impl Link {
    pub(crate) const NONE: Link = Link(0);

    /// The link to the record at `index`, which is below 65,535.
    pub(crate) const fn to(index: usize) -> Link {
        Link(index as u16 + 1)
    }

    pub(crate) const fn index(self) -> Option<usize> {
        match self.0 {
            0 => None,
            link => Some(link as usize - 1),
        }
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Both ends of a chain of records.
///
/// Invariant: both are none, or neither is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) first: Link,
    pub(crate) last: Link,
}

impl Ends {
    pub(crate) const EMPTY: Ends = Ends {
        first: Link::NONE,
        last: Link::NONE,
    };

    pub(crate) const fn is_empty(self) -> bool {
        self.first.is_none()
    }
}
