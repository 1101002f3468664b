/**
 * The console: the person's own files, tokens, sites and the record of what was signed. It stays connected to the agent,
 * and does not scroll as a whole: each view does.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Client, connect } from "../client.ts";
import { type Language, languageOf, speak, type Speech, type Word } from "../../words/agent.ts";
import { Header } from "../parts.tsx";
import type { ConsoleSettings, PortHolder, TokenPin } from "../../protocol/console.ts";
import { ask } from "./api.ts";
import { Contract, Quit, TestSocket } from "./connection.tsx";
import { Desk } from "./desk.tsx";
import { FirstStart } from "./first_start.tsx";
import { History } from "./history.tsx";
import { KeyFiles } from "./key_files.tsx";
import { Roots } from "./roots.tsx";
import { Sites } from "./sites.tsx";
import { type Inventory, Tokens } from "./tokens.tsx";

/** Milliseconds between attempts to find a signer program that has gone. */
const RETRY = 2000;

/** By the fragment of the page's address. */
const VIEWS = {
  sign: "view_sign",
  tokens: "console_tokens",
  sites: "view_sites",
  history: "view_history",
} as const satisfies Record<string, Word>;
type View = keyof typeof VIEWS;

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

/** The view that the page's address names, else the first. */
function useView(): View {
  const named = () => {
    const name = location.hash.slice(1);
    return Object.hasOwn(VIEWS, name) ? name as View : "sign";
  };
  const [view, setView] = useState(named);
  useEffect(() => {
    const look = () => setView(named());
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return view;
}

export function Console({ port }: { port: number }) {
  const { client, inventory, lookAgain } = useAgent(port);
  const [language, setLanguage] = useLanguage(client !== null);
  const view = useView();
  const speech = speak(language);
  const { say } = speech;
  return (
    <>
      <Header speech={speech} choose={setLanguage} />
      <main>
        <div class="masthead">
          <h1>{say("console_title")}</h1>
          <Views shown={view} speech={speech} />
          <p class={client ? "state good" : "state bad"} role="status">
            {client
              ? say("console_running", { version: client.status.version })
              : say("console_stopped")}
          </p>
        </div>
        {client && <TakenPorts speech={speech} />}
        {/* All stay, so that nothing is lost by looking elsewhere. */}
        <div class="view sign" hidden={view !== "sign"}>
          <Desk client={client} speech={speech} />
          {client && <FirstStart speech={speech} change={inventory} />}
        </div>
        <div class="view" hidden={view !== "tokens"}>
          {inventory && <Tokens inventory={inventory} lookAgain={lookAgain} speech={speech} />}
          {client && <KeyFiles changed={lookAgain} speech={speech} />}
        </div>
        <div class="view" hidden={view !== "sites"}>
          {client && <Sites speech={speech} shown={view === "sites"} />}
          {client && <Roots speech={speech} />}
          {client && <Contract client={client} speech={speech} />}
        </div>
        <div class="view whole" hidden={view !== "history"}>
          {client && <History speech={speech} shown={view === "history"} />}
        </div>
        <div class="connection">
          <TestSocket port={port} client={client} speech={speech} />
          {client && <Quit speech={speech} />}
        </div>
      </main>
    </>
  );
}

function Views({ shown, speech: { say } }: { shown: View; speech: Speech }) {
  return (
    <nav class="views" aria-label={say("console_title")}>
      {Object.entries(VIEWS).map(([name, word]) => (
        <a key={name} href={`#${name}`} aria-current={name === shown ? "page" : undefined}>
          {say(word)}
        </a>
      ))}
    </nav>
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
