/** `deno task test:npm`: builds a page with Vite and React, which npm fetches, from the packed npm package. */
if (import.meta.main) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "tests/e2e/npm_vite_test.ts"],
    cwd: new URL("..", import.meta.url),
    env: { DSIGN_TEST_NPM: "1", NODE_ENV: "development" },
    stdin: "null",
  }).spawn().status;
  Deno.exit(code);
}
