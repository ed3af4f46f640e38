package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.merge;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.s;
import static signalstream.parity.Values.writeWindowed;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.state.SessionStore;

/** Aggregations over sessions. */
final class SessionScenarios {
    private static final SessionWindows SESSIONS =
            SessionWindows.ofInactivityGapAndGrace(ofSeconds(10), ofSeconds(5));

    private SessionScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("session", builder -> texts(sessions(builder, SESSIONS)));
        scenarios.add("session_headers", builder -> texts(sessions(builder, SESSIONS)));
        scenarios.add("session_no_grace", builder ->
                texts(sessions(builder, SessionWindows.ofInactivityGapWithNoGrace(ofSeconds(10)))));
        scenarios.add("session_on_close", SessionScenarios::closed);
        scenarios.add("session_count", SessionScenarios::count);
        scenarios.add("session_reduce", SessionScenarios::reduce);
        scenarios.add("cogroup_session", SessionScenarios::cogroup);
    }

    private static SessionWindowedKStream<String, JsonNode> sessions(StreamsBuilder builder, SessionWindows windows) {
        return builder.<String, JsonNode>stream("a").filter((key, value) -> value != null).groupByKey()
                .windowedBy(windows);
    }

    private static void texts(SessionWindowedKStream<String, JsonNode> sessions) {
        writeWindowed(
                sessions.aggregate(
                        Values::empty,
                        (key, value, state) -> add(state, value),
                        (key, left, right) -> merge(left, right)),
                "out");
    }

    /** Kept for a day: what is older than the retention when it closes, Kafka Streams does not hand on. */
    private static void closed(StreamsBuilder builder) {
        writeWindowed(
                sessions(builder, SESSIONS).emitStrategy(EmitStrategy.onWindowClose())
                        .aggregate(
                                Values::empty,
                                (key, value, state) -> add(state, value),
                                (key, left, right) -> merge(left, right),
                                Materialized.<String, JsonNode, SessionStore<Bytes, byte[]>>with(
                                                Serdes.String(), new JsonSerde())
                                        .withRetention(Duration.ofDays(1))),
                "out");
    }

    private static void count(StreamsBuilder builder) {
        writeWindowed(sessions(builder, SESSIONS).count().mapValues(Values::counted), "out");
    }

    private static void reduce(StreamsBuilder builder) {
        writeWindowed(
                sessions(builder, SESSIONS)
                        .reduce((state, value) -> object("n", n(state) + n(value), "s", s(state) + s(value))),
                "out");
    }

    private static void cogroup(StreamsBuilder builder) {
        KGroupedStream<String, JsonNode> a =
                builder.<String, JsonNode>stream("a").filter((key, value) -> value != null).groupByKey();
        KGroupedStream<String, JsonNode> b =
                builder.<String, JsonNode>stream("b").filter((key, value) -> value != null).groupByKey();
        writeWindowed(
                a.<JsonNode>cogroup((key, value, state) -> add(state, value))
                        .cogroup(b, (key, value, state) -> object("n", n(state) + 100, "s", s(state) + "b"))
                        .windowedBy(SESSIONS)
                        .aggregate(Values::empty, (key, left, right) -> merge(left, right)),
                "out");
    }
}
