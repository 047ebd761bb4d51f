//! How many connections there may be: of one address, and of all together. When there are too many, the
//! oldest on which nothing is asked makes room, so that whoever holds thousands open keeps nobody out.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::throttle::network;
use crate::settings::Network;

/// Connections of one address. A browser opens six.
const EACH: usize = 256;

/// Most connections at once, whatever the system allows.
const MOST: usize = 16_384;

/// Files that the rest of the program may have open.
const REST: u64 = 512;

/// Connections, and how many there may be. Clones count together.
#[derive(Clone)]
pub struct Seats(Arc<Inner>);

struct Inner {
    most: usize,
    each: usize,
    /// For whom others ask: bounded only together.
    proxies: Vec<Network>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// In the order of their coming.
    seats: BTreeMap<u64, Entry>,
    of: HashMap<IpAddr, usize>,
}

struct Entry {
    address: IpAddr,
    asked: Arc<AtomicUsize>,
    leave: CancellationToken,
}

/// One connection's place; dropping it leaves it.
pub(super) struct Seat {
    all: Arc<Inner>,
    id: u64,
    asked: Arc<AtomicUsize>,
    /// Cancelled when the connection must make room.
    pub(super) leave: CancellationToken,
}

/// Something is being answered as long as this lives.
pub(super) struct Asked(Arc<AtomicUsize>);

impl Seats {
    /// As many as the system allows, after it was asked for more: raises the soft limit of open files
    /// to the hard one. This machine and `proxies` are bounded only together with all others.
    pub fn new(proxies: &[Network]) -> Self {
        let files = raise_limit();
        let most = usize::try_from(files.saturating_sub(REST)).unwrap_or(MOST);
        Self::of(most.clamp(32, MOST), EACH, proxies)
    }

    fn of(most: usize, each: usize, proxies: &[Network]) -> Self {
        Self(Arc::new(Inner {
            most,
            each,
            proxies: proxies.to_vec(),
            taken: Mutex::default(),
        }))
    }

    /// A place for a connection of `address`; the oldest idle one leaves for it where there are too
    /// many. `None` where all are busy.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let inner = &self.0;
        let address = address.to_canonical();
        let proxy = inner.proxies.iter().any(|n| n.contains(address));
        let bounded = !address.is_loopback() && !proxy;
        let address = network(address);
        let mut taken = inner.taken();
        let of = taken.of.get(&address).copied().unwrap_or(0);
        if bounded && of >= inner.each {
            taken.make_room(|entry| entry.address == address)?;
        } else if taken.seats.len() >= inner.most {
            taken.make_room(|_| true)?;
        }
        let id = taken.next;
        taken.next += 1;
        let (asked, leave) = (Arc::default(), CancellationToken::new());
        let entry = Entry {
            address,
            asked: Arc::clone(&asked),
            leave: leave.clone(),
        };
        taken.seats.insert(id, entry);
        *taken.of.entry(address).or_default() += 1;
        Some(Seat {
            all: inner.clone(),
            id,
            asked,
            leave,
        })
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.taken().seats.len()
    }
}

impl Inner {
    /// Held for moments only.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn make_room(&mut self, of: impl Fn(&Entry) -> bool) -> Option<()> {
        let idle = |entry: &Entry| entry.asked.load(Ordering::Relaxed) == 0;
        let mut idle = self
            .seats
            .iter()
            .filter(|(_, entry)| of(entry) && idle(entry));
        let (&id, entry) = idle.next()?;
        entry.leave.cancel();
        self.remove(id);
        Some(())
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.seats.remove(&id) else {
            return;
        };
        if let Some(of) = self.of.get_mut(&entry.address) {
            *of -= 1;
            if *of == 0 {
                self.of.remove(&entry.address);
            }
        }
    }
}

impl Seat {
    /// From now on, and until what is returned is dropped, this connection need not make room.
    pub(super) fn asked(&self) -> Asked {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Asked(self.asked.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.all.taken().remove(self.id);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many files may be open from now on.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (now, most) = (limit.current.unwrap_or(u64::MAX), limit.maximum);
    let wanted = most.unwrap_or(u64::MAX).min(MOST as u64 + REST);
    if wanted <= now {
        return now;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: most,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_idle_connection_makes_room_and_no_busy_one() {
        let seats = Seats::of(3, 100, &[]);
        let here = address("127.0.0.1");
        let take = || seats.take(here);
        let (first, second, third) = (take().unwrap(), take().unwrap(), take().unwrap());
        let busy = first.asked();
        let fourth = take().unwrap();
        assert!(second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !third.leave.is_cancelled());
        let all = [third.asked(), fourth.asked()];
        assert!(take().is_none());
        drop((busy, all));
        assert!(take().is_some() && first.leave.is_cancelled());
        drop((first, second, third, fourth));
        assert_eq!(seats.count(), 0);
        assert!(seats.0.taken().of.is_empty());
    }

    #[test]
    fn one_address_is_bounded_and_others_keep_theirs() {
        let proxies = ["10.0.0.9".parse().unwrap()];
        let seats = Seats::of(100, 2, &proxies);
        let other = seats.take(address("10.0.0.2")).unwrap();
        let held: Vec<_> = (0..5)
            .filter_map(|_| seats.take(address("10.0.0.1")))
            .collect();
        let left = held
            .iter()
            .filter(|seat| !seat.leave.is_cancelled())
            .count();
        assert_eq!((left, other.leave.is_cancelled()), (2, false));
        for many in ["127.0.0.1", "10.0.0.9"] {
            let held: Vec<_> = (0..5).filter_map(|_| seats.take(address(many))).collect();
            assert!(held.iter().all(|seat| !seat.leave.is_cancelled()), "{many}");
        }
    }
}
