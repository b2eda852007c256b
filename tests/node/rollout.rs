//! The chart is upgraded and rolled back while slow calls are in flight and new objects arrive.

use libtest_mimic::Trial;
use testbed::simulator::{Act, Answer, Script, Wait};

use crate::{images, story::Story};

pub fn stories() -> Vec<Trial> {
    vec![crate::story("a rolling upgrade and a roll-back lose no call and make none twice", rollout)]
}

async fn rollout() {
    let story = Story::new().await;
    let next = format!("{}:next", images::REPOSITORY);
    story.cluster.node.tag(&format!("{}:{}", images::REPOSITORY, images::TAG), &next).unwrap();
    story.install(&[]);
    let ask = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let warehouse = Story::warehouse(number);
            let slow =
                Script { executed: true, wait: Wait::Millis(10_000), ..Script::new(Act::Answer(Answer::empty(200))) };
            story.cloud.script(&warehouse, [slow]);
            story.apply(&story.request(&format!("request-{number}"), &warehouse));
        }
    };
    ask(0..10);
    story.cloud.arrived(&Story::warehouse(0), 1).await;
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| story.release("upgrade", &["image.tag=next"]));
        ask(10..20);
        let upgrade = upgrade.join().unwrap();
        assert!(upgrade.status.success(), "{}", String::from_utf8_lossy(&upgrade.stderr));
        let rollback = scope.spawn(|| story.helm(&["rollback", &story.namespace, "--wait", "--timeout", "2m"]));
        ask(20..30);
        rollback.join().unwrap();
    });

    let objects = story.wait_for_reason("Delivered").await;
    assert_eq!(objects.len(), 30);
    for object in objects {
        let attempt = object.status.unwrap().attempt.unwrap();
        assert_eq!((attempt.state.as_str(), attempt.status_code), ("Answered", Some(200)));
    }
    let calls: Vec<_> = (0..30).map(|number| story.cloud.calls(&Story::warehouse(number))).collect();
    assert_eq!(calls, [1; 30]);
}
