//! Simulation: a generated list of operations by several workers on one store, with crashes. A crash drops the
//! store and whatever the worker knew of its progress, and opens it again. After every operation:
//!
//! 1. One worker at most holds a job: of all leases ever given for it, only the newest can write.
//! 2. The fence of a job never falls.
//! 3. A job moves only as its states allow, and never out of a terminal state.
//! 4. The attempt counts how often it entered waiting.
//!
//! At the end:
//!
//! 5. The audit chain verifies, with one event per submission, move and cancellation that happened.
//! 6. There is an outbox row and a job event for each of them.
//! 7. The log has exactly one leaf per job that is done, and no other job has one.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const WORKERS: usize = 3;

#[derive(Clone, Debug)]
enum Operation {
    Submit(u64),
    Lease { worker: usize, ttl_ms: u64 },
    Renew { worker: usize, ttl_ms: u64 },
    Release { worker: usize, wait_ms: u64 },
    Move { worker: usize, to: JobState },
    Cancel(u64),
    Wait(u64),
    Crash,
}

fn operation() -> impl Strategy<Value = Operation> {
    let worker = 0..WORKERS;
    prop_oneof![
        2 => (0..6u64).prop_map(Operation::Submit),
        4 => (worker.clone(), 1..60u64).prop_map(|(worker, ttl_ms)| Operation::Lease { worker, ttl_ms }),
        1 => (worker.clone(), 1..60u64).prop_map(|(worker, ttl_ms)| Operation::Renew { worker, ttl_ms }),
        1 => (worker.clone(), 0..60u64).prop_map(|(worker, wait_ms)| Operation::Release { worker, wait_ms }),
        10 => (worker, prop::sample::select(JobState::ALL)).prop_map(|(worker, to)| Operation::Move { worker, to }),
        1 => (0..6u64).prop_map(Operation::Cancel),
        3 => (1..50u64).prop_map(Operation::Wait),
        1 => Just(Operation::Crash),
    ]
}

/// What the invariants are checked against.
struct Simulation<'a> {
    world: &'a dyn World,
    store: Arc<dyn Store>,
    now_ms: u64,
    /// Lease and believed state of each worker; stale ones stay, as a worker that sleeps has them.
    workers: Vec<Option<(Lease, JobState)>>,
    /// Newest fence, state, attempts and lease end by job.
    model: HashMap<JobId, Model>,
    changes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Model {
    fence: u64,
    held: bool,
    state: JobState,
    attempt: u32,
    until_ms: u64,
    not_before_ms: u64,
}

impl Simulation<'_> {
    fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Submit(number) => self.submit(*number),
            Operation::Lease { worker, ttl_ms } => self.lease(*worker, *ttl_ms),
            Operation::Renew { worker, ttl_ms } => {
                let until_ms = self.now_ms + ttl_ms;
                self.as_holder(
                    *worker,
                    |store, lease| store.renew(lease, until_ms),
                    |model| {
                        model.until_ms = model.until_ms.max(until_ms);
                    },
                );
            }
            Operation::Release { worker, wait_ms } => {
                let not_before_ms = self.now_ms + wait_ms;
                self.as_holder(
                    *worker,
                    |store, lease| store.release(lease, not_before_ms),
                    |model| {
                        *model = Model {
                            held: false,
                            fence: model.fence + 1,
                            until_ms: 0,
                            not_before_ms,
                            ..*model
                        };
                    },
                );
            }
            Operation::Move { worker, to } => self.go(*worker, *to),
            Operation::Cancel(number) => self.cancel(*number),
            Operation::Wait(ms) => self.now_ms += ms,
            Operation::Crash => self.store = self.world.engine(),
        }
        self.check();
    }

    fn submit(&mut self, number: u64) {
        let job = new_job(number);
        let submitted = self.store.submit(&job, &event("job.submit"), &message("job")).unwrap();
        let known = self.model.contains_key(&job.id);
        assert_eq!(matches!(submitted, Submitted::Existing(_)), known);
        if !known {
            let model = Model {
                fence: 0,
                held: false,
                state: JobState::Queued,
                attempt: 0,
                until_ms: 0,
                not_before_ms: 0,
            };
            self.model.insert(job.id, model);
            self.changes += 1;
        }
    }

    fn lease(&mut self, worker: usize, ttl_ms: u64) {
        let now_ms = self.now_ms;
        let leasable =
            |m: &Model| !m.state.is_terminal() && m.until_ms <= now_ms && m.not_before_ms <= now_ms;
        let expected = self.model.iter().filter(|(_, m)| leasable(m)).map(|(id, _)| id.clone()).min();
        let leased = self.store.lease(&format!("w{worker}"), now_ms, ttl_ms).unwrap();
        assert_eq!(leased.as_ref().map(|l| l.lease.job.clone()), expected, "the oldest that nobody holds");
        let Some(leased) = leased else { return };
        let model = self.model.get_mut(&leased.lease.job).unwrap();
        assert_eq!(leased.lease.fence, model.fence + 1);
        *model = Model { fence: leased.lease.fence, held: true, until_ms: now_ms + ttl_ms, ..*model };
        self.workers[worker] = Some((leased.lease, leased.job.summary.state));
    }

    fn as_holder(
        &mut self,
        worker: usize,
        act: impl Fn(&dyn Store, &Lease) -> Result<(), StoreError>,
        change: impl Fn(&mut Model),
    ) {
        let Some((lease, _)) = self.workers[worker].clone() else { return };
        let model = self.model.get_mut(&lease.job).unwrap();
        let holds = model.held && model.fence == lease.fence;
        match act(&*self.store, &lease) {
            Ok(()) => {
                assert!(holds, "a lost lease wrote");
                change(model);
            }
            Err(StoreError::StaleFence { .. }) => assert!(!holds, "the newest lease was refused"),
            Err(other) => panic!("{other}"),
        }
    }

    fn go(&mut self, worker: usize, to: JobState) {
        let Some((lease, from)) = self.workers[worker].clone() else { return };
        let model = self.model.get_mut(&lease.job).unwrap();
        let holds = model.held && model.fence == lease.fence;
        match go(&*self.store, &lease, from, to) {
            Ok(moved) => {
                assert!(holds, "a lost lease wrote");
                assert!(model.state == from && from.may_become(to), "{from} to {to}");
                assert_eq!(moved.leaf_index.is_some(), to == JobState::Done);
                model.state = to;
                model.attempt += u32::from(to == JobState::Waiting);
                if to.is_terminal() {
                    *model = Model { held: false, fence: model.fence + 1, until_ms: 0, ..*model };
                }
                self.changes += 1;
                self.workers[worker] = Some((lease, to));
            }
            Err(StoreError::StaleFence { .. }) => assert!(!holds, "the newest lease was refused"),
            Err(StoreError::IllegalMove { .. }) => assert!(holds && !from.may_become(to)),
            Err(StoreError::Invalid { .. }) => assert_eq!(to, JobState::Cancelled),
            Err(other) => panic!("{other}"),
        }
    }

    fn cancel(&mut self, number: u64) {
        let id = new_job(number).id;
        let cancelled = self.store.cancel(&id, &step("cancel"), &event("job.cancel"), &message("job"));
        match (cancelled, self.model.get_mut(&id)) {
            (Err(StoreError::NotFound { .. }), None) => {}
            (Err(StoreError::IllegalMove { .. }), Some(model)) => assert!(model.state.is_terminal()),
            (Ok(()), Some(model)) => {
                assert!(!model.state.is_terminal());
                let (state, fence) = (JobState::Cancelled, model.fence + 1);
                *model = Model { state, fence, held: false, until_ms: 0, ..*model };
                self.changes += 1;
            }
            (other, model) => panic!("{other:?} {model:?}"),
        }
    }

    /// Invariants 1 to 4, against what the store says.
    fn check(&self) {
        let jobs = self.store.jobs(&JobFilter::default()).unwrap();
        assert_eq!(jobs.len(), self.model.len());
        for job in jobs {
            let model = self.model[&job.id];
            assert_eq!((job.state, job.fence, job.attempt), (model.state, model.fence, model.attempt));
            assert_eq!(job.conclusion.is_some(), job.state.is_terminal());
        }
    }

    /// Invariants 5 to 7.
    fn finish(&self) {
        assert_eq!(audited(&*self.store), self.changes);
        assert_eq!(self.store.outbox_pending(500).unwrap().len() as u64, self.changes);
        let mut events = 0;
        let mut leaves = Vec::new();
        for job in self.store.jobs(&JobFilter::default()).unwrap() {
            let rows = self.store.events(&job.id, 0, 500).unwrap();
            assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq));
            assert_eq!(rows.last().unwrap().state, job.state);
            assert!(rows.windows(2).all(|pair| pair[0].state.may_become(pair[1].state)));
            events += rows.len() as u64;
            assert_eq!(job.leaf_index.is_some(), job.state == JobState::Done);
            leaves.extend(job.leaf_index);
        }
        leaves.sort_unstable();
        assert_eq!(events, self.changes);
        assert_eq!(leaves, (0..self.store.log_size().unwrap()).collect::<Vec<_>>());
    }
}

fn simulate(world: &dyn World, operations: &[Operation]) {
    let mut simulation = Simulation {
        world,
        store: world.engine(),
        now_ms: 0,
        workers: vec![None; WORKERS],
        model: HashMap::new(),
        changes: 0,
    };
    operations.iter().for_each(|operation| simulation.run(operation));
    simulation.finish();
}

/// The way of a job to done, with a crash and a lost lease at every step: the generator reaches done seldom.
#[test]
fn job_survives_a_crash_and_a_lost_lease_at_every_step() {
    let path = [JobState::Waiting, JobState::Running, JobState::Committing, JobState::Done];
    let mut operations = vec![Operation::Submit(1), Operation::Submit(2)];
    for (at, to) in path.into_iter().enumerate() {
        let (worker, next) = (at % WORKERS, (at + 1) % WORKERS);
        operations.extend([
            Operation::Lease { worker, ttl_ms: 10 },
            Operation::Crash,
            Operation::Wait(10),
            Operation::Lease { worker: next, ttl_ms: 10 },
            Operation::Move { worker, to },
            Operation::Crash,
            Operation::Move { worker: next, to },
            Operation::Wait(10),
        ]);
    }
    let world = SqliteWorld::new();
    simulate(&world, &operations);
    let job = world.engine().job(&new_job(1).id).unwrap().unwrap();
    assert_eq!((job.summary.state, job.summary.leaf_index), (JobState::Done, Some(0)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn invariants_hold_under_any_operations(operations in prop::collection::vec(operation(), 1..120)) {
        simulate(&SqliteWorld::new(), &operations);
    }
}
