import assert from "node:assert/strict";
import { type Language, LANGUAGES } from "../words/speech.ts";
import { pageName, troubleshooting } from "./troubleshooting.ts";

for (const language of Object.keys(LANGUAGES) as Language[]) {
  Deno.test(`docs/${pageName(language)} says what the doctor says`, async () => {
    const committed = await Deno.readTextFile(
      new URL(`../docs/${pageName(language)}`, import.meta.url),
    );
    assert.ok(
      committed === await troubleshooting(language),
      "stale: run `deno task troubleshooting` and commit the result",
    );
  });
}
