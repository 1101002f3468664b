/** The agent itself: whether pages reach it, what they may call, and its end. */
import { useEffect, useState } from "preact/hooks";
import { type Client, connect, DsignClientError } from "../client.ts";
import type { Speech } from "../../words/agent.ts";
import { ask } from "./api.ts";

export function TestSocket(
  { port, client, speech: { say } }: { port: number; client: Client | null; speech: Speech },
) {
  const [outcome, setOutcome] = useState<"opened" | DsignClientError | null>(null);
  // What was tested is true no longer where the agent came or went since.
  useEffect(() => setOutcome(null), [client]);
  async function test() {
    setOutcome(null);
    try {
      const client = await connect({ ports: [port] });
      await client.call("agent.info", {});
      client.close();
      setOutcome("opened");
    } catch (error) {
      if (!(error instanceof DsignClientError)) throw error;
      setOutcome(error);
    }
  }
  return (
    <div class="row">
      <button type="button" class="secondary" onClick={test}>{say("console_test")}</button>
      <p role="status">
        {outcome === "opened"
          ? <strong class="good">{say("console_opened")}</strong>
          : outcome
          ? <strong class="bad">{say("console_failed")} ({outcome.code})</strong>
          : <span class="aside">{say("console_test_explain")}</span>}
      </p>
    </div>
  );
}

/** Ends the agent, after a second click. */
export function Quit({ speech: { say } }: { speech: Speech }) {
  const [asked, setAsked] = useState(false);
  const [failed, setFailed] = useState(false);
  return (
    <div class="row">
      {asked && <p role="status">{say("console_quit_explain")}</p>}
      {failed && <p class="bad" role="alert">{say("error_unreachable")}</p>}
      {asked
        ? (
          <span class="actions">
            <button type="button" class="secondary" onClick={() => setAsked(false)}>
              {say("console_go_on")}
            </button>
            <button
              type="button"
              class="danger"
              // The page finds by itself that the agent is gone.
              onClick={() => ask("quit").catch(() => setFailed(true))}
            >
              {say("console_do_quit")}
            </button>
          </span>
        )
        : (
          <button type="button" class="secondary" onClick={() => setAsked(true)}>
            {say("console_quit")}
          </button>
        )}
    </div>
  );
}

/** Offers the contract as a file. */
export function Contract({ client, speech: { say } }: { client: Client; speech: Speech }) {
  async function download() {
    const contract = await client.call("rpc.discover", {});
    const file = new Blob([JSON.stringify(contract, null, 2)], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "dsign-openrpc.json";
    link.click();
    URL.revokeObjectURL(link.href);
  }
  return (
    <p class="contract">
      <button type="button" class="secondary" onClick={download}>
        {say("console_contract")}
      </button>
    </p>
  );
}
