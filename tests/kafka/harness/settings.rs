//! `server.properties` of a broker that is broker and controller in one.

use super::security::{Certificates, Security};

/// Where a broker listens. Others of the cluster and the witnesses use `internal`: it asks for nothing and goes
/// through no proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) internal: u16,
    pub(crate) client: u16,
    pub(crate) controller: u16,
    /// Where clients are told to go: `client`, or a proxy in front of it.
    pub(crate) advertised: u16,
}

/// What the settings of one broker follow from.
pub(crate) struct Setting<'a> {
    /// From 1.
    pub(crate) node: usize,
    pub(crate) cluster: &'a [Addresses],
    pub(crate) data: &'a str,
    pub(crate) security: Security,
    pub(crate) certificates: Option<&'a Certificates>,
    pub(crate) access_control: bool,
    /// What the test wants otherwise; stronger than all else.
    pub(crate) properties: &'a [(String, String)],
}

impl Setting<'_> {
    /// The text of `server.properties`.
    pub(crate) fn text(&self) -> String {
        let mut settings = self.network();
        settings.extend(self.replication());
        settings.extend(pace().map(|(key, value)| (key.to_owned(), value.to_owned())));
        settings.extend(self.security.broker_settings(self.certificates));
        if self.access_control {
            let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
            settings.push(("authorizer.class.name".to_owned(), authorizer.to_owned()));
            // Who comes by the listeners without names: the cluster itself and the witnesses.
            settings.push(("super.users".to_owned(), "User:ANONYMOUS".to_owned()));
        }
        settings.extend(self.properties.iter().cloned());
        settings.iter().map(|(key, value)| format!("{key}={}\n", value.replace('\\', "\\\\"))).collect()
    }

    fn network(&self) -> Vec<(String, String)> {
        let Addresses { internal, client, controller, advertised } = self.cluster[self.node - 1];
        let voters: Vec<String> = (1..)
            .zip(self.cluster)
            .map(|(node, addresses)| format!("{node}@127.0.0.1:{}", addresses.controller))
            .collect();
        let listeners =
            format!("INTERNAL://127.0.0.1:{internal},CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}");
        let protocols = format!("INTERNAL:PLAINTEXT,CLIENT:{},CONTROLLER:PLAINTEXT", self.security.protocol());
        [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", self.node.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            ("listeners", listeners),
            ("advertised.listeners", format!("INTERNAL://127.0.0.1:{internal},CLIENT://127.0.0.1:{advertised}")),
            ("listener.security.protocol.map", protocols),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "INTERNAL".to_owned()),
            ("log.dirs", self.data.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    fn replication(&self) -> Vec<(String, String)> {
        let replicas = self.cluster.len().to_string();
        // With three replicas one may be away, as in production.
        let in_sync = if self.cluster.len() > 2 { "2" } else { "1" }.to_owned();
        [
            ("default.replication.factor", replicas.clone()),
            ("min.insync.replicas", in_sync.clone()),
            ("offsets.topic.replication.factor", replicas.clone()),
            ("transaction.state.log.replication.factor", replicas.clone()),
            ("transaction.state.log.min.isr", in_sync),
            ("share.coordinator.state.topic.replication.factor", replicas),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// What makes a broker quick and small rather than fast. What decides what is right (durability, isolation, fencing)
/// is as Kafka has it.
fn pace() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
        // How soon the cluster notices that a broker is gone.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        ("replica.lag.time.max.ms", "5000"),
        // Cleaning, within the patience of a test and the heap of a small JVM.
        ("log.initial.task.delay.ms", "1000"),
        ("log.retention.check.interval.ms", "1000"),
        ("log.segment.delete.delay.ms", "1000"),
        ("log.cleaner.backoff.ms", "500"),
        ("log.cleaner.dedupe.buffer.size", "8388608"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("background.threads", "2"),
    ]
    .into_iter()
}
