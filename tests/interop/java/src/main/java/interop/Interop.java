package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.avro.Schema;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes every value of cases.json by Apicurio's serializer, or reads by its deserializer what the engine has written, in
 * Confluent's wire format.
 *
 * <p>Arguments: {@code write} or {@code read}, the brokers, the URL of the registry's own API, the file. What differs or
 * is not there is told, and the exit status is 1.
 */
public final class Interop {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration WITHIN = Duration.ofSeconds(60);

    private final String servers;
    private final String url;
    private final List<Case> cases = new ArrayList<>();

    /** A type and its values, which are those of a record with one field, or stand by themselves. */
    private record Case(String name, Schema schema, List<Object> values) {}

    private Interop(String servers, String url, Path file) throws Exception {
        this.servers = servers;
        this.url = url;
        for (JsonNode node : JSON.readTree(Files.readString(file))) {
            if (node.path("not_by").has("apicurio")) {
                continue;
            }
            String name = node.get("name").textValue();
            Schema type = new Schema.Parser().parse(node.get("type").toString());
            checkMeaning(name, type, node);
            boolean whole = node.path("whole").booleanValue();
            Schema schema = whole ? type : new Schema.Parser().parse("{\"type\": \"record\", \"name\": \"R_" + name
                    + "\", \"namespace\": \"interop\", \"fields\": [{\"name\": \"v\", \"type\": " + node.get("type") + "}]}");
            List<Object> values = new ArrayList<>();
            for (JsonNode value : node.get("values")) {
                values.add(Values.ofJson(schema, whole ? value : JSON.createObjectNode().set("v", value)));
            }
            cases.add(new Case(name, schema, values));
        }
    }

    /** Whether Avro's own conversions take the values for what the engine shows of them. */
    private static void checkMeaning(String name, Schema type, JsonNode node) {
        for (int number = 0; number < node.get("values").size(); number++) {
            Object value = Values.ofJson(type, node.get("values").get(number));
            String meant = Values.meant(type, value);
            String shown = node.path("json").path(number).asText(node.get("values").get(number).asText());
            if (meant != null && !meant.equals(shown)) {
                throw new IllegalStateException(name + ": Avro's Java takes " + value + " for " + meant + ", not " + shown);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Interop interop = new Interop(arguments[1], arguments[2], Path.of(arguments[3]));
        switch (arguments[0]) {
            case "write" -> interop.write();
            case "read" -> System.exit(interop.read());
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.exit(0);
    }

    /** Uses the schemas that the registry has. */
    private Map<String, Object> settings() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("apicurio.registry.url", url);
        settings.put("apicurio.registry.find-latest", "true");
        return settings;
    }

    private void write() {
        Map<String, Object> settings = Map.of("bootstrap.servers", servers, "linger.ms", 5);
        try (KafkaProducer<String, byte[]> producer =
                        new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
                AvroKafkaSerializer<Object> serializer = new AvroKafkaSerializer<>()) {
            serializer.configure(settings(), false);
            for (Case one : cases) {
                String topic = "in-" + one.name();
                for (int number = 0; number < one.values().size(); number++) {
                    byte[] value = serializer.serialize(topic, one.values().get(number));
                    producer.send(new ProducerRecord<>(topic, "apicurio-" + number, value));
                }
            }
            producer.flush();
        }
    }

    private int read() {
        Map<String, Object> settings =
                Map.of("bootstrap.servers", servers, "isolation.level", "read_committed", "enable.auto.commit", false);
        List<String> problems = new ArrayList<>();
        int compared = 0;
        try (KafkaConsumer<String, byte[]> consumer =
                        new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
                AvroKafkaDeserializer<Object> deserializer = new AvroKafkaDeserializer<>()) {
            deserializer.configure(settings(), false);
            for (Case one : cases) {
                String topic = "out-" + one.name();
                Set<Integer> missing = IntStream.range(0, one.values().size()).boxed().collect(Collectors.toSet());
                for (ConsumerRecord<String, byte[]> record : records(consumer, topic)) {
                    int number = Integer.parseInt(record.key().substring(record.key().lastIndexOf('-') + 1));
                    String expected = Values.shown(one.schema(), one.values().get(number));
                    Object read = deserializer.deserialize(topic, record.value());
                    String found = Values.shown(one.schema(), read);
                    compared++;
                    missing.remove(number);
                    if (!found.equals(expected)) {
                        problems.add(topic + " " + record.key() + ": expected " + expected + ", read " + found);
                    }
                }
                if (one.values().isEmpty() || !missing.isEmpty()) {
                    problems.add(topic + ": no record has the values of these numbers: " + missing);
                }
            }
        }
        if (cases.isEmpty()) {
            problems.add("there are no cases");
        }
        System.out.println(problems.isEmpty() ? compared + " values are the same" : String.join("\n", problems));
        return problems.isEmpty() ? 0 : 1;
    }

    /** All that a topic of one partition holds. */
    private static List<ConsumerRecord<String, byte[]>> records(KafkaConsumer<String, byte[]> consumer, String topic) {
        TopicPartition partition = new TopicPartition(topic, 0);
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        long end = consumer.endOffsets(List.of(partition), WITHIN).get(partition);
        List<ConsumerRecord<String, byte[]>> found = new ArrayList<>();
        long deadline = System.nanoTime() + WITHIN.toNanos();
        while (consumer.position(partition, WITHIN) < end) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(topic + " could not be read");
            }
            consumer.poll(Duration.ofSeconds(1)).forEach(found::add);
        }
        return found;
    }
}
