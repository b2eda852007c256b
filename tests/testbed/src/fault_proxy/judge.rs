//! Is it true? Compares every status that an operator writes with the requests recorded by then, and looks for secrets.
//! It must not change the traffic.

use serde_json::Value;

use super::record::{Call, Property, Record};

impl Record {
    /// One more successful write, which all readers now see: is it true? (A status that the API server refuses may be
    /// outdated; that is why it is refused.) A claim that was accepted after a call for its generation had arrived is
    /// the beginning of a second call.
    pub(crate) fn applied(&self, path: &str, body: &[u8]) {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let (attempt, name) = (&object["status"]["attempt"], object_name(path));
        let generation = attempt["generation"].as_i64().unwrap_or_default();
        if let Some(state) = attempt["state"].as_str() {
            self.judge(&name, attempt, state, generation);
        }
        self.judge_conditions(&name, &object["status"]);
        let called = self.calls_of(&name, generation).is_some_and(|calls| !calls.is_empty());
        let mut state = self.state();
        *state.applied_writes.entry(name.clone()).or_default() += 1;
        let is_new =
            attempt["state"] == "Claimed" && state.claims.insert(attempt["id"].as_str().unwrap_or_default().to_owned());
        drop(state);
        if is_new && called {
            self.violated(
                Property::FalseStatement,
                format!("{name}, generation {generation}: claimed again after a call"),
            );
        }
    }

    /// Looks for canaries in data that an operator sends to `place`.
    pub(crate) fn check_for_leaks(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let found = self.state().canaries.iter().any(|canary| text.contains(canary));
        if found {
            self.violated(Property::Leak, format!("a secret goes to {place}"));
        }
    }

    /// An operator is about to write this status. Returns it in a few words.
    pub(super) fn status(&self, path: &str, body: &[u8]) -> String {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let (status, name) = (&object["status"], object_name(path));
        let attempt = &status["attempt"];
        let reason = ready_reason(status);
        let (state, generation) = (attempt["state"].as_str(), attempt["generation"].as_i64());
        if let (Some(id), Some(state)) = (attempt["id"].as_str(), state) {
            self.comes(&name, id, state);
        }
        if state == Some("NotSent") {
            self.not_sent.send_modify(|count| *count += 1);
        }
        format!(
            "{name}: {} (observed {}, attempt {} {})",
            reason.unwrap_or("-"),
            status["observedGeneration"],
            state.unwrap_or("none"),
            generation.unwrap_or_default()
        )
    }

    fn judge(&self, name: &str, attempt: &Value, state: &str, generation: i64) {
        let Some(calls) = self.calls_of(name, generation) else { return };
        let say =
            |what: String| self.violated(Property::FalseStatement, format!("{name}, generation {generation}: {what}"));
        match state {
            "NotSent" if !calls.is_empty() => say("says NotSent after a call arrived".to_owned()),
            "Answered" => {
                let code = attempt["statusCode"].as_u64();
                if !calls.iter().any(|call| call.said.map(u64::from) == code && code.is_some()) {
                    say(format!("says Answered with {code:?}, but {calls:?}"));
                }
            }
            _ => {}
        }
    }

    /// `Delivered` may be True only after a 2xx or, if observation confirmed it, after it was carried out; and False
    /// after a call only if that call was refused, which a redirect is not.
    fn judge_conditions(&self, name: &str, status: &Value) {
        for condition in status["conditions"].as_array().into_iter().flatten() {
            if condition["type"] != "Delivered" {
                continue;
            }
            let generation = condition["observedGeneration"].as_i64().unwrap_or_default();
            let Some(calls) = self.calls_of(name, generation) else { return };
            let said: Vec<_> = calls.into_iter().map(|call| call.said).collect();
            let is_true = match condition["status"].as_str() {
                Some("True") if condition["reason"] == "ConfirmedByObservation" => self.was_executed(name, generation),
                Some("True") => said.iter().any(|said| said.is_some_and(|code| (200..300).contains(&code))),
                Some("False") => said.iter().all(|said| said.is_some_and(|code| (400..500).contains(&code))),
                _ => true,
            };
            if !is_true {
                let what = format!(
                    "{name}, generation {generation}: Delivered {} ({}), but the cloud said {said:?}",
                    condition["status"], condition["reason"]
                );
                self.violated(Property::FalseStatement, what);
            }
        }
    }

    /// The cloud has carried out a call for this object's generation.
    fn was_executed(&self, name: &str, generation: i64) -> bool {
        let cluster = self.state().clusters.get(name).cloned();
        cluster.is_some_and(|cluster| self.oracle.get().is_some_and(|knows| knows.0(&cluster, generation)))
    }

    /// Calls for this object's generation; none for an object that the record does not know.
    fn calls_of(&self, name: &str, generation: i64) -> Option<Vec<Call>> {
        let state = self.state();
        let cluster = state.clusters.get(name)?;
        let of = |call: &&Call| call.cluster == *cluster && call.generation.is_none_or(|of| of == generation);
        Some(state.calls.iter().filter(of).cloned().collect())
    }
}

/// Reason of `Ready`.
pub fn ready_reason(status: &Value) -> Option<&str> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["reason"].as_str()
}

/// The object's name in the path of its status.
fn object_name(path: &str) -> String {
    path.trim_end_matches("/status").rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const PATH: &str = "/apis/g/v1/namespaces/n/things/request/status";

    fn written(record: &Record, attempt: &Value, delivered: &str) -> Vec<Property> {
        let conditions = json!([{"type": "Delivered", "status": delivered, "observedGeneration": 1}]);
        let object = json!({"status": {"attempt": attempt, "conditions": conditions}});
        record.applied(PATH, object.to_string().as_bytes());
        record.violations().into_iter().map(|violation| violation.property).collect()
    }

    fn called(said: Option<u16>) -> Record {
        let record = Record::default();
        record.expect("request", "CLUSTER");
        let call = record.arrive("cluster");
        record.read(call, Some(1));
        if let Some(code) = said {
            record.answer_begins(call, code);
        }
        record.over(call);
        record
    }

    fn attempt(state: &str) -> Value {
        json!({"id": "a", "generation": 1, "state": state, "statusCode": 200})
    }

    #[test]
    fn true_statements_are_accepted() {
        assert_eq!(written(&called(Some(200)), &attempt("Answered"), "True"), []);
        assert_eq!(written(&called(None), &attempt("Unknown"), "Unknown"), []);
        let refused = json!({"id": "a", "generation": 1, "state": "Answered", "statusCode": 403});
        assert_eq!(written(&called(Some(403)), &refused, "False"), []);
    }

    #[test]
    fn false_statements_are_found() {
        assert_eq!(written(&called(None), &attempt("NotSent"), "Unknown"), [Property::FalseStatement]);
        assert_eq!(written(&called(Some(500)), &attempt("Answered"), "Unknown"), [Property::FalseStatement]);
        assert_eq!(written(&called(None), &attempt("Unknown"), "True"), [Property::FalseStatement]);
        assert_eq!(written(&called(Some(200)), &attempt("Unknown"), "False"), [Property::FalseStatement]);
        assert_eq!(written(&called(None), &attempt("Claimed"), "Unknown"), [Property::FalseStatement]);
        let redirected = json!({"id": "a", "generation": 1, "state": "Answered", "statusCode": 307});
        assert_eq!(written(&called(Some(307)), &redirected, "False"), [Property::FalseStatement]);
        assert_eq!(written(&called(Some(307)), &redirected, "Unknown"), []);
    }

    #[test]
    fn a_second_call_and_one_that_overlaps_are_counted() {
        let record = called(Some(200));
        let second = record.arrive("cluster");
        record.read(second, Some(1));
        let third = record.arrive("cluster");
        record.read(third, Some(2));
        let properties: Vec<_> = record.violations().into_iter().map(|violation| violation.property).collect();
        assert_eq!(properties, [Property::Duplicate, Property::Overlap]);
    }

    #[test]
    fn a_claims_time_counts_from_its_arrival_whatever_its_write_met() {
        let record = Record::default();
        let comes = |id: &str, state: &str| {
            record.status(PATH, json!({"status": {"attempt": {"id": id, "state": state}}}).to_string().as_bytes());
        };
        comes("a", "Unknown");
        assert_eq!(record.after_its_claim("a", "Unknown"), None, "nobody saw it claimed");
        for (id, state) in [("b", "Claimed"), ("b", "Unknown"), ("c", "Claimed"), ("c", "NotSent"), ("c", "NotSent")] {
            comes(id, state);
        }
        assert!(record.after_its_claim("b", "Unknown").is_some() && record.after_its_claim("b", "NotSent").is_none());
        assert_eq!(record.unused_after("request", Duration::ZERO), 1);
        assert_eq!(record.unused_after("request", Duration::from_secs(3600)), 0);
        assert_eq!(record.unused_after("another", Duration::ZERO), 0);
    }

    #[test]
    fn a_canary_is_found_wherever_it_is() {
        let record = Record::default();
        record.canary("secret-1");
        record.check_for_leaks("somewhere", b"nothing");
        assert_eq!(record.violations(), []);
        record.check_for_leaks("somewhere", b"a secret-1 in the middle");
        assert_eq!(record.violations()[0].property, Property::Leak);
    }
}
