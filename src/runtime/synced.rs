//! Which of the watched scopes (namespaces, or all of them as one) have completed their first list. Before that, the
//! history in the status of a scope's objects is not known. Decides nothing.

use std::sync::Arc;

use parking_lot::Mutex;

/// The scopes and whether their first lists are complete. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Synced {
    scopes: Arc<Mutex<Vec<Scope>>>,
}

#[derive(Debug)]
struct Scope {
    /// `None`: all namespaces.
    namespace: Option<String>,
    is_complete: bool,
    /// The API server does not allow its list, so that its objects stay unknown.
    is_refused: bool,
}

impl Synced {
    /// One scope for the watch of each of these namespaces, in their order; without any, one scope for all namespaces.
    pub fn new(namespaces: &[String]) -> Self {
        let scope = |namespace| Scope { namespace, is_complete: false, is_refused: false };
        let scopes = if namespaces.is_empty() {
            vec![scope(None)]
        } else {
            namespaces.iter().cloned().map(|namespace| scope(Some(namespace))).collect()
        };
        Self { scopes: Arc::new(Mutex::new(scopes)) }
    }

    /// Whether the first list of this namespace's watch is complete; never for a namespace that is not watched.
    pub fn is_complete(&self, namespace: &str) -> bool {
        let scopes = self.scopes.lock();
        let mut watched = scopes.iter().filter(|scope| scope.contains(namespace)).peekable();
        watched.peek().is_some() && watched.all(|scope| scope.is_complete)
    }

    /// Whether everything that can be known of other objects is known for an object of this namespace: its own list is
    /// complete, and each other list is complete or not allowed.
    pub fn is_all_known_for(&self, namespace: &str) -> bool {
        self.is_complete(namespace) && self.scopes.lock().iter().all(|scope| scope.is_complete || scope.is_refused)
    }

    /// The watch of this scope failed: because the API server does not allow its list (`is_refused`), or for another
    /// reason.
    pub fn failed(&self, scope: usize, is_refused: bool) {
        if let Some(scope) = self.scopes.lock().get_mut(scope) {
            scope.is_refused = is_refused;
        }
    }

    /// Whether all first lists are complete.
    pub fn are_all_complete(&self) -> bool {
        self.scopes.lock().iter().all(|scope| scope.is_complete)
    }

    /// A list of this scope is complete. Returns whether it was the first.
    pub fn complete(&self, scope: usize) -> bool {
        let mut scopes = self.scopes.lock();
        let is_first = scopes.get_mut(scope).is_some_and(|scope| !std::mem::replace(&mut scope.is_complete, true));
        if is_first && scopes.iter().all(|scope| scope.is_complete) {
            tracing::info!("watching");
        }
        is_first
    }
}

impl Scope {
    fn contains(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_list_completes_its_namespace_and_all_lists_complete_all() {
        let synced = Synced::new(&["one".to_owned(), "two".to_owned()]);
        assert!(!synced.is_complete("one") && !synced.are_all_complete());
        assert!(synced.complete(0));
        assert!(synced.is_complete("one") && !synced.is_complete("two") && !synced.is_complete("three"));
        assert!(!synced.are_all_complete());
        assert!(!synced.complete(0), "a later list is not the first");
        assert!(synced.complete(1));
        assert!(synced.are_all_complete());
        assert!(!synced.is_complete("three"), "it is not watched");
    }

    #[test]
    fn a_forbidden_namespace_does_not_block_the_others() {
        let synced = Synced::new(&["one".to_owned(), "two".to_owned()]);
        synced.complete(0);
        assert!(!synced.is_all_known_for("one"), "the other list is incomplete");
        synced.failed(1, false);
        assert!(!synced.is_all_known_for("one"), "the list may still succeed");
        synced.failed(1, true);
        assert!(synced.is_all_known_for("one") && !synced.is_all_known_for("two"));
        assert!(!synced.is_complete("two") && !synced.are_all_complete());
    }

    #[test]
    fn one_list_of_all_namespaces_completes_each() {
        let synced = Synced::new(&[]);
        assert!(!synced.is_complete("one"));
        assert!(synced.complete(0) && synced.is_complete("one"));
        assert!(!synced.complete(1), "there is no such watch");
    }
}
