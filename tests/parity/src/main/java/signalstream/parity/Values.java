package signalstream.parity;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Windowed;

/** What the scenarios compute with. The values that go in are {@code {"n": INT, "s": TEXT, "k": TEXT or null}}. */
final class Values {
    private Values() {}

    static long n(JsonNode value) {
        return value.get("n").asLong();
    }

    static String s(JsonNode value) {
        return value.get("s").asText();
    }

    /** The field {@code k}; null also of a value that is null. */
    static String k(JsonNode value) {
        return value == null || value.path("k").isNull() || value.path("k").isMissingNode()
                ? null
                : value.get("k").asText();
    }

    /** The field {@code s}, or null where there is no value. */
    static JsonNode sOrNull(JsonNode value) {
        return value == null ? null : TextNode.valueOf(s(value));
    }

    /** An object of fields and their values, by turns: numbers, texts, values, null. */
    static JsonNode object(Object... parts) {
        ObjectNode object = JsonNodeFactory.instance.objectNode();
        for (int at = 0; at < parts.length; at += 2) {
            String field = (String) parts[at];
            Object value = parts[at + 1];
            if (value instanceof Long number) {
                object.set(field, LongNode.valueOf(number));
            } else if (value instanceof Integer number) {
                object.set(field, IntNode.valueOf(number));
            } else if (value instanceof String text) {
                object.put(field, text);
            } else {
                object.set(field, (JsonNode) value);
            }
        }
        return object;
    }

    /** Both sides of a join by their texts. */
    static JsonNode pair(JsonNode left, JsonNode right) {
        return object("l", sOrNull(left), "r", sOrNull(right));
    }

    /** What an aggregation keeps: how many records, and their texts in the order in which they were added. */
    static JsonNode empty() {
        return object("n", 0L, "s", "");
    }

    static JsonNode add(JsonNode state, JsonNode value) {
        return object("n", n(state) + 1, "s", s(state) + "<" + s(value) + ">");
    }

    /** Takes a text out again, wherever it stands. */
    static JsonNode subtract(JsonNode state, JsonNode value) {
        return object("n", n(state) - 1, "s", s(state).replace("<" + s(value) + ">", ""));
    }

    static JsonNode merge(JsonNode left, JsonNode right) {
        return object("n", n(left) + n(right), "s", s(left) + s(right));
    }

    static JsonNode counted(Long count) {
        return count == null ? null : object("n", count);
    }

    /** The table of a topic, in a store, as the engine keeps every table. */
    static KTable<String, JsonNode> table(StreamsBuilder builder, String topic) {
        return builder.table(topic, Materialized.as("table-" + topic));
    }

    /** A table's changes, to a topic. */
    static void write(KTable<String, JsonNode> table, String topic) {
        table.toStream().to(topic);
    }

    /** Changes of a windowed table, with the window in the key. */
    static void writeWindowed(KTable<Windowed<String>, JsonNode> table, String topic) {
        unwindowed(table).to(topic);
    }

    static KStream<String, JsonNode> unwindowed(KTable<Windowed<String>, JsonNode> table) {
        return table.toStream().map((key, value) -> KeyValue.pair(
                key.key() + "@" + key.window().start() + "-" + key.window().end(), value));
    }
}
