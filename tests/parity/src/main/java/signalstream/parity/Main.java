package signalstream.parity;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.kafka.streams.Topology;

/** Runs sequences of records through Kafka Streams and writes what comes out. */
public final class Main {
    private Main() {}

    /**
     * Reads one sequence a line, {@code {"scenario": NAME, "lines": [LINE, ..]}} with the lines of
     * {@code signalstream drive}, and writes one line for each: {@code [[AT, TOPIC, KEY, VALUE, TIMESTAMP], ..]}, where AT
     * is the number of the input line, from 0, during which the record came out.
     *
     * @param arguments the file that is read and the file that is written
     * @throws IOException when they cannot be
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 2) {
            System.err.println("usage: Main SEQUENCES OUTPUTS");
            System.exit(2);
        }
        Map<String, Supplier<Topology>> scenarios = Scenarios.all();
        try (BufferedReader reader = Files.newBufferedReader(Path.of(arguments[0]));
                BufferedWriter writer = Files.newBufferedWriter(Path.of(arguments[1]))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                JsonNode sequence = JsonSerde.MAPPER.readTree(line);
                String name = sequence.get("scenario").asText();
                Supplier<Topology> topology = scenarios.get(name);
                if (topology == null) {
                    throw new IllegalArgumentException("there is no scenario `" + name + "`; add it to Scenarios.java");
                }
                try (Sequence run = new Sequence(topology.get())) {
                    writer.write(run.through(sequence.get("lines")).toString());
                } catch (RuntimeException exception) {
                    throw new IllegalStateException("the sequence " + line + " failed", exception);
                }
                writer.newLine();
            }
        }
    }
}
