import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  PORTS as AGENT_PORTS,
  PROTOCOL_VERSION,
  SECURE_PORTS as AGENT_SECURE_PORTS,
} from "../protocol/envelope.ts";
import { PORTS, PROTOCOL, SECURE_PORTS } from "../web/client.ts";
import { build } from "./build.ts";
import { withContract } from "./client_types.ts";

const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

/** Runs `deno check` over a source that is written to a temporary file. */
async function check(source: string, ...options: string[]): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, source);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", ...options, file],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    return success ? "" : new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("the SDK's own constants are the contract's", () => {
  assert.deepEqual(PORTS, AGENT_PORTS);
  assert.deepEqual(SECURE_PORTS, AGENT_SECURE_PORTS);
  assert.equal(PROTOCOL, PROTOCOL_VERSION);
});

Deno.test("the declarations say the same as the source", async () => {
  await build();
  const errors = await check(
    `
    import type * as built from "${path("dist/web/client.d.ts")}";
    import type * as source from "${path("web/client.ts")}";
    type Both<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false;
    type EachMethod = {
      [M in source.MethodName]:
        | Both<built.Params<M>, source.Params<M>>
        | Both<built.Result<M>, source.Result<M>>;
    };
    const methods: Record<source.MethodName, true> = {} as EachMethod;
    const names: Both<built.MethodName, source.MethodName> = true;
    const codes: Both<built.ErrorCode, source.ErrorCode> = true;
    const scopes: Both<built.Scope, source.Scope> = true;
    const status: Both<built.Status, source.Status> = true;
    const tries: Both<built.TriesLeft, source.TriesLeft> = true;
    const progress: Both<built.Progress, source.Progress> = true;
    `,
    `--config=${path("deno.json")}`,
  );
  assert.equal(errors, "");
});

Deno.test("client.d.ts alone reports a portal programmer's mistakes", async () => {
  const errors = await check(
    `
    import { connect, type DsignClientError } from "${path("dist/web/client.d.ts")}";
    const dsign = await connect();
    const { signature } = await dsign.call("sign.data", { content: { json: { bill: 7 } } });
    const text: string = signature;
    // @ts-expect-error a scope that does not exist
    await dsign.call("origin.request", { scopes: ["everything"] });
    // @ts-expect-error a method that does not exist
    await dsign.call("sign.everything", {});
    const code = (error: DsignClientError) => error.code === "pin_locked";
    `,
    "--no-config",
  );
  assert.equal(errors, "");
});

Deno.test("declarations of another shape are refused, not half translated", () => {
  assert.throws(() => withContract("export declare const x: 1;", []), /shape/);
});
