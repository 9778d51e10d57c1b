//! The owner of a worker.

use super::super::world::RowId;
use crate::domain::orphan::OrphanKind;
use crate::domain::verdict::Keep;

/// The owner of a worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::domain::decide) enum Owner {
    /// These sessions: kept while any of them is kept. More than one: which one's it is can't be told.
    Sessions(Rows),
    /// It is of the tree of another worker without an owner, and is judged with that.
    Tree,
    /// It has none, and is this kind of orphan.
    Nobody(OrphanKind),
    /// Not known.
    Doubt(Keep),
}

impl From<Result<OrphanKind, Keep>> for Owner {
    fn from(unowned: Result<OrphanKind, Keep>) -> Self {
        match unowned {
            Ok(kind) => Self::Nobody(kind),
            Err(doubt) => Self::Doubt(doubt),
        }
    }
}

/// Rows that own a process, hardly ever more than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::domain::decide) enum Rows {
    One(RowId),
    More(Vec<RowId>),
}

impl Rows {
    /// `None`: there are none.
    pub(in crate::domain::decide) fn of(mut rows: impl Iterator<Item = RowId>) -> Option<Self> {
        let first = rows.next()?;
        Some(match rows.next() {
            None => Self::One(first),
            Some(second) => Self::More([first, second].into_iter().chain(rows).collect()),
        })
    }

    /// These and those, in the order of the configuration and the table.
    pub(super) fn and(self, others: &[RowId]) -> Self {
        let mut all = others.to_vec();
        all.extend(self.as_slice());
        all.sort_unstable();
        all.dedup();
        Self::of(all.into_iter()).unwrap_or(self)
    }

    pub(in crate::domain::decide) fn as_slice(&self) -> &[RowId] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::More(rows) => rows,
        }
    }
}
