/** README, SECURITY, CONTRIBUTING and docs/ are true. Some guides have separate tests beside this. */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Command, CommanderError } from "commander";
import type { Context } from "../cli/command.ts";
import { COMMANDS } from "../cli/program.ts";
import { ERRORS } from "../protocol/errors.ts";
import known from "../signers/modules.json" with { type: "json" };
import type { Certificate, Token } from "../protocol/methods.ts";
import { type ConnectionCode, PROTOCOL } from "../web/client.ts";
import { dsign, dsignAtTerminal, environment, type Step } from "./fixtures/cli.ts";
import {
  blocks,
  commandLine,
  commandLines,
  type Doc,
  readDoc,
  readDocs,
  ROOT,
  wordsOf,
} from "./fixtures/docs.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";

const docs = await readDocs();

/** Bytes that a picture may have. */
const MAX_PICTURE = 150_000;

/** A heading's anchor, as GitHub makes it. */
const anchor = (heading: string) =>
  heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");

Deno.test("every file, heading and picture that the documents name exists", async () => {
  for (const { path, folder, text } of docs) {
    const prose = text.replaceAll(/^```.*?^```/gms, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file, heading] = target!.split("#");
      const there = file ? join(folder, file) : join(ROOT, path);
      const { size } = await Deno.stat(there);
      if (/\.png$/.test(file!)) assert.ok(size < MAX_PICTURE, `${file} has ${size} bytes`);
      if (heading === undefined) continue;
      const headings = (await Deno.readTextFile(there)).matchAll(/^#+ (.*)$/gm);
      assert.ok([...headings].some(([, each]) => anchor(each!) === heading), `${path}: ${target}`);
    }
    const named =
      /`((?:agent|cli|formats|online|otp_service|pkcs11_ffi|protocol|reader|settings|signers|signing|tasks|tests|web|words|\.github|\.ci)\/[\w./-]*)`/g;
    for (const [, file] of prose.matchAll(named)) await Deno.stat(join(ROOT, file!));
  }
});

Deno.test("every picture is shown somewhere", async () => {
  const shown = docs.map(({ text }) => text).join();
  for await (const { name } of Deno.readDir(join(ROOT, "docs/images"))) {
    assert.ok(shown.includes(`images/${name})`), name);
  }
});

/**
 * Gives a command line to the program's own parser, without the command being run.
 *
 * @throws {CommanderError} what the parser does not accept
 */
async function parse(words: string[]): Promise<void> {
  const program = new Command("dsign")
    .exitOverride()
    .enablePositionalOptions()
    .helpCommand(false)
    .configureOutput({ writeErr() {}, writeOut() {} })
    .option("--json")
    .action(() => {});
  for (const load of Object.values(COMMANDS)) {
    (await load())(program, {} as Context, () => () => Promise.resolve());
  }
  await program.parseAsync(words, { from: "user" });
}

/** Words that prose may leave out of a command. */
const INCOMPLETE = [
  "commander.help", // a command that has commands, alone
  "commander.missingArgument",
  "commander.missingMandatoryOptionValue",
  "commander.optionMissingArgument",
];

/** Words with every choice of their alternatives, written `add|list`. */
const alternatives = (words: string[]): string[][] =>
  words.reduce<string[][]>(
    (all, word) => word.split("|").flatMap((each) => all.map((some) => [...some, each])),
    [[]],
  );

Deno.test("every dsign command that the documents name is understood by the program", async () => {
  let lines = 0;
  for (const doc of docs) {
    const typed = commandLines(doc).map(wordsOf).filter(([first]) => first === "dsign");
    for (const words of typed) {
      await parse(words.slice(1)).catch((error) => {
        throw new Error(`${doc.path}: ${words.join(" ")}: ${error.message}`);
      });
      lines++;
    }
    const prose = doc.text.replaceAll(/^```.*?^```/gms, "");
    for (const [, line] of prose.matchAll(/`(?:sudo )?dsign ([^`]+)`/g)) {
      for (const words of alternatives(wordsOf(line!.replaceAll(/\s+/g, " ")))) {
        await parse(words).catch((error) => {
          if (error instanceof CommanderError && INCOMPLETE.includes(error.code)) return;
          throw new Error(`${doc.path}: ${words.join(" ")}: ${error.message}`);
        });
        lines++;
      }
    }
  }
  assert.ok(lines >= 60, `${lines}`);
  for (const wrong of ["sing a.pdf", "sign --visibel 1 a.pdf", "modules forget x", "sign"]) {
    await assert.rejects(parse(wrong.split(" ")), CommanderError, wrong);
  }
});

/** Commands that prompt nobody, stay in their own folders and need no file: they are run as written. */
const ALONE = /^(autostart|doctor$|log|modules|policy|tokens$|trust status|update check)/;

Deno.test("the dsign commands that need no set-up work as written", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
    await Deno.writeTextFile(join(dir, "config/dsign/config.json"), '{"searchModules":false}');
    // A library for this kind of computer: it is inspected, not loaded.
    const module = join(dir, "libtoken-pkcs11.so");
    await Deno.copyFile(Deno.execPath(), module);
    const typed = docs.flatMap(commandLines).map((line) => line.replace(/^sudo /, ""))
      .flatMap((line) => /^dsign (.*)$/.exec(line)?.[1] ?? []);
    const lines = [...new Set(typed)].filter((line) => ALONE.test(line));
    assert.ok(lines.length >= 12, `${lines.length}`);
    for (const line of lines.sort()) { // sorted, commands that add come before those that remove
      const words = wordsOf(line).map((word) =>
        basename(word) === basename(module) ? module : word
      );
      const here = words[0] === "policy" ? ["--output", dir] : [];
      const { code, stderr } = await dsign([...words, ...here], env);
      // 2 is wrong use; 1 and 4 are what this empty computer has
      assert.notEqual(code, 2, `${line}: ${stderr}`);
    }
  }));

Deno.test("the PIN/OTP guide's commands set up a service with a person and an audit", () =>
  inTempDir(async (dir) => {
    const lines = commandLines(await readDoc("docs/otp-service.md"))
      .filter((line) => !line.startsWith("dsign otp-service --config ")); // it would not end
    assert.ok(lines.length >= 4);
    for (const line of lines) {
      const words = wordsOf(line.replaceAll("/etc/dsign-otp", `${dir}/service`));
      const { code, stdout, stderr } = await dsign(words.slice(1), environment(dir));
      assert.equal(code, 0, `${line}: ${stdout} ${stderr}`);
      if (line.includes("export")) assert.match(stdout, /asen/);
    }
  }));

/** Beginnings of the documents' other commands, and the task or test that checks each. */
const OTHERS: readonly [start: RegExp, shown: string][] = [
  [/^openssl genpkey /, "install_guide_test.ts runs it"],
  [/^openssl (base64|cms) /, "e2e/portal_guide_test.ts runs it, and `dsign verify`"],
  [/^deno (task$|test -A --no-check )/, "of Deno itself"],
  [/^curl -F file=/, "verify_service/service_test.ts asks so, over a socket file"],
  [/^(tar -xzf|python3 -m http\.server|node) /, "e2e/five_minutes_test.ts runs it"],
  [/^npx playwright install /, "fetches a browser; e2e/five_minutes_test.ts has Debian's"],
  [/^npm install \.\/dsign-web-/, "e2e/npm_vite_test.ts runs it"],
  [/^sed -i /, "install_guide_test.ts runs it"],
  [/^sha256sum /, "install_guide_test.ts runs it"],
  [/^install /, "administrators_test.ts runs it"],
  [/^(openssl (req|pkcs12)|softhsm2-util|pkcs11-tool) /, "run below"],
  [
    /^(apt-get|dnf) (install|purge|remove) -y /,
    "package_test.ts installs and removes by dpkg, rpm",
  ],
  [/^(installer|mkdir|icacls|copy) |\.exe \/VERYSILENT/, "of systems that cannot be had here"],
];

Deno.test("every other command in the documents is a task or is run by a test", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const isTask = (text: string) => {
    const task = /^(?:npx -y )?deno(?:@[\d.]+)? task ([\w:]+)/.exec(text)?.[1];
    if (task !== undefined) assert.ok(Object.hasOwn(tasks, task), text);
    return task !== undefined;
  };
  for (const doc of docs) {
    for (const line of commandLines(doc)) {
      if (isTask(line) || wordsOf(line)[0] === "dsign") continue;
      const source = /^deno run -A main\.ts (.*)/.exec(line)?.[1];
      if (source) await parse(source.split(" "));
      else assert.ok(OTHERS.some(([start]) => start.test(line)), `${doc.path}: ${line}`);
    }
    for (const [, text] of doc.text.matchAll(/`(deno task [^`]+)`/g)) isTask(text!);
  }
});

Deno.test("CI runs the README's test command", async () => {
  const { text } = await readDoc("README.md");
  const command = text.match(/^ {4}(npx \S+ deno@\S+ task test)/m)![1]!;
  assert.ok((await Deno.readTextFile(join(ROOT, ".ci/run"))).includes(`exec ${command}\n`));
});

Deno.test("the README shows the guide's signing page and the demonstration's output", async () => {
  const readme = await readDoc("README.md");
  const [page] = blocks(await readDoc("docs/portals.md"), "html");
  const real = page!.replace(/^(<link|const \{ trial \}).*\n/gm, "").replace("{ trial, ", "{ ")
    .replace(/\{\n +(content: .*),\n +packaging: "detached",\n +\}/, "{ $1 }")
    .replace("./package/index.js", "./client.js");
  assert.deepEqual(blocks(readme, "html"), [real]);
  const demo = await Deno.readTextFile(join(ROOT, "tasks/demo.ts"));
  const [printed] = blocks(readme, "text");
  // Lines with addresses and names are filled in when it runs.
  for (const line of printed!.split("\n").filter((each) => /^\w/.test(each))) {
    assert.ok(demo.includes(line.replace("(SoftHSM)", "(${kind})")), line);
  }
});

Deno.test("the guide to versions names the current protocol version", async () => {
  const { text } = await readDoc("docs/versions.md");
  assert.ok(text.includes(`\`protocol\` is \`${PROTOCOL}\``));
});

/** Code before the examples for portals. */
const PREAMBLE = `
import { acceptNewAgent, type Client, connect, connectByPopup, type ConnectOptions, DsignClientError } from ${
  JSON.stringify(pathToFileURL(join(ROOT, "web/client.ts")).href)
};
declare const dsign: Client;
declare const file: File;
declare const files: File[];
declare const button: HTMLButtonElement;
void acceptNewAgent, connect, connectByPopup, DsignClientError, dsign, file, files, button;
`;

Deno.test("the examples for portals fit the SDK", () =>
  inTempDir(async (dir) => {
    const examples = docs.filter(({ path }) => /browsers|portals/.test(path))
      .flatMap((doc) => blocks(doc, "ts"));
    assert.ok(examples.length >= 5);
    const files = await Promise.all(examples.map(async (example, i) => {
      const file = join(dir, `example_${i}.ts`);
      await Deno.writeTextFile(file, `${PREAMBLE}{\n${example}}\n`);
      return file;
    }));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", join(ROOT, "deno.json"), ...files],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }));

/** The codes in the first column of a document's tables, with their row's further cells. */
const codesIn = ({ text }: Doc): [code: string, cells: string[]][] =>
  [...text.matchAll(/^\| (`[^|]+) \|(.*)\|$/gm)].flatMap(([, first, rest]) =>
    [...first!.matchAll(/`(\w+)`/g)].map(([, code]): [string, string[]] => [
      code!,
      rest!.split("|").map((cell) => cell.trim()),
    ])
  );

Deno.test("the guide for portals has every error, and says when the same call can succeed", async () => {
  const section = (await readDoc("docs/portals.md")).text.split("\n## Errors\n")[1]!;
  const told = codesIn({ path: "", folder: "", text: section.split("\n## ")[0]! });
  assert.deepEqual(told.map(([code]) => code).sort(), Object.keys(ERRORS).sort());
  for (const [code, [retryable]] of told) {
    const is = ERRORS[code as keyof typeof ERRORS].retryable;
    assert.equal(retryable, is ? "yes" : "no", code);
  }
});

Deno.test("the guide on browsers has every reason why no connection could be made", async () => {
  const codes: Record<ConnectionCode, true> = {
    not_installed: true,
    cannot_tell: true,
    blocked_by_browser: true,
    permission_denied: true,
    certificate_untrusted: true,
    outdated: true,
    agent_changed: true,
    no_grant: true,
    connection_lost: true,
  };
  const told = codesIn(await readDoc("docs/browsers.md")).map(([code]) => code);
  assert.deepEqual(told.sort(), Object.keys(codes).sort());
});

Deno.test("the notes on tokens have every known driver", async () => {
  const { text } = await readDoc("docs/tokens.md");
  const rows = [...text.matchAll(/^\| (.+?) +\| (.+?) +\| (.+?) +\| (.+?) +\|$/gm)]
    .map(([, ...cells]) => cells.map((cell) => cell!.replaceAll("`", ""))).slice(2);
  const paths = (of: string[] | undefined) => of?.join(", ") ?? "–";
  assert.deepEqual(
    rows,
    known.products.map(({ name, windows, linux, darwin }) => [
      name,
      ...[windows, linux, darwin].map(paths),
    ]),
  );
});

Deno.test("the commands for a test token make one that can sign", () =>
  inTempDir(async (dir) => {
    const doc = await readDoc("docs/tokens.md");
    await Deno.mkdir(join(dir, "tokens"));
    await Deno.writeTextFile(join(dir, "softhsm.conf"), `directories.tokendir = ${dir}/tokens\n`);
    const SOFTHSM2_CONF = join(dir, "softhsm.conf");
    const answers: [start: string, answers: string][] = [
      ["openssl req", ""],
      ["openssl pkcs12", "-passout pass:1234"], // typed at the keyboard otherwise
      ["softhsm2-util --init-token", "--pin 1234 --so-pin 12345678"],
      ["softhsm2-util --import", "--pin 1234"],
      ["pkcs11-tool", "--pin 1234"],
    ];
    for (const [start, answer] of answers) {
      const { success, stderr } = await new Deno.Command("sh", {
        args: ["-c", `${commandLine(doc, start)} ${answer}`],
        cwd: dir,
        env: { SOFTHSM2_CONF },
      }).output();
      assert.ok(
        success,
        `${start} (Debian: openssl softhsm2 opensc): ${new TextDecoder().decode(stderr)}`,
      );
    }
    const key = ["--key-file", join(dir, "trial.p12")];
    const listed = await dsign(["tokens", ...key, "--json"], environment(dir, { SOFTHSM2_CONF }));
    const { tokens, certificates } = JSON.parse(listed.stdout);
    assert.equal(tokens.filter(({ label }: Token) => label === "trial").length, 2);
    const ours: Certificate = certificates.find((each: Certificate) => each.commonName === "Trial");
    assert.equal(ours.reason, null);

    const order = join(dir, "order.pdf");
    await Deno.writeFile(order, classicPdf(documentObjects()));
    const typed = docs.flatMap(commandLines).filter((line) => line.startsWith("dsign sign "));
    const lines = [...new Set(typed)];
    assert.ok(lines.length >= 3);
    for (const line of lines) {
      const words = wordsOf(line).slice(1)
        .map((word) => word.startsWith("pkcs11:") ? "pkcs11:token=trial" : word)
        .map((word) => /^(order\.pdf|trial\.p12)$/.test(word) ? join(dir, word) : word);
      const { code, stderr } = await dsignAtTerminal(
        words,
        environment(dir, { SOFTHSM2_CONF }),
        [
          // the token and the key file have the same certificate
          ...words.includes("--key-file")
            ? [[/in the key file "trial"[^]*Which certificate[^?]*\? /, "1\r"] satisfies Step]
            : [],
          [/(PIN|password)[^:]*: /i, "1234\r"],
        ],
      );
      assert.equal(code, 0, `${line}: ${stderr}`);
      const [signature] = await pdfsig(join(dir, "order-signed.pdf"));
      assert.deepEqual([signature.valid, signature.total], [true, true]);
      await Deno.remove(join(dir, "order-signed.pdf"));
    }
  }));
