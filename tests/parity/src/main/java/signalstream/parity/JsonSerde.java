package signalstream.parity;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.kafka.common.serialization.Serdes;

/** Values as JSON. A tombstone is null; there is no JSON null as a value. */
public final class JsonSerde extends Serdes.WrapperSerde<JsonNode> {
    static final ObjectMapper MAPPER = new ObjectMapper();

    /** The serde of all values; Kafka Streams makes it by its name. */
    public JsonSerde() {
        super((topic, value) -> write(value), (topic, bytes) -> read(bytes));
    }

    private static byte[] write(JsonNode value) {
        try {
            return value == null || value.isNull() ? null : MAPPER.writeValueAsBytes(value);
        } catch (IOException exception) {
            throw new UncheckedIOException(exception);
        }
    }

    private static JsonNode read(byte[] bytes) {
        try {
            return bytes == null ? null : MAPPER.readTree(bytes);
        } catch (IOException exception) {
            throw new UncheckedIOException(exception);
        }
    }
}
