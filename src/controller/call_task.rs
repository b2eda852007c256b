//! The way of one call, in a task of its own: it waits for its turn, prepares, decides again on the object in the API
//! server, and makes the attempt. Contains no rule of its own about when a call may be made.

use std::{sync::Arc, time::Instant};

use k8s_openapi::jiff::Timestamp;

use super::{
    Error, SOON, Work,
    attempt::{AttemptEnd, AttemptInput, AttemptRunner},
    decider::Decider,
    messages::crd_outdated,
    report::Reporter,
    requeue::Requeue,
    role::Role,
    tasks::{Ended, Handle, Tasks, Wait},
};
use crate::{
    admission::{Admission, Admitted, Place, Slot},
    api::{ClusterRedistribution, Reason},
    cloud::Client,
    credentials::{Credential, Credentials, Purpose},
    precheck::{Checked, Precheck},
    protocol::{
        decide::{Plan, Step},
        hold::Hold,
    },
    runtime::jitter::jittered,
    store::StoreError,
};

/// The reasons that end once a source of credentials can be read again.
const UNREADABLE: [Reason; 4] =
    [Reason::CredentialsNotFound, Reason::CredentialsInvalid, Reason::CredentialsForbidden, Reason::CredentialsExpired];

/// What the task of a call needs.
pub struct CallTask {
    /// Decides again.
    pub decider: Decider,
    /// Whether a claim may be made.
    pub role: Role,
    /// Reads and reports.
    pub reporter: Reporter,
    /// Decides when it is the call's turn.
    pub admission: Arc<Admission>,
    /// Reads Secrets and logs in.
    pub credentials: Arc<Credentials>,
    /// Knows which endpoints can be reached.
    pub cloud: Arc<Client>,
    /// Reads the cluster before a call.
    pub precheck: Arc<Precheck>,
    /// Makes the attempt.
    pub runner: AttemptRunner,
    /// The tasks of all objects.
    pub tasks: Arc<Tasks<Work>>,
    /// Has an object reconciled.
    pub requeue: Requeue,
}

/// What was prepared before the last read of the object.
struct Prepared {
    credential: Credential,
    admitted: Admitted,
    checked: Checked,
    slot: Slot,
}

/// The way ends here: by a hold, or as the value says.
enum Stop {
    Hold(Hold),
    End(Ended),
}

impl From<Hold> for Stop {
    fn from(hold: Hold) -> Self {
        Self::Hold(hold)
    }
}

impl CallTask {
    /// Waits for the turn of this plan and makes its call. What runs after the longest waits is boxed: many tasks wait, and
    /// few are further.
    pub async fn run(self: Arc<Self>, plan: Arc<Plan>, handle: Handle<Work>) -> Ended {
        let turn = self.admission.cluster(&plan.object.namespace, plan.as_ref().into()).await;
        handle.waits_for(Wait::Place);
        let place = turn.place().await;
        handle.waits_for(Wait::Preparation);
        Box::pin(self.with_place(plan, place, handle)).await
    }

    async fn with_place(&self, plan: Arc<Plan>, place: Place, handle: Handle<Work>) -> Ended {
        let ended = async {
            let prepared = self.prepare(&plan, place, &handle).await?;
            Box::pin(self.decide_and_attempt(plan, prepared, &handle)).await
        };
        match ended.await {
            Ok(ended) | Err(Stop::End(ended)) => ended,
            Err(Stop::Hold(hold)) => Ended::Hold(hold),
        }
    }

    /// Endpoint, credential, precheck and slot, in this order. Writes nothing and sends nothing that changes anything.
    async fn prepare(&self, plan: &Plan, place: Place, handle: &Handle<Work>) -> Result<Prepared, Stop> {
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
        let Some(checked) = self.precheck.run(plan, &credential, &admitted).await? else {
            return Err(Stop::End(Ended::Done));
        };
        let slot = admitted.slot().await?;
        // The waits may have been long. Other values start again: admission knows them by other digests.
        let Some(credential) = self.credentials.refresh(&purpose, credential).await? else {
            return Err(Stop::End(Ended::Done));
        };
        Ok(Prepared { credential, admitted, checked, slot })
    }

    /// A watch that was opened under an older CRD may lack the journal. So the decision uses the object in the API server.
    /// Then the attempt is made.
    async fn decide_and_attempt(
        &self,
        plan: Arc<Plan>,
        prepared: Prepared,
        handle: &Handle<Work>,
    ) -> Result<Ended, Stop> {
        let Prepared { credential, admitted, checked, slot } = prepared;
        let object = match self.reporter.store.get(&plan.object).await {
            Ok(object) => object,
            Err(error) => return Ok(failed(&plan, error)),
        };
        if !is_call(&self.decider.decide(&object), &plan) {
            return Ok(Ended::Differs);
        }
        let object = match self.keeping_its_journal(object, &plan, &credential, &checked).await {
            Ok(Some(object)) => object,
            Ok(None) => return Err(Stop::Hold(crd_outdated())),
            Err(error) => return Ok(failed(&plan, error)),
        };
        admitted.check()?;
        // Another request may have failed to connect during the waits.
        if self.cloud.health().is_unreachable(&plan.endpoint.host) {
            return Err(Stop::Hold(self.cloud.unreachable(&plan.endpoint, jittered(SOON))));
        }
        let is_old = self.precheck.is_old(&checked, admitted.cluster(), slot.waited(), Instant::now());
        if is_old || !self.role.may_claim(&plan.object.namespace) || !handle.begin_claim() {
            return Ok(Ended::Done);
        }
        let (input, before) =
            (AttemptInput { plan: plan.clone(), credential, admitted, slot, checked }, object.clone());
        Ok(match Box::pin(self.runner.execute(object, input)).await {
            AttemptEnd::Done | AttemptEnd::NotSent => Ended::Done,
            AttemptEnd::NotClaimed(error) => failed(&plan, error),
            AttemptEnd::Pruned => {
                let held = crd_outdated();
                self.reporter.announce(&before, &held);
                Ended::Hold(held)
            }
        })
    }

    /// If the CRD was too old before, for this process or this object, a claim that it would prune must not be written: a
    /// dry run of the claim comes first. The object is read after it, since the earlier view may still be a pruned one.
    /// `None`: the CRD is still too old.
    async fn keeping_its_journal(
        &self,
        object: ClusterRedistribution,
        plan: &Plan,
        credential: &Credential,
        checked: &Checked,
    ) -> Result<Option<ClusterRedistribution>, StoreError> {
        let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let is_reported = conditions.iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str());
        if !is_reported && !self.decider.attempts().crd_was_outdated() {
            return Ok(Some(object));
        }
        let (store, now) = (&self.reporter.store, Timestamp::now());
        let attempt = self.runner.new_attempt(&object, plan, credential, checked.baseline.clone(), now)?;
        if !store.keeps_journal(&object, &attempt, now).await? {
            return Ok(None);
        }
        self.release(&[Reason::CRDOutdated]);
        let latest = store.get(&plan.object).await?;
        if is_call(&self.decider.decide(&latest), plan) { Ok(Some(latest)) } else { Err(StoreError::Conflict) }
    }

    /// What the credentials of this plan are wanted for.
    pub fn purpose<'a>(&'a self, plan: &'a Plan) -> Purpose<'a> {
        let secret = plan.switches.credentials_secret.as_deref();
        Purpose {
            source: self.credentials.choose(secret, &plan.object.namespace),
            endpoint: &plan.endpoint,
            iam: self.decider.rules.regions.iam(&plan.endpoint.region),
            project: &plan.spec.project_id,
        }
    }

    /// Lets objects that are held for these reasons try again, those of other sources and endpoints too. The others are held
    /// again at once.
    fn release(&self, reasons: &[Reason]) {
        for work in self.tasks.release(reasons) {
            if let Work::Call(plan) = work {
                self.requeue.soon(&plan.object);
            }
        }
    }
}

fn is_call(step: &Step, plan: &Plan) -> bool {
    matches!(step, Step::Call(fresh) if fresh == plan)
}

fn failed(plan: &Plan, error: StoreError) -> Ended {
    Ended::Failed(Error::Write { object: plan.object.object_name(), source: error })
}
