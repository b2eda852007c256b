//! What can be told to the cloud about its clusters, at any time.

use serde_json::Value;

use super::{
    super::{
        address::Read,
        cluster::{Lag, NoRun},
        detail::Detail,
        run::Run,
        script::{Act, Script},
        task::TaskState,
    },
    Cloud,
};

impl Cloud {
    /// Has this cluster, waiting for a redistribution.
    pub fn add_cluster(&self, project: &str, cluster: &str) {
        self.set_cluster(project, cluster, TaskState::WaitingRedistribution);
    }

    /// Has this cluster in that state.
    pub fn set_cluster(&self, project: &str, cluster: &str, state: impl Into<TaskState>) {
        self.with(cluster, |known, now| {
            project.clone_into(&mut known.project);
            known.deleted = false;
            known.set(state.into(), now);
        });
    }

    /// The cluster is no more: 404 `DWS.3027` from now on.
    pub fn delete_cluster(&self, cluster: &str) {
        self.with(cluster, |cluster, _| cluster.deleted = true);
    }

    /// The cluster does this from now on, and shows it at once, whatever its lag. A run begins, goes on, stands still,
    /// fails or succeeds as the state says.
    pub fn task(&self, cluster: &str, state: impl Into<TaskState>) {
        self.with(cluster, |cluster, now| cluster.set(state.into(), now));
    }

    /// It waits for a redistribution.
    pub fn waiting(&self, cluster: &str) {
        self.task(cluster, TaskState::WaitingRedistribution);
    }

    /// It redistributes: the run it has goes on, or one begins that nobody called for.
    pub fn redistributing(&self, cluster: &str) {
        self.task(cluster, TaskState::Redistributing);
    }

    /// Its run stands still. If no user said so, the service did after a failure, as in the published example.
    pub fn paused(&self, cluster: &str, by_user: bool) {
        self.task(cluster, TaskState::RedistributionPaused);
        self.run(cluster, |run| run.paused(by_user));
    }

    /// Its run failed.
    pub fn failed(&self, cluster: &str) {
        self.task(cluster, TaskState::RedistributeFailure);
    }

    /// It has no task; a run it had is done and has succeeded.
    pub fn idle(&self, cluster: &str) {
        self.task(cluster, TaskState::Idle);
    }

    /// Nodes are being added to it.
    pub fn growing(&self, cluster: &str) {
        self.task(cluster, TaskState::Growing);
    }

    /// Changes the run under way, or else the last one; false if it never had one. Its state stays as it is.
    pub fn run(&self, cluster: &str, change: impl FnOnce(&mut Run)) -> bool {
        self.with(cluster, |cluster, _| cluster.run.as_mut().or(cluster.last_run.as_mut()).map(change).is_some())
    }

    /// Changes what its next run begins as. Id and start are the run's own; mode and jobs those of the call.
    pub fn next_run(&self, cluster: &str, change: impl FnOnce(&mut Run)) {
        self.with(cluster, |cluster, _| change(&mut cluster.next_run));
    }

    /// Changes fields of its detail that do not follow from its task.
    pub fn detail(&self, cluster: &str, change: impl FnOnce(&mut Detail)) {
        self.with(cluster, |cluster, _| change(&mut cluster.detail));
    }

    /// It is found in every project from now on, for who tells calls apart by their project.
    pub fn any_project(&self, cluster: &str) {
        self.with(cluster, |cluster, _| cluster.any_project = true);
    }

    /// How long it goes on showing what it showed before, from the next execution on. Calls meet what it does.
    pub fn lag(&self, cluster: &str, lag: Lag) {
        self.with(cluster, |cluster, _| cluster.lag = lag);
    }

    /// How many tables each ordinary read moves; with the last of them the run succeeds. 0 for none.
    pub fn tables_per_read(&self, cluster: &str, tables: u64) {
        self.with(cluster, |cluster, _| cluster.tables_per_read = tables);
    }

    /// What a read of the details is answered when no redistribution is under way.
    pub fn no_run(&self, cluster: &str, no_run: NoRun) {
        self.with(cluster, |cluster, _| cluster.no_run = no_run);
    }

    /// Answers this kind of read with this body in place of the ordinary one; or no longer.
    pub fn replace(&self, cluster: &str, read: Read, body: Option<Value>) {
        self.with(cluster, |cluster, _| cluster.overlay(read).body = body);
    }

    /// Lays these fields over the ordinary body of this kind of read; or no longer.
    pub fn amend(&self, cluster: &str, read: Read, fields: Option<Value>) {
        self.with(cluster, |cluster, _| cluster.overlay(read).amendment = fields);
    }

    /// The cluster's next calls meet these, in this order.
    pub fn script(&self, cluster: &str, scripts: impl IntoIterator<Item = Script>) {
        self.with(cluster, |cluster, _| cluster.calls.extend(scripts));
    }

    /// The cluster's next reads of this kind meet these, in this order.
    pub fn script_reads(&self, cluster: &str, read: Read, scripts: impl IntoIterator<Item = Script>) {
        self.with(cluster, |cluster, _| cluster.overlay(read).scripts.extend(scripts));
    }

    /// The next connections meet these before anything is read: `Cut`, `Reset` or `Hang`.
    pub fn script_connections(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().connection_faults.extend(acts);
    }

    /// Lets one call go on that waits to be released, now or when it comes.
    pub fn release(&self, cluster: &str) {
        self.with(cluster, |cluster, _| cluster.calls.release());
    }

    /// The same for one read of this kind.
    pub fn release_read(&self, cluster: &str, read: Read) {
        self.with(cluster, |cluster, _| cluster.overlay(read).scripts.release());
    }
}
