use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use http::Response;
use http_body_util::Limited;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::testing::sample::fresh;

/// Queries of requests, in their order.
type Queries = Arc<Mutex<Vec<String>>>;

/// What a watch delivers from an API server with these answers, until they are used up, and the requests for them.
async fn delivered<const ANSWERS: usize>(answers: [(u16, String); ANSWERS]) -> (Vec<String>, Vec<String>) {
    let (answers, queries) = (Arc::new(Mutex::new(VecDeque::from(answers))), Queries::default());
    let asked = Arc::clone(&queries);
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answers.lock().pop_front();
        if answer.is_some() {
            asked.lock().push(request.uri().query().unwrap_or_default().to_owned());
        }
        async move {
            let Some((code, body)) = answer else { return std::future::pending().await };
            let body = Limited::new(Body::from(body.into_bytes()), 10_000);
            Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    let client = Client::new(service, "team");
    let (config, streams) = (watcher::Config::default(), Arc::new(AtomicBool::new(true)));
    let mut events = objects(&client, None, (&config, Duration::from_secs(3600)), (1, streams)).boxed();
    let mut delivered = Vec::new();
    // Time passes at once while nothing happens.
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(30), events.next()).await {
        delivered.push(match event {
            WatchEvent::Event(event) => event.to_string(),
            WatchEvent::Open => "Open".to_owned(),
            WatchEvent::Failed(error, _) => error.to_string().chars().take_while(|&next| next != ':').collect(),
        });
    }
    let queries = queries.lock().iter().map(|query| query.replace("timeoutSeconds=290&", "")).collect();
    (delivered, queries)
}

/// An event, whose type comes first as from an API server.
fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn added(name: &str) -> String {
    event("ADDED", &object(name))
}

fn object(name: &str) -> Value {
    let mut object = fresh(1);
    object.metadata.name = Some(name.to_owned());
    object.metadata.resource_version = Some("5".to_owned());
    serde_json::to_value(object).unwrap()
}

fn end_of_list() -> String {
    let metadata = json!({"resourceVersion": "7", "annotations": {"k8s.io/initial-events-end": "true"}});
    event("BOOKMARK", &json!({"kind": "x", "apiVersion": "x", "metadata": metadata}))
}

fn page(objects: &[&str], further: &str) -> String {
    let items: Vec<_> = objects.iter().map(|name| object(name)).collect();
    json!({"kind": "x", "apiVersion": "x", "metadata": {"resourceVersion": "7", "continue": further}, "items": items})
        .to_string()
}

fn status(code: u16) -> String {
    json!({"kind": "Status", "status": "Failure", "message": "x", "reason": "x", "code": code}).to_string()
}

const STREAM: &str =
    "&watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=";
const WATCH: &str = "&watch=true&allowWatchBookmarks=true&resourceVersion=7";
const PAGES: &str = "&limit=200";

#[tokio::test(start_paused = true)]
async fn a_streamed_list_is_current_and_becomes_the_open_watch() {
    let stream = added("one") + &end_of_list() + &added("two");
    let (events, queries) = delivered([(200, stream)]).await;
    assert_eq!(events, ["Init", "InitApply(one)", "InitDone", "Apply(two)", "Open"]);
    assert_eq!(queries, [STREAM]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_no_failure_and_is_not_tried_again() {
    let answers =
        [(422, status(422)), (200, page(&["one"], "")), (410, status(410)), (200, page(&[], "")), (200, String::new())];
    let (events, queries) = delivered(answers).await;
    let gone = "failed to start watching object";
    assert_eq!(events, ["Init", "InitApply(one)", "InitDone", gone, "Init", "InitDone", "Open"]);
    assert_eq!(queries, [STREAM, PAGES, WATCH, PAGES, WATCH]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_no_list_and_the_next_list_comes_by_pages() {
    let whole = || [(200, page(&["one"], "")), (200, String::new())];
    let [list, watch] = whole();
    // kube-runtime has begun the second stream before it reports that the first one is at its end.
    let (events, queries) = delivered([(200, added("one")), (200, end_of_list()), list, watch]).await;
    assert_eq!(events, ["Init", "InitApply(one)", "Init", "InitApply(one)", "InitDone", "Open"]);
    assert_eq!(queries, [STREAM, STREAM, PAGES, WATCH]);
    for event in [json!({"type": "ERROR", "object": {"code": 500, "message": "x", "reason": "x"}}), json!({"type": 1})]
    {
        let [list, watch] = whole();
        let stream = format!("{}{event}\n{}", added("one"), end_of_list());
        let (events, queries) = delivered([(200, stream), list, watch]).await;
        assert_eq!(events.iter().filter(|event| *event == "InitDone").count(), 1, "{events:?}");
        assert_eq!(queries, [STREAM, PAGES, WATCH], "{event}");
        let has_failed = events.iter().any(|event| event.contains("fail"));
        assert_eq!(
            has_failed,
            event.get("type") == Some(&json!(1)),
            "an API server that refuses by an event is no failure: {events:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_to_start_is_retried_and_after_429_or_5xx_by_pages() {
    let failed = "failed to start watching object";
    let (events, queries) = delivered([(403, status(403)), (200, end_of_list())]).await;
    assert_eq!(events, [failed, "Init", "InitDone", "Open"]);
    assert_eq!(queries, [STREAM, STREAM]);
    for code in [429, 504] {
        let answers = [(code, status(code)), (200, page(&[], "")), (410, status(410)), (200, end_of_list())];
        let (events, queries) = delivered(answers).await;
        assert_eq!(events, [failed, "Init", "InitDone", failed, "Init", "InitDone", "Open"]);
        assert_eq!(queries, [STREAM, PAGES, WATCH, STREAM]);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_have_fewer_objects_after_one_that_is_too_long() {
    let long = || (200, page(&["one"; 100], ""));
    let answers = [(422, status(422)), long(), long(), (200, page(&["one"], "more")), (200, page(&["two"], ""))];
    let (events, queries) = delivered(answers).await;
    assert_eq!(events, ["Init", "Init", "Init", "InitApply(one)", "InitApply(two)", "InitDone"]);
    assert_eq!(queries, [STREAM, PAGES, "&limit=50", "&limit=10", "&limit=10&continue=more"]);
}

/// The pauses, in milliseconds, while each try fails at once.
fn pauses(watches: usize, is_gone: bool, tries: usize) -> Vec<u128> {
    let (mut pauses, mut now) = (Pauses::new(watches), Instant::now());
    let next = |_| {
        let pause = pauses.after_failure(is_gone, now);
        now += pause;
        pause.as_millis()
    };
    (0..tries).map(next).collect()
}

#[test]
fn pauses_grow_to_their_maximum_while_each_try_fails() {
    assert_eq!(pauses(1, false, 8), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
}

#[test]
fn pauses_grow_with_the_number_of_watches_up_to_five_minutes() {
    assert_eq!(pauses(20, false, 9).last(), Some(&60_000));
    assert_eq!(pauses(1000, false, 20).last(), Some(&300_000));
}

#[test]
fn pauses_start_again_after_a_steady_time() {
    let (mut pauses, start) = (Pauses::new(1), Instant::now());
    for _ in 0..10 {
        pauses.after_failure(false, start);
    }
    assert_eq!(pauses.after_failure(false, start + MAX + STEADY), FIRST);
}

#[test]
fn a_first_410_has_no_pause_and_later_ones_do() {
    assert_eq!(pauses(1, true, 4), [0, 500, 1000, 2000]);
}

#[test]
fn an_error_is_logged_once_and_again_when_it_changes() {
    let (mut errors, now) = (WatchErrors::default(), Instant::now());
    let logged = ["403", "403", "404", "404", "403"].map(|error| errors.failed(0, error.to_owned(), now));
    assert_eq!(logged, [true, false, true, false, true]);
}

#[test]
fn an_error_that_changes_with_each_try_is_logged_once_in_two_minutes() {
    let (mut errors, start) = (WatchErrors::default(), Instant::now());
    let logged = (0..600).filter(|second| errors.failed(0, second.to_string(), start + Duration::from_secs(*second)));
    assert_eq!(logged.count(), 7);
}

#[test]
fn twenty_watches_that_fail_at_once_are_logged_in_four_lines() {
    let (mut errors, start) = (WatchErrors::default(), Instant::now());
    let mut logged = 0;
    for second in 0..600 {
        for watch in 0..20 {
            logged += u32::from(errors.failed(watch, format!("403 in {watch}"), start + Duration::from_secs(second)));
        }
    }
    assert_eq!((logged, errors.failing().count()), (4, 20));
}

#[test]
fn the_recovery_of_all_watches_is_logged_once_after_a_failure() {
    let (mut errors, now) = (WatchErrors::default(), Instant::now());
    assert!(!errors.recovered(0));
    for watch in [0, 1] {
        assert!(errors.failed(watch, "403".to_owned(), now));
    }
    assert_eq!([0, 1, 1].map(|watch| errors.recovered(watch)), [false, true, false]);
}
