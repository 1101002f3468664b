/**
 * Child of `deno task bench sign`: an agent that says yes by itself and keeps tokens unlocked. Standard input: one line
 * of JSON ({@linkcode BenchAgentStart}); the agent ends with it. Standard output: one line, the port.
 */
import { startAgent } from "../agent/compose.ts";
import { readerCommand } from "../cli/host_command.ts";
import configuration from "../deno.json" with { type: "json" };
import { DemoConsent } from "./demo_consent.ts";
import { openReaders } from "../signing/reading.ts";
import { openStore, type TokenStore } from "./demo_store.ts";
import type { DemoOfficer } from "./demo_tokens.ts";

export interface BenchAgentStart {
  store: TokenStore;
  officers: Pick<DemoOfficer, "fingerprint" | "pin">[];
  /** File of the grants. */
  grants: string;
  audit: string;
  /** Folder of batches. */
  batches: string;
  /** Folder for documents. */
  spool: string;
}

if (import.meta.main) {
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) text += (await input.read()).value ?? "\n";
  const { store, officers, grants, audit, batches, spool }: BenchAgentStart = JSON.parse(text);
  const reader = openReaders(
    readerCommand(new URL("../main.ts", import.meta.url).href),
    console.error,
  );
  const provider = openStore(store, reader);
  const agent = await startAgent({
    providers: [provider],
    consent: new DemoConsent(officers),
    grants,
    audit,
    batches,
    spool,
    version: configuration.version,
    web: new URL("../dist/web/", import.meta.url),
    reader,
    textCommand: [], // no document asks for a text's place
    ports: [0],
    keepLogin: 3_600_000,
  });
  console.log(agent.port);
  while (!(await input.read()).done);
  await agent.close();
  await provider.close();
  await reader.close();
  Deno.exit(0);
}
