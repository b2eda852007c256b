use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{observe::Stage, store::StoreError};

const SECOND: Duration = Duration::from_secs(1);

/// Work that only its name tells from other work.
fn work(name: &str) -> Work {
    Work::Poll(name.to_owned(), Stage::Following)
}

struct World {
    tasks: Arc<Tasks>,
    tracker: TaskTracker,
    stop: CancellationToken,
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let tasks = Tasks::new(tracker.clone(), stop.clone());
        Self { tasks, tracker, stop, started: Arc::default(), ended: Arc::default() }
    }

    fn ensure<Run>(&self, plan: &str, run: impl FnOnce(Handle) -> Run) -> Ensured
    where
        Run: Future<Output = Ended> + Send + 'static,
    {
        let ended = Arc::clone(&self.ended);
        let run = |handle| {
            self.started.fetch_add(1, Ordering::SeqCst);
            run(handle)
        };
        self.tasks.ensure("uid", (&work(plan), (1, false)), run, move |_, _| {
            ended.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn counts(&self) -> (usize, usize) {
        (self.started.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

fn hold(reason: Reason) -> Hold {
    Hold { reason, message: "why".to_owned(), retry_after: 30 * SECOND }
}

async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_task_lives_for_one_plan_however_often_it_is_asked_for() {
    let world = World::new();
    for _ in 0..5 {
        assert!(matches!(world.ensure("plan", |_| pending()), Ensured::Waiting(_)));
        settle().await;
    }
    assert_eq!(world.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn another_plan_cancels_a_task_that_has_not_claimed() {
    let world = World::new();
    world.ensure("plan", |_| pending());
    settle().await;
    world.ensure("edited", |_| pending());
    settle().await;
    assert_eq!(world.counts(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_claimed_is_cancelled_by_nothing() {
    let world = World::new();
    let (sender, answered) = tokio::sync::oneshot::channel::<()>();
    world.ensure("plan", |handle| async move {
        assert!(handle.begin_claim());
        answered.await.unwrap();
        Ended::Done
    });
    settle().await;
    assert!(matches!(world.ensure("edited", |_| pending()), Ensured::Claimed));
    world.tasks.forget("uid");
    world.stop.cancel();
    settle().await;
    assert_eq!(world.counts(), (1, 0));
    sender.send(()).unwrap();
    settle().await;
    assert_eq!(world.counts(), (1, 1));
    assert!(world.tracker.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_may_not_claim_any_more() {
    let world = World::new();
    let (sender, claims) = tokio::sync::oneshot::channel();
    world.ensure("plan", |handle| async move {
        sender.send(handle).unwrap();
        pending().await
    });
    settle().await;
    let handle = claims.await.unwrap();
    world.tasks.forget("uid");
    assert!(!handle.begin_claim());
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_kept_until_its_time_and_for_its_plan_only() {
    let world = World::new();
    world.ensure("plan", |_| async { Ended::Hold(hold(Reason::Throttled)) });
    settle().await;
    let Ensured::Rests(Rest::Held(held), wait) = world.ensure("plan", |_| pending()) else { panic!("not held") };
    assert_eq!((held, wait), (hold(Reason::Throttled), 30 * SECOND));
    assert_eq!(world.counts(), (1, 1));
    assert!(matches!(world.ensure("edited", |_| async { Ended::Hold(hold(Reason::Throttled)) }), Ensured::Waiting(_)));
    settle().await;
    tokio::time::sleep(30 * SECOND).await;
    assert!(matches!(world.ensure("edited", |_| pending()), Ensured::Waiting(_)));
}

#[tokio::test(start_paused = true)]
async fn a_differing_decision_pauses_two_seconds_and_longer_while_it_repeats() {
    let world = World::new();
    for pause in [2, 4, 8, 16] {
        assert!(matches!(world.ensure("plan", |_| async { Ended::Differs }), Ensured::Waiting(_)));
        settle().await;
        let Ensured::Rests(Rest::Differs, wait) = world.ensure("plan", |_| pending()) else { panic!("no pause") };
        assert_eq!(wait, pause * SECOND);
        tokio::time::sleep(pause * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_hold_waited_for_releases_it_and_no_other() {
    let world = World::new();
    world.ensure("plan", |_| async { Ended::Hold(hold(Reason::EndpointUnreachable)) });
    settle().await;
    assert!(world.tasks.release(&[Reason::Throttled]).is_empty());
    assert_eq!(world.tasks.release(&[Reason::EndpointUnreachable]), [work("plan")]);
    assert!(matches!(world.ensure("plan", |_| pending()), Ensured::Waiting(_)));
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lease_ends_every_task_that_has_not_claimed() {
    let world = World::new();
    world.ensure("plan", |_| pending());
    settle().await;
    world.tasks.cancel_all();
    settle().await;
    assert_eq!(world.counts(), (1, 1));
    assert!(matches!(world.ensure("plan", |_| pending()), Ensured::Waiting(_)), "it leads again");
    settle().await;
    assert_eq!(world.counts(), (2, 1));
    world.stop.cancel();
    settle().await;
    assert_eq!(world.counts(), (2, 2));
    let _waiting = world.ensure("plan", |_| pending());
    settle().await;
    assert_eq!(world.counts(), (3, 3), "nothing waits in a process that stops");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_returned_once_and_the_same_plan_rests_after_it() {
    let world = World::new();
    let error = Error { object: ("team".to_owned(), "a".to_owned()), source: StoreError::Conflict };
    world.ensure("plan", |_| async { Ended::Failed(error) });
    settle().await;
    assert!(matches!(world.ensure("plan", |_| pending()), Ensured::Failed(_)));
    world.tasks.rest("uid", 30 * SECOND);
    let Ensured::Rests(Rest::Failed, wait) = world.ensure("plan", |_| pending()) else { panic!("no rest") };
    assert_eq!((wait, world.counts()), (30 * SECOND, (1, 1)));
    assert!(matches!(world.ensure("edited", |_| pending()), Ensured::Waiting(_)));
    tokio::time::sleep(30 * SECOND).await;
    world.tasks.rest("uid", 30 * SECOND);
    assert!(matches!(world.ensure("plan", |_| pending()), Ensured::Waiting(_)), "its task is no failure");
    settle().await;
    assert_eq!(world.counts(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_task_says_what_it_waits_for_and_what_the_last_one_ended_with() {
    let world = World::new();
    world.ensure("plan", |_| async { Ended::Hold(hold(Reason::ClusterNotWaiting)) });
    settle().await;
    tokio::time::sleep(30 * SECOND).await;
    world.ensure("plan", |handle| async move {
        handle.waits_for(Wait::Slot);
        pending().await
    });
    settle().await;
    let Ensured::Waiting(waiting) = world.ensure("plan", |_| pending()) else { panic!("it does not wait") };
    assert_eq!((waiting.on, waiting.last, waiting.reported), (Wait::Slot, Some(Reason::ClusterNotWaiting), None));
    assert_eq!(world.tasks.ahead(|ahead| *ahead == work("plan")), Some(work("plan")));
    world.tasks.wait_reported("uid");
    let Ensured::Waiting(waiting) = world.ensure("plan", |_| pending()) else { panic!("it does not wait") };
    assert_eq!(waiting.reported, Some(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn tasks_of_objects_that_no_list_shows_end() {
    let world = World::new();
    world.ensure("plan", |_| pending());
    settle().await;
    world.tasks.keep_only(&["uid".to_owned()].into());
    settle().await;
    assert_eq!(world.counts(), (1, 0));
    world.tasks.keep_only(&HashSet::new());
    settle().await;
    assert_eq!(world.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_older_view_ends_no_task_of_a_newer_one() {
    let world = World::new();
    let run = |_| pending();
    world.tasks.ensure("uid", (&work("fresh"), (7, true)), run, |_, _| ());
    settle().await;
    let others = [(6, false), (6, true), (7, false)];
    for view in others {
        assert!(matches!(world.tasks.ensure("uid", (&work("cached"), view), run, |_, _| ()), Ensured::Waiting(_)));
        world.tasks.forget_older("uid", view);
        assert_eq!(world.tracker.len(), 1);
        assert_eq!(world.tasks.ahead(|_| true), None, "it still waits for its cluster");
    }
    world.tasks.forget_older("uid", (8, false));
    settle().await;
    assert!(world.tracker.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_older_view_gets_the_failure_of_a_newer_one_and_starts_nothing() {
    let world = World::new();
    let error = Error { object: ("team".to_owned(), "a".to_owned()), source: StoreError::Conflict };
    world.tasks.ensure("uid", (&work("fresh"), (7, true)), |_| async { Ended::Failed(error) }, |_, _| ());
    settle().await;
    let run = |_| pending();
    assert!(matches!(world.tasks.ensure("uid", (&work("cached"), (7, false)), run, |_, _| ()), Ensured::Failed(_)));
    world.tasks.rest("uid", 30 * SECOND);
    assert!(matches!(
        world.tasks.ensure("uid", (&work("cached"), (7, false)), run, |_, _| ()),
        Ensured::Rests(Rest::Failed, _)
    ));
    tokio::time::sleep(30 * SECOND).await;
    assert!(matches!(
        world.tasks.ensure("uid", (&work("cached"), (7, false)), run, |_, _| ()),
        Ensured::Rests(Rest::Differs, _)
    ));
    assert!(matches!(world.tasks.ensure("uid", (&work("fresh"), (8, true)), run, |_, _| ()), Ensured::Waiting(_)));
    world.tasks.forget_older("uid", (8, false));
    settle().await;
    assert_eq!(world.tracker.len(), 1);
}
