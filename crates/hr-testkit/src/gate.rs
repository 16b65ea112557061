//! A barrier that a test opens: what waits behind it goes on when the test says so, not after some time.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds answers back until [`Gate::open`]; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Gate {
        Gate { open: Arc::new(watch::Sender::new(false)) }
    }

    /// Lets all pass, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds the next ones back again.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Waits until it is open.
    pub async fn passed(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}
