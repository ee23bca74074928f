/* What Kafka Connect's JsonConverter makes of messages; see connect-decode. */
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.ConnectSchema;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;

public class ConnectDecode {
	/* A struct as its fields' values; bytes as base64. */
	static Object plain(Object value) {
		if (value instanceof Struct s) {
			Map<String, Object> fields = new LinkedHashMap<>();
			for (Field f : s.schema().fields())
				fields.put(f.name(), plain(s.getWithoutDefault(f.name())));
			return fields;
		}
		if (value instanceof List<?> l) {
			List<Object> all = new ArrayList<>();
			for (Object x : l)
				all.add(plain(x));
			return all;
		}
		if (value instanceof ByteBuffer b)
			return Base64.getEncoder().encodeToString(b.array());
		if (value instanceof byte[] b)
			return Base64.getEncoder().encodeToString(b);
		return value;
	}

	static Object type(Schema s) {
		Map<String, Object> t = new LinkedHashMap<>();
		t.put("type", s.type().getName());
		t.put("optional", s.isOptional());
		if (s.name() != null)
			t.put("name", s.name());
		if (s.version() != null)
			t.put("version", s.version());
		if (s.parameters() != null)
			t.put("parameters", s.parameters());
		if (s.defaultValue() != null)
			t.put("default", plain(s.defaultValue()));
		if (s.type() == Schema.Type.STRUCT) {
			Map<String, Object> fields = new LinkedHashMap<>();
			for (Field f : s.fields())
				fields.put(f.name(), type(f.schema()));
			t.put("fields", fields);
		}
		return t;
	}

	public static void main(String[] args) throws Exception {
		JsonConverter key = new JsonConverter(), value = new JsonConverter();
		key.configure(Map.of("schemas.enable", "true"), true);
		value.configure(Map.of("schemas.enable", "true"), false);
		ObjectMapper json = new ObjectMapper();
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine()) {
			byte[] bytes = Base64.getDecoder().decode(line.substring(1));
			Map<String, Object> out = new LinkedHashMap<>();
			try {
				SchemaAndValue got = (line.charAt(0) == 'k' ? key : value).toConnectData("topic", bytes);
				/* The converter trusts the schema; this looks whether each value has its type. */
				ConnectSchema.validateValue(got.schema(), got.value());
				out.put("schema", type(got.schema()));
				out.put("value", plain(got.value()));
			} catch (Exception e) {
				out.put("error", e.toString());
			}
			System.out.println(json.writeValueAsString(out));
		}
	}
}
