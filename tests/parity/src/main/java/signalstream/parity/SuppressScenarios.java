package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.merge;
import static signalstream.parity.Values.table;
import static signalstream.parity.Values.write;
import static signalstream.parity.Values.writeWindowed;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;

/** Changes that are held back. */
final class SuppressScenarios {
    private SuppressScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("suppress_time", SuppressScenarios::time);
        scenarios.add("suppress_early", SuppressScenarios::early);
        scenarios.add("suppress_windows", SuppressScenarios::windows);
        scenarios.add("suppress_sessions", SuppressScenarios::sessions);
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

    private static void early(StreamsBuilder builder) {
        KTable<String, JsonNode> folded =
                grouped(builder).aggregate(Values::empty, (key, value, state) -> add(state, value));
        write(folded.suppress(Suppressed.untilTimeLimit(ofSeconds(10), BufferConfig.maxRecords(2).emitEarlyWhenFull())), "out");
    }

    private static void windows(StreamsBuilder builder) {
        writeWindowed(
                grouped(builder).windowedBy(TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(5)))
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
