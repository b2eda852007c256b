use super::*;

#[tokio::test]
async fn a_key_read_during_a_rotation_is_not_used() {
    let key = |access: &str, secret: &str| {
        Data::from([("accessKey".to_owned(), access.into()), ("secretKey".to_owned(), secret.into())])
    };
    let read = async |mut reads: Vec<Data>| {
        reads.reverse();
        let one_more = || std::io::Error::other("one read more than needed");
        stable(|| std::future::ready(reads.pop().ok_or_else(one_more))).await.unwrap()
    };
    let (old, torn, new) = (key("old", "old"), key("old", "new"), key("new", "new"));
    assert_eq!(read(vec![old.clone(), old.clone()]).await, Some(old.clone()));
    assert_eq!(read(vec![torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(read(vec![old.clone(), torn.clone(), new.clone(), new.clone()]).await, Some(new.clone()));
    assert_eq!(read(vec![old.clone(), new.clone(), old, torn]).await, None);
}
