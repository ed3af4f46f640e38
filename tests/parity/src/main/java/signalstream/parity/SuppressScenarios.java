package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.merge;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.s;
import static signalstream.parity.Values.table;
import static signalstream.parity.Values.write;
import static signalstream.parity.Values.writeWindowed;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;

/** Changes that are held back. */
final class SuppressScenarios {
    private static final TimeWindows TUMBLING = TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(5));
    private static final TimeWindows HOPPING =
            TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(3)).advanceBy(ofSeconds(4));

    private SuppressScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("suppress_time", SuppressScenarios::time);
        scenarios.add("suppress_early", builder -> held(builder, BufferConfig.maxRecords(2).emitEarlyWhenFull()));
        scenarios.add("suppress_windows", builder -> closed(builder, TUMBLING, BufferConfig.unbounded()));
        scenarios.add("suppress_sessions", SuppressScenarios::sessions);
        scenarios.add("suppress_grouped", SuppressScenarios::regrouped);
        scenarios.add("suppress_hopping", builder -> closed(builder, HOPPING, BufferConfig.unbounded()));
        scenarios.add("suppress_sliding", SuppressScenarios::sliding);
        scenarios.add("suppress_windows_stop", builder ->
                closed(builder, TUMBLING, BufferConfig.maxRecords(2).shutDownWhenFull()));
        scenarios.add("suppress_records_stop", builder ->
                held(builder, BufferConfig.maxRecords(2).shutDownWhenFull()));
        scenarios.add("suppress_bytes", builder -> large(builder, BufferConfig.maxBytes(900).emitEarlyWhenFull()));
        scenarios.add("suppress_bytes_stop", builder ->
                large(builder, BufferConfig.maxBytes(900).shutDownWhenFull()));
    }

    /** With the serdes named: a buffer of windowed keys finds none by itself. */
    private static KGroupedStream<String, JsonNode> grouped(StreamsBuilder builder) {
        return builder.<String, JsonNode>stream("a").filter((key, value) -> value != null)
                .groupByKey(Grouped.with(Serdes.String(), new JsonSerde()));
    }

    /** Of a table with deletions: they are held back too. */
    private static void time(StreamsBuilder builder) {
        KTable<String, JsonNode> table = table(builder, "a");
        write(table.suppress(Suppressed.untilTimeLimit(ofSeconds(10), BufferConfig.unbounded())), "out");
    }

    /** What goes on is grouped, so that the row before it is subtracted. */
    private static void regrouped(StreamsBuilder builder) {
        KTable<String, JsonNode> table = builder.table("a", Consumed.with(Serdes.String(), new JsonSerde()));
        table.suppress(Suppressed.untilTimeLimit(ofSeconds(10), BufferConfig.unbounded()))
                .groupBy((key, value) -> KeyValue.pair("all", value))
                .<JsonNode>aggregate(
                        () -> object("n", 0L, "total", 0L),
                        (key, value, state) -> sum(state, 1, n(value)),
                        (key, value, state) -> sum(state, -1, -n(value)))
                .toStream()
                .to("out");
    }

    private static JsonNode sum(JsonNode state, long rows, long more) {
        return object("n", n(state) + rows, "total", state.get("total").asLong() + more);
    }

    private static void held(StreamsBuilder builder, BufferConfig<?> buffer) {
        KTable<String, JsonNode> folded =
                grouped(builder).aggregate(Values::empty, (key, value, state) -> add(state, value));
        write(folded.suppress(Suppressed.untilTimeLimit(ofSeconds(10), buffer)), "out");
    }

    /**
     * Rows of about 300 bytes, each changed once: Kafka Streams counts the row before a change, too, and the name of the
     * topic.
     */
    private static void large(StreamsBuilder builder, BufferConfig<?> buffer) {
        builder.<String, JsonNode>stream("a").filter((key, value) -> value != null)
                .groupBy((key, value) -> s(value), Grouped.with(Serdes.String(), new JsonSerde()))
                .<JsonNode>aggregate(
                        () -> object("n", 0L, "pad", ""),
                        (key, value, state) -> object("n", n(state) + 1, "pad", "0123456789".repeat(30)))
                .suppress(Suppressed.untilTimeLimit(ofSeconds(10), buffer))
                .toStream()
                .mapValues(state -> object("n", n(state)))
                .to("out");
    }

    private static void closed(
            StreamsBuilder builder, TimeWindows windows, Suppressed.StrictBufferConfig buffer) {
        writeWindowed(
                grouped(builder).windowedBy(windows)
                        .aggregate(Values::empty, (key, value, state) -> add(state, value))
                        .suppress(Suppressed.untilWindowCloses(buffer)),
                "out");
    }

    private static void sliding(StreamsBuilder builder) {
        writeWindowed(
                grouped(builder).windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(5)))
                        .aggregate(Values::empty, (key, value, state) -> add(state, value))
                        .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())),
                "out");
    }

    private static void sessions(StreamsBuilder builder) {
        writeWindowed(
                grouped(builder).windowedBy(SessionWindows.ofInactivityGapAndGrace(ofSeconds(10), ofSeconds(5)))
                        .aggregate(
                                Values::empty,
                                (key, value, state) -> add(state, value),
                                (key, left, right) -> merge(left, right))
                        .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())),
                "out");
    }
}
