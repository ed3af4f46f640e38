package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.pair;
import static signalstream.parity.Values.write;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;

/** Joins of streams within a window. */
final class StreamJoinScenarios {
    private static final JoinWindows WITHIN = JoinWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(0));
    private static final JoinWindows GRACE = JoinWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(5));
    private static final JoinWindows ASYMMETRIC =
            JoinWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(4)).before(ofSeconds(2));
    private static final JoinWindows AFTER_ONLY =
            JoinWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(0)).before(ofSeconds(0));

    private StreamJoinScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("join_streams_inner", builder -> a(builder).join(b(builder), Values::pair, WITHIN).to("out"));
        scenarios.add("join_streams_left", builder -> a(builder).leftJoin(b(builder), Values::pair, WITHIN).to("out"));
        scenarios.add("join_streams_outer", builder -> a(builder).outerJoin(b(builder), Values::pair, WITHIN).to("out"));
        scenarios.add("join_streams_outer_grace", builder ->
                a(builder).outerJoin(b(builder), Values::pair, GRACE).to("out"));
        scenarios.add("join_streams_left_asymmetric", builder ->
                a(builder).leftJoin(b(builder), Values::pair, ASYMMETRIC).to("out"));
        scenarios.add("join_streams_outer_asymmetric", builder ->
                a(builder).outerJoin(b(builder), Values::pair, ASYMMETRIC).to("out"));
        scenarios.add("join_streams_after_only", builder ->
                a(builder).outerJoin(b(builder), Values::pair, AFTER_ONLY).to("out"));
        scenarios.add("join_streams_zero", builder -> a(builder)
                .join(b(builder), Values::pair, JoinWindows.ofTimeDifferenceWithNoGrace(ofSeconds(0)))
                .to("out"));
        scenarios.add("join_streams_self", StreamJoinScenarios::self);
        scenarios.add("join_streams_rekeyed", StreamJoinScenarios::rekeyed);
        scenarios.add("join_streams_fold", StreamJoinScenarios::folded);
    }

    private static KStream<String, JsonNode> a(StreamsBuilder builder) {
        return builder.stream("a");
    }

    private static KStream<String, JsonNode> b(StreamsBuilder builder) {
        return builder.stream("b");
    }

    private static void self(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = a(builder);
        stream.join(stream, Values::pair, WITHIN).to("out");
    }

    private static void rekeyed(StreamsBuilder builder) {
        a(builder).selectKey((key, value) -> k(value)).leftJoin(b(builder), Values::pair, GRACE).to("out");
    }

    /** What joins is folded by key. */
    private static void folded(StreamsBuilder builder) {
        KStream<String, JsonNode> joined = a(builder).outerJoin(b(builder), (left, right) -> pair(left, right), GRACE);
        write(
                joined.<JsonNode>mapValues(value -> Values.object("s", value.get("l").asText() + value.get("r").asText()))
                        .groupByKey()
                        .aggregate(Values::empty, (key, value, state) -> add(state, value)),
                "out");
    }
}
