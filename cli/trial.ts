import { join } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { startAgent } from "../agent/compose.ts";
import { isLocalHost } from "../agent/origins.ts";
import { pem } from "../formats/asn1/pem.ts";
import { PORTS, SECURE_PORTS } from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import { Config, Origin } from "../settings/config.ts";
import { policyPath, readPolicy } from "../settings/policy_file.ts";
import { consentOf } from "../signing/consent/choose.ts";
import { openReaders } from "../signing/reading.ts";
import { type Answer, ANSWERS, ScriptedPerson } from "../trial/person.ts";
import { makeTrialPki } from "../trial/pki.ts";
import { TRIAL_PIN, TrialTokens } from "../trial/tokens.ts";
import { type AddCommand, type Context, repeated } from "./command.ts";
import { printJson } from "./failure.ts";

const env = (name: string) => Deno.env.get(name);

/** Milliseconds between looks whether the parent still runs. */
const WATCH = 500;

interface Options {
  port: number;
  origin?: string[];
  answer: Answer | "window";
  root?: string;
  steer?: boolean;
  json?: boolean;
}

/** A line on stdin, with `--steer`. */
const Command = z.strictObject({
  answer: z.enum(ANSWERS).optional(),
  officer: z.int().min(1).max(2).optional(),
  tokens: z.array(z.int().min(1).max(2)).max(2).optional(),
});

/** `dsign trial` */
export const trialCommand: AddCommand = (program, context, action) => {
  program.command("trial")
    .description("Run an agent for portals' tests: throw-away keys, answers by script.")
    .addOption(
      new Option("--port <port>", "port for ws:// (default: any free one)").default(0, "")
        .argParser((text) => {
          const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
          const isReal = [...PORTS, ...SECURE_PORTS].some((each) => each === port);
          if (port <= 65535 && !isReal) return port;
          throw new InvalidArgumentError("must be a port number that the real agent does not use.");
        }),
    )
    .addOption(
      new Option("--answer <how>", "how questions are answered")
        .choices([...ANSWERS, "window"]).default("sign"),
    )
    .option(
      "--origin <origin>",
      "a site that may connect, beside those of this computer; repeatable",
      repeated,
    )
    .option("--root <file>", "write the root certificate to this file (default: a temporary one)")
    .option("--steer", "read commands from stdin, one JSON object a line; end when it ends")
    .option("--json", "print one JSON object once it listens")
    .addHelpText(
      "after",
      `
It loads no driver, and no key or setting of yours. Pages reach it with connect({ trial: PORT }). Its
signatures are worth nothing: only "dsign verify --trial --trust ROOT" accepts them. It ends with the
program that started it (on Windows: with --steer). With --steer: {"answer": "decline"},
{"officer": 2}, {"tokens": [1]}.`,
    )
    .action(action(async (options: Options) => await serve(options, context)));
};

async function serve(options: Options, context: Context): Promise<void> {
  const { policy } = await readPolicy(policyPath(env));
  if (policy.trial === "off") {
    throw new DsignError(
      "scope_not_granted",
      "The administrator of this computer does not allow trial agents.",
    );
  }
  const named = new Set((options.origin ?? []).map((each) => {
    const { data, error } = Origin.safeParse(each);
    if (data !== undefined) return data;
    throw new DsignError("invalid_params", `--origin: ${each} ${error.issues[0].message}.`);
  }));
  const { version, web, readerCommand, textCommand } = context;
  const folder = await Deno.makeTempDir({ prefix: "dsign-trial-" });
  const reader = openReaders(readerCommand, (text) => console.error(`dsign: ${text}`));
  try {
    const { root, officers } = await makeTrialPki(new Date());
    const rootFile = options.root ?? join(folder, "root.pem");
    await Deno.writeTextFile(rootFile, pem("CERTIFICATE", root.der));
    const tokens = new TrialTokens(officers);
    const person = options.answer === "window"
      ? undefined
      : new ScriptedPerson(options.answer, tokens);
    const agent = await startAgent({
      providers: [tokens],
      consent: person ?? consentOf(Config.parse({}), env),
      grants: join(folder, "origins.json"),
      audit: join(folder, "audit"),
      batches: join(folder, "batches"),
      spool: join(folder, "spool"),
      ...{ version, web, reader, textCommand },
      ports: [options.port],
      trial: {
        root,
        admits: (origin) => named.has(origin) || isLocalHost(new URL(origin).hostname),
      },
    });
    try {
      const people = officers.map(({ name, pan }) => ({ name, pan }));
      const { port } = agent;
      if (options.json) printJson({ port, root: rootFile, pin: TRIAL_PIN, officers: people });
      else {
        console.log(`Trial agent on port ${port}: connect({ trial: ${port} })`);
        console.log(`Root: ${rootFile} (dsign verify --trial --trust ROOT)`);
        for (const { name, pan } of people) console.log(`Token: ${name}, PAN ${pan}`);
        console.log(`PIN: ${TRIAL_PIN}. Press Ctrl-C to stop.`);
      }
      await Promise.race([
        aborted(context.signal),
        orphaned(),
        ...options.steer ? [steer(person, tokens)] : [],
      ]);
    } finally {
      await agent.close();
    }
  } finally {
    await reader.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Resolves once the program that started this one is gone; on Windows never, as a parent's number stays. */
function orphaned(): Promise<void> {
  const parent = Deno.ppid;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (Deno.ppid === parent) return;
      clearInterval(timer);
      resolve();
    }, WATCH);
    Deno.unrefTimer(timer);
  });
}

/** Does as stdin says, and answers each line with one. */
async function steer(person: ScriptedPerson | undefined, tokens: TrialTokens): Promise<void> {
  let rest = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      try {
        const { answer, officer, tokens: inserted } = Command.parse(JSON.parse(line));
        if (!person && (answer ?? officer) !== undefined) {
          throw new Error("with --answer window, a person answers");
        }
        if (answer) person!.answer = answer;
        if (officer) person!.officer = officer;
        if (inserted) tokens.insert(inserted);
        console.log(JSON.stringify({ ok: true }));
      } catch (error) {
        const says = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
        console.log(JSON.stringify({ ok: false, error: says }));
      }
    }
  }
}
