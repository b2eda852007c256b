//! Changes to the cloud's IAM, and queries of it.

use std::time::Instant;

use super::{
    super::{iam::User, ledger::Entry, script::Script},
    Cloud,
};

impl Cloud {
    /// Adds this user. Names are unique over all domains.
    pub fn add_user(&self, domain: &str, user: &str, password: &str) {
        let (domain, password) = (domain.to_owned(), password.to_owned());
        let new = User { domain, password, failures: 0, locked_until: None };
        self.state().gateway.iam.users.insert(user.to_owned(), new);
    }

    /// Ends all tokens of a user: 401 `APIGW.0307` from now on.
    pub fn revoke_tokens(&self, user: &str) {
        self.state().gateway.iam.revoke(user);
    }

    /// True while a user is locked for wrong passwords.
    pub fn is_user_locked(&self, user: &str) -> bool {
        let state = self.state();
        let user = state.gateway.iam.users.get(user);
        user.is_some_and(|user| user.locked_until.is_some_and(|until| Instant::now() < until))
    }

    /// Scripts of the next logins, of any user, in this order.
    pub fn script_logins(&self, scripts: impl IntoIterator<Item = Script>) {
        self.state().logins.extend(scripts);
    }

    /// Complete logins that arrived for a user, accepted or not.
    pub fn logins(&self, user: &str) -> usize {
        self.state().ledger.logins.of(user).count()
    }

    /// Most logins of a user at once.
    pub fn max_logins_in_flight(&self, user: &str) -> usize {
        self.state().ledger.logins.max_in_flight_of(user)
    }

    /// Every login that arrived, including incomplete ones.
    pub fn login_entries(&self) -> Vec<Entry> {
        self.state().ledger.logins.entries().to_vec()
    }

    /// Waits until this number of logins has arrived for a user.
    pub async fn logins_arrived(&self, user: &str, logins: usize) {
        self.counted(&format!("logins of {user}"), logins, || self.logins(user)).await;
    }
}
