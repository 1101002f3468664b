import { ALL, missingOf, tryExample, withStage } from "../fixtures/examples.ts";

/** Set by `deno task test:examples`; without it only Node's portal is run. */
const isWanted = Deno.env.has("DSIGN_TEST_EXAMPLES");

for (const example of Object.values(ALL)) {
  const missing = await missingOf(example);
  const why = missing ? ` (needs ${missing})` : isWanted ? "" : " (deno task test:examples)";
  const ignore = missing !== undefined || !isWanted && example.name !== "node";
  const does = example.run ? "logs in, and checks a bill and an order" : "compiles";
  Deno.test({
    name: `the portal in examples/${example.name} ${does}${ignore ? why : ""}`,
    ignore,
    fn: () => withStage((stage) => tryExample(example, stage)),
  });
}
