package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.add;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.pair;
import static signalstream.parity.Values.sOrNull;
import static signalstream.parity.Values.table;
import static signalstream.parity.Values.write;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/** Joins with tables, and of tables. */
final class JoinScenarios {
    private JoinScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("join_stream_table", JoinScenarios::streamTable);
        scenarios.add("join_stream_table_rekeyed", JoinScenarios::rekeyed);
        scenarios.add("join_stream_own_table", JoinScenarios::ownTable);
        scenarios.add("join_tables_inner", builder ->
                write(a(builder).join(b(builder), Values::pair), "out"));
        scenarios.add("join_tables_left", builder ->
                write(a(builder).leftJoin(b(builder), Values::pair), "out"));
        scenarios.add("join_tables_outer", builder ->
                write(a(builder).outerJoin(b(builder), Values::pair), "out"));
        scenarios.add("join_chain_inner_left", JoinScenarios::innerThenLeft);
        scenarios.add("join_chain_outer_inner", JoinScenarios::outerThenInner);
        scenarios.add("join_many_inner", JoinScenarios::manyInner);
        scenarios.add("join_many_left", JoinScenarios::manyLeft);
        scenarios.add("join_many_outer", JoinScenarios::manyOuter);
        scenarios.add("join_filtered", JoinScenarios::filtered);
        scenarios.add("join_global_table", JoinScenarios::global);
        scenarios.add("foreign_key_inner", builder -> write(
                a(builder).<JsonNode, String, JsonNode>join(b(builder), Values::k, Values::pair), "out"));
        scenarios.add("foreign_key_left", builder -> write(
                a(builder).<JsonNode, String, JsonNode>leftJoin(b(builder), Values::k, Values::pair), "out"));
        scenarios.add("join_versioned", JoinScenarios::versioned);
        scenarios.add("join_versioned_filtered", JoinScenarios::versionedFiltered);
        scenarios.add("join_versioned_grace", JoinScenarios::versionedWithGrace);
        scenarios.add("join_versioned_tables", JoinScenarios::versionedTables);
    }

    private static KTable<String, JsonNode> a(StreamsBuilder builder) {
        return table(builder, "a");
    }

    private static KTable<String, JsonNode> b(StreamsBuilder builder) {
        return table(builder, "b");
    }

    private static void streamTable(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        KTable<String, JsonNode> table = b(builder);
        stream.join(table, Values::pair).to("inner");
        stream.leftJoin(table, Values::pair).to("left");
    }

    private static void rekeyed(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        KTable<String, JsonNode> table = b(builder);
        stream.selectKey((key, value) -> k(value)).join(table, Values::pair).to("inner");
        stream.selectKey((key, value) -> k(value)).leftJoin(table, Values::pair).to("left");
    }

    /** A stream looks up what it has itself been counted to. */
    private static void ownTable(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        KTable<String, JsonNode> folded =
                stream.groupByKey().aggregate(Values::empty, (key, value, state) -> add(state, value));
        stream.join(folded, Values::pair).to("out");
    }

    private static JsonNode three(JsonNode pair, JsonNode third) {
        return pair == null
                ? object("l", null, "r", null, "c", sOrNull(third))
                : object("l", pair.get("l"), "r", pair.get("r"), "c", sOrNull(third));
    }

    /** The first join's rows are in a store, as the engine keeps what is joined again. */
    private static void innerThenLeft(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).join(b(builder), Values::pair, Materialized.as("pairs"));
        write(pairs.leftJoin(table(builder, "c"), JoinScenarios::three), "out");
    }

    private static void outerThenInner(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).outerJoin(b(builder), Values::pair, Materialized.as("pairs"));
        write(pairs.join(table(builder, "c"), JoinScenarios::three), "out");
    }

    private static void manyInner(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).join(b(builder), Values::pair);
        write(pairs.join(table(builder, "c"), JoinScenarios::three), "out");
    }

    private static void manyLeft(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).leftJoin(b(builder), Values::pair);
        write(pairs.leftJoin(table(builder, "c"), JoinScenarios::three), "out");
    }

    private static void manyOuter(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).outerJoin(b(builder), Values::pair);
        write(pairs.outerJoin(table(builder, "c"), JoinScenarios::three), "out");
    }

    /** A join's rows, filtered and mapped. */
    private static void filtered(StreamsBuilder builder) {
        KTable<String, JsonNode> pairs = a(builder).leftJoin(b(builder), Values::pair);
        write(pairs.filter((key, value) -> !value.get("r").isNull()).mapValues(value -> object("r", value.get("r"))), "out");
    }

    private static void global(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        GlobalKTable<String, JsonNode> table = builder.globalTable("b");
        stream.<String, JsonNode, JsonNode>join(table, (key, value) -> k(value), Values::pair).to("inner");
        stream.<String, JsonNode, JsonNode>leftJoin(table, (key, value) -> k(value), Values::pair).to("left");
    }

    private static Materialized<String, JsonNode, ?> history(String name) {
        return Materialized.<String, JsonNode>as(Stores.persistentVersionedKeyValueStore(name, ofSeconds(20)));
    }

    @SuppressWarnings("unchecked")
    private static KTable<String, JsonNode> versionedTable(StreamsBuilder builder, String topic) {
        return builder.table(
                topic,
                (Materialized<
                                String,
                                JsonNode,
                                org.apache.kafka.streams.state.KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>)
                        history("history-" + topic));
    }

    private static void versioned(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        KTable<String, JsonNode> table = versionedTable(builder, "b");
        stream.join(table, Values::pair).to("inner");
        stream.leftJoin(table, Values::pair).to("left");
    }

    private static void versionedFiltered(StreamsBuilder builder) {
        KStream<String, JsonNode> stream = builder.stream("a");
        KTable<String, JsonNode> kept = versionedTable(builder, "b").filter((key, value) -> Values.n(value) > 0);
        stream.leftJoin(kept, (JsonNode left, JsonNode right) -> pair(left, right)).to("left");
    }

    /** Kafka Streams 4.3.1 fails on null keys here, so none come. */
    private static void versionedWithGrace(StreamsBuilder builder) {
        KStream<String, JsonNode> stream =
                builder.<String, JsonNode>stream("a").filter((key, value) -> key != null);
        KTable<String, JsonNode> table = versionedTable(builder, "b");
        Joined<String, JsonNode, JsonNode> grace = Joined.<String, JsonNode, JsonNode>as("grace")
                .withKeySerde(Serdes.String())
                .withValueSerde(new JsonSerde())
                .withGracePeriod(ofSeconds(10));
        stream.leftJoin(table, (JsonNode left, JsonNode right) -> pair(left, right), grace).to("left");
    }

    private static void versionedTables(StreamsBuilder builder) {
        write(versionedTable(builder, "a").leftJoin(versionedTable(builder, "b"), Values::pair), "out");
    }
}
