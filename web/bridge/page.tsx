/** The window that a site opens where the browser keeps it from reaching the agent by itself. */
import { useEffect, useState } from "preact/hooks";
import { speak, type Speech } from "../../words/agent.ts";
import { keepLanguage, keptLanguage } from "../language.ts";
import { Header, Origin } from "../parts.tsx";
import { offerBridge } from "./relay.ts";

type State =
  | { is: "waiting" | "alone" | "lost" }
  | { is: "connected" | "refused"; origin: string };

export function Bridge({ opener }: { opener: Window | null }) {
  const [language, setLanguage] = useState(() => keptLanguage(navigator.language));
  const [state, setState] = useState<State>({ is: opener ? "waiting" : "alone" });
  const speech = speak(language);

  useEffect(() => {
    if (!opener) return;
    (async () => {
      const response = await fetch("/status", { cache: "no-store", credentials: "omit" });
      offerBridge(opener, location.host, await response.json(), {
        connected: (origin) => setState({ is: "connected", origin }),
        refused: (origin) => setState({ is: "refused", origin }),
        lost: () => {
          setState({ is: "lost" });
          globalThis.close();
        },
      });
    })().catch(() => setState({ is: "lost" }));
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  return (
    <>
      <Header
        speech={speech}
        choose={(language) => {
          setLanguage(language);
          keepLanguage(language);
        }}
      />
      <main>
        <Told state={state} speech={speech} />
      </main>
    </>
  );
}

function Told({ state, speech: { say } }: { state: State; speech: Speech }) {
  switch (state.is) {
    case "waiting":
      return <p role="status">{say("loading")}</p>;
    case "connected":
      return (
        <div role="status">
          <h1>{say("bridge_connected")}</h1>
          <p class="origin">
            <Origin origin={state.origin} />
          </p>
          <p>{say("bridge_leave_open")}</p>
          <p class="aside">{say("bridge_asks_here")}</p>
        </div>
      );
    case "refused":
      return <p class="warning" role="alert">{say("bridge_refused")}</p>;
    case "alone":
      return <p role="status">{say("bridge_alone")}</p>;
    case "lost":
      return <p role="status">{say("end_lost")}</p>;
  }
}
