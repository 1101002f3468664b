/** The verification service's calls: their parameters, their answers, and the OpenAPI document that is made from them. */
import * as z from "zod";
import { VerificationReport } from "./report.ts";

/** Every way in which a request can fail, with its status. */
export const VERIFY_ERRORS = {
  request_wrong: 400,
  trust_unknown: 400,
  browser_refused: 403,
  not_found: 404,
  method_wrong: 405,
  length_missing: 411,
  too_large: 413,
  type_wrong: 415,
  document_malformed: 422,
  document_encrypted: 422,
  not_trusted: 422,
  not_extended: 422,
  internal_error: 500,
  busy: 503,
} as const;
export type VerifyErrorCode = keyof typeof VERIFY_ERRORS;

export const VerifyError = z.object({
  error: z.enum(Object.keys(VERIFY_ERRORS) as [VerifyErrorCode, ...VerifyErrorCode[]]),
  message: z.string().describe("One sentence in English"),
}).meta({ id: "VerifyError" });

const hex64 = z.string().regex(/^[0-9a-fA-F]{64}$/, "must be a SHA-256 in hex");

/** The fields beside the files. */
export const VerifyFields = z.strictObject({
  trust: z.string().min(1).max(64).describe("Name of a trust set of the configuration"),
  pan: hex64.optional().describe("SHA-256 (hex) of the PAN whose holder must have signed"),
  certificate: hex64.optional().describe(
    "SHA-256 fingerprint (hex) of the certificate that must have signed",
  ),
  level: z.enum(["B-B", "B-T", "B-LT", "B-LTA"]).optional().describe(
    "Least level of every signature",
  ),
  revocation: z.enum(["require", "if-available"]).default("require").describe(
    "require: only valid if known not to be revoked; if-available: also valid if that is not known",
  ),
  password: z.string().max(127).optional().describe("Opens an encrypted PDF"),
});
export type VerifyFields = z.output<typeof VerifyFields>;

/** The fields of an extension beside the files. */
export const ExtendFields = z.strictObject({
  trust: VerifyFields.shape.trust,
  level: z.enum(["B-T", "B-LT", "B-LTA"]).describe("To which every signature is raised"),
  password: VerifyFields.shape.password,
});

export const VerifyAnswer = VerificationReport.extend({
  ok: z.boolean().describe(
    "The indication is TOTAL-PASSED, and all that was expected is so: act on this alone",
  ),
  file: z.string().nullable().describe("Name of the file as it was sent"),
  sha256: z.string(),
  problems: z.array(z.string()).describe("What could not be fetched, in sentences"),
  expected: z.object({
    pan: z.boolean().nullable(),
    certificate: z.boolean().nullable(),
    level: z.boolean().nullable(),
  }).describe("Whether each thing that was asked for is so; null: not asked for"),
}).meta({ id: "VerifyAnswer" });
export type VerifyAnswer = z.output<typeof VerifyAnswer>;

type Json = Record<string, unknown>;

function schemaOf(type: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...schema } = z.toJSONSchema(type, { io }) as Json;
  return schema;
}

/** The OpenAPI 3.1 document. */
export function verifyOpenapi(version: string): Json {
  const schemas: Json = {};
  const put = (type: z.ZodType) => {
    // what a schema calls its own parts stands beside it here
    const { $defs = {}, ...schema } = JSON.parse(
      JSON.stringify(schemaOf(type, "output")).replaceAll("#/$defs/", "#/components/schemas/"),
    ) as Json & { $defs?: Json };
    Object.assign(schemas, $defs);
    const id = z.globalRegistry.get(type)!.id as string;
    schemas[id] = schema;
    return { $ref: `#/components/schemas/${id}` };
  };
  const json = (schema: Json) => ({ "application/json": { schema } });
  const failed = { description: "Failed", content: json(put(VerifyError)) };
  const form = (type: z.ZodType) => {
    const fields = schemaOf(type, "input") as { properties: Json; required: string[] };
    return {
      required: true,
      content: {
        "multipart/form-data": {
          schema: {
            ...fields,
            properties: {
              ...fields.properties,
              file: binary("PDF, CMS, XML, JSON or signing route"),
              content: binary("What a detached signature signs"),
            },
            required: [...fields.required, "file"],
          },
        },
      },
    };
  };
  const failures = {
    "503": {
      ...failed,
      headers: { "Retry-After": { description: "Seconds", schema: { type: "integer" } } },
    },
    default: failed,
  };
  const binary = (description: string) => ({
    type: "string",
    contentMediaType: "application/octet-stream",
    description,
  });
  const text = { description: "Text", content: { "text/plain": { schema: { type: "string" } } } };
  const get = (operationId: string, summary: string, responses: Json) => ({
    get: { operationId, summary, responses },
  });
  return {
    openapi: "3.1.0",
    info: {
      title: "D-Sign verification service",
      description: "Verifies the signatures of files, by EN 319 102-1.",
      version,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "http://127.0.0.1:7797" }],
    security: [],
    paths: {
      "/v1/verify": {
        post: {
          operationId: "verify",
          summary: "Verifies every signature of a file",
          requestBody: form(VerifyFields),
          responses: {
            "200": { description: "The report; see `ok`", content: json(put(VerifyAnswer)) },
            ...failures,
          },
        },
      },
      "/v1/extend": {
        post: {
          operationId: "extend",
          summary: "Raises every signature of a file to a level",
          requestBody: form(ExtendFields),
          responses: {
            "200": {
              description: "The new file, or what is to be appended to the one that was sent",
              headers: {
                "Dsign-Result": {
                  description: "Which of them",
                  schema: { type: "string", enum: ["file", "appended"] },
                },
              },
              content: { "application/octet-stream": { schema: binary("The bytes") } },
            },
            ...failures,
          },
        },
      },
      "/v1/openapi.json": get("openapi", "This document", {
        "200": { description: "OpenAPI 3.1", content: json({ type: "object" }) },
      }),
      "/healthz": get("healthz", "The process lives", { "200": text }),
      "/readyz": get("readyz", "It can verify", {
        "200": { description: "Yes", content: json({ type: "object" }) },
        "503": { description: "Not now, and why", content: json({ type: "object" }) },
      }),
      "/metrics": get("metrics", "For Prometheus", { "200": text }),
    },
    components: { schemas },
  };
}
