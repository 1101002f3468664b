/** The npm package, as a portal gets it: from the packed file. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as esbuild from "esbuild";
import ts from "typescript";
import { npmPackage, PACKAGE } from "../tasks/npm.ts";
import { readDoc, ROOT } from "./fixtures/docs.ts";

const archive = await npmPackage();

/** A portal's folder in which the package is installed. */
async function inPortal(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(folder, "node_modules"));
    const { success } = await new Deno.Command("tar", {
      args: ["-xzf", archive, "-C", join(folder, "node_modules")],
    }).output();
    assert.ok(success);
    await Deno.rename(
      join(folder, "node_modules/package"),
      join(folder, "node_modules", PACKAGE),
    );
    await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
    await test(folder);
  } finally {
    await esbuild.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the compiler says about a page. */
function mistakes(file: string, moduleResolution: ts.ModuleResolutionKind): string[] {
  const isNode = moduleResolution === ts.ModuleResolutionKind.NodeNext;
  const program = ts.createProgram([file], {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: [],
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    target: ts.ScriptTarget.ES2022,
    module: isNode ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
    moduleResolution,
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start }) => {
    const line = file && start !== undefined && file.getLineAndCharacterOfPosition(start).line + 1;
    return `${file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

Deno.test("the package has no dependencies, and every entry has types and a source map", () =>
  inPortal(async (folder) => {
    const root = join(folder, "node_modules", PACKAGE);
    const manifest = JSON.parse(await Deno.readTextFile(join(root, "package.json")));
    assert.equal(manifest.dependencies, undefined);
    assert.equal(manifest.sideEffects, false);
    const files = (await Array.fromAsync(Deno.readDir(root))).map(({ name }) => name);
    for (const { types, default: script } of Object.values(manifest.exports as object)) {
      if (script === undefined) continue; // package.json itself
      for (const path of [types, script, `${script}.map`]) assert.ok(files.includes(path.slice(2)));
    }
    for (const name of files.filter((each) => each.endsWith(".js.map"))) {
      const { sources, sourcesContent } = JSON.parse(await Deno.readTextFile(join(root, name)));
      assert.equal(sources.length, sourcesContent.length, name);
    }
  }));

Deno.test("TypeScript in strict mode takes right use of the package and reports wrong use", () =>
  inPortal(async (folder) => {
    const file = join(folder, "page.ts");
    await Deno.writeTextFile(
      file,
      `
      import { connect, type ConnectionCode, DsignClientError, type ErrorCode } from "${PACKAGE}";
      import { bn } from "${PACKAGE}/bn";
      import { hi } from "${PACKAGE}/hi";
      import { connectByPopup } from "${PACKAGE}/popup";
      import { defineDsignButton } from "${PACKAGE}/element";
      import { useDsign } from "${PACKAGE}/react";
      export async function sign(file: File): Promise<Blob> {
        const messages = document.documentElement.lang === "bn" ? bn : hi;
        const dsign = await connect({ messages, signal: AbortSignal.timeout(60_000) });
        dsign.addEventListener("tokenchanged", () => {});
        // @ts-expect-error an event that does not exist
        dsign.addEventListener("tokenChanged", () => {});
        // @ts-expect-error a scope that does not exist
        await connect({ scopes: ["everything"] });
        // @ts-expect-error Base64 is not a document
        await dsign.signPdf("JVBERi0=");
        const again = await connectByPopup();
        const { signed } = await again.signBatch([{ name: "a.pdf", content: file }]);
        const count: number = signed;
        return (await dsign.signPdf(file, { reason: String(count) })).pdf;
      }
      export function say(error: unknown): string {
        if (!(error instanceof DsignClientError)) throw error;
        const code: ErrorCode | ConnectionCode = error.code;
        // @ts-expect-error a code that does not exist
        if (code === "pin_wrong") return "";
        return hi[code] ?? error.message;
      }
      export function Page(): string {
        const { dsign, state, error, retry } = useDsign({ scopes: ["sign"] });
        retry();
        return dsign ? state : error?.message ?? "";
      }
      defineDsignButton();
      const button = document.querySelector("dsign-button")!;
      button.toSign = () => ({ data: { content: { json: { bill: 7 } } } });
      // @ts-expect-error nothing to sign
      button.toSign = () => ({});
      `,
    );
    assert.deepEqual(mistakes(file, ts.ModuleResolutionKind.Bundler), []);
    assert.deepEqual(mistakes(file, ts.ModuleResolutionKind.NodeNext), []);
  }));

Deno.test("a bundler takes the core alone: no other language, framework or window", () =>
  inPortal(async (folder) => {
    const bundled = async (source: string) => {
      const { outputFiles } = await esbuild.build({
        stdin: { contents: source, resolveDir: folder },
        bundle: true,
        format: "esm",
        write: false,
        logLevel: "error",
        minify: true,
        external: ["react"],
      });
      return new TextDecoder().decode(outputFiles[0]!.contents);
    };
    const core = await bundled(`import { connect } from "${PACKAGE}"; connect();`);
    assert.doesNotMatch(core, /\p{Script=Bengali}|\p{Script=Devanagari}|react|\/bridge/u);
    const unused = await bundled(
      ["", "/bn", "/react", "/element", "/popup"].map((entry) => `import "${PACKAGE}${entry}";`)
        .join(""),
    );
    assert.equal(unused.trim(), "", "entries without use leave nothing behind");
  }));

Deno.test("Node renders pages with the package, and says where connect() belongs", () =>
  inPortal(async (folder) => {
    const script = `
      import { connect } from "${PACKAGE}";
      import "${PACKAGE}/popup";
      import { bn } from "${PACKAGE}/bn";
      import { defineDsignButton } from "${PACKAGE}/element";
      defineDsignButton();
      if (!bn.pin_incorrect || !bn.not_installed) throw new Error("no Bengali");
      connect().catch((error) => console.log(error.name, error.message));
    `;
    const { stdout, stderr } = await new Deno.Command("node", {
      args: ["--input-type=module", "--eval", script],
      cwd: folder,
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(
      new TextDecoder().decode(stdout),
      "TypeError connect() works in a page only: call it in an effect or a click.\n",
    );
  }));

Deno.test("the guides name the package as it is named", async () => {
  const readme = await Deno.readTextFile(join(ROOT, "web/client/README.md"));
  for (const text of [readme, (await readDoc("docs/portals.md")).text]) {
    for (const [, name] of text.matchAll(/from "(dsign-[\w-]+)/g)) assert.equal(name, PACKAGE);
  }
});
