//! Which of the watched scopes (namespaces, or all at once) have completed their first list. Until one has, what its objects'
//! status tells of the past is not known. It decides nothing.

use std::sync::Arc;

use tokio::sync::watch;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Synced {
    scopes: Arc<watch::Sender<Vec<Scope>>>,
}

#[derive(Debug)]
struct Scope {
    /// None: all of them.
    namespace: Option<String>,
    is_complete: bool,
    /// The API server does not allow it, so that nothing will be known of it.
    is_refused: bool,
}

impl Synced {
    /// Of the watches of these namespaces, in their order; of none, one watch of all of them.
    pub fn new(namespaces: &[String]) -> Self {
        let scope = |namespace| Scope { namespace, is_complete: false, is_refused: false };
        let scopes = if namespaces.is_empty() {
            vec![scope(None)]
        } else {
            namespaces.iter().cloned().map(|namespace| scope(Some(namespace))).collect()
        };
        Self { scopes: Arc::new(watch::Sender::new(scopes)) }
    }

    /// Whether the first list of this namespace's watch is complete. Of a namespace that is not watched it never is.
    pub fn is_complete(&self, namespace: &str) -> bool {
        let scopes = self.scopes.borrow();
        let mut watched = scopes.iter().filter(|scope| scope.holds(namespace)).peekable();
        watched.peek().is_some() && watched.all(|scope| scope.is_complete)
    }

    /// Whether all that can be known of other objects is known for one of this namespace: its own list is complete, and the
    /// others are, or are not allowed.
    pub fn is_all_known_for(&self, namespace: &str) -> bool {
        self.is_complete(namespace) && self.scopes.borrow().iter().all(|scope| scope.is_complete || scope.is_refused)
    }

    /// A watch failed; the API server did not allow its list, or there was another reason.
    pub fn failed(&self, scope: usize, is_refused: bool) {
        self.scopes.send_if_modified(|scopes| {
            scopes
                .get_mut(scope)
                .is_some_and(|scope| std::mem::replace(&mut scope.is_refused, is_refused) != is_refused)
        });
    }

    /// Whether all first lists are complete.
    pub fn are_all_complete(&self) -> bool {
        self.scopes.borrow().iter().all(|scope| scope.is_complete)
    }

    /// Waits until they are.
    pub async fn all_complete(&self) {
        // The sender is held here, so this ends only with what is waited for.
        let _ = self.scopes.subscribe().wait_for(|scopes| scopes.iter().all(|scope| scope.is_complete)).await;
    }

    /// A list of this watch is complete. Returns whether it was the first.
    pub fn complete(&self, scope: usize) -> bool {
        let first = |scopes: &mut Vec<Scope>| {
            scopes.get_mut(scope).is_some_and(|scope| !std::mem::replace(&mut scope.is_complete, true))
        };
        self.scopes.send_if_modified(first)
    }
}

impl Scope {
    fn holds(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_first_list_counts_for_its_own_namespace_and_for_all_once_all_are_there() {
        let synced = Synced::new(&["one".to_owned(), "two".to_owned()]);
        assert!(!synced.is_complete("one") && synced.all_complete().now_or_never().is_none());
        assert!(synced.complete(0));
        assert!(synced.is_complete("one") && !synced.is_complete("two") && !synced.is_complete("three"));
        assert!(!synced.are_all_complete() && synced.all_complete().now_or_never().is_none());
        assert!(!synced.complete(0), "a later list is not the first");
        assert!(synced.complete(1));
        assert!(synced.are_all_complete() && synced.all_complete().now_or_never().is_some());
        assert!(!synced.is_complete("three"), "nobody watches it");
    }

    #[test]
    fn a_namespace_that_is_not_allowed_keeps_nothing_from_the_others() {
        let synced = Synced::new(&["one".to_owned(), "two".to_owned()]);
        synced.complete(0);
        assert!(!synced.is_all_known_for("one"), "the other list is still to come");
        synced.failed(1, false);
        assert!(!synced.is_all_known_for("one"), "it may come yet");
        synced.failed(1, true);
        assert!(synced.is_all_known_for("one") && !synced.is_all_known_for("two"));
        assert!(!synced.is_complete("two") && !synced.are_all_complete());
    }

    #[test]
    fn one_list_of_all_namespaces_counts_for_each() {
        let synced = Synced::new(&[]);
        assert!(!synced.is_complete("one"));
        assert!(synced.complete(0) && synced.is_complete("one"));
        assert!(!synced.complete(1), "there is no such watch");
    }
}
