package signalstream;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Counts records by key and minute, as {@code windowed.yaml} does, and ends when all of its input is committed.
 *
 * <p>What is not set here is as Kafka Streams has it: a cache for records, RocksDB, one thread. The value of the input
 * is not looked at, neither here nor there.
 */
public final class WindowedCount {
    /** The windows' size and grace, those of {@code windowed.yaml}. */
    private static final Duration SIZE = Duration.ofMinutes(1);

    private static final Duration GRACE = Duration.ofSeconds(10);
    /** How often it is looked whether all of the input is committed. */
    private static final long LOOK_MILLIS = 100;

    private WindowedCount() {}

    /**
     * Runs the count.
     *
     * @param arguments the brokers, the application's id, the input, the output, the directory for state, and the
     *     milliseconds between commits
     * @throws Exception when the brokers do not answer
     */
    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 6) {
            System.err.println("usage: WindowedCount SERVERS APPLICATION INPUT OUTPUT STATE COMMIT_MILLIS");
            System.exit(2);
        }
        String servers = arguments[0];
        String application = arguments[1];
        String input = arguments[2];
        Topology topology = topology(input, arguments[3]);
        CountDownLatch failed = new CountDownLatch(1);
        try (KafkaStreams streams = new KafkaStreams(topology, settings(arguments))) {
            streams.setUncaughtExceptionHandler(exception -> {
                exception.printStackTrace();
                failed.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            awaitEnd(servers, application, input, failed);
        }
        System.exit(failed.getCount() == 0 ? 1 : 0);
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[5]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return settings;
    }

    private static Topology topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
                .windowedBy(TimeWindows.ofSizeAndGrace(SIZE, GRACE))
                .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts")
                        .withKeySerde(Serdes.String())
                        .withValueSerde(Serdes.Long()))
                .toStream()
                .map((key, count) -> KeyValue.pair(
                        key.key(), "{\"window\":" + key.window().start() + ",\"count\":" + count + "}"))
                .to(output, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    private static void awaitEnd(String servers, String application, String input, CountDownLatch failed)
            throws Exception {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, servers))) {
            Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
            admin.describeTopics(List.of(input)).allTopicNames().get().get(input).partitions()
                    .forEach(partition ->
                            latest.put(new TopicPartition(input, partition.partition()), OffsetSpec.latest()));
            Map<TopicPartition, Long> ends = new HashMap<>();
            admin.listOffsets(latest).all().get().forEach((partition, end) -> ends.put(partition, end.offset()));
            while (!failed.await(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                Map<TopicPartition, OffsetAndMetadata> committed =
                        admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get();
                boolean atEnd = ends.entrySet().stream().allMatch(end -> {
                    OffsetAndMetadata offset = committed.get(end.getKey());
                    return end.getValue() == 0 || (offset != null && offset.offset() >= end.getValue());
                });
                if (atEnd) {
                    return;
                }
            }
        }
    }
}
