/** The PIN/OTP service's contract as an OpenAPI document (https://spec.openapis.org/oas/v3.1.0), made from its tables. */
import * as z from "zod";
import {
  CSC_ERRORS,
  CSC_METHODS,
  CscFailure,
  NewEsign,
  OAuthAuthorize,
  OAuthRevoke,
  OAuthToken,
  PORTAL_METHODS,
} from "./csc.ts";

type Json = Record<string, unknown>;

function schema(type: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(type, { target: "draft-2020-12", io }) as Json;
  return rest;
}

const json = (content: Json) => ({ "application/json": content });

const failed = {
  description: "It was refused; `error` and `error_description` are those of the specification",
  content: json({ schema: { $ref: "#/components/schemas/Failure" } }),
};

const success = (result: z.ZodType | null, status = "200") =>
  result === null ? { "204": { description: "Done" } } : {
    [status]: { description: "Done", content: json({ schema: schema(result, "output") }) },
  };

/** The members of a type as parameters in the address. */
function inQuery(type: z.ZodType, required?: readonly string[]): Json[] {
  const { properties, required: own = [] } = schema(type, "input") as {
    properties: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: (required ?? own).includes(name),
    schema: property,
  }));
}

const operationId = (path: string) => path.replace(/^\//, "").replace(/[^A-Za-z0-9]+/g, "_");

/** Builds the OpenAPI 3.1 document that `protocol/csc_openapi.json` holds. */
export function openapi(version: string): Json {
  const paths: Record<string, Json> = {};
  const add = (path: string, verb: string, operation: Json) => {
    paths[path] = {
      ...paths[path],
      [verb]: {
        operationId: operationId(verb === "get" ? path : `${verb} ${path}`),
        ...operation,
        responses: { ...operation.responses as Json, default: failed },
      },
    };
  };
  for (const [name, method] of Object.entries(CSC_METHODS)) {
    add(`/csc/v2/${name}`, "post", {
      summary: method.summary,
      tags: ["Cloud Signature Consortium API"],
      security: method.access === "service"
        ? [{ token: [] }]
        : name === "auth/login"
        ? [{ basic: [] }, {}]
        : [],
      requestBody: {
        content: json({ schema: schema(method.params, "input"), example: method.example }),
      },
      responses: success(method.result),
    });
  }
  const form = (type: z.ZodType) => ({
    required: true,
    content: { "application/x-www-form-urlencoded": { schema: schema(type, "input") } },
  });
  add("/oauth2/authorize", "get", {
    summary: "Sends the signatory's browser to the page for PIN and OTP",
    tags: ["OAuth 2.0"],
    security: [],
    parameters: [
      ...inQuery(OAuthAuthorize, ["client_id"]),
      {
        name: "request_uri",
        in: "query",
        description: "Of oauth2/pushed_authorize; then only client_id stands beside it",
        schema: { type: "string" },
      },
    ],
    responses: { "302": { description: "To the page, or back with `error`" } },
  });
  const oauth = (path: string, summary: string, type: z.ZodType, responses: Json) =>
    add(path, "post", {
      summary,
      tags: ["OAuth 2.0"],
      security: [{ basic: [] }, {}],
      requestBody: form(type),
      responses,
    });
  const token = z.object({
    access_token: z.string(),
    refresh_token: z.string().optional(),
    token_type: z.literal("Bearer"),
    expires_in: z.int(),
    credentialID: z.string().optional(),
    authorization_details: z.array(z.record(z.string(), z.unknown())).optional()
      .describe("What was authorized (RFC 9396 §7)"),
  });
  const pushed = z.object({ request_uri: z.string(), expires_in: z.int() });
  oauth(
    "/oauth2/pushed_authorize",
    "Takes an authorization request beforehand (RFC 9126)",
    OAuthAuthorize,
    success(pushed, "201"),
  );
  oauth("/oauth2/token", "Gives tokens", OAuthToken, success(token));
  oauth("/oauth2/revoke", "Ends a token", OAuthRevoke, success(null));
  for (const [key, method] of Object.entries(PORTAL_METHODS)) {
    const [verb, path] = key.split(" ");
    const created = /persons$|documents$|esign$/.test(path) && verb === "POST";
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const text = (...names: string[]) =>
      names.map((name) => ({ name, in: "query", schema: { type: "string" } }));
    const query = path.endsWith("/audit")
      ? text("from")
      : path.endsWith("/documents")
      ? text("name")
      : path.endsWith("/esign")
      ? inQuery(NewEsign)
      : [];
    const other = path.endsWith("/audit")
      ? ["Lines", "application/x-ndjson"]
      : path.endsWith("/document")
      ? ["The PDF", "application/pdf"]
      : path.endsWith("/{entry}")
      ? ["The receipt", "text/plain"]
      : null;
    add(path, verb.toLowerCase(), {
      summary: method.summary,
      tags: ["Portal and administrator"],
      security: [{ token: [] }],
      parameters: [
        ...names.map((name) => ({
          name,
          in: "path",
          required: true,
          schema: { type: "string" },
        })),
        ...query,
      ],
      ...method.params && {
        requestBody: { required: true, content: json({ schema: schema(method.params, "input") }) },
      },
      ...created && !method.params && {
        requestBody: { required: true, content: { "*/*": { schema: {} } } },
      },
      responses: other
        ? {
          "200": {
            description: other[0],
            content: { [other[1]]: { schema: schema(method.result, "output") } },
          },
        }
        : success(method.result, created ? "201" : "200"),
    });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "D-Sign PIN/OTP service",
      description:
        "Cloud Signature Consortium API v2.0, with the names of v1.0.4 under /csc/v1, and the portal's own calls.",
      version,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "http://127.0.0.1:7795" }],
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        basic: { type: "http", scheme: "basic" },
      },
      schemas: {
        Failure: {
          ...schema(CscFailure, "output"),
          examples: Object.values(CSC_ERRORS).map(([, error, error_description]) => ({
            error,
            error_description,
          })),
        },
      },
    },
  };
}

/** The document as `protocol/csc_openapi.json` holds it. */
export function openapiText(version: string): string {
  return JSON.stringify(openapi(version), null, 2) + "\n";
}

if (import.meta.main) {
  const { version } = JSON.parse(
    await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
  );
  await Deno.writeTextFile(new URL("csc_openapi.json", import.meta.url), openapiText(version));
}
