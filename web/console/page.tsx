/** The console: tokens and certificates, live. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Certificate } from "../../protocol/methods.ts";
import { type Client, connect, DsignClientError, type Result } from "../client.ts";
import { type Language, languageOf, speak, type Speech } from "../../words/agent.ts";
import { CertificateFacts, Foreign, Header, Section } from "../parts.tsx";
import type { ConsoleSettings, PortHolder, TokenPin } from "../../protocol/console.ts";
import { ask } from "./api.ts";
import { Desk } from "./desk.tsx";
import { FirstStart } from "./first_start.tsx";
import { History } from "./history.tsx";
import { Roots } from "./roots.tsx";
import { KeyFiles } from "./key_files.tsx";
import { Sites } from "./sites.tsx";
import { TokenPinActions } from "./token_pin.tsx";

/** Milliseconds between attempts to find a signer program that has gone. */
const RETRY = 2000;

const STATE_LOOKS: Record<Inventory["tokens"][number]["state"], string> = {
  ready: "good",
  empty: "aside",
  pin_low: "bad",
  pin_final_try: "bad",
  pin_locked: "bad",
  pin_not_set: "bad",
};

interface Inventory {
  tokens: Result<"token.list">["tokens"];
  certificates: Certificate[];
  problems: Result<"token.list">["problems"];
  pins: TokenPin[];
}

async function inventoryOf(client: Client): Promise<Inventory> {
  const [{ tokens, problems }, { certificates }, pins] = await Promise.all([
    client.call("token.list", {}),
    client.call("certificate.list", {}),
    ask<TokenPin[]>("pins"),
  ]);
  return { tokens, certificates, problems, pins };
}

/** Stays connected to the signer program that served the page, for as long as the page is shown. */
function useAgent(port: number) {
  const [client, setClient] = useState<Client | null>(null);
  const [inventory, setInventory] = useState<Inventory | null>(null);
  // A token that comes or goes meanwhile announces itself again: a listing that failed is not lost for long.
  const look = (client: Client) => inventoryOf(client).then(setInventory, () => {});
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    (async function attempt() {
      try {
        const client = await connect({ ports: [port], signal: leaving.signal });
        const show = () => {
          setClient(client);
          return look(client);
        };
        client.addEventListener("tokenchanged", show);
        client.addEventListener("reconnect", show);
        client.addEventListener("disconnect", () => {
          setClient(null);
          setInventory(null);
        });
        leaving.signal.addEventListener("abort", () => client.close());
        await show();
      } catch {
        if (!leaving.signal.aborted) timer = setTimeout(attempt, RETRY);
      }
    })();
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [port]);
  return { client, inventory, lookAgain: () => client && look(client) };
}

/** The person's language: of the agent's settings, once they are known; a choice is kept there. */
function useLanguage(known: boolean): [Language, (language: Language) => void] {
  const [language, setLanguage] = useState(() => languageOf(navigator.language));
  const chosen = useRef(false);
  useEffect(() => {
    if (!known) return;
    // Without settings, the language is that of this page alone. They may come after the person has chosen.
    ask<ConsoleSettings>("settings").then(
      (settings) => chosen.current || setLanguage(languageOf(settings.language)),
      () => {},
    );
  }, [known]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return [language, (language) => {
    chosen.current = true;
    setLanguage(language);
    ask("language", { language }, { keepalive: true }).catch(() => {});
  }];
}

export function Console({ port }: { port: number }) {
  const { client, inventory, lookAgain } = useAgent(port);
  const [language, setLanguage] = useLanguage(client !== null);
  const speech = speak(language);
  const { say } = speech;
  return (
    <>
      <Header speech={speech} choose={setLanguage} />
      <main>
        <h1>{say("console_title")}</h1>
        <p class={client ? "state good" : "state bad"} role="status">
          {client
            ? say("console_running", { version: client.status.version })
            : say("console_stopped")}
        </p>
        {client && <TakenPorts speech={speech} />}
        {client && <Desk client={client} speech={speech} />}
        {client && <FirstStart speech={speech} change={inventory} />}
        <TestSocket port={port} client={client} speech={speech} />
        {inventory && <Tokens inventory={inventory} lookAgain={lookAgain} speech={speech} />}
        {client && <KeyFiles changed={lookAgain} speech={speech} />}
        {client && <Sites speech={speech} />}
        {client && <Roots speech={speech} />}
        {client && <History speech={speech} change={inventory} />}
        {client && <Contract client={client} speech={speech} />}
        {client && <Quit speech={speech} />}
      </main>
    </>
  );
}

/** Programs at ports where sites look for the agent first. */
function TakenPorts({ speech: { say } }: { speech: Speech }) {
  const [holders, setHolders] = useState<PortHolder[]>([]);
  useEffect(() => {
    ask<PortHolder[]>("ports").then(setHolders, () => {});
  }, []);
  if (holders.length === 0) return null;
  return (
    <div class="warning" role="status">
      {holders.map(({ port, user, program }) => (
        <p key={port}>
          {say("console_port_taken", {
            port: String(port),
            user: user ?? "?",
            program: program ?? "?",
          })}
        </p>
      ))}
      <p>{say("console_port_explain")}</p>
    </div>
  );
}

function TestSocket(
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
    <section class="test-socket">
      <button type="button" onClick={test}>{say("console_test")}</button>
      <p role="status">
        {outcome === "opened"
          ? <strong class="good">{say("console_opened")}</strong>
          : outcome
          ? <strong class="bad">{say("console_failed")} ({outcome.code})</strong>
          : <span class="aside">{say("console_test_explain")}</span>}
      </p>
    </section>
  );
}

function Tokens(
  { inventory: { tokens, certificates, problems, pins }, lookAgain, speech }: {
    inventory: Inventory;
    lookAgain: () => void;
    speech: Speech;
  },
) {
  const { say } = speech;
  const forSigning = certificates.filter(({ reason }) => reason !== "certificate_not_for_signing");
  const others = certificates.filter((each) => !forSigning.includes(each));
  return (
    <>
      <Section title={say("console_tokens")}>
        {tokens.length === 0 && (
          <p>{say(problems.length > 0 ? "console_none_found" : "console_no_tokens")}</p>
        )}
        <ul class="plain">
          {tokens.map((token) => (
            <li key={`${token.driver} ${token.uri}`} class="facts">
              <strong>
                <Foreign text={token.label} />
              </strong>
              <span class={STATE_LOOKS[token.state]}>
                {say(`state_${token.state}`)}
              </span>
              <span class="aside">
                <Foreign
                  text={[token.manufacturer, token.model, token.serialNumber]
                    .filter((each) => each !== "").join(", ")}
                />
              </span>
              {pins.filter(({ uri, driver }) => uri === token.uri && driver === token.driver).map(
                (pin) => (
                  <TokenPinActions key={pin.uri} pin={pin} done={lookAgain} speech={speech} />
                ),
              )}
            </li>
          ))}
        </ul>
      </Section>
      <Section title={say("console_certificates")}>
        {forSigning.length === 0 && <p>{say("console_no_certificates")}</p>}
        <CertificateList certificates={forSigning} speech={speech} />
        {others.length > 0 && (
          <details>
            <summary>{say("console_other_certificates", { count: others.length })}</summary>
            <CertificateList certificates={others} speech={speech} />
          </details>
        )}
      </Section>
      {problems.length > 0 && (
        <Section title={say("console_drivers")}>
          <ul class="plain">
            {problems.map(({ driver, code, message }) => (
              <li key={`${driver} ${code}`} class="facts">
                <strong>
                  <Foreign text={driver} />
                </strong>
                <span>
                  <Foreign text={speech.error(code, message)} />
                </span>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function CertificateList(
  { certificates, speech }: { certificates: Certificate[]; speech: Speech },
) {
  const { say } = speech;
  return (
    <ul class="plain">
      {certificates.map((certificate) => (
        <li key={certificate.uri} class="facts">
          <CertificateFacts certificate={certificate} speech={speech} />
          {certificate.usable && <span class="good">{say("console_usable")}</span>}
          {certificate.reason && certificate.reason !== "certificate_not_for_signing" && (
            <span class="bad">{speech.error(certificate.reason)}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** Ends the agent, after a second click. */
function Quit({ speech: { say } }: { speech: Speech }) {
  const [asked, setAsked] = useState(false);
  const [failed, setFailed] = useState(false);
  return (
    <section>
      {asked && <p role="status">{say("console_quit_explain")}</p>}
      {failed && <p class="bad" role="alert">{say("error_unreachable")}</p>}
      <p class="actions">
        {asked
          ? (
            <>
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
            </>
          )
          : (
            <button type="button" class="secondary" onClick={() => setAsked(true)}>
              {say("console_quit")}
            </button>
          )}
      </p>
    </section>
  );
}

/** Offers the contract as a file. */
function Contract({ client, speech: { say } }: { client: Client; speech: Speech }) {
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
    <p>
      <button type="button" class="secondary" onClick={download}>
        {say("console_contract")}
      </button>
    </p>
  );
}
