//! A world whose operator reaches everything through a fault proxy. It asserts nothing about the operator.

use std::sync::Arc;

use testbed::{
    Operator, OperatorOptions,
    fault_proxy::{FaultProxy, Network, Record, order::Order},
};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::world::{World, binary, set_endpoint};

pub struct Proxied {
    network: Network,
    pub proxy: FaultProxy,
    pub record: Arc<Record>,
    _orders: UnboundedReceiver<Order>,
}

impl Proxied {
    /// A proxy with this plan, which must not need any action on the operator's process.
    pub async fn new(world: &World, plan: &str) -> Self {
        let (network, record) = (Network::new(world.plane, &world.cloud).unwrap(), Arc::new(Record::default()));
        let plan = plan.parse().unwrap();
        let (proxy, orders) = FaultProxy::start("1", &network, &plan, Arc::clone(&record)).await.unwrap();
        Self { network, proxy, record, _orders: orders }
    }

    pub fn ca_pem(&self) -> &str {
        self.network.ca_pem()
    }

    /// An operator behind it, ready.
    pub async fn operator(&self, world: &World, flags: &[&str]) -> Operator {
        let operator = self.start(world, |options| options.arguments.extend(flags.iter().map(Into::into))).await;
        operator.wait_ready().await.unwrap();
        operator
    }

    /// An operator behind it with any option changed, which may never be ready.
    pub async fn start(&self, world: &World, change: impl FnOnce(&mut OperatorOptions<'_>)) -> Operator {
        let mut options = OperatorOptions::new(binary(), world.plane, &world.namespace);
        options.through = Some((self.proxy.kubernetes_url(), self.network.ca_pem().to_owned()));
        options.arguments = world.flags();
        set_endpoint(&mut options, &self.proxy.cloud_url());
        options.arguments.push(format!("--ca-bundle={}", self.network.ca_file().display()).into());
        change(&mut options);
        Operator::start(options).await.unwrap()
    }
}
