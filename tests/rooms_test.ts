/**
 * The rooms of the code: who may import whom, where the unsafe calls stand, and where code may come from. Each rule
 * is also shown to find a planted breach.
 */
import assert from "node:assert/strict";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** The rooms, and which other rooms' files each may import: a file, or a folder ending in `/`. */
const MAY_IMPORT: Record<string, string[]> = {
  words: [],
  protocol: ["words/"],
  formats: [],
  pkcs11_ffi: ["words/"],
  windows_ffi: [
    "pkcs11_ffi/error.ts",
    "pkcs11_ffi/mechanism.ts",
    "pkcs11_ffi/messages.ts",
    "pkcs11_ffi/serve.ts",
    "pkcs11_ffi/uri.ts",
  ],
  online: ["formats/", "reader/"],
  reader: ["formats/"],
  signers: ["protocol/", "formats/", "reader/client.ts", "pkcs11_ffi/client.ts", "online/http.ts"],
  settings: ["protocol/", "formats/"],
  signing: ["protocol/", "formats/", "online/", "reader/", "signers/", "settings/"],
  agent: ["protocol/", "formats/", "online/", "signers/", "settings/", "signing/"],
  trial: ["protocol/", "formats/", "signers/", "signing/", "agent/"],
  otp_service: ["words/", "protocol/", "formats/", "online/", "reader/", "signers/"],
  verify_service: ["protocol/", "formats/", "online/", "reader/", "settings/", "signing/"],
  web: ["protocol/", "words/"],
  cli: [
    "words/",
    "protocol/",
    "formats/",
    "pkcs11_ffi/",
    "online/",
    "reader/",
    "signers/",
    "settings/",
    "signing/",
    "agent/",
    "trial/",
    "otp_service/",
    "verify_service/",
  ],
  "main.ts": [
    "agent/",
    "signing/",
    "cli/",
    "pkcs11_ffi/host.ts",
    "windows_ffi/host.ts",
    "reader/host.ts",
  ],
};

/** The files that may load libraries and handle addresses. */
const UNSAFE = ["pkcs11_ffi/raw.ts", "windows_ffi/raw.ts"];

/** The folders of `formats/` from the ground up: each may import those of the floors below it. */
const FORMATS = [
  ["error.ts", "source.ts", "signer.ts", "digest.ts", "content.ts", "augment.ts", "shown.ts"],
  ["asn1"],
  ["keys", "log", "pdf"],
  ["x509"],
  ["cms", "json"],
  ["pades", "xml"],
  ["asic"],
  ["verify"],
];

/** Not part of the product: these may import anything, and of the product only unit tests may import them. */
const AROUND = ["tasks", "tests"];

/** Imports that must be types only: the pages' code carries no zod. */
const TYPES_ONLY: [from: string, to: string][] = [["web", "protocol"]];

interface Import {
  /** File of this repository. */
  from: string;
  /** As written. */
  specifier: string;
  /** File of this repository, or what the specifier resolves to outside it. */
  to: string;
  typeOnly: boolean;
}

const room = (file: string) => file.includes("/") ? file.slice(0, file.indexOf("/")) : file;
const isTest = (file: string) => /_test\.tsx?$/.test(file);

/** The floor of {@linkcode FORMATS} on which a file of `formats/` lies, or -1. */
const floorOf = (file: string) => FORMATS.findIndex((floor) => floor.includes(file.split("/")[1]));

/** The rule that `each` breaks, or null. */
function importBreach(each: Import, names: ReadonlySet<string>): string | null {
  const { from, specifier, to, typeOnly } = each;
  const wrong = (why: string) => `${from} imports ${specifier}: ${why}`;
  // deno.json holds the version
  if (/^node:/.test(to) || to === "deno.json") return null;
  if (/^npm:/.test(to)) {
    const known = [...names].some((name) => specifier === name || specifier.startsWith(`${name}/`));
    if (!known) return wrong("not one of the pinned names of deno.json");
    return from.startsWith("protocol/") && !isTest(from) && specifier !== "zod"
      ? wrong("protocol imports zod only")
      : null;
  }
  if (/^[a-z]+:/.test(to)) return wrong("only npm: and relative imports are used");
  if (AROUND.includes(room(from))) return null;
  if (room(from) === "formats" && room(to) === "formats" && !isTest(from)) {
    for (const file of [from, to]) {
      if (floorOf(file) < 0) return wrong(`${file} lies in no folder of FORMATS`);
    }
    // the ground files import one another, as the files of a folder do
    const isSame = from.split("/")[1] === to.split("/")[1] || floorOf(from) + floorOf(to) === 0;
    return isSame || floorOf(to) < floorOf(from) ? null : wrong("formats/ is imported downward");
  }
  if (room(from) === room(to)) return null;
  if (isTest(from) && AROUND.includes(room(to))) return null;
  const allowed = MAY_IMPORT[room(from)];
  if (allowed === undefined) return wrong(`${room(from)} is no room`);
  if (!allowed.some((file) => file.endsWith("/") ? to.startsWith(file) : to === file)) {
    return wrong(`${room(from)} may import ${allowed.join(", ") || "no other room"}`);
  }
  const typesOnly = TYPES_ONLY.some(([a, b]) => room(from) === a && room(to) === b);
  if (typesOnly && !typeOnly && !isTest(from)) return wrong("types only");
  return null;
}

/** The circles of files that import one another, types included. */
function circles(imports: readonly Pick<Import, "from" | "to">[]): string[][] {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    if (!next.has(from)) next.set(from, new Set());
    next.get(from)!.add(to);
  }
  const reach = (start: string) => {
    const found = new Set<string>();
    const left = [start];
    for (let file; (file = left.pop()) !== undefined;) {
      for (const to of next.get(file) ?? []) {
        if (!found.has(to)) left.push(to);
        found.add(to);
      }
    }
    return found;
  };
  const reached = new Map([...next.keys()].map((file) => [file, reach(file)]));
  const found = new Map<string, string[]>();
  for (const [file, files] of reached) {
    if (!files.has(file)) continue;
    const circle = [...files].filter((other) => reached.get(other)?.has(file)).sort();
    found.set(circle.join(), circle);
  }
  return [...found.values()];
}

/** Code without its comment lines. */
const code = (text: string) => text.replaceAll(/^\s*(?:\/\/|\/\*|\*).*$/gm, "");

/** The rules that a source file's text breaks. */
function textBreaches(file: string, text: string): string[] {
  const found: string[] = [];
  const forbid = (pattern: RegExp, why: string) => {
    const match = pattern.exec(code(text));
    if (match !== null) found.push(`${file}: ${match[0].trim()}: ${why}`);
  };
  // a test may show that they are refused
  if (!UNSAFE.includes(file) && !isTest(file)) {
    forbid(
      /\bDeno\s*\.\s*(?:dlopen|Unsafe\w+)|\bDeno\s*\[|=\s*Deno\s*[;,)]/,
      `unsafe calls stand in ${UNSAFE.join(" and ")} alone`,
    );
  }
  if (room(file) !== "tests" && !isTest(file)) {
    forbid(/fixtures\/keys\/|\btestKey\b/, "everybody can read the test keys");
  }
  if (room(file) === "formats" && !isTest(file)) {
    forbid(
      /\bDeno\s*\.|\bfetch\(|\bDate\.now\(|\bnew Date\(\)|\bperformance\.|\bMath\.random\(|\bgetRandomValues\(|\brandom(?:Bytes|UUID)\(|"node:(?!crypto"|buffer"|zlib")/,
      "bytes in, bytes out: no files, network, clock or randomness",
    );
  }
  return found;
}

/** Names of deno.json's imports whose version is not exact, or which do not come from npm. */
function unpinned(imports: Record<string, string>): string[] {
  return Object.entries(imports)
    .filter(([, target]) => !/^npm:(?:@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(target))
    .map(([name, target]) => `deno.json: ${name} → ${target}: not a pinned npm package`);
}

/** Names of deno.json's imports that no file imports, and of which none names a file to be resolved, as of a font. */
function unused(
  names: readonly string[],
  imports: readonly Pick<Import, "specifier">[],
  texts: readonly string[],
): string[] {
  return names.filter((name) =>
    !imports.some(({ specifier }) => specifier === name || specifier.startsWith(`${name}/`)) &&
    !texts.some((text) => code(text).includes(`"${name}/`))
  );
}

async function sources(folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(join(ROOT, folder))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory && !/^\.|^(?:dist|node_modules|coverage|issues)$/.test(entry.name)) {
      found.push(...await sources(path));
    } else if (entry.isFile && /\.tsx?$/.test(entry.name)) found.push(path);
  }
  return found.sort();
}

/** Every import of every file, from `deno info --json` over a file that imports them all. */
async function imports(files: string[]): Promise<Import[]> {
  const all = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      all,
      files.map((file) => `import ${JSON.stringify(pathToFileURL(join(ROOT, file)).href)};\n`).join(
        "",
      ),
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", "--config", join(ROOT, "deno.json"), all],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    interface Resolved {
      specifier?: string;
      error?: string;
    }
    interface Module {
      specifier: string;
      error?: string;
      dependencies?: { specifier: string; code?: Resolved; type?: Resolved; npmPackage?: string }[];
    }
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    const inside = (specifier: string) => {
      if (!specifier.startsWith("file:")) return null;
      const path = relative(ROOT, fileURLToPath(specifier)).split(sep).join("/");
      return path.startsWith("../") ? null : path;
    };
    return modules.flatMap(({ specifier: from, error, dependencies }) => {
      const file = inside(from);
      if (file === null) return [];
      assert.equal(error, undefined, `${file}: ${error}`);
      return (dependencies ?? []).map(({ specifier, code, type, npmPackage }) => {
        const to = code?.specifier ?? type?.specifier;
        assert.ok(to !== undefined, `${file} imports ${specifier}, which cannot be resolved`);
        return {
          from: file,
          specifier,
          to: npmPackage !== undefined ? `npm:${npmPackage}` : inside(to) ?? to,
          typeOnly: code === undefined,
        };
      });
    });
  } finally {
    await Deno.remove(all);
  }
}

async function pinnedNames(): Promise<Record<string, string>> {
  return JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))).imports;
}

Deno.test("every import keeps to its room, and code comes from pinned npm packages only", async () => {
  const files = await sources();
  const names = await pinnedNames();
  assert.deepEqual(unpinned(names), []);
  const found = await imports(files);
  assert.ok(found.length > files.length, "deno info told of too few imports to be true");
  const known = new Set(Object.keys(names));
  const breaches = found.map((each) => importBreach(each, known)).filter((each) => each !== null);
  assert.deepEqual(breaches, []);
});

Deno.test("every pinned package is used", async () => {
  const files = await sources();
  const texts = await Promise.all(files.map((file) => Deno.readTextFile(join(ROOT, file))));
  assert.deepEqual(unused(Object.keys(await pinnedNames()), await imports(files), texts), []);
});

Deno.test("planted unused pins are found", () => {
  const find = (specifier: string, text: string) =>
    unused(["zod", "@x/font"], [{ specifier }], [text]);
  assert.deepEqual(find("zod", 'resolve("@x/font/a.woff")'), []);
  assert.deepEqual(find("zod/mini", 'resolve("@x/font/a.woff")'), []);
  assert.deepEqual(find("zodiac", '// as in "@x/font/a.woff"'), ["zod", "@x/font"]);
  assert.deepEqual(find("./zod", 'const listed = ["zod", "@x/font"];'), ["zod", "@x/font"]);
});

Deno.test("no file imports itself through others, types included", async () => {
  const found = await imports(await sources());
  assert.deepEqual(circles(found), []);
});

/** Files, and folders ending in `/`, whose code may read strangers' bytes, unless {@linkcode HARMLESS} names them. */
const PARSERS = [
  "formats/",
  "online/",
  "signers/pkcs12_read.ts",
  "npm:saxes",
  "npm:pdfjs-dist",
];

const filesOf = (folder: string, names: string) =>
  names.split(" ").map((name) => `${folder}/${name}.ts`);

/** Of those: what only writes, carries bytes, or reads one value: a number, a key, a name, a certificate. */
const HARMLESS = [
  ...filesOf("formats", "error source signer digest shown"),
  ...filesOf("formats/asn1", "der oids pem"),
  "formats/keys/",
  ...filesOf("formats/x509", "certificate extensions general_name name india signature signed"),
  ...filesOf("formats/x509", "write request ocsp_ids trial"),
  ...filesOf("formats/cms", "write signer_info timestamp_request"),
  ...filesOf("formats/json", "jws_header jws_write turn web_eid"),
  ...filesOf("formats/pades", "contents"),
  ...filesOf("formats/xml", "escape algorithms"),
  ...filesOf("formats/asic", "manifest"),
  // a few lines of text, each matched as a whole
  ...filesOf("formats/log", "checkpoint note tiles tree"),
  ...filesOf("online", "error http pki_http services timestamp pades_cms"),
];

/** What the other processes parse nevertheless, and why. */
const PARSED_OUTSIDE: Record<string, [from: string, to: string][]> = {
  "what a person or an administrator trusts, from their own folders": [
    ["settings/anchors.ts", "formats/x509/bundle.ts"],
    ["agent/roots.ts", "formats/x509/bundle.ts"],
    ["cli/otp/parts.ts", "formats/x509/bundle.ts"],
  ],
  "one private key, which a reader took out of a key file": [
    ["signers/software_key.ts", "formats/asn1/read.ts"],
  ],
  "our own output": [
    ["otp_service/esp.ts", "formats/xml/esign_request.ts"],
    ["cli/attach.ts", "formats/asn1/read.ts"],
    ["signers/pkcs12_write.ts", "formats/asn1/read.ts"],
  ],
  "the JSON of a request, which its frame bounds": [
    ["signing/content.ts", "formats/json/canonical.ts"],
    ["signing/batch.ts", "formats/json/canonical.ts"],
  ],
  "a decision about keys: a certificate's path, signed attributes of 64 KiB, an OCSP request of 8 KiB":
    [
      ["otp_service/authority.ts", "formats/x509/path.ts"],
      ["otp_service/authority.ts", "formats/asn1/read.ts"],
      ["signing/to_be_signed.ts", "formats/asn1/read.ts"],
    ],
  "the first bytes of a file that a person names": [
    ["cli/sign_pdf.ts", "formats/verify/format.ts"],
  ],
};

const isAmong = (file: string, names: readonly string[]) =>
  names.some((name) => name.endsWith("/") ? file.startsWith(name) : file === name);
const isParser = (file: string) =>
  isAmong(file.replace(/@[^@]*$/, ""), PARSERS) && !isAmong(file, HARMLESS);

/** Imports by which a program other than the reader's threads would parse; and exceptions that nothing needs. */
function parsedOutside(found: readonly Import[]): string[] {
  const allowed = new Set(Object.values(PARSED_OUTSIDE).flat().map((pair) => pair.join(" → ")));
  const used = new Set<string>();
  const breaches: string[] = [];
  const importsOf = Map.groupBy(found, ({ from }) => from);
  const loaded = new Set(["main.ts"]);
  for (const from of loaded) {
    for (const { to, typeOnly } of importsOf.get(from) ?? []) {
      if (typeOnly) continue;
      loaded.add(to);
      // Of parsers, what they are made of.
      if (!isParser(to) || isParser(from) || from.startsWith("formats/")) continue;
      const pair = `${from} → ${to}`;
      if (allowed.has(pair)) used.add(pair);
      else breaches.push(pair);
    }
  }
  return [...breaches, ...[...allowed].filter((pair) => !used.has(pair))];
}

Deno.test("no program parses strangers' bytes but in the reader's threads", async () => {
  const found = await imports(await sources());
  assert.deepEqual(parsedOutside(found), []);
  // Each import of a parser into a program is found, whichever it is.
  const read = [...new Set(found.map(({ to }) => to))].filter(isParser);
  assert.ok(read.length > 60, `${read.length} parsers`);
  for (const to of read) {
    for (const from of ["agent/server.ts", "otp_service/service.ts", "cli/verify.ts"]) {
      const planted = { from, specifier: to, to, typeOnly: false };
      assert.deepEqual(parsedOutside([...found, planted]), [`${from} → ${to}`]);
    }
  }
  // What is harmless stays so: none of it loads a parser.
  for (
    const from of new Set(found.map(({ from }) => from).filter((from) => isAmong(from, HARMLESS)))
  ) {
    const loads = found.filter((each) =>
      each.from === from && !each.typeOnly && isParser(each.to) &&
      each.to !== "formats/asn1/read.ts"
    );
    assert.deepEqual(loads.map(({ to }) => to), [], from);
  }
});

Deno.test("unsafe calls are in two files, and the pure rooms are pure", async () => {
  const breaches: string[] = [];
  for (const file of await sources()) {
    breaches.push(...textBreaches(file, await Deno.readTextFile(join(ROOT, file))));
  }
  assert.deepEqual(breaches, []);
});

Deno.test("planted breaches of the import rules are found", () => {
  const names = new Set(["zod", "@peculiar/x509"]);
  const breach = (from: string, to: string, options: Partial<Import> = {}) =>
    importBreach({ from, to, specifier: to, typeOnly: false, ...options }, names) !== null;

  assert.ok(breach("formats/cms/read.ts", "protocol/errors.ts"));
  assert.ok(breach("signers/pkcs11.ts", "pkcs11_ffi/raw.ts"));
  assert.ok(breach("windows_ffi/host.ts", "pkcs11_ffi/raw.ts"));
  assert.ok(breach("signers/windows_store.ts", "windows_ffi/store.ts"));
  assert.ok(breach("signing/sign.ts", "pkcs11_ffi/client.ts"));
  assert.ok(breach("signing/sign.ts", "tests/fakes/provider.ts"));
  assert.ok(breach("signing/sign.ts", "cli/sign.ts"));
  assert.ok(breach("web/client.ts", "protocol/methods.ts"), "a value, not a type");
  assert.ok(breach("cli/sign.ts", "web/client.ts"));
  assert.ok(breach("words/agent.ts", "protocol/errors.ts"));
  assert.ok(breach("common/text.ts", "protocol/errors.ts"), "a folder that is no room");
  assert.ok(breach("signing/sign.ts", "https://example.org/x.ts"));
  assert.ok(breach("tests/e2e/x_test.ts", "jsr:@std/assert@1"));
  assert.ok(breach("signing/sign.ts", "npm:left-pad@1.3.0", { specifier: "npm:left-pad@1.3.0" }));
  assert.ok(breach("signing/sign.ts", "npm:zod@4.6.7", { specifier: "npm:zod@4.6.7" }));
  assert.ok(breach("protocol/csc.ts", "npm:@peculiar/x509@2.2.0", { specifier: "@peculiar/x509" }));

  for (
    const [from, to] of [
      ["online/http.ts", "otp_service/service.ts"],
      ["signers/pkcs11.ts", "settings/config.ts"],
      ["settings/config.ts", "signing/sign.ts"],
      ["signing/consent/window.ts", "agent/server.ts"],
      ["agent/server.ts", "cli/command.ts"],
      ["otp_service/service.ts", "signing/sign.ts"],
      ["formats/asn1/read.ts", "formats/keys/rsa.ts"],
      ["formats/pdf/xref.ts", "formats/pades/field.ts"],
      ["formats/keys/rsa.ts", "formats/x509/certificate.ts"],
      ["formats/x509/crl.ts", "formats/cms/read.ts"],
      ["formats/json/jws_add.ts", "formats/cms/read.ts"],
      ["formats/cms/read.ts", "formats/pades/field.ts"],
      ["formats/xml/xades.ts", "formats/pades/field.ts"],
      ["formats/pades/field.ts", "formats/verify/verify.ts"],
      ["formats/text.ts", "formats/error.ts"],
      ["formats/digest.ts", "formats/asn1/read.ts"],
      ["formats/error.ts", "formats/text.ts"],
    ] as const
  ) assert.ok(breach(from, to), `${from} imports ${to}`);

  assert.ok(!breach("formats/verify/pdf.ts", "formats/pades/verify.ts"));
  assert.ok(!breach("formats/digest.ts", "formats/signer.ts"));
  assert.ok(!breach("signing/sign.ts", "npm:zod@4.6.7", { specifier: "zod" }));
  assert.ok(
    !breach("formats/x509/certificate.ts", "npm:@peculiar/x509@2.2.0", {
      specifier: "@peculiar/x509",
    }),
  );
  assert.ok(!breach("web/client.ts", "protocol/methods.ts", { typeOnly: true }));
  assert.ok(!breach("signing/sign_test.ts", "tests/fakes/provider.ts"));
  assert.ok(!breach("main.ts", "pkcs11_ffi/host.ts"));
});

Deno.test("an import planted in any room, of a room that it may not know, is found", async () => {
  const names = new Set(Object.keys(await pinnedNames()));
  const files = (await sources()).filter((file) => !isTest(file));
  const rooms = Object.keys(MAY_IMPORT);
  const firstOf = (name: string) => files.find((file) => room(file) === name)!;
  for (const from of rooms) {
    const known = MAY_IMPORT[from]!.map(room);
    for (const to of rooms.filter((name) => name !== from && !known.includes(name))) {
      const planted = { from: firstOf(from), specifier: "x", to: firstOf(to), typeOnly: true };
      assert.notEqual(importBreach(planted, names), null, `${from} imports ${to}`);
    }
  }
});

Deno.test("planted circles of imports are found", () => {
  const edges = (text: string) =>
    text.split(" ").map((edge) => ({ from: edge.split(">")[0], to: edge.split(">")[1] }));
  assert.deepEqual(circles(edges("a>b b>c a>c")), []);
  assert.deepEqual(circles(edges("a>b b>c c>a x>a")), [["a", "b", "c"]]);
  assert.deepEqual(circles(edges("a>b b>a c>d d>c b>c")), [["a", "b"], ["c", "d"]]);
});

Deno.test("planted unsafe calls, impure code and loose versions are found", () => {
  const found = (file: string, text: string) => textBreaches(file, text).length === 1;

  assert.ok(found("agent/server.ts", "Deno.dlopen(path, {});"));
  assert.ok(found("pkcs11_ffi/module.ts", "const view = new Deno.UnsafePointerView(p);"));
  assert.ok(found("signers/pkcs11.ts", 'Deno["dlopen"](path, {});'));
  assert.ok(found("signers/pkcs11.ts", "const { dlopen } = Deno;"));
  assert.ok(found("tests/fakes/driver.ts", "Deno.dlopen(path, {});"));
  assert.ok(found("windows_ffi/host.ts", "Deno.dlopen(path, {});"));
  for (const file of UNSAFE) assert.ok(!found(file, "Deno.dlopen(path, {});"));
  assert.ok(!found("pkcs11_ffi/host.ts", "  // Deno.dlopen() blocks"));

  assert.ok(found("agent/tls.ts", 'Deno.readTextFile("tests/fixtures/keys/test_rsa_2048.pem");'));
  assert.ok(found("tasks/demo.ts", "const key = testKey();"));
  assert.ok(!found("signing/sign_test.ts", "const key = testKey();"));

  assert.ok(found("formats/cms.ts", "const now = Date.now();"));
  assert.ok(found("formats/cms.ts", 'Deno.readFileSync("x");'));
  assert.ok(found("formats/cms.ts", 'import { readFileSync } from "node:fs";'));
  assert.ok(!found("formats/cms.ts", 'import { createHash } from "node:crypto";'));
  assert.ok(!found("signing/audit.ts", "const now = Date.now();"));

  assert.equal(
    unpinned({ a: "npm:a@^1.0.0", b: "npm:b", c: "jsr:@std/c@1.0.0", d: "npm:@x/d@1.2.3" }).length,
    3,
  );
});
