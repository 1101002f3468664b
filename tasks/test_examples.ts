/**
 * `deno task test:examples`: runs the portals of `examples/` in every language whose runtime is installed: Node, Python,
 * Java, PHP (php-cli) and C# (mono-mcs, libmono-system-net-http4.0-cil; the runtime of .NET is fetched from PyPI). And
 * judges logins in Java (libbcpkix-java) as Web eID's library does.
 */
import { prepareDotnet } from "./dotnet.ts";

if (import.meta.main) {
  const dotnet = await prepareDotnet();
  if ("missing" in dotnet) console.error(`C# only refuses, by Mono: no .NET. ${dotnet.missing}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "tests/e2e/examples_test.ts", "tests/otp_examples_test.ts"],
      "tests/web_eid_java_test.ts",
    ],
    cwd: new URL("..", import.meta.url),
    env: {
      DSIGN_TEST_EXAMPLES: "1",
      ..."program" in dotnet && { DSIGN_TEST_DOTNET: dotnet.program },
    },
    stdin: "null",
  }).spawn().status;
  Deno.exit(code);
}
