/**
 * `client.d.ts`: the SDK's declarations as one file that needs no other, and those of the package's entries. What the compiler writes refers to the types of
 * protocol/, which are made of schemas; here they are written out from the OpenRPC document.
 */
import ts from "typescript";
import { ERRORS } from "../protocol/errors.ts";
import { openrpc } from "../protocol/openrpc.ts";
import { en } from "../words/en/client.ts";

/** The part of JSON Schema that the contract uses. */
interface Schema {
  $ref?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  type?: string | string[];
  items?: Schema | Schema[];
  properties?: Record<string, Schema>;
  /** Of a record: what each of its members is. */
  additionalProperties?: Schema | boolean;
  required?: string[];
  description?: string;
  definitions?: Record<string, Schema>;
}

interface Method {
  name: string;
  summary: string;
  params: { name: string; required: boolean; schema: Schema }[];
  /** For parameters that exclude each other. */
  "x-params"?: Schema;
  result: { schema: Schema };
}

const comment = (text: string | undefined) =>
  text ? `/** ${text.replaceAll("*/", "* /")} */\n` : "";

const members = (schema: Schema | boolean | undefined) =>
  typeof schema === "object" && Object.keys(schema).length > 0 ? typeOf(schema) : "unknown";

function typeOf(schema: Schema): string {
  if (schema.$ref) return schema.$ref.split("/").at(-1)!;
  if (Object.keys(schema).every((key) => key === "description")) return "Json";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return alternatives.map(typeOf).join(" | ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type })).join(" | ");
  }
  switch (schema.type) {
    case "array":
      return Array.isArray(schema.items)
        ? `[${schema.items.map(typeOf).join(", ")}]`
        : `(${typeOf(schema.items!)})[]`;
    case "object":
      return schema.properties
        ? object(
          Object.entries(schema.properties).map(([name, schema]) => ({ name, schema })),
          schema.required ?? [],
        )
        : `Record<string, ${members(schema.additionalProperties)}>`;
    case "integer":
      return "number";
    case "string":
    case "number":
    case "boolean":
    case "null":
      return schema.type;
  }
  throw new Error(`no TypeScript type is known for ${JSON.stringify(schema)}`);
}

function object(members: { name: string; schema: Schema }[], required: string[]): string {
  if (members.length === 0) return "Record<string, never>";
  const lines = members.map(({ name, schema }) =>
    `${comment(schema.description)}${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema)};`
  );
  return `{\n${lines.join("\n")}\n}`;
}

/** The types that the SDK takes from protocol/. */
function contract(): string {
  const document = openrpc("") as {
    methods: Method[];
    "x-notifications": { name: string; params: Schema }[];
  };
  const methods = document.methods.map(({ name, summary, params, "x-params": whole, result }) => {
    const required = params.filter((each) => each.required).map((each) => each.name);
    return `${comment(summary)}"${name}": {
       params: ${whole ? typeOf(whole) : object(params, required)};
       result: ${typeOf(result.schema)};
     };`;
  });
  const named = document.methods.flatMap(({ result }) =>
    Object.entries(result.schema.definitions ?? {})
  )
    .map(([name, schema]) => `export type ${name} = ${typeOf(schema)};`);
  const notifications = document["x-notifications"].map(({ name, params }) =>
    `"${name}": ${typeOf(params)};`
  );
  return `
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
${named.join("\n")}
/** Every method of the contract. */
export interface Methods {
  ${methods.join("\n")}
}
export type MethodName = keyof Methods;
export type Params<M extends MethodName> = Methods[M]["params"];
export type Result<M extends MethodName> = Methods[M]["result"];
interface Notifications {
  ${notifications.join("\n")}
}
type NotificationParams<N extends keyof Notifications> = Notifications[N];
export type Scope = Params<"origin.request">["scopes"][number];
export type Status = Omit<Result<"agent.info">, "platform"> & { port: number; securePort: number | null; trial?: true };
export type ErrorCode = ${Object.keys(ERRORS).map((code) => JSON.stringify(code)).join(" | ")};
/** How many PIN tries the token says are left. \`unknown\` is to be treated as dangerous. */
export type TriesLeft = "many" | "low" | "final" | "none" | "unknown";
`;
}

/** The statements of a file of declarations, each with the comment above it. */
const statements = (text: string): string[] =>
  text.split(/\n(?=\/\*\*|(?<!\*\/\n)(?:export|declare|import) )/);

/**
 * Makes the declarations that the compiler wrote of the SDK one file for others: without imports, with the contract, and
 * without the functions and constants that only the SDK's own files share.
 *
 * @param values names of the functions, classes and constants that the SDK gives out
 */
export function withContract(declarations: string, values: readonly string[]): string {
  const imports = /^import (type )?\{.*\} from "[./a-z_]+\.ts";$/;
  const exports = /^export type \{[^}]*\};$/m;
  if (!/^import type /m.test(declarations) || !exports.test(declarations)) {
    throw new Error("the declarations of the SDK are not of the shape that is known");
  }
  const mine = statements(declarations.replace(exports, "").replace(/^export \{\};$/gm, ""))
    .map((each) => each.split("\n").filter((line) => !imports.test(line)).join("\n"))
    .filter((each) => {
      const name = /^export declare (?:const|function|class) (\w+)/m.exec(each)?.[1];
      return name === undefined || values.includes(name);
    });
  const [about, ...rest] = mine;
  const words = Object.keys(en).map((each) => JSON.stringify(each)).join(" | ");
  return [
    about,
    channel().trimEnd(),
    contract().trim(),
    `type ClientWords = Record<${words}, string>;`,
    ...rest,
    "export {};\n",
  ].join("\n");
}

const channel = () => Deno.readTextFileSync(new URL("../web/client/channel.ts", import.meta.url));

/** Leaves out what the package gives out elsewhere than in its core. */
export const without = (declarations: string, name: string): string =>
  statements(declarations).filter((each) => !each.includes(`export declare function ${name}(`))
    .join("\n");

/** Declarations of a further entry of the package, which takes the SDK's types from its core. */
export function entryTypes(source: string): string {
  const { outputText } = ts.transpileDeclaration(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, lib: ["es2022", "dom"] },
  });
  const found = new Set<string>();
  const mine = outputText.replace(
    /^import (?:type )?\{(.*)\} from "\.[a-z_./]+\.ts";\n/gm,
    (_, names: string) => {
      for (const name of names.split(",")) found.add(name.replace("type ", "").trim());
      return "";
    },
  );
  const names = [...found].sort().join(", ");
  return names ? `import type { ${names} } from "./index.js";\n${mine}` : mine;
}
