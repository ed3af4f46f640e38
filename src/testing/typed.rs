//! A driver for types of Rust: Kafka Streams' `TopologyTestDriver`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DriverError, DriverOptions, InputRecord, OutputRecord, TopologyDriver};
use crate::serdes::SchemaRegistry;
use crate::time::Timestamp;
use crate::topology::plan::Topology;

/// What can go wrong with a typed driver.
#[derive(Debug, thiserror::Error)]
pub enum TestDriverError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A key or value that is not JSON, or not of the type that was asked for.
    #[error("a record of `{topic}`: {source}")]
    Json {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Runs a topology one record at a time, without a log, with every update handed on at once. Keys and values are anything
/// that serde can write as the JSON of their topic's format.
pub struct TopologyTestDriver {
    driver: TopologyDriver,
    outputs: Vec<OutputRecord>,
}

impl TopologyTestDriver {
    /// A driver whose wall clock stands at 0. The schemas are those that the topology was made with.
    pub fn new(topology: &Arc<Topology>, schemas: &SchemaRegistry) -> Result<Self, TestDriverError> {
        TopologyTestDriver::with_partitions(topology, schemas, [])
    }

    /// The same, where these topics have so many partitions: others have one. A topic that matches a pattern of the
    /// topology is there because it is named here.
    pub fn with_partitions<const N: usize>(
        topology: &Arc<Topology>,
        schemas: &SchemaRegistry,
        partitions: [(&str, i32); N],
    ) -> Result<Self, TestDriverError> {
        let partitions = partitions.into_iter().map(|(topic, partitions)| (topic.to_owned(), partitions)).collect();
        let options = DriverOptions { caching: false, partitions, ..DriverOptions::default() };
        Ok(TopologyTestDriver { driver: TopologyDriver::new(topology.clone(), schemas, options)?, outputs: Vec::new() })
    }

    /// Feeds a record in and works off everything that follows from it. `()` as a value is a tombstone, as a key the null
    /// key.
    pub fn pipe<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        topic: &str,
        key: &K,
        value: &V,
        timestamp: Timestamp,
    ) -> Result<(), TestDriverError> {
        let json = |source| TestDriverError::Json { topic: topic.to_owned(), source };
        let record = InputRecord {
            topic: topic.to_owned(),
            partition: None,
            key: serde_json::to_value(key).map_err(json)?,
            value: serde_json::to_value(value).map_err(json)?,
            value_base64: None,
            timestamp: Some(timestamp),
            headers: serde_json::Map::new(),
        };
        Ok(self.driver.pipe(&record)?)
    }

    /// Moves the wall clock.
    pub fn advance_wall_clock(&mut self, by: Duration) -> Result<(), TestDriverError> {
        Ok(self.driver.advance_wall_clock(by)?)
    }

    /// Loses everything that is not committed, as a crash does, and starts again from the last commit.
    pub fn crash(&mut self) -> Result<(), TestDriverError> {
        Ok(self.driver.crash()?)
    }

    /// Keys and values of the records that came out on a topic since it was last read, in order. Give an `Option` where
    /// there may be tombstones or null keys.
    pub fn read<K: DeserializeOwned, V: DeserializeOwned>(
        &mut self,
        topic: &str,
    ) -> Result<Vec<(K, V)>, TestDriverError> {
        let json = |source| TestDriverError::Json { topic: topic.to_owned(), source };
        self.outputs.extend(self.driver.take_outputs());
        let (read, rest) = std::mem::take(&mut self.outputs).into_iter().partition(|record| record.topic == topic);
        self.outputs = rest;
        let read: Vec<OutputRecord> = read;
        read.into_iter()
            .map(|record| {
                let key = serde_json::from_value(record.key).map_err(json)?;
                Ok((key, serde_json::from_value(record.value).map_err(json)?))
            })
            .collect()
    }

    /// The driver beneath, for what has no types: timestamps, headers, stores, counters.
    pub fn driver(&mut self) -> &mut TopologyDriver {
        &mut self.driver
    }
}
