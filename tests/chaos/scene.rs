//! The cluster, the instances and the input of one chaotic run.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::workspace::Workspace;
use crate::harness::{Cluster, Instance, Kcat, Options, Random, eventually, report};
use crate::verdict::Results;
use crate::watch::Watch;
use crate::workload::{ACCOUNTS, ENRICHED, EVENTS, PER_ACCOUNT, PER_REGION, Workload};

const APPLICATION: &str = "chaos";
pub(crate) const PARTITIONS: usize = 4;
/// How long nothing more may come out once nobody disturbs it any more. How long all of it takes says more of the machine.
const STALLED: Duration = Duration::from_secs(90);

pub(crate) struct Scene {
    pub(crate) workload: Workload,
    pub(crate) random: Random,
    pub(crate) instances: Vec<Instance>,
    pub(crate) cluster: Cluster,
    /// When results become visible.
    pub(crate) watch: Watch,
    feeder: Option<Feeder>,
    started: Instant,
    /// After the processes that use it.
    _workspace: Workspace,
}

impl Scene {
    /// Starts the cluster, creates the topics, writes the accounts, and starts one of three instances.
    pub(crate) fn set(options: Options, workload: Workload) -> Scene {
        Scene::set_with(options, workload, &[])
    }

    /// The same with further settings of the instances.
    pub(crate) fn set_with(options: Options, workload: Workload, settings: &[&str]) -> Scene {
        let workspace = Workspace::new("chaos");
        let cluster = Cluster::with(options);
        for topic in [EVENTS, ENRICHED, PER_ACCOUNT, PER_REGION] {
            // Event time is years ago: with a retention everything would be deleted.
            cluster.create_topic(topic, PARTITIONS, &[("retention.ms", "-1")]);
        }
        cluster.create_topic(ACCOUNTS, PARTITIONS, &[("cleanup.policy", "compact")]);
        cluster.kcat().write(ACCOUNTS, Workload::accounts());

        let topology = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/topology.yaml");
        let servers = cluster.bootstrap_servers();
        let instances =
            ["one", "two", "three"].map(|name| Instance::new(name, workspace.path(), &topology, &servers, settings));
        let mut scene = Scene {
            workload,
            random: Random::new(workload.seed),
            instances: instances.into(),
            watch: Watch::start(&cluster.internal_servers(), &[PER_ACCOUNT, PER_REGION], PARTITIONS),
            cluster,
            feeder: None,
            started: Instant::now(),
            _workspace: workspace,
        };
        scene.say(&format!("{workload:?}"));
        scene.instances[0].start();
        // An event that comes before its account would find no row to join with.
        eventually("accounts in their table", Duration::from_secs(90), || {
            scene.instances[0].assert_running();
            let committed = scene.committed(ACCOUNTS);
            (committed == Workload::account_count()).then_some(())
        });
        let (kcat, workload) = (scene.cluster.kcat(), scene.workload);
        scene.feeder = Some(Feeder::start(kcat, workload));
        scene
    }

    /// How many records of a topic the application has committed.
    fn committed(&self, topic: &str) -> i64 {
        let offsets = self.cluster.committed(APPLICATION);
        offsets.iter().filter(|((name, _), _)| name == topic).map(|(_, offset)| offset).sum()
    }

    pub(crate) fn say(&self, what: &str) {
        report(&format!("[{:6.1}s] {what}", self.started.elapsed().as_secs_f64()));
    }

    /// Lets the input come up to this part of the whole.
    pub(crate) fn feed_up_to(&self, part: u64, of: u64) {
        self.feeder().allow(self.workload.events * part / of);
    }

    pub(crate) fn feeder(&self) -> &Feeder {
        self.feeder.as_ref().unwrap()
    }

    /// Which instances run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.instances.len()).filter(|&number| self.instances[number].is_running()).collect()
    }

    /// One of the instances that run.
    pub(crate) fn any(&mut self) -> usize {
        let running = self.running();
        running[usize::try_from(self.random.below(running.len() as u64)).unwrap()]
    }

    /// Starts or stops instances, in good order, until this many run.
    pub(crate) fn scale_to(&mut self, wanted: usize) {
        while self.running().len() < wanted {
            let idle = self.instances.iter_mut().find(|instance| !instance.is_running()).unwrap();
            idle.start();
        }
        while self.running().len() > wanted {
            let number = self.any();
            let took = self.instances[number].stop();
            self.say(&format!("instance {} stopped after {took:.1?}", self.instances[number].name));
        }
    }

    /// Waits until the group has this many members; instances have one thread each.
    pub(crate) fn await_members(&mut self, wanted: usize, within: Duration) {
        let cluster = &self.cluster;
        eventually(&format!("{wanted} members of the group"), within, || {
            let (state, members) = cluster.group_state(APPLICATION);
            (state == "Stable" && members == wanted).then_some(())
        });
    }

    /// Waits until results have come since there were `before`: the instances are at work.
    pub(crate) fn await_results(&mut self, before: usize) {
        let (watch, instances) = (&self.watch, &mut self.instances);
        eventually("results of what was written", Duration::from_secs(90), || {
            instances.iter_mut().for_each(Instance::assert_running);
            (watch.count() > before).then_some(())
        });
    }

    /// Waits until at least this many events are in the windows of their accounts.
    pub(crate) fn await_counted(&mut self, wanted: u64, within: Duration) {
        let (kcat, workload) = (self.cluster.kcat(), self.workload);
        eventually(&format!("{wanted} events counted"), within, || {
            self.instances.iter_mut().for_each(Instance::assert_running);
            (Results::read(&kcat, &workload).arrived()[0] >= wanted).then_some(())
        });
    }

    pub(crate) fn pause_for(&self, least: u64, most: u64, random: &mut Random) {
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
    }

    /// Waits until all input has come out, stops all instances, and compares everything.
    pub(crate) fn end(mut self) {
        let results = self.settle();
        results.assert_exact(&self.workload);
        self.say(&format!("exact: {} events, {} rows of keys and windows", self.workload.events, results.rows()));
        for instance in self.instances.iter().filter(|instance| instance.state.exists()) {
            instance.verify_stores();
            self.say(&format!("the stores of {} equal their changelogs", instance.name));
        }
    }

    /// Writes the rest of the input, waits until all has come out, stops all instances, and reads the results.
    pub(crate) fn settle(&mut self) -> Results {
        self.feed_up_to(1, 1);
        self.feeder.take().unwrap().finish();
        let kcat = self.cluster.kcat();
        let wanted = self.workload.events;
        self.say("all input is written; waiting for what comes of it");
        let (mut most, mut since) = (0, Instant::now());
        loop {
            self.instances.iter_mut().for_each(Instance::assert_running);
            let results = Results::read(&kcat, &self.workload);
            let [accounts, regions, joined] = results.arrived();
            self.say(&format!("of {wanted} came out: by account {accounts}, by region {regions}, joined {joined}"));
            // More than wanted is as final as all of it.
            if [accounts, regions, joined].iter().all(|&arrived| arrived >= wanted) {
                break;
            }
            let sum = accounts + regions + joined;
            if sum > most {
                (most, since) = (sum, Instant::now());
            } else if since.elapsed() > STALLED {
                let differences = results.differences(&self.workload);
                panic!("nothing more came out for {STALLED:?}: {:#?}", &differences[..differences.len().min(10)]);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        self.scale_to(0);
        Results::read(&kcat, &self.workload)
    }
}

/// Writes the input by kcat, as far as it is allowed to.
pub(crate) struct Feeder {
    allowed: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Feeder {
    /// The most records of one call of kcat.
    const BATCH: u64 = 20_000;

    fn start(kcat: Kcat, workload: Workload) -> Feeder {
        let (allowed, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (limit, done, stopped) = (Arc::clone(&allowed), Arc::clone(&written), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while done.load(Ordering::SeqCst) < workload.events && !stopped.load(Ordering::SeqCst) {
                let from = done.load(Ordering::SeqCst);
                let batch: Range<u64> = from..limit.load(Ordering::SeqCst).min(from + Feeder::BATCH);
                if batch.is_empty() {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                kcat.write(EVENTS, workload.lines(batch.clone()));
                done.store(batch.end, Ordering::SeqCst);
            }
        });
        Feeder { allowed, written, stop, thread: Mutex::new(Some(thread)) }
    }

    fn allow(&self, events: u64) {
        self.allowed.fetch_max(events, Ordering::SeqCst);
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    fn finish(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.unwrap().join().expect("the input was not written");
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
