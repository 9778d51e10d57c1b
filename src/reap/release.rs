//! What an interrupted run left stopped, on its way to SIGKILL, is let go first of all: nothing else says that it has to wait for the next
//! teardown, and there may be none.

use super::kernel::{Kernel, Signal};
use crate::domain::ledger::Unfinished;

/// Lets the members of all trees go that were being stopped. Writes nothing, so it works on a full disk, too.
pub fn let_go<K: Kernel>(kernel: &mut K, unfinished: &mut [Unfinished]) {
    for tree in unfinished.iter_mut().filter(|tree| tree.stopping) {
        tree.stopping = false;
        for member in &tree.members {
            let released = match kernel.hold(*member) {
                Ok(Some((held, _))) => kernel.signal(&held, Signal::Continue).map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = released {
                tracing::error!(process = %member, %error, "an earlier run may have stopped it, and it can't be let go");
            }
        }
    }
}
