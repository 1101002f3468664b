/**
 * `deno task test:examples`: runs the portals of `examples/` in every language whose runtime is installed: Node, Python,
 * Java and PHP (php-cli); of C# (mono-mcs, libmono-system-net-http4.0-cil) what Mono can run. And judges logins in Java
 * (libbcpkix-java) as Web eID's library does.
 */
if (import.meta.main) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "tests/e2e/examples_test.ts", "tests/otp_examples_test.ts"],
      "tests/web_eid_java_test.ts",
    ],
    cwd: new URL("..", import.meta.url),
    env: { DSIGN_TEST_EXAMPLES: "1" },
    stdin: "null",
  }).spawn().status;
  Deno.exit(code);
}
