use crate::mock::{entrant, sample_is_called_up};

#[tokio::test]
async fn who_comes_with_another_key_leaves_the_line_of_the_first_and_the_next_is_called_up() {
    let (gate, mut called) = sample_is_called_up().await;
    let _pass = gate.enter(entrant("sample", "first", 2)).await.unwrap();
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_meets_another_call_for_its_cluster_leaves_its_line_and_the_next_is_called_up() {
    let (gate, mut called) = sample_is_called_up().await;
    let _pass = gate.enter(entrant("other", "first", 2)).await.unwrap();
    let refusal = gate.enter(entrant("sample", "first", 1)).await.unwrap_err();
    assert!(matches!(refusal, super::Refusal::AnotherCall { .. }), "{refusal:?}");
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_comes_as_it_was_called_up_is_let_in_and_nobody_else_is_called_up() {
    let (gate, mut called) = sample_is_called_up().await;
    let pass = gate.enter(entrant("sample", "first", 1)).await.unwrap();
    assert!(called.try_recv().is_err());
    drop(pass);
    assert_eq!(called.try_recv().unwrap().1, "next");
}
