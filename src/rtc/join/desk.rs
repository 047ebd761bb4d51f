//! Pure: which jobs a worker has, what it answers when it is offered another, and what it tells of itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use livekit_protocol::{UpdateWorkerStatus, WorkerStatus};

/// An offer that no assignment follows for so long has gone elsewhere. Servers wait 10 s for an answer.
const OFFER: Duration = Duration::from_secs(15);

/// The answer to an offer. There is no "no": a server asks a refused job nowhere else, so a worker says
/// beforehand that it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// We take it.
    Take,
    /// It is done: we sit in that room already, or are on our way back to it.
    There,
}

#[derive(Debug)]
struct Job {
    room: String,
    /// When it was offered, until it is ours.
    offered: Option<Instant>,
}

/// The jobs.
#[derive(Debug)]
pub(super) struct Desk {
    capacity: usize,
    jobs: BTreeMap<String, Job>,
    draining: bool,
}

impl Desk {
    /// A desk for so many jobs at once, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            jobs: BTreeMap::new(),
            draining: false,
        }
    }

    /// A job is offered.
    pub(super) fn offered(&mut self, id: &str, room: &str, now: Instant) -> Reply {
        self.jobs
            .retain(|_, j| j.offered.is_none_or(|at| now < at + OFFER));
        let sits = |(i, j): (&String, &Job)| j.offered.is_none() && j.room == room && i != id;
        if self.jobs.iter().any(sits) {
            return Reply::There;
        }
        self.jobs.entry(id.to_owned()).or_insert_with(|| Job {
            room: room.to_owned(),
            offered: Some(now),
        });
        Reply::Take
    }

    /// A job is ours; `false`: it was already.
    pub(super) fn began(&mut self, id: &str, room: &str) -> bool {
        let job = Job {
            room: room.to_owned(),
            offered: None,
        };
        let before = self.jobs.insert(id.to_owned(), job);
        before.is_none_or(|j| j.offered.is_some())
    }

    /// A job is over.
    pub(super) fn ended(&mut self, id: &str) {
        self.jobs.remove(id);
    }

    /// No more jobs from now on.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// What the server is told: status and load always together, or the load would be taken for zero.
    pub(super) fn status(&self) -> UpdateWorkerStatus {
        let jobs = self.jobs.len();
        let full = self.draining || jobs >= self.capacity;
        let status = match full {
            true => WorkerStatus::WsFull,
            false => WorkerStatus::WsAvailable,
        };
        UpdateWorkerStatus {
            status: Some(status as i32),
            load: (jobs as f32 / self.capacity as f32).min(1.0),
            job_count: u32::try_from(jobs).unwrap_or(u32::MAX),
            draining: self.draining,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(desk: &Desk) -> bool {
        desk.status().status() == WorkerStatus::WsFull
    }

    #[test]
    fn a_worker_is_full_before_it_is_overfull_and_never_refuses() {
        let now = Instant::now();
        let mut desk = Desk::new(2);
        assert_eq!(desk.offered("J1", "den", now), Reply::Take);
        assert!(!full(&desk) && desk.status().load == 0.5);
        assert_eq!(desk.offered("J2", "hall", now), Reply::Take);
        assert!(full(&desk), "an offer counts before it is a job");
        assert_eq!(desk.offered("J3", "loft", now), Reply::Take);
        assert_eq!(desk.status().load, 1.0);
        desk.ended("J2");
        desk.ended("J3");
        assert!(!full(&desk));
    }

    #[test]
    fn a_room_in_which_we_sit_is_not_joined_twice() {
        let now = Instant::now();
        let mut desk = Desk::new(4);
        assert!(desk.began("J1", "den"));
        assert_eq!(desk.offered("J9", "den", now), Reply::There);
        desk.ended("J1");
        assert_eq!(desk.offered("J9", "den", now), Reply::Take);
        assert!(desk.began("J9", "den"));
        assert!(!desk.began("J9", "den"), "said twice");
    }

    #[test]
    fn an_offer_that_came_to_nothing_is_forgotten() {
        let now = Instant::now();
        let mut desk = Desk::new(1);
        desk.offered("J1", "den", now);
        assert!(full(&desk));
        desk.offered("J2", "hall", now + OFFER);
        assert_eq!(desk.status().job_count, 1);
    }

    #[test]
    fn a_worker_that_drains_says_so_with_its_load() {
        let mut desk = Desk::new(4);
        desk.began("J1", "den");
        desk.drain();
        let status = desk.status();
        assert!(full(&desk) && status.draining);
        assert_eq!((status.load, status.job_count), (0.25, 1));
    }
}
