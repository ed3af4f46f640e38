package signalstream.parity;

import static signalstream.parity.Values.add;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.pair;
import static signalstream.parity.Values.subtract;
import static signalstream.parity.Values.table;
import static signalstream.parity.Values.write;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;

/** Tables, what is derived from them, and what is grouped anew. */
final class TableScenarios {
    private TableScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("table", TableScenarios::derived);
        scenarios.add("to_table", TableScenarios::toTable);
        scenarios.add("table_changes", TableScenarios::changes);
        scenarios.add("table_filter_join", TableScenarios::filterJoin);
        scenarios.add("grouped_table_count", TableScenarios::groupedCount);
        scenarios.add("grouped_table_reduce", TableScenarios::groupedReduce);
        scenarios.add("grouped_table_fold", TableScenarios::groupedFold);
        scenarios.add("grouped_table_chain", TableScenarios::groupedChain);
    }

    private static void derived(StreamsBuilder builder) {
        KTable<String, JsonNode> table = table(builder, "a");
        write(table, "all");
        write(table.filter((key, value) -> n(value) > 2), "kept");
        write(table.filterNot((key, value) -> n(value) > 2), "rest");
        write(table.mapValues(value -> object("m", n(value) + 1)), "mapped");
    }

    private static void toTable(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        write(in.toTable(), "by_key");
        write(in.selectKey((key, value) -> k(value)).toTable(), "by_k");
    }

    private static void changes(StreamsBuilder builder) {
        KTable<String, JsonNode> table = table(builder, "a");
        write(table.toStream().groupByKey().aggregate(Values::empty, (key, value, state) -> add(state, value)), "out");
    }

    private static void filterJoin(StreamsBuilder builder) {
        KTable<String, JsonNode> kept = table(builder, "a").filter((key, value) -> n(value) > 2);
        KTable<String, JsonNode> other = table(builder, "b");
        write(kept.join(other, Values::pair), "inner");
        write(kept.leftJoin(other, Values::pair), "left");
        write(kept.outerJoin(other, Values::pair), "outer");
    }

    private static KGroupedTable<String, JsonNode> grouped(StreamsBuilder builder) {
        KTable<String, JsonNode> table = table(builder, "a");
        return table.groupBy((key, value) -> KeyValue.pair(k(value), value));
    }

    private static void groupedCount(StreamsBuilder builder) {
        write(grouped(builder).count().mapValues(Values::counted), "out");
    }

    private static void groupedReduce(StreamsBuilder builder) {
        KTable<String, JsonNode> reduced = grouped(builder).reduce(
                (state, value) -> object("n", n(state) + n(value), "s", "sum"),
                (state, value) -> object("n", n(state) - n(value), "s", "difference"));
        write(reduced, "out");
    }

    private static void groupedFold(StreamsBuilder builder) {
        write(
                grouped(builder).aggregate(
                        Values::empty,
                        (key, value, state) -> add(state, value),
                        (key, value, state) -> n(state) == 1 ? null : subtract(state, value)),
                "out");
    }

    /** What is grouped is a filtered table, and the result is joined. */
    private static void groupedChain(StreamsBuilder builder) {
        KTable<String, JsonNode> kept = table(builder, "a").filter((key, value) -> n(value) > 0);
        KTable<String, JsonNode> folded = kept.groupBy((key, value) -> KeyValue.pair(k(value), value))
                .aggregate(
                        Values::empty,
                        (key, value, state) -> add(state, value),
                        (key, value, state) -> subtract(state, value));
        KTable<String, JsonNode> other = table(builder, "b");
        write(folded.leftJoin(other, (left, right) -> pair(left, right)), "out");
    }
}
