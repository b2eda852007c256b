use super::*;

#[tokio::test]
async fn a_pair_read_across_a_rotation_is_not_used() {
    let pair = |access: &str, secret: &str| {
        Data::from([("accessKey".to_owned(), access.into()), ("secretKey".to_owned(), secret.into())])
    };
    let settle = async |mut reads: Vec<Data>| {
        reads.reverse();
        let one_more = || std::io::Error::other("one read more than needed");
        settled(|| std::future::ready(reads.pop().ok_or_else(one_more))).await.unwrap()
    };
    let (old, torn, new) = (pair("old", "old"), pair("old", "new"), pair("new", "new"));
    assert_eq!(settle(vec![old.clone(), old.clone()]).await, Some(old.clone()));
    assert_eq!(settle(vec![torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(settle(vec![old.clone(), torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(settle(vec![old.clone(), new.clone(), old, torn]).await, None);
}
