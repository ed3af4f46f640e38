//! One or three brokers of a real Kafka, on loopback ports of their own, with their data in a temporary directory.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::command::{Finished, run};
use super::eventually;
use super::feed::Feed;
use super::fetch::Kafka;
use super::kcat::Kcat;
use super::ports::free_port;
use super::process::Process;
use super::proxy::Proxy;
use super::security::{Certificates, Security};
use super::settings::{Addresses, Setting};
use super::workspace::Workspace;

/// Any UUID in Kafka's form does.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
/// How long a broker may take until it answers. It takes two seconds where it is alone, more where tests share a core.
const START: Duration = Duration::from_secs(90);
/// How long a broker may take to hand over and stop.
const STOP: Duration = Duration::from_secs(40);
const TOOL: Duration = Duration::from_secs(60);

/// What kind of cluster a test wants.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) brokers: usize,
    pub(crate) security: Security,
    /// Whether everything is forbidden to clients that is not [granted](Cluster::grant).
    pub(crate) access_control: bool,
    /// Whether clients reach each broker through a [`Proxy`].
    pub(crate) proxied: bool,
    pub(crate) heap_megabytes: u32,
    /// Whether brokers are to be fast rather than quickly there: for what is measured.
    pub(crate) steady: bool,
    /// Settings of the brokers, stronger than those of the harness.
    pub(crate) properties: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn brokers(brokers: usize) -> Options {
        Options {
            brokers,
            security: Security::Plaintext,
            access_control: false,
            proxied: false,
            heap_megabytes: 384,
            steady: false,
            properties: Vec::new(),
        }
    }

    pub(crate) fn security(self, security: Security) -> Options {
        Options { security, ..self }
    }

    pub(crate) fn access_control(self) -> Options {
        Options { access_control: true, ..self }
    }

    pub(crate) fn proxied(self) -> Options {
        Options { proxied: true, ..self }
    }

    pub(crate) fn steady(self) -> Options {
        Options { steady: true, heap_megabytes: 1024, ..self }
    }

    pub(crate) fn property(mut self, key: &str, value: &str) -> Options {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }
}

struct Broker {
    addresses: Addresses,
    settings: PathBuf,
    log: PathBuf,
    proxy: Option<Proxy>,
    /// None while it is down.
    process: Option<Process>,
}

/// A running cluster. Brokers are numbered from 1, as their node ids.
pub(crate) struct Cluster {
    options: Options,
    certificates: Option<Certificates>,
    // Before the workspace: processes end before their directory goes.
    brokers: Vec<Broker>,
    workspace: Workspace,
}

impl Cluster {
    /// A cluster that asks nothing of its clients.
    pub(crate) fn start(brokers: usize) -> Cluster {
        Cluster::with(Options::brokers(brokers))
    }

    /// Starts the cluster and waits until every broker answers.
    pub(crate) fn with(options: Options) -> Cluster {
        let workspace = Workspace::new("kafka");
        let certificates = options.security.has_tls().then(|| Certificates::make(workspace.path()));
        let mut brokers = Vec::new();
        for node in 1..=options.brokers {
            let client = free_port();
            let proxy = options.proxied.then(|| Proxy::start(client));
            let addresses = Addresses {
                internal: free_port(),
                client,
                controller: free_port(),
                advertised: proxy.as_ref().map_or(client, Proxy::port),
            };
            let directory = workspace.join(&node.to_string());
            std::fs::create_dir(&directory).unwrap();
            let (settings, log) = (directory.join("server.properties"), directory.join("broker.log"));
            brokers.push(Broker { addresses, settings, log, proxy, process: None });
        }
        let mut cluster = Cluster { options, certificates, brokers, workspace };
        cluster.write_settings();
        cluster.format();
        for node in 1..=cluster.brokers.len() {
            cluster.launch(node);
        }
        cluster.await_ready();
        cluster
    }

    fn write_settings(&self) {
        let cluster: Vec<Addresses> = self.brokers.iter().map(|broker| broker.addresses).collect();
        for (node, broker) in (1..).zip(&self.brokers) {
            let data = self.workspace.join(&format!("{node}/data"));
            let setting = Setting {
                node,
                cluster: &cluster,
                data: data.to_str().unwrap(),
                security: self.options.security,
                certificates: self.certificates.as_ref(),
                access_control: self.options.access_control,
                properties: &self.options.properties,
            };
            std::fs::write(&broker.settings, setting.text()).unwrap();
        }
    }

    /// Prepares the brokers' directories, all at once.
    fn format(&self) {
        let started: Vec<Process> = self
            .brokers
            .iter()
            .map(|broker| {
                let mut command = Kafka::get().java(128);
                command.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"]);
                command.arg(&broker.settings);
                if self.options.security.has_passwords() {
                    let (name, password) = (super::security::USER, super::security::PASSWORD);
                    command.args(["--add-scram", &format!("SCRAM-SHA-512=[name={name},password={password}]")]);
                }
                Process::spawn_alone("format", &mut command, &broker.log)
            })
            .collect();
        for mut process in started {
            let status = process.wait(START).unwrap_or_else(|| panic!("formatting did not end within {START:?}"));
            assert!(status.success(), "a broker's directory was not formatted:\n{}", process.tail(20));
        }
    }

    fn launch(&mut self, node: usize) {
        let (kafka, heap) = (Kafka::get(), self.options.heap_megabytes);
        let mut command = if self.options.steady { kafka.steady_java(heap) } else { kafka.java(heap) };
        let broker = &mut self.brokers[node - 1];
        command.arg("kafka.Kafka").arg(&broker.settings);
        broker.process = Some(Process::spawn_alone(&format!("broker {node}"), &mut command, &broker.log));
    }

    /// Waits until each broker that runs is known to the cluster and each partition has a leader.
    pub(crate) fn await_ready(&mut self) {
        let expected = self.brokers.iter().filter(|broker| broker.process.is_some()).count();
        let kcat = self.kcat();
        let brokers = &mut self.brokers;
        eventually(&format!("{expected} brokers that answer, and leaders"), START, || {
            for process in brokers.iter_mut().filter_map(|broker| broker.process.as_mut()) {
                process.assert_running();
            }
            let metadata = kcat.metadata()?;
            (metadata.brokers.len() == expected && metadata.leaderless.is_empty()).then_some(())
        });
    }

    /// Where clients are to connect, as the cluster was made: through proxies, with passwords, over TLS.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.addresses(|addresses| addresses.advertised)
    }

    /// Where the witnesses connect: directly, without a name.
    pub(crate) fn internal_servers(&self) -> String {
        self.addresses(|addresses| addresses.internal)
    }

    fn addresses(&self, port: impl Fn(&Addresses) -> u16) -> String {
        let ports: Vec<String> =
            self.brokers.iter().map(|broker| format!("127.0.0.1:{}", port(&broker.addresses))).collect();
        ports.join(",")
    }

    /// What a client of librdkafka needs besides the address.
    pub(crate) fn client_settings(&self) -> Vec<(String, String)> {
        self.options.security.client_settings(self.certificates.as_ref())
    }

    pub(crate) fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("this cluster has no certificates")
    }

    /// The independent witness.
    pub(crate) fn kcat(&self) -> Kcat {
        Kcat::new(&self.internal_servers(), &[], self.workspace.path())
    }

    /// kcat as an ordinary client of the cluster. Passwords go as PLAIN: the librdkafka of Debian's kcat (2.0) most
    /// often fails at SCRAM with Kafka 4, which was mended in 2.6.
    pub(crate) fn kcat_as_client(&self) -> Kcat {
        let mut settings = self.client_settings();
        for (_, mechanism) in settings.iter_mut().filter(|(key, _)| key == "sasl.mechanism") {
            "PLAIN".clone_into(mechanism);
        }
        Kcat::new(&self.bootstrap_servers(), &settings, self.workspace.path())
    }

    /// A producer that stays, as an ordinary client of the cluster; with the name of its transactions if it has any.
    pub(crate) fn feed(&self, topic: &str, transactional_id: Option<&str>, settings: &[(&str, &str)]) -> Feed {
        let mut all = self.client_settings();
        all.extend(settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        Feed::start(&self.bootstrap_servers(), topic, transactional_id, &all)
    }

    pub(crate) fn proxy(&self, node: usize) -> &Proxy {
        self.brokers[node - 1].proxy.as_ref().expect("this cluster was not made with proxies")
    }

    pub(crate) fn process(&mut self, node: usize) -> &mut Process {
        let process = self.brokers[node - 1].process.as_mut();
        process.unwrap_or_else(|| panic!("broker {node} is down"))
    }

    /// What a broker has logged so far, all its lives together.
    pub(crate) fn log(&self, node: usize) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.brokers[node - 1].log).unwrap()).into_owned()
    }

    /// SIGTERM: the broker hands its partitions over and ends.
    pub(crate) fn stop(&mut self, node: usize) {
        self.process(node).terminate(STOP);
        self.brokers[node - 1].process = None;
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.process(node).kill();
        self.brokers[node - 1].process = None;
    }

    /// Starts a broker that is down again: the same ports, the same data. Does not wait; see
    /// [`Cluster::await_ready`].
    pub(crate) fn start_again(&mut self, node: usize) {
        assert!(self.brokers[node - 1].process.is_none(), "broker {node} runs");
        self.launch(node);
    }

    /// Starts a broker that is down again and waits until the cluster is whole.
    pub(crate) fn restart(&mut self, node: usize) {
        self.start_again(node);
        self.await_ready();
    }

    /// Creates a topic, replicated to all brokers, and waits until it has leaders.
    pub(crate) fn create_topic(&self, name: &str, partitions: usize, settings: &[(&str, &str)]) {
        let mut arguments = vec!["--create".to_owned(), "--topic".to_owned(), name.to_owned()];
        arguments.extend(["--partitions".to_owned(), partitions.to_string()]);
        for (key, value) in settings {
            arguments.extend(["--config".to_owned(), format!("{key}={value}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments);
        let kcat = self.kcat();
        eventually(&format!("topic {name} with leaders"), START, || {
            let metadata = kcat.metadata()?;
            (metadata.partitions.get(name) == Some(&partitions) && metadata.leaderless.is_empty()).then_some(())
        });
    }

    /// Allows `principal` (`User:alice`) operations on a resource, given as options of `kafka-acls.sh`, and waits
    /// until the brokers know.
    pub(crate) fn grant(&self, principal: &str, operations: &[&str], resource: &[&str]) {
        let mut arguments = vec!["--add", "--allow-principal", principal];
        for operation in operations {
            arguments.extend(["--operation", operation]);
        }
        arguments.extend(resource);
        let acls = "org.apache.kafka.tools.AclCommand";
        self.tool(acls, &arguments);
        let listing: Vec<&str> = ["--list", "--principal", principal].iter().chain(resource).copied().collect();
        eventually(&format!("{operations:?} granted to {principal}"), START, || {
            let granted = self.tool(acls, &listing).replace('_', "").to_lowercase();
            operations.iter().all(|one| granted.contains(&format!("operation={}", one.to_lowercase()))).then_some(())
        });
    }

    /// Runs one of Kafka's command line tools, by its class, and returns what it printed.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> String {
        self.try_tool(class, arguments).succeeded().text()
    }

    /// The same, when it may fail.
    pub(crate) fn try_tool(&self, class: &str, arguments: &[&str]) -> Finished {
        let mut command: Command = Kafka::get().java(128);
        command.args([class, "--bootstrap-server", &self.internal_servers()]).args(arguments);
        run(&mut command, None, self.workspace.path(), TOOL)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        use std::io::Write;
        if std::thread::panicking() {
            let mut stderr = std::io::stderr();
            for (node, broker) in (1..).zip(&self.brokers) {
                let tail = super::workspace::tail(&broker.log, 30);
                let _ignored = writeln!(stderr, "── the end of the log of broker {node} ──\n{tail}");
            }
        }
    }
}
