//! The way of one call, in a task of its own: it waits for its turn, prepares, decides again on the object in the API
//! server, and makes the attempt.

use std::{sync::Arc, time::Instant};

use k8s_openapi::jiff::Timestamp;

use super::{
    Error, Reconciler, SOON, Work,
    report::crd_outdated,
    tasks::{Ended, Handle},
    waiting::Wait,
};
use crate::{
    admission::{Admitted, Place, Slot},
    api::{ClusterRedistribution, Reason},
    credentials::{Credential, Purpose},
    precheck::Checked,
    protocol::{
        decide::{Plan, Step},
        hold::Hold,
    },
    runtime::throttle::jittered,
    store::StoreError,
};

const UNREADABLE: [Reason; 4] =
    [Reason::CredentialsNotFound, Reason::CredentialsInvalid, Reason::CredentialsForbidden, Reason::CredentialsExpired];

/// What a call needs, prepared before the last read of the object.
pub struct Prepared {
    pub credential: Credential,
    /// The turn, place and lock of the request, freed once its outcome is known.
    pub admitted: Admitted,
    pub checked: Checked,
    pub slot: Slot,
}

impl Reconciler {
    /// What runs after the longest waits is boxed: many tasks wait, and few are further.
    pub(super) async fn call(self: Arc<Self>, plan: Arc<Plan>, handle: Handle) -> Ended {
        let turn = self.admission.cluster(&plan.object.namespace, plan.as_ref().into()).await;
        handle.waits_for(Wait::Place);
        let place = turn.place().await;
        handle.waits_for(Wait::Preparation);
        let way = async {
            let prepared = self.prepare(&plan, place, &handle).await?;
            Box::pin(self.decide_and_attempt(&plan, prepared, &handle)).await
        };
        Box::pin(way).await.unwrap_or_else(|ended| ended)
    }

    /// Endpoint, credential, precheck and slot, in this order.
    async fn prepare(&self, plan: &Plan, place: Place, handle: &Handle) -> Result<Prepared, Ended> {
        if self.cloud.reach(&plan.endpoint, plan.probe_first).await? {
            self.release(&[Reason::EndpointUnreachable]);
        }
        let purpose = self.purpose(plan);
        let credential = self.credentials.resolve(&purpose).await?;
        if credential.is_recovered {
            self.release(&UNREADABLE);
        }
        self.admission.restore_and_check(&credential, &plan.endpoint.host)?;
        handle.waits_for(Wait::Credential);
        let admitted = place.with(credential.id.clone()).await;
        handle.waits_for(Wait::Slot);
        let checked = self.precheck.run(plan, &credential, &admitted).await?.ok_or(Ended::Done)?;
        let slot = admitted.slot().await?;
        // The waits may have been long. Other values start again: admission knows them by other digests.
        let credential = self.credentials.refresh(&purpose, credential).await?.ok_or(Ended::Done)?;
        Ok(Prepared { credential, admitted, checked, slot })
    }

    /// Decides on the object in the API server: a watch that was opened under an older CRD may lack the journal.
    async fn decide_and_attempt(&self, plan: &Plan, prepared: Prepared, handle: &Handle) -> Result<Ended, Ended> {
        let failed = |source| Ended::Failed(Error { object: plan.object.object_name(), source });
        let object = self.reporter.store.get(&plan.object).await.map_err(failed)?;
        if !is_call(&self.decider.decide(&object), plan) {
            return Ok(Ended::Differs);
        }
        let object = self.keeping_its_journal(object, plan, &prepared).await.map_err(failed)?;
        let object = object.ok_or_else(crd_outdated)?;
        let Prepared { admitted, checked, slot, .. } = &prepared;
        admitted.check()?;
        // Another request may have failed to connect during the waits.
        if self.cloud.health().is_unreachable(&plan.endpoint.host) {
            return Err(self.cloud.unreachable(&plan.endpoint, jittered(SOON)).into());
        }
        let is_old = self.precheck.is_old(checked, admitted.cluster(), slot.waited(), Instant::now());
        if is_old || !self.role.may_claim(&plan.object.namespace) || !handle.begin_claim() {
            return Ok(Ended::Done);
        }
        Ok(Box::pin(self.execute(object, plan, prepared)).await)
    }

    /// If the CRD was too old before, for this process or this object, a dry run of the claim comes first. The object is read
    /// after it, since the earlier view may still be a pruned one. `None`: the CRD is still too old.
    async fn keeping_its_journal(
        &self,
        object: ClusterRedistribution,
        plan: &Plan,
        Prepared { credential, checked, .. }: &Prepared,
    ) -> Result<Option<ClusterRedistribution>, StoreError> {
        let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let is_reported = conditions.iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str());
        if !is_reported && !self.decider.attempts().crd_was_outdated() {
            return Ok(Some(object));
        }
        let (store, now) = (&self.reporter.store, Timestamp::now());
        let attempt = self.new_attempt(&object, plan, credential, checked.baseline.clone(), now)?;
        if !store.keeps_journal(&object, &attempt, now).await? {
            return Ok(None);
        }
        self.release(&[Reason::CRDOutdated]);
        let latest = store.get(&plan.object).await?;
        if is_call(&self.decider.decide(&latest), plan) { Ok(Some(latest)) } else { Err(StoreError::Conflict) }
    }

    pub(super) fn purpose<'a>(&'a self, plan: &'a Plan) -> Purpose<'a> {
        let secret = plan.switches.credentials_secret.as_deref();
        Purpose {
            source: self.credentials.choose(secret, &plan.object.namespace),
            endpoint: &plan.endpoint,
            iam: self.decider.rules.regions.iam(&plan.endpoint.region),
            project: &plan.spec.project_id,
        }
    }

    fn release(&self, reasons: &[Reason]) {
        for work in self.tasks.release(reasons) {
            if let Work::Call(plan) = work {
                self.requeue(&plan.object);
            }
        }
    }
}

impl From<Hold> for Ended {
    fn from(hold: Hold) -> Self {
        Self::Hold(hold)
    }
}

fn is_call(step: &Step, plan: &Plan) -> bool {
    matches!(step, Step::Call(fresh) if fresh == plan)
}
