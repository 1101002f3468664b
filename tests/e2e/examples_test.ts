import { ALL, missingOf, tryExample, withStage } from "../fixtures/examples.ts";

/** Set by `deno task test:examples`; without it only Node's portal is run. */
const isWanted = Deno.env.has("DSIGN_TEST_EXAMPLES");

/** By `dsign verify`, and by its verification service. */
const WAYS = ["command", "service"] as const;

for (const example of Object.values(ALL)) {
  const missing = await missingOf(example.needs);
  const why = missing ? ` (needs ${missing})` : isWanted ? "" : " (deno task test:examples)";
  const ignore = missing !== undefined || !isWanted && example.name !== "node";
  const does = example.refuses
    ? "compiles, and refuses a forged login"
    : "logs in, and checks a bill and an order";
  Deno.test({
    name: `the portal in examples/${example.name} ${does}${ignore ? why : ""}`,
    ignore,
    fn: () =>
      withStage(async (stage) => {
        for (const checksBy of example.refuses ? ["command"] as const : WAYS) {
          await tryExample(example, stage, checksBy);
          await stage.trial.set({ answer: "sign", officer: 1 });
        }
      }),
  });
}
