//! Changes to the clusters of the cloud, possible at any time.

use serde_json::Value;

use super::{
    super::{
        address::Read,
        cluster::NoRun,
        run::Run,
        script::{Act, Script},
        task::TaskState,
    },
    Cloud,
};

impl Cloud {
    /// Adds this cluster, waiting for a redistribution.
    pub fn add_cluster(&self, project: &str, cluster: &str) {
        self.set_cluster(project, cluster, TaskState::WaitingRedistribution);
    }

    pub fn set_cluster(&self, project: &str, cluster: &str, state: impl Into<TaskState>) {
        self.with(cluster, |known, now| {
            project.clone_into(&mut known.project);
            known.set(state.into(), now);
        });
    }

    /// Sets the cluster's task, and shows it at once, whatever its lag. A run begins, continues, pauses, fails or
    /// succeeds as the state says.
    pub fn task(&self, cluster: &str, state: impl Into<TaskState>) {
        self.with(cluster, |cluster, now| cluster.set(state.into(), now));
    }

    /// It waits for a redistribution.
    pub fn waiting(&self, cluster: &str) {
        self.task(cluster, TaskState::WaitingRedistribution);
    }

    /// It redistributes: its present run continues, or one begins without a call.
    pub fn redistributing(&self, cluster: &str) {
        self.task(cluster, TaskState::Redistributing);
    }

    /// Its run is paused, either by a user or, after a failure, by the service, as in the published example.
    pub fn paused(&self, cluster: &str, by_user: bool) {
        self.task(cluster, TaskState::RedistributionPaused);
        self.run(cluster, |run| run.paused(by_user));
    }

    pub fn failed(&self, cluster: &str) {
        self.task(cluster, TaskState::RedistributeFailure);
    }

    /// It has no task; a present run is done and has succeeded.
    pub fn idle(&self, cluster: &str) {
        self.task(cluster, TaskState::Idle);
    }

    pub fn growing(&self, cluster: &str) {
        self.task(cluster, TaskState::Growing);
    }

    /// Changes the present run, or else the last one; false if it never had one. Its state stays unchanged.
    pub fn run(&self, cluster: &str, change: impl FnOnce(&mut Run)) -> bool {
        self.with(cluster, |cluster, _| cluster.run.as_mut().or(cluster.last_run.as_mut()).map(change).is_some())
    }

    /// It is found in every project from now on, for users that distinguish calls by their project.
    pub fn any_project(&self, cluster: &str) {
        self.with(cluster, |cluster, _| cluster.any_project = true);
    }

    /// How long it shows its state from before the next execution. Calls meet its actual state.
    pub fn lag(&self, cluster: &str, lag: usize) {
        self.with(cluster, |cluster, _| cluster.lag = lag);
    }

    /// How many tables each ordinary read moves; with the last of them the run succeeds. 0 for none.
    pub fn tables_per_read(&self, cluster: &str, tables: u64) {
        self.with(cluster, |cluster, _| cluster.tables_per_read = tables);
    }

    /// The answer to a read of the details when no redistribution is under way.
    pub fn no_run(&self, cluster: &str, no_run: NoRun) {
        self.with(cluster, |cluster, _| cluster.no_run = no_run);
    }

    /// Merges these fields into the ordinary body of this kind of read; or no longer.
    pub fn amend(&self, cluster: &str, read: Read, fields: Option<Value>) {
        self.with(cluster, |cluster, _| cluster.overlay(read).amendment = fields);
    }

    /// Scripts of the cluster's next calls, in this order.
    pub fn script(&self, cluster: &str, scripts: impl IntoIterator<Item = Script>) {
        self.with(cluster, |cluster, _| cluster.calls.extend(scripts));
    }

    /// Scripts of the cluster's next reads of this kind, in this order.
    pub fn script_reads(&self, cluster: &str, read: Read, scripts: impl IntoIterator<Item = Script>) {
        self.with(cluster, |cluster, _| cluster.overlay(read).scripts.extend(scripts));
    }

    /// Scripts of the next connections before anything is read: `Cut`, `Reset` or `Hang`.
    pub fn script_connections(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().connection_faults.extend(acts);
    }

    /// Releases one held call, now or when it comes.
    pub fn release(&self, cluster: &str) {
        self.with(cluster, |cluster, _| cluster.calls.release());
    }
}
