package signalstream.parity;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyDescription;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.errors.StreamsException;
import org.apache.kafka.streams.test.TestRecord;

/** One run of a topology over one sequence of records, without a cache and without intervals of wall-clock time. */
final class Sequence implements AutoCloseable {
    private final TopologyTestDriver driver;
    private final Map<String, TestInputTopic<String, JsonNode>> inputs = new TreeMap<>();
    private final Map<String, TestOutputTopic<String, JsonNode>> outputs = new TreeMap<>();

    Sequence(Topology topology) {
        driver = new TopologyTestDriver(topology, settings(), Instant.EPOCH);
        JsonSerde json = new JsonSerde();
        for (TopologyDescription.Subtopology part : topology.describe().subtopologies()) {
            for (TopologyDescription.Node node : part.nodes()) {
                if (node instanceof TopologyDescription.Sink sink) {
                    // A sink that chooses its topic says not between which.
                    for (String topic : sink.topic() == null ? List.of("high", "low") : List.of(sink.topic())) {
                        if (!isInternal(topic)) {
                            outputs.put(
                                    topic,
                                    driver.createOutputTopic(topic, new StringDeserializer(), json.deserializer()));
                        }
                    }
                }
            }
        }
    }

    private static boolean isInternal(String topic) {
        return topic.endsWith("-repartition") || topic.endsWith("-topic");
    }

    private static Properties settings() {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "parity");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:1");
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, JsonSerde.class);
        String directory = System.getProperty("parity.state");
        if (directory != null) {
            settings.put(StreamsConfig.STATE_DIR_CONFIG, directory);
        }
        if (Boolean.getBoolean("parity.memory")) {
            settings.put(
                    StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
                    org.apache.kafka.streams.state.BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        }
        // What closed comes out with the record that closed it, not once a second of wall-clock time.
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
        return settings;
    }

    ArrayNode through(JsonNode lines) {
        ArrayNode results = JsonSerde.MAPPER.createArrayNode();
        for (int at = 0; at < lines.size(); at++) {
            try {
                step(lines.get(at));
            } catch (StreamsException exception) {
                if (!isFull(exception)) {
                    throw exception;
                }
                results.add(JsonSerde.MAPPER.createArrayNode().add(at).add("error").add("the buffer is full"));
                return results;
            }
            for (Map.Entry<String, TestOutputTopic<String, JsonNode>> output : outputs.entrySet()) {
                if (!driver.producedTopicNames().contains(output.getKey())) {
                    continue;
                }
                for (TestRecord<String, JsonNode> record : output.getValue().readRecordsToList()) {
                    results.add(row(at, output.getKey(), record));
                }
            }
        }
        return results;
    }

    /** Whether a buffer that must not overflow has stopped the application. */
    private static boolean isFull(Throwable exception) {
        for (Throwable cause = exception; cause != null; cause = cause.getCause()) {
            if (cause.getMessage() != null && cause.getMessage().contains("buffer exceeded its max capacity")) {
                return true;
            }
        }
        return false;
    }

    private void step(JsonNode line) {
        if (line.has("advance_wall_clock")) {
            driver.advanceWallClockTime(duration(line.get("advance_wall_clock").asText()));
            return;
        }
        String topic = line.get("topic").asText();
        TestInputTopic<String, JsonNode> input = inputs.computeIfAbsent(
                topic, name -> driver.createInputTopic(name, new StringSerializer(), new JsonSerde().serializer()));
        Headers headers = new RecordHeaders();
        if (line.has("headers")) {
            line.get("headers").properties().forEach(header ->
                    headers.add(header.getKey(), header.getValue().asText().getBytes(StandardCharsets.UTF_8)));
        }
        String key = line.path("key").isTextual() ? line.get("key").asText() : null;
        JsonNode value = line.path("value").isNull() || line.path("value").isMissingNode() ? null : line.get("value");
        input.pipeInput(new TestRecord<>(key, value, headers, line.get("timestamp").asLong()));
    }

    /** A duration as the engine writes it, of one unit. */
    private static Duration duration(String text) {
        return text.endsWith("ms")
                ? Duration.ofMillis(Long.parseLong(text.substring(0, text.length() - 2)))
                : Duration.parse("PT" + text);
    }

    private static ArrayNode row(int at, String topic, TestRecord<String, JsonNode> record) {
        ArrayNode row = JsonSerde.MAPPER.createArrayNode();
        row.add(at).add(topic).add(record.key()).add(record.value()).add(record.timestamp());
        if (record.headers().iterator().hasNext()) {
            ObjectNode headers = row.addObject();
            for (Header header : record.headers()) {
                headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
            }
        }
        return row;
    }

    @Override
    public void close() {
        driver.close();
    }
}
