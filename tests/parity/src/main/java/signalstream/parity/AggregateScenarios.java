package signalstream.parity;

import static signalstream.parity.Values.add;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.write;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;

/** Aggregations of streams without windows. */
final class AggregateScenarios {
    private AggregateScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("count", AggregateScenarios::count);
        scenarios.add("count_by_group", AggregateScenarios::countByGroup);
        scenarios.add("reduce", AggregateScenarios::reduce);
        scenarios.add("fold", AggregateScenarios::fold);
        scenarios.add("cogroup", AggregateScenarios::cogroup);
    }

    private static void count(StreamsBuilder builder) {
        builder.<String, JsonNode>stream("a").groupByKey().count().toStream()
                .<JsonNode>mapValues(count -> Values.counted(count))
                .to("out");
    }

    private static void countByGroup(StreamsBuilder builder) {
        builder.<String, JsonNode>stream("a").groupBy((key, value) -> k(value)).count().toStream()
                .<JsonNode>mapValues(count -> Values.counted(count))
                .to("out");
    }

    private static void reduce(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        write(in.groupByKey().reduce((state, value) -> n(value) > n(state) ? value : state), "highest");
        write(in.groupByKey().reduce((state, value) -> n(value) < 0 ? null : value), "open");
    }

    private static void fold(StreamsBuilder builder) {
        KGroupedStream<String, JsonNode> grouped = builder.<String, JsonNode>stream("a").groupByKey();
        write(grouped.aggregate(Values::empty, (key, value, state) -> add(state, value)), "texts");
        write(
                grouped.aggregate(
                        () -> object("n", 0L),
                        (key, value, state) -> n(value) < 0 ? null : object("n", n(state) + n(value))),
                "until_negative");
    }

    private static void cogroup(StreamsBuilder builder) {
        KGroupedStream<String, JsonNode> a = builder.<String, JsonNode>stream("a").groupByKey();
        KGroupedStream<String, JsonNode> b =
                builder.<String, JsonNode>stream("b").groupBy((key, value) -> k(value));
        write(
                a.<JsonNode>cogroup((key, value, state) -> add(state, value))
                        .cogroup(b, (key, value, state) -> object("n", n(state) + 100, "s", Values.s(state) + "b"))
                        .aggregate(Values::empty),
                "out");
    }
}
