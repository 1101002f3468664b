/** What the guides say is so: their links, and their commands, which are run. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ERRORS } from "../protocol/errors.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PATHS = [
  ...["README.md", "SECURITY.md"].map((name) => join(ROOT, name)),
  ...[...Deno.readDirSync(join(ROOT, "docs"))].filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => join(ROOT, "docs", name)),
];
const guides = await Promise.all(PATHS.map(async (path) => ({
  path,
  text: await Deno.readTextFile(path),
})));

Deno.test("every file and picture that a guide names is there", async () => {
  for (const { path, text } of guides) {
    for (const [, link] of text.matchAll(/\]\(([^)#\s]+)\)/g)) {
      if (!link.includes("://")) await Deno.stat(join(dirname(path), link));
    }
  }
});

/** A line of the shell as words. */
const wordsOf = (line: string) =>
  (line.match(/"[^"]*"|[^\s"]+/g) ?? []).map((word) => word.replaceAll('"', ""));

const found = (pattern: RegExp) =>
  new Set(guides.flatMap(({ text }) =>
    [...text.replaceAll(/ \\\n\s+/g, " ").matchAll(pattern)]
      .map(([, line]) => line.replaceAll(/\s+/g, " ").trim())
  ));
/** `dsign …` in blocks, up to the comment, and within sentences. */
const blocks = found(/^ {4}dsign (.*?)(?:\s{2,}#.*)?$/gm);
const inline = found(/`dsign ([a-z][^`|]*)`/g);

/** Those that ask nobody and start nothing; the others have tests of their own. */
const isAlone = (line: string) =>
  blocks.has(line) &&
  /^(?:modules|autostart|tokens$|log|policy|trust status|update check)/.test(line);

Deno.test("every other command of the guides is there, with its options", () =>
  inTempDir(async (dir) => {
    const help = new Map<string, string>();
    const helpOf = async (words: string[]) => {
      const key = words.join(" ");
      if (!help.has(key)) {
        const { code, stdout } = await dsign([...words, "--help"], environment(dir));
        assert.equal(code, 0, key);
        help.set(key, stdout);
      }
      return help.get(key)!;
    };
    const lines = [...inline, ...blocks].filter((line) => !isAlone(line));
    assert.ok(lines.length > 20, String(lines.length));
    for (const line of lines) {
      const words = wordsOf(line);
      const command: string[] = [];
      for (const word of words) {
        if (!/^[a-z][a-z-]*$/.test(word)) break;
        const inner = await helpOf(command);
        const isCommand = new RegExp(`^  ${word}\\b`, "m").test(inner.split("Commands:")[1] ?? "");
        if (!isCommand) break;
        command.push(word);
      }
      assert.ok(command.length > 0, line);
      const text = await helpOf(command);
      for (const option of words.filter((word) => word.startsWith("--"))) {
        assert.ok(text.includes(option), `${line}: ${option}`);
      }
    }
  }));

Deno.test("the commands that need nothing are right as they stand", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
    await Deno.writeTextFile(join(dir, "config/dsign/config.json"), '{"searchModules":false}');
    // a library for this kind of computer: it is looked at, not loaded
    const module = join(dir, "libtoken-pkcs11.so");
    await Deno.copyFile(Deno.execPath(), module);
    const lines = [...blocks].filter(isAlone).sort();
    assert.ok(lines.length > 12, String(lines.length));
    // "modules remove" comes after "modules add" by the alphabet
    for (const line of lines) {
      const words = wordsOf(line).map((word) =>
        basename(word) === basename(module) ? module : word
      );
      const here = words[0] === "policy" ? ["--output", dir] : [];
      const { code, stderr } = await dsign([...words, ...here], env);
      // 2 is wrong use; 1 and 4 are what this empty computer has
      assert.notEqual(code, 2, `${line}: ${stderr}`);
    }
  }));

/** Codes of a connection that was not made (web/client.ts). */
const CONNECTION = "not_installed permission_denied blocked_by_browser outdated connection_lost"
  .split(" ");

Deno.test("every error that the portals' guide speaks of is one", () => {
  const { text } = guides.find(({ path }) => path.endsWith("portals.md"))!;
  const codes = [...text.matchAll(/^\| (`[^|]*)\|/gm)].slice(1)
    .flatMap(([, row]) => [...row.matchAll(/`([a-z_]+)`/g)].map(([, code]) => code));
  assert.ok(codes.length > 12);
  for (const code of codes) assert.ok(code in ERRORS || CONNECTION.includes(code), code);
});
