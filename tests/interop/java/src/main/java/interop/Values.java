package interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.avro.Conversion;
import org.apache.avro.Conversions;
import org.apache.avro.LogicalType;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;

/** The values of cases.json as Avro's Java has them without its conversions: times are numbers, decimals are bytes. */
final class Values {
    private static final List<Conversion<?>> CONVERSIONS = List.of(
            new TimeConversions.TimestampNanosConversion(),
            new TimeConversions.LocalTimestampNanosConversion(),
            new Conversions.UUIDConversion());

    private Values() {}

    /** The value that stands for a JSON value of a type: bytes are texts of characters up to 255, decimals are texts. */
    static Object ofJson(Schema schema, JsonNode json) {
        return switch (schema.getType()) {
            case RECORD -> record(schema, json);
            case UNION -> ofJson(branch(schema, json), json);
            case ARRAY -> {
                List<Object> items = new ArrayList<>();
                json.forEach(item -> items.add(ofJson(schema.getElementType(), item)));
                yield items;
            }
            case MAP -> {
                Map<String, Object> entries = new HashMap<>();
                json.properties().forEach(e -> entries.put(e.getKey(), ofJson(schema.getValueType(), e.getValue())));
                yield entries;
            }
            case BYTES -> ByteBuffer.wrap(bytes(schema, json.textValue()));
            case FIXED -> new GenericData.Fixed(schema, bytes(schema, json.textValue()));
            case ENUM -> new GenericData.EnumSymbol(schema, json.textValue());
            case STRING -> json.textValue();
            case INT -> json.intValue();
            case LONG -> json.longValue();
            case FLOAT -> json.floatValue();
            case DOUBLE -> json.doubleValue();
            case BOOLEAN -> json.booleanValue();
            case NULL -> null;
        };
    }

    private static Object record(Schema schema, JsonNode json) {
        GenericData.Record record = new GenericData.Record(schema);
        schema.getFields().forEach(field -> record.put(field.name(), ofJson(field.schema(), json.get(field.name()))));
        return record;
    }

    /** The first type of a union that a JSON value is one of. */
    private static Schema branch(Schema union, JsonNode json) {
        for (Schema schema : union.getTypes()) {
            boolean fits = switch (schema.getType()) {
                case NULL -> json.isNull();
                case BOOLEAN -> json.isBoolean();
                case INT, LONG -> json.isIntegralNumber();
                case FLOAT, DOUBLE -> json.isFloatingPointNumber();
                case ARRAY -> json.isArray();
                case MAP, RECORD -> json.isObject();
                default -> json.isTextual();
            };
            if (fits) {
                return schema;
            }
        }
        throw new IllegalArgumentException(json + " is none of " + union);
    }

    /** What a value of a type means by Avro's own conversion, for those types that other libraries do not know; else null. */
    static String meant(Schema schema, Object value) {
        for (Conversion<?> conversion : CONVERSIONS) {
            LogicalType logical = schema.getLogicalType();
            if (logical != null && logical.getName().equals(conversion.getLogicalTypeName())) {
                return Conversions.convertToLogicalType(value, schema, logical, conversion).toString();
            }
        }
        return null;
    }

    private static byte[] bytes(Schema schema, String text) {
        if (schema.getLogicalType() instanceof LogicalTypes.Uuid) {
            UUID uuid = UUID.fromString(text);
            return ByteBuffer.allocate(16).putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits()).array();
        }
        if (!(schema.getLogicalType() instanceof LogicalTypes.Decimal decimal)) {
            return text.getBytes(StandardCharsets.ISO_8859_1);
        }
        byte[] digits = new BigDecimal(text).setScale(decimal.getScale()).unscaledValue().toByteArray();
        if (schema.getType() != Schema.Type.FIXED) {
            return digits;
        }
        byte[] fixed = new byte[schema.getFixedSize()];
        Arrays.fill(fixed, (byte) (digits[0] < 0 ? -1 : 0));
        System.arraycopy(digits, 0, fixed, fixed.length - digits.length, digits.length);
        return fixed;
    }

    /** A value as text: the same for the same values. */
    static String shown(Schema schema, Object value) {
        return switch (schema.getType()) {
            case RECORD -> {
                List<String> fields = new ArrayList<>();
                for (Schema.Field field : schema.getFields()) {
                    fields.add(field.name() + "=" + shown(field.schema(), ((IndexedRecord) value).get(field.pos())));
                }
                yield fields.toString();
            }
            case UNION -> {
                int branch = GenericData.get().resolveUnion(schema, value);
                yield branch + ":" + shown(schema.getTypes().get(branch), value);
            }
            case ARRAY -> {
                List<String> items = new ArrayList<>();
                ((Iterable<?>) value).forEach(item -> items.add(shown(schema.getElementType(), item)));
                yield items.toString();
            }
            case MAP -> {
                Map<String, String> entries = new TreeMap<>();
                ((Map<?, ?>) value).forEach((k, v) -> entries.put(k.toString(), shown(schema.getValueType(), v)));
                yield entries.toString();
            }
            case BYTES -> {
                ByteBuffer buffer = ((ByteBuffer) value).duplicate();
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                yield HexFormat.of().formatHex(bytes);
            }
            case FIXED -> HexFormat.of().formatHex(((GenericFixed) value).bytes());
            default -> String.valueOf(value);
        };
    }
}
