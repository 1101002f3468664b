import assert from "node:assert/strict";
import { TICKETS } from "./tickets.ts";
import { type Language, LANGUAGES, toChecks } from "./words.ts";

const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);

/** Letters that a language's own sentences are written in. */
const SCRIPTS: Record<Language, RegExp> = {
  en: /\p{Script=Latin}/u,
  bn: /\p{Script=Bengali}/u,
  hi: /\p{Script=Devanagari}/u,
};

for (const [language, words] of Object.entries(LANGUAGES)) {
  Deno.test(`no sentence is missing in ${language}, and each has the places of the English one`, () => {
    assert.deepEqual(Object.keys(words.tickets), [...TICKETS]);
    const { tickets, status, ...others } = words;
    const said: [string, string][] = [...Object.entries(others), ...Object.entries(status)];
    for (const id of TICKETS) {
      const english = LANGUAGES.en.tickets[id];
      assert.deepEqual(Object.keys(tickets[id]), Object.keys(english));
      for (const part of ["ok", "seen", "meaning", "action"] as const) {
        said.push([`${id}.${part}`, tickets[id][part]]);
        assert.deepEqual(
          places(tickets[id][part]).sort(),
          places(english[part]).sort(),
          `${id}.${part}`,
        );
      }
    }
    for (const [name, text] of said) {
      assert.ok(text.trim() !== "", `${name} is empty`);
      // what is seen may be a technical text alone
      if (text.replaceAll(/\{\w+\}/g, "").trim() !== "") {
        assert.match(text, SCRIPTS[language as Language], `${name} is not in ${language}`);
      }
    }
  });
}

Deno.test("what a command is to be given is one word of the shell, whatever it is called", () => {
  const values = { driver: "a'; rm -rf ~ #" };
  const [{ action }] = toChecks([{ id: "driver_path_wrong", status: "error", values }], "en");
  assert.ok(action.endsWith(`dsign modules remove 'a'\\''; rm -rf ~ #'`), action);
});

Deno.test("findings become words in the order in which they are to be solved, with what was seen", () => {
  const [first, second, third] = toChecks([
    { id: "pin_locked", status: "error", values: { token: "{driver} $& Anita" } },
    { id: "configuration_wrong", status: "ok" },
    { id: "chain_incomplete", status: "skipped" },
  ], "en");
  assert.deepEqual([first.id, second.id, third.id], [
    "configuration_wrong",
    "pin_locked",
    "chain_incomplete",
  ]);
  assert.equal(first.action, "");
  assert.equal(second.seen, "The PIN of the token {driver} $& Anita is locked.");
  assert.match(third.seen, /could not be looked at/);
});
