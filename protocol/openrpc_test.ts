import assert from "node:assert/strict";
import * as openRpcMetaSchema from "@open-rpc/meta-schema";
import { Ajv } from "ajv";
import deno from "../deno.json" with { type: "json" };
import { type MethodName, METHODS } from "./methods.ts";
import { openrpc, openrpcText } from "./openrpc.ts";

// Its types do not name what its JavaScript exports.
const { openrpcDocument: metaSchema } = openRpcMetaSchema as unknown as { openrpcDocument: object };

Deno.test("openrpc.json is what the table of methods says", async () => {
  const committed = await Deno.readTextFile(new URL("openrpc.json", import.meta.url));
  assert.ok(
    committed === openrpcText(deno.version),
    "stale: run `deno run -A protocol/openrpc.ts` and commit the result",
  );
});

Deno.test("the OpenRPC document is valid by the official meta-schema", () => {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  // The meta-schema refers to JSON Schema's own, split in two, by an address that
  // Ajv does not resolve.
  const draft7 = ajv.getSchema("http://json-schema.org/draft-07/schema")!.schema as {
    definitions: object;
    properties: object;
  };
  ajv.addSchema({
    ...draft7,
    $id: "https://json-schema.test/split",
    definitions: {
      ...draft7.definitions,
      JSONSchemaObject: { type: "object", properties: draft7.properties },
      JSONSchemaBoolean: { type: "boolean" },
    },
  });
  const validate = ajv.compile(JSON.parse(
    JSON.stringify({ ...metaSchema, $schema: undefined })
      .replaceAll(/https:\/\/meta\.json-schema\.tools\/?/g, "https://json-schema.test/split"),
  ));
  assert.ok(validate(openrpc("1.2.3")), JSON.stringify(validate.errors, null, 2));
  assert.ok(!validate({ ...openrpc("1.2.3"), methods: [{ name: 1 }] }), "it can fail");
});

Deno.test("every example is valid by its own method's schemas", () => {
  for (const name of Object.keys(METHODS) as MethodName[]) {
    const { params, result, example } = METHODS[name];
    ("strict" in params ? params.strict() : params).parse(example.params);
    result.parse(example.result);
  }
});
