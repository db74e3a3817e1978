//! What the exporter counts, where readers on other threads find it: each source leaves a copy of its counters a few times
//! a second, so that counting itself shares nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exporting::{AccountsSnapshot, DestinationAccounts};
use crate::run::accounts::MeteringAccounts;
use crate::sflow::{SflowAccounts, SflowSnapshot};

/// The newest copies.
#[derive(Debug, Default)]
pub struct SharedAccounts {
    sources: Mutex<Vec<MeteringAccounts>>,
    destinations: Mutex<Vec<Arc<DestinationAccounts>>>,
    sflow: Mutex<Option<Arc<SflowAccounts>>>,
}

impl SharedAccounts {
    /// The counters of source number `at` are these now.
    pub fn publish(&self, at: usize, accounts: MeteringAccounts) {
        let mut sources = lock(&self.sources);
        while sources.len() <= at {
            sources.push(MeteringAccounts::default());
        }
        if let Some(place) = sources.get_mut(at) {
            *place = accounts;
        }
    }

    /// One more destination.
    pub fn add_destination(&self, accounts: Arc<DestinationAccounts>) {
        lock(&self.destinations).push(accounts);
    }

    /// There is an agent of sFlow.
    pub fn set_sflow(&self, accounts: Arc<SflowAccounts>) {
        *lock(&self.sflow) = Some(accounts);
    }

    /// What became of samples, where there is an agent.
    pub fn sflow(&self) -> Option<SflowSnapshot> {
        lock(&self.sflow).as_ref().map(|accounts| accounts.snapshot())
    }

    /// What each source had counted when it said so last.
    pub fn sources(&self) -> Vec<MeteringAccounts> {
        lock(&self.sources).clone()
    }

    /// What became of records, by destination.
    pub fn destinations(&self) -> Vec<AccountsSnapshot> {
        lock(&self.destinations)
            .iter()
            .map(|accounts| accounts.snapshot())
            .collect()
    }
}

/// What is behind these locks is whole whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
