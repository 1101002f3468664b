/** The contract as an OpenRPC document (https://spec.open-rpc.org), made from the table of methods. */
import * as z from "zod";
import { LIMITS, PROTOCOL_VERSION } from "./envelope.ts";
import { ERRORS } from "./errors.ts";
import { METHODS, NOTIFICATIONS } from "./methods.ts";

type Json = Record<string, unknown>;

/** JSON Schema draft 7, which is what OpenRPC 1.3 speaks. */
function schema(type: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(type, { target: "draft-7", io }) as Json;
  return rest;
}

/** The alternatives of a schema; one without alternatives is its only one. */
const variants = (of: Json): Json[] => {
  const inner = (of.anyOf ?? of.oneOf) as Json[] | undefined;
  return inner ? inner.flatMap(variants) : [of];
};

/** Each parameter that one of the alternatives has, by the schemas that it has there. */
function byName(whole: readonly Json[]) {
  const propertiesOf = (each: Json) => (each.properties ?? {}) as Record<string, Json>;
  const names = new Set(whole.flatMap((each) => Object.keys(propertiesOf(each))));
  return [...names].map((name) => {
    const texts = whole.flatMap((each) => JSON.stringify(propertiesOf(each)[name]) ?? []);
    const schemas = [...new Set(texts)].map((text) => JSON.parse(text) as Json);
    return {
      name,
      required: whole.every((each) => (each.required as string[] | undefined)?.includes(name)),
      schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas },
    };
  });
}

const isFailure = (code: string) => !["parse_error", "invalid_request"].includes(code);

/**
 * Builds the OpenRPC 1.3.2 document that `rpc.discover` answers with and `protocol/openrpc.json` holds.
 *
 * Parameters are passed by name. Errors are listed once as components; any method may answer with any of them. What is
 * no request (notifications, limits) stands under `x-` members.
 */
export function openrpc(version: string): Json {
  const errors = Object.fromEntries(
    Object.entries(ERRORS).filter(([code]) => isFailure(code)).map(([code, entry]) => [code, {
      code: entry.rpc,
      message: entry.message,
      data: { code, retryable: entry.retryable },
    }]),
  );
  const references = Object.keys(errors).map((code) => ({ $ref: `#/components/errors/${code}` }));
  const methods = Object.entries(METHODS).map(([name, method]) => {
    const params = schema(method.params, "input");
    const whole = variants(params);
    return {
      name,
      summary: method.summary,
      "x-scope": method.scope,
      paramStructure: "by-name",
      params: byName(whole),
      // OpenRPC has parameters one by one; this says which go together.
      ...whole.length > 1 && { "x-params": params },
      result: { name: "result", schema: schema(method.result, "output") },
      errors: references,
      examples: [{
        name: "example",
        params: Object.entries(method.example.params).map(([key, value]) => ({ name: key, value })),
        result: { name: "result", value: method.example.result },
      }],
    };
  });
  return {
    openrpc: "1.3.2",
    info: {
      title: "D-Sign",
      description: "Signing for web pages with the keys on this computer's tokens.",
      version,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    methods,
    components: { errors },
    "x-protocol": PROTOCOL_VERSION,
    "x-limits": LIMITS,
    "x-notifications": Object.entries(NOTIFICATIONS).map(([name, { summary, params }]) => ({
      name,
      summary,
      params: schema(params, "input"),
    })),
  };
}

/** The document as `protocol/openrpc.json` holds it. */
export function openrpcText(version: string): string {
  return JSON.stringify(openrpc(version), null, 2) + "\n";
}

if (import.meta.main) {
  const { version } = JSON.parse(
    await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
  );
  await Deno.writeTextFile(new URL("openrpc.json", import.meta.url), openrpcText(version));
}
