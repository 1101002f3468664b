/** The installed program on a Windows under Wine, its person, and a page that asks it. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { build } from "../../tasks/build.ts";
import { programFiles } from "../../tasks/compile.ts";
import { connectAs } from "../../tasks/page.ts";
import { type Finished, openssl } from "../fixtures/openssl.ts";
import type { Officer } from "../fixtures/pki.ts";
import { SEALED, type Windows, windowsPath } from "./wine.ts";

const ORIGIN = "https://treasury.example";

/** A pinentry program: says yes, and types a wrong PIN before the right one. */
const PINENTRY = `
const pins = ["87654321", "12345678"];
const say = (line) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\\n"));
say("OK");
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of text.split("\\n").filter((line) => line !== "")) {
    if (line.startsWith("GETPIN")) say(pins.length > 0 ? "D " + pins.shift() : "ERR 99 no more");
    say("OK");
    if (line.startsWith("BYE")) Deno.exit(0);
  }
}
`;

/** Puts the program into `dir`. */
export async function installDsign(dir: string): Promise<void> {
  await build();
  for (const { name, bytes } of await programFiles()) {
    const path = join(dir, "dsign", name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(path, bytes);
  }
  await Deno.writeTextFile(join(dir, "pinentry.js"), PINENTRY);
}

/** Writes the person's configuration, with a pinentry program that agrees to everything. */
export async function configure(
  { appData }: Windows,
  dir: string,
  settings: Record<string, unknown>,
): Promise<void> {
  await Deno.mkdir(join(appData, "dsign"), { recursive: true });
  const deno = windowsPath(join(dir, "programs/deno.exe"));
  await Deno.writeTextFile(
    join(appData, "dsign/config.json"),
    JSON.stringify({
      searchModules: false,
      consent: "pinentry",
      pinentry: [deno, "run", "-A", ...SEALED, windowsPath(join(dir, "pinentry.js"))],
      allowedOrigins: [{ origin: ORIGIN, scopes: ["certificates", "sign"] }],
      ...settings,
    }),
  );
}

const dsignArguments = (...args: string[]) => [
  ...["run", "--quiet", ...SEALED, "--no-prompt", "--allow-all", "main.js"],
  ...args,
];

/** Runs the program; again, where the machine was so busy that a driver did not start in time. */
export async function dsign(windows: Windows, dir: string, ...args: string[]): Promise<Finished> {
  for (;;) {
    const said = await windows.run("deno.exe", dsignArguments(...args), join(dir, "dsign"));
    if (!/ is slow\. | does not answer\. /.test(said.stdout + said.stderr)) return said;
  }
}

/** Runs its agent while `work` works. */
export async function withAgent(
  windows: Windows,
  dir: string,
  work: (port: number) => Promise<void>,
) {
  const args = dsignArguments("agent", "--port", "0", "--json");
  const agent = windows.command("deno.exe", args, join(dir, "dsign")).spawn();
  const said = new Response(agent.stderr).text();
  const reader = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) assert.fail(await said);
      text += value;
    }
    await work(JSON.parse(text).port);
  } finally {
    agent.kill("SIGKILL");
    while (!(await reader.read()).done);
    await agent.status;
    await said;
  }
}

/** A page gets a signature of the officer, and OpenSSL verifies it. */
export async function aPageSigns(port: number, dir: string, officer: Officer): Promise<void> {
  const page = await connectAs(ORIGIN, port);
  const certificate = officer.certificate.der.toBase64();
  const sign = async (): Promise<string> => {
    try {
      const { certificates, problems } = await page.call("certificate.list", {});
      const found = certificates.find((each) => each.certificate === certificate);
      if (!found && problems.some(({ code }) => code === "driver_timeout")) return await sign();
      assert.ok(found?.usable, JSON.stringify({ found, problems }));
      const wanted = { content: { text: "Sanctioned." }, certificate: found.id } as const;
      return (await page.call("sign.data", wanted)).signature;
    } catch (error) {
      // Of what has just been listed: one more look at the token came too late.
      const { code } = error as { code?: string };
      if (code !== "driver_timeout" && code !== "certificate_not_found") throw error;
      return await sign(); // the machine is busy, and drivers start slowly
    }
  };
  try {
    await verifies(dir, await sign(), officer.chain);
  } finally {
    page.close();
  }
}

async function verifies(dir: string, signature: string, chain: readonly Uint8Array[]) {
  const file = (name: string) => join(dir, name);
  await Deno.writeFile(file("signature.p7s"), Uint8Array.fromBase64(signature));
  await Deno.writeTextFile(
    file("chain.pem"),
    chain.map((each) => pem("CERTIFICATE", each)).join(""),
  );
  const content = await openssl([
    ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file("signature.p7s")],
    ...["-CAfile", file("chain.pem"), "-purpose", "any"],
  ]);
  assert.equal(new TextDecoder().decode(content), "Sanctioned.");
}
