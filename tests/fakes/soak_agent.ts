/**
 * An agent for a soak; its person says yes to everything and knows the PIN. Argument: {@linkcode SoakAgentStart} as
 * JSON. Standard output, a line of JSON each: the port; then an answer to each line of standard input, which is `clock N`
 * (milliseconds that the clock is to be ahead) or `look` ({@linkcode AgentLook}). It ends with standard input.
 */
import { startAgent } from "../../agent/compose.ts";
import { Pkcs11Client } from "../../pkcs11_ffi/client.ts";
import { Pkcs11Provider } from "../../signers/pkcs11.ts";
import { openReaders } from "../../signing/reading.ts";
import { answerTo, Person, READER_COMMAND, TEXT_COMMAND } from "../fixtures/agent.ts";
import { PIN } from "./pkcs11_tokens.ts";

export interface SoakAgentStart {
  drivers: { name: string; modulePath: string; command: string[]; env: Record<string, string> }[];
  /** Folder of everything that it writes. */
  folder: string;
  origins: readonly string[];
}

/** What the agent holds, after a collection. */
export interface AgentLook {
  /** MiB. */
  rss: number;
  heap: number;
  /** Descriptors that are open. */
  descriptors: number;
  /** How often the person typed a PIN. */
  typed: number;
}

const MIB = 1024 * 1024;

if (import.meta.main) {
  const { drivers, folder, origins }: SoakAgentStart = JSON.parse(Deno.args[0]);
  const real = Date.now;
  let ahead = 0;
  Date.now = () => real() + ahead;

  const person = new Person();
  let typed = 0;
  person.sign = async (request, unlock) => {
    typed++;
    // either token; for many at once never the card, which takes a tenth of a second for each
    const fast = request.choices.filter(({ certificate }) => certificate.keyType === "RSA");
    const choices = request.items.length > 10 && fast.length > 0
      ? fast
      : request.choices.toSorted(() => Math.random() - 0.5);
    await unlock(answerTo({ ...request, choices }, PIN));
  };
  const reader = openReaders(READER_COMMAND, console.error);
  const clients = drivers.map(({ name, ...options }) => ({
    name,
    client: new Pkcs11Client({
      ...options,
      timeouts: { startMs: 10_000, requestMs: 1_500, loginMs: 3_000 },
    }),
  }));
  const provider = new Pkcs11Provider(clients, { listTimeout: 3_000 });
  const agent = await startAgent({
    providers: [provider],
    consent: person,
    grants: `${folder}/origins.json`,
    audit: `${folder}/audit`,
    batches: `${folder}/batches`,
    spool: `${folder}/spool`,
    version: "1.2.3",
    web: new URL(`file://${folder}/`),
    reader,
    textCommand: TEXT_COMMAND,
    ports: [0],
    allowedOrigins: origins.map((origin) => ({
      origin,
      scopes: ["certificates", "sign", "sign_hash"],
    })),
    keepLogin: 1_000,
    now: () => new Date(Date.now()),
  });

  const look = (): AgentLook => {
    (globalThis as { gc?(): void }).gc?.();
    const { rss, heapUsed } = Deno.memoryUsage();
    return {
      rss: Math.round(rss / MIB),
      heap: Math.round(heapUsed / MIB),
      descriptors: [...Deno.readDirSync("/proc/self/fd")].length,
      typed,
    };
  };
  console.log(agent.port);
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      const [word, number] = line.split(" ");
      if (word === "clock") ahead = Number(number);
      console.log(JSON.stringify(word === "look" ? look() : ahead));
    }
  }
  await agent.close();
  await provider.close();
  await reader.close();
  Deno.exit(0);
}
