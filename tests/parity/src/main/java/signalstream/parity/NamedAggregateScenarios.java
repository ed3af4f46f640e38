package signalstream.parity;

import static java.time.Duration.ofSeconds;
import static signalstream.parity.Values.k;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.s;
import static signalstream.parity.Values.table;
import static signalstream.parity.Values.unwindowed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindows;

/** What the language has a name for, and Kafka Streams leaves to {@code aggregate}: means, extremes, lists, the frequent. */
final class NamedAggregateScenarios {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private NamedAggregateScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("aggregates", builder -> write(builder.<String, JsonNode>stream("a").groupByKey()
                .aggregate(NamedAggregateScenarios::nothing, (key, value, state) -> added(state, value)).toStream()));
        scenarios.add("aggregates_hopping", builder -> write(unwindowed(values(builder)
                .windowedBy(TimeWindows.ofSizeAndGrace(ofSeconds(10), ofSeconds(3)).advanceBy(ofSeconds(4)))
                .aggregate(NamedAggregateScenarios::nothing, (key, value, state) -> added(state, value)))));
        scenarios.add("aggregates_sliding", builder -> write(unwindowed(values(builder)
                .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ofSeconds(10), ofSeconds(5)))
                .aggregate(NamedAggregateScenarios::nothing, (key, value, state) -> added(state, value)))));
        scenarios.add("aggregates_session", builder -> write(unwindowed(values(builder)
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(ofSeconds(10), ofSeconds(5)))
                .aggregate(
                        NamedAggregateScenarios::nothing,
                        (key, value, state) -> added(state, value),
                        (key, left, right) -> merged(left, right)))));
        scenarios.add("aggregates_grouped", NamedAggregateScenarios::grouped);
    }

    private static KGroupedStream<String, JsonNode> values(StreamsBuilder builder) {
        return builder.<String, JsonNode>stream("a").filter((key, value) -> value != null).groupByKey();
    }

    private static void write(KStream<String, JsonNode> states) {
        states.<JsonNode>mapValues(state -> state == null ? null : row(state)).to("out");
    }

    private static void grouped(StreamsBuilder builder) {
        table(builder, "a").groupBy((key, value) -> KeyValue.pair(k(value), value))
                .aggregate(
                        NamedAggregateScenarios::nothing,
                        (key, value, state) -> added(state, value),
                        (key, value, state) -> removed(state, value))
                .toStream()
                .<JsonNode>mapValues(state -> numbers(state))
                .to("out");
    }

    /** The state of no records. */
    private static JsonNode nothing() {
        ObjectNode state = JSON.objectNode().put("n", 0L).put("negative", 0L);
        state.putNull("total").putNull("least").putNull("most").putNull("first").putNull("last");
        state.put("sum", 0.0).put("mean", 0.0).put("squares", 0.0);
        state.putArray("texts");
        state.putArray("kinds");
        state.putObject("counts");
        return state;
    }

    private static JsonNode added(JsonNode before, JsonNode value) {
        ObjectNode state = before.deepCopy();
        long count = n(before) + 1;
        state.put("n", count);
        state.put("negative", before.get("negative").asLong() + (n(value) < 0 ? 1 : 0));
        state.put("total", before.get("total").asLong() + n(value));
        state.put("least", before.get("least").isNull() ? n(value) : Math.min(before.get("least").asLong(), n(value)));
        String most = before.get("most").isNull() ? "" : before.get("most").asText();
        state.put("most", most.compareTo(s(value)) < 0 ? s(value) : most);
        double mean = before.get("mean").asDouble();
        double next = mean + (n(value) - mean) / count;
        state.put("sum", before.get("sum").asDouble() + n(value));
        state.put("mean", next);
        state.put("squares", before.get("squares").asDouble() + (n(value) - mean) * (n(value) - next));
        collect(state, s(value));
        if (k(value) != null) {
            if (before.get("first").isNull()) {
                state.put("first", k(value));
            }
            state.put("last", k(value));
            unite(state, k(value));
            count(state, k(value), 1);
        }
        return state;
    }

    /** What a row that leaves its group takes with it. */
    private static JsonNode removed(JsonNode before, JsonNode value) {
        ObjectNode state = before.deepCopy();
        long count = n(before) - 1;
        state.put("n", count);
        state.put("negative", before.get("negative").asLong() - (n(value) < 0 ? 1 : 0));
        state.put("total", before.get("total").asLong() - n(value));
        if (count == 0) {
            return state.put("sum", 0.0).put("mean", 0.0).put("squares", 0.0);
        }
        double mean = before.get("mean").asDouble();
        double next = mean - (n(value) - mean) / count;
        double squares = before.get("squares").asDouble() - (n(value) - next) * (n(value) - mean);
        state.put("sum", before.get("sum").asDouble() - n(value));
        state.put("mean", next);
        return state.put("squares", count == 1 ? 0.0 : Math.max(squares, 0.0));
    }

    /** Two sessions that have become one; the left one is the earlier. */
    private static JsonNode merged(JsonNode left, JsonNode right) {
        if (n(left) == 0 || n(right) == 0) {
            return n(left) == 0 ? right : left;
        }
        ObjectNode state = left.deepCopy();
        double count = n(left) + n(right);
        state.put("n", n(left) + n(right));
        state.put("negative", left.get("negative").asLong() + right.get("negative").asLong());
        state.put("total", left.get("total").asLong() + right.get("total").asLong());
        state.put("least", Math.min(left.get("least").asLong(), right.get("least").asLong()));
        if (left.get("most").asText().compareTo(right.get("most").asText()) < 0) {
            state.set("most", right.get("most"));
        }
        double apart = right.get("mean").asDouble() - left.get("mean").asDouble();
        state.put("sum", left.get("sum").asDouble() + right.get("sum").asDouble());
        state.put("mean", left.get("mean").asDouble() + apart * n(right) / count);
        state.put(
                "squares",
                left.get("squares").asDouble() + right.get("squares").asDouble()
                        + apart * apart * n(left) * n(right) / count);
        if (left.get("first").isNull()) {
            state.set("first", right.get("first"));
        }
        if (!right.get("last").isNull()) {
            state.set("last", right.get("last"));
        }
        right.get("texts").forEach(text -> collect(state, text.asText()));
        right.get("kinds").forEach(kind -> unite(state, kind.asText()));
        right.get("counts").properties().forEach(kind -> count(state, kind.getKey(), kind.getValue().asLong()));
        return state;
    }

    /** {@code collect(s, 3)}. */
    private static void collect(ObjectNode state, String text) {
        ArrayNode texts = (ArrayNode) state.get("texts");
        if (texts.size() < 3) {
            texts.add(text);
        }
    }

    /** {@code collect_set(k, 2)}. */
    private static void unite(ObjectNode state, String kind) {
        ArrayNode kinds = (ArrayNode) state.get("kinds");
        for (JsonNode known : kinds) {
            if (known.asText().equals(kind)) {
                return;
            }
        }
        if (kinds.size() < 2) {
            kinds.add(kind);
        }
    }

    /** The values of {@code k} in the order of their appearance, with how often they came. */
    private static void count(ObjectNode state, String kind, long times) {
        ObjectNode counts = (ObjectNode) state.get("counts");
        counts.put(kind, counts.path(kind).asLong() + times);
    }

    /** The most frequent two, those that came first where they are as many. */
    private static ArrayNode frequent(JsonNode counts) {
        Map<String, Long> known = new LinkedHashMap<>();
        counts.properties().forEach(kind -> known.put(kind.getKey(), kind.getValue().asLong()));
        List<String> kinds = new ArrayList<>(known.keySet());
        kinds.sort((one, other) -> Long.compare(known.get(other), known.get(one)));
        ArrayNode frequent = JSON.arrayNode();
        kinds.stream().limit(2).forEach(frequent::add);
        return frequent;
    }

    /** What can be taken back when a row leaves. */
    private static JsonNode numbers(JsonNode state) {
        if (state == null) {
            return null;
        }
        ObjectNode row = JSON.objectNode().put("n", n(state));
        row.set("negative", state.get("negative"));
        row.set("total", state.get("total"));
        row.put("mean", n(state) == 0 ? null : Double.valueOf(state.get("sum").asDouble() / n(state)));
        double squares = state.get("squares").asDouble();
        return row.put("spread", n(state) < 2 ? null : Double.valueOf(Math.sqrt(squares / (n(state) - 1))));
    }

    private static JsonNode row(JsonNode state) {
        ObjectNode row = (ObjectNode) numbers(state);
        for (String field : List.of("least", "most", "first", "last", "texts", "kinds")) {
            row.set(field, state.get(field));
        }
        row.set("frequent", frequent(state.get("counts")));
        return row.put("distinct", (long) state.get("counts").size());
    }
}
