package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.unwindowed;
import static signalstream.parity.Values.write;
import static signalstream.parity.Values.writeWindowed;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/** Aggregations over windows of a fixed size, and sliding ones. */
final class WindowScenarios {
    private static final TimeWindows TUMBLING = TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(5));
    private static final TimeWindows HOPPING =
            TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(3)).advanceBy(ofSeconds(4));
    private static final TimeWindows NO_GRACE = TimeWindows.ofSizeWithNoGrace(ofSeconds(10));
    private static final SlidingWindows SLIDING = SlidingWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(5));

    private WindowScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("tumbling", builder -> texts(grouped(builder).windowedBy(TUMBLING)));
        scenarios.add("tumbling_no_grace", builder -> texts(grouped(builder).windowedBy(NO_GRACE)));
        scenarios.add("hopping", builder -> texts(grouped(builder).windowedBy(HOPPING)));
        scenarios.add("tumbling_on_close", builder -> kept(closed(grouped(builder).windowedBy(TUMBLING))));
        scenarios.add("tumbling_on_close_short", builder -> texts(closed(grouped(builder).windowedBy(TUMBLING))));
        scenarios.add("hopping_on_close", builder -> kept(closed(grouped(builder).windowedBy(HOPPING))));
        scenarios.add("window_reduce", WindowScenarios::reduce);
        scenarios.add("window_chain", WindowScenarios::chain);
        scenarios.add("window_null_value", WindowScenarios::nullValue);
        scenarios.add("sliding", builder -> texts(grouped(builder).windowedBy(SLIDING)));
        scenarios.add("sliding_on_close", builder -> kept(closed(grouped(builder).windowedBy(SLIDING))));
        scenarios.add("unlimited", builder -> writeWindowed(
                grouped(builder).windowedBy(UnlimitedWindows.of().startOn(java.time.Instant.ofEpochMilli(5_000)))
                        .aggregate(Values::empty, (key, value, state) -> add(state, value)),
                "out"));
        scenarios.add("cogroup_tumbling", WindowScenarios::cogroup);
    }

    /** Tombstones are left out: where windows are concerned, Kafka Streams takes them for values. */
    private static KGroupedStream<String, JsonNode> grouped(StreamsBuilder builder) {
        return builder.<String, JsonNode>stream("a").filter((key, value) -> value != null).groupByKey();
    }

    private static TimeWindowedKStream<String, JsonNode> closed(TimeWindowedKStream<String, JsonNode> windowed) {
        return windowed.emitStrategy(EmitStrategy.onWindowClose());
    }

    private static void texts(TimeWindowedKStream<String, JsonNode> windowed) {
        writeWindowed(windowed.aggregate(Values::empty, (key, value, state) -> add(state, value)), "out");
    }

    /** Kept for a day: what is older than the retention when it closes, Kafka Streams does not hand on. */
    private static void kept(TimeWindowedKStream<String, JsonNode> windowed) {
        writeWindowed(
                windowed.aggregate(
                        Values::empty,
                        (key, value, state) -> add(state, value),
                        Materialized.<String, JsonNode, WindowStore<Bytes, byte[]>>with(
                                        Serdes.String(), new JsonSerde())
                                .withRetention(Duration.ofDays(1))),
                "out");
    }

    private static void reduce(StreamsBuilder builder) {
        writeWindowed(
                grouped(builder).windowedBy(TUMBLING).reduce((state, value) -> n(value) < 0 ? null : value), "out");
    }

    /** What closes is counted again, over the keys. */
    private static void chain(StreamsBuilder builder) {
        KTable<Windowed<String>, JsonNode> inner = closed(builder.<String, JsonNode>stream("a")
                        .filter((key, value) -> value != null)
                        .groupBy((key, value) -> k(value))
                        .windowedBy(TUMBLING))
                .aggregate(
                        Values::empty,
                        (key, value, state) -> add(state, value),
                        Materialized.<String, JsonNode, WindowStore<Bytes, byte[]>>with(
                                        Serdes.String(), new JsonSerde())
                                .withRetention(Duration.ofDays(1)));
        write(
                inner.toStream().groupBy((key, value) -> "all")
                        .aggregate(Values::empty, (key, value, state) -> add(state, value)),
                "out");
    }

    private static void nullValue(StreamsBuilder builder) {
        unwindowed(builder.<String, JsonNode>stream("a").groupByKey().windowedBy(TUMBLING)
                        .aggregate(() -> object("n", 0L), (key, value, state) -> object("n", n(state) + 1)))
                .to("out");
    }

    private static void cogroup(StreamsBuilder builder) {
        KGroupedStream<String, JsonNode> a = grouped(builder);
        KGroupedStream<String, JsonNode> b = builder.<String, JsonNode>stream("b")
                .filter((key, value) -> value != null)
                .groupBy((key, value) -> k(value));
        writeWindowed(
                a.<JsonNode>cogroup((key, value, state) -> add(state, value))
                        .cogroup(b, (key, value, state) -> object("n", n(state) + 100, "s", Values.s(state) + "b"))
                        .windowedBy(TUMBLING)
                        .aggregate(Values::empty),
                "out");
    }
}
