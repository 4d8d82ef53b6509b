package io.aitbc.contracts;

import java.io.IOException;
import java.io.OutputStream;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.exc.JacksonIOException;
import tools.jackson.databind.SerializationContext;
import tools.jackson.databind.ser.std.StdSerializer;

/** Writes a payload as it came in. */
final class PayloadSerializer extends StdSerializer<Payload> {
    PayloadSerializer() {
        super(Payload.class);
    }

    @Override
    public void serialize(Payload payload, JsonGenerator json, SerializationContext context) {
        if (!(json.streamWriteOutputTarget() instanceof OutputStream out)) {
            json.writeTree(payload.tree());
            return;
        }
        // The comma and the colon that may be due.
        json.writeRawValue("");
        json.flush();
        try {
            out.write(payload.bytes());
        } catch (IOException e) {
            throw JacksonIOException.construct(e, json);
        }
    }
}
