import assert from "node:assert/strict";
import { roleOf } from "./roles.ts";

const NAMES = ["ffi", "import", "net", "run", "write", "env", "sys", "read"] as const;

/** The permissions left to a program in a role, as Deno reports them and as attempts show. */
async function left(role: string): Promise<{ granted: string[]; refused: string[] }> {
  const script = `
    import { giveUpPermissions } from ${JSON.stringify(new URL("roles.ts", import.meta.url).href)};
    giveUpPermissions(${JSON.stringify(role)});
    const attempts = {
      ffi: () => Deno.dlopen("/nowhere.so", {}),
      net: () => Deno.listen({ port: 0, hostname: "127.0.0.1" }).close(),
      run: () => new Deno.Command("/nowhere").outputSync(),
      write: () => Deno.writeTextFileSync("/nowhere/file", ""),
    };
    const refused = Object.entries(attempts).filter(([, attempt]) => {
      try { attempt(); } catch (error) { return error instanceof Deno.errors.NotCapable; }
    });
    const granted = ${JSON.stringify(NAMES)}.filter((name) =>
      Deno.permissions.querySync({ name }).state === "granted");
    console.log(JSON.stringify({ granted, refused: refused.map(([name]) => name) }));`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--quiet",
      "-A",
      `data:text/javascript,${encodeURIComponent(script)}`,
    ],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("each role gives up the permissions that it does not need", async () => {
  const expected: Record<string, string[]> = {
    "pkcs11-host": ["net", "run", "write"],
    agent: ["ffi"],
    tokens: ["ffi", "net", "write"],
    "tokens pin": ["ffi", "net"],
    sign: ["ffi", "net"],
    "tokens online": ["ffi", "write"],
    verify: ["ffi"],
    openrpc: ["ffi", "net", "run", "write"],
    autostart: ["ffi", "net"],
    modules: ["ffi", "net"],
    doctor: ["ffi"],
    support: ["ffi"],
    update: ["ffi", "run"],
  };
  for (const [role, names] of Object.entries(expected)) {
    const { granted, refused } = await left(role);
    assert.deepEqual(refused, names, role);
    assert.ok(!granted.some((name) => names.includes(name) || name === "import"), role);
    assert.ok(granted.includes("read"));
  }
  assert.deepEqual((await left("pkcs11-host")).granted, ["ffi", "read"]);
  assert.deepEqual((await left("windows-store-host")).granted, ["ffi", "read"]);
  assert.deepEqual((await left("pdf-text")).granted, ["read"]);
  assert.deepEqual((await left("reader")).granted, ["read"]);
});

Deno.test("roleOf gives the command's role, the agent's without a command, and the least role otherwise", () => {
  assert.equal(roleOf([]), "agent");
  assert.equal(roleOf(["--json"]), "agent");
  assert.equal(roleOf(["--json", "agent"]), "agent");
  assert.equal(roleOf(["--json", "tokens"]), "tokens");
  assert.equal(roleOf(["tokens", "pin"]), "tokens pin");
  assert.equal(roleOf(["tokens", "--remote", "pin"]), "tokens pin");
  assert.equal(roleOf(["sign", "x"]), "sign");
  assert.equal(roleOf(["sign", "--level", "B-T", "x"]), "sign online");
  assert.equal(roleOf(["sign", "--level=B-T", "x"]), "sign online");
  for (const args of [["--help"], ["--json", "--help"], ["nonsense"], ["toString"]]) {
    assert.equal(roleOf(args), "openrpc");
  }
});
