/** The guide's curl commands and the programs of `examples/otp` have an order signed by PIN and OTP. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { blocks, readDoc, ROOT } from "./fixtures/docs.ts";
import { type Example, missingOf } from "./fixtures/examples.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { CLIENT, makeService, PIN, REDIRECT } from "./fixtures/otp_service.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";

/** Set by `deno task test:examples`; without it curl, Node and Python are tried. */
const isWanted = Deno.env.has("DSIGN_TEST_EXAMPLES");
const OTP = join(ROOT, "examples/otp");
const ARGS = ["asen", "order.pdf", "signed.pdf"];
const guide = await readDoc("docs/portals.md");

interface Program extends Pick<Example, "name" | "needs" | "compile"> {
  always?: boolean;
  run: (output: string) => string[];
}

const PROGRAMS: Program[] = [
  {
    name: "curl",
    needs: ["curl", "jq", "openssl", "bash"],
    always: true,
    run: () => ["bash", "-euo", "pipefail", "-c", blocks(guide, "sh")[0]!],
  },
  {
    name: "Node",
    needs: ["node"],
    always: true,
    run: () => ["node", join(OTP, "sign.mjs"), ...ARGS],
  },
  {
    name: "Python",
    needs: ["python3"],
    always: true,
    run: () => ["python3", join(OTP, "sign.py"), ...ARGS],
  },
  { name: "PHP", needs: ["php"], run: () => ["php", join(OTP, "sign.php"), ...ARGS] },
  {
    name: "Java",
    needs: ["javac", "java"],
    compile: (output) => ["javac", "-d", output, join(OTP, "Sign.java")],
    run: (output) => ["java", "-cp", output, "Sign", ...ARGS],
  },
  {
    name: "C#",
    needs: ["mcs", "mono"],
    compile: (output) => [
      "mcs",
      "-r:System.Net.Http.dll",
      `-out:${join(output, "Sign.exe")}`,
      join(OTP, "Sign.cs"),
    ],
    run: (output) => ["mono", join(output, "Sign.exe"), ...ARGS],
  },
];

for (const program of PROGRAMS) {
  const missing = await missingOf(program.needs);
  const why = missing ? ` (needs ${missing})` : " (deno task test:examples)";
  const ignore = missing !== undefined || !isWanted && !program.always;
  Deno.test({
    name: `an order is signed by PIN and OTP with ${program.name}${ignore ? why : ""}`,
    ignore,
    fn: () => inTempDir((dir) => sign(program, dir)),
  });
}

async function sign({ compile, run }: Program, dir: string): Promise<void> {
  if (compile) {
    const [compiler, ...args] = compile(dir);
    const { success, stderr } = await new Deno.Command(compiler!, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }
  // The port comes first: the service stands under its own address.
  let handler: ReturnType<typeof makeService>["handler"] = () => Promise.resolve(new Response());
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request),
  );
  const service = `http://127.0.0.1:${server.addr.port}`;
  const test = makeService({ publicUrl: service });
  handler = test.handler;
  try {
    await test.enrol({ userID: "asen" });
    const order = await Deno.readFile(join(ROOT, "examples/order.pdf"));
    await Deno.writeFile(join(dir, "order.pdf"), order);
    const [command, ...args] = run(dir);
    await using process = new Deno.Command(command!, {
      args,
      cwd: dir,
      env: {
        SERVICE: service,
        CLIENT_ID: CLIENT.id,
        CLIENT_SECRET: CLIENT.secret,
        REDIRECT_URI: REDIRECT,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let said = "";
    const output = process.stdout.pipeThrough(new TextDecoderStream());
    for await (const text of output.values({ preventCancel: true })) {
      said += text;
      if (said.includes("\n")) break;
    }
    const { headers } = await fetch(said.split("\n")[0]!, { redirect: "manual" });
    const ticket = headers.get("location")?.split("/otp#")[1];
    assert.ok(ticket, `it printed: ${said}`);
    const onPage = (path: string, reply: unknown) =>
      fetch(`${service}/otp/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${ticket}`, origin: service },
        body: JSON.stringify(reply),
      }).then((response) => response.json());
    await onPage("send", {});
    const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    const { redirect } = await onPage("answer", approve);
    const stdin = process.stdin.getWriter();
    await stdin.write(
      new TextEncoder().encode(`${new URL(redirect).searchParams.get("code")}\n`),
    );
    await stdin.close();
    await output.cancel();
    assert.ok((await process.status).success);
  } finally {
    await test.close();
  }
  assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total: true }]);
}
