/*
 * Reads messages, one a line of standard input, with Apache Flink's own classes of a format, and prints each row that comes of
 * them as a JSON array: the kind of change (+I, -U, +U, -D), then the columns as texts or null.
 *
 * Arguments: canal-json, maxwell-json, debezium-json or debezium-json-schema; then each column as NAME:TYPE, of a type named
 * below.  A message that Flink refuses ends the program with its exception.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;

import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.canal.CanalJsonDeserializationSchema;
import org.apache.flink.formats.json.debezium.DebeziumJsonDeserializationSchema;
import org.apache.flink.formats.json.maxwell.MaxwellJsonDeserializationSchema;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;

public class FlinkFormats {
	static DataType type(String name) {
		switch (name) {
		case "INT":
			return DataTypes.INT();
		case "BIGINT":
			return DataTypes.BIGINT();
		case "DOUBLE":
			return DataTypes.DOUBLE();
		case "DECIMAL":
			return DataTypes.DECIMAL(20, 0);
		case "DECIMAL3":
			return DataTypes.DECIMAL(12, 3);
		case "STRING":
			return DataTypes.STRING();
		case "BYTES":
			return DataTypes.BYTES();
		case "DATE":
			return DataTypes.DATE();
		case "TIMESTAMP6":
			return DataTypes.TIMESTAMP(6);
		}
		throw new IllegalArgumentException(name);
	}

	static DeserializationSchema<RowData> reader(String format, DataType row) {
		TypeInformation<RowData> info = TypeInformation.of(RowData.class);

		switch (format) {
		case "canal-json":
			return CanalJsonDeserializationSchema.builder(row, Collections.emptyList(), info)
				.setTimestampFormat(TimestampFormat.SQL).build();
		case "maxwell-json":
			return new MaxwellJsonDeserializationSchema(row, Collections.emptyList(), info, false, TimestampFormat.SQL);
		default:
			return new DebeziumJsonDeserializationSchema(row, Collections.emptyList(), info, format.endsWith("-schema"),
				false, TimestampFormat.SQL);
		}
	}

	public static void main(String[] args) throws Exception {
		List<DataTypes.Field> fields = new ArrayList<>();
		for (int i = 1; i < args.length; i++) {
			int at = args[i].lastIndexOf(':');
			fields.add(DataTypes.FIELD(args[i].substring(0, at), type(args[i].substring(at + 1))));
		}
		DataType row = DataTypes.ROW(fields);
		RowData.FieldGetter[] getters = new RowData.FieldGetter[fields.size()];
		for (int i = 0; i < getters.length; i++)
			getters[i] = RowData.createFieldGetter(row.getLogicalType().getChildren().get(i), i);
		DeserializationSchema<RowData> reader = reader(args[0], row);
		reader.open(null);
		ObjectMapper json = new ObjectMapper();
		PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
		Collector<RowData> print = new Collector<RowData>() {
			@Override
			public void collect(RowData data) {
				List<String> texts = new ArrayList<>();
				texts.add(data.getRowKind().shortString());
				for (RowData.FieldGetter getter : getters) {
					Object value = getter.getFieldOrNull(data);
					texts.add(value == null ? null : value instanceof byte[]
						? Base64.getEncoder().encodeToString((byte[]) value) : value.toString());
				}
				try {
					out.println(json.writeValueAsString(texts));
				} catch (Exception e) {
					throw new RuntimeException(e);
				}
			}

			@Override
			public void close() {
			}
		};
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line = in.readLine(); line != null; line = in.readLine())
			reader.deserialize(line.getBytes(StandardCharsets.UTF_8), print);
		out.flush();
	}
}
