/** From the first start to "ready": the one thing to do next, start at login, and the person's own words. */
import { useEffect, useState } from "preact/hooks";
import type { StartView } from "../../protocol/start.ts";
import type { Speech } from "../../words/agent.ts";
import { Foreign, Section } from "../parts.tsx";

/** Milliseconds between looks while something is to be done. */
const LOOK_AGAIN = 5000;

async function post(path: string, body: unknown): Promise<boolean> {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.ok;
}

/** @param change anything that is another when tokens came or went */
export function FirstStart({ speech, change }: { speech: Speech; change: unknown }) {
  const { language, say } = speech;
  const [view, setView] = useState<StartView | null | undefined>();
  const [looked, setLooked] = useState(0);
  const lookAgain = () => setLooked((count) => count + 1);
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    fetch(`/console/start?language=${language}`, { signal: leaving.signal })
      .then((response) => response.ok ? response.json() : null)
      .then((view: StartView | null) => {
        setView(view);
        if (view?.next) timer = setTimeout(lookAgain, LOOK_AGAIN);
      })
      // The agent is gone, and the page says so; or this look was given up for the next.
      .catch(() => {});
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [language, change, looked]);
  if (view === undefined) return <p class="aside" role="status">{say("start_looking")}</p>;
  if (view === null) return null;
  const { next, autostart, phrase } = view;
  return (
    <Section title={say("start_title")}>
      {next === null
        ? <p class="state good" role="status">{say("start_ready")}</p>
        : (
          <div role="status">
            <p class="state bad">
              <Foreign text={next.seen} />
            </p>
            <p>{next.meaning}</p>
            <p>
              <strong>{say("start_next")}</strong> <Foreign text={next.action} />
            </p>
          </div>
        )}
      <PhraseForm phrase={phrase} speech={speech} saved={lookAgain} />
      <div class="row">
        <p>{say(autostart ? "start_login_on" : "start_login_off")}</p>
        <button
          type="button"
          class="secondary"
          onClick={() => post("/console/autostart", { enabled: !autostart }).then(lookAgain)}
        >
          {say(autostart ? "start_login_do_off" : "start_login_do_on")}
        </button>
      </div>
    </Section>
  );
}

/** The words by which the person knows D-Sign's own window. */
function PhraseForm(
  { phrase, speech: { say }, saved }: { phrase: string | null; speech: Speech; saved: () => void },
) {
  const [text, setText] = useState(phrase ?? "");
  const [refused, setRefused] = useState(false);
  const [done, setDone] = useState(false);
  async function keep(event: Event) {
    event.preventDefault();
    const kept = await post("/console/phrase", { phrase: text });
    setRefused(!kept);
    setDone(kept);
    if (kept) saved();
  }
  return (
    <form onSubmit={keep}>
      <label for="phrase" class="title">{say("start_phrase")}</label>
      <p id="phrase-hint" class="aside">{say("start_phrase_hint")}</p>
      <input
        id="phrase"
        type="text"
        autocomplete="off"
        maxLength={80}
        value={text}
        aria-describedby="phrase-hint"
        aria-invalid={refused}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setDone(false);
        }}
      />
      <button type="submit" disabled={text.trim() === (phrase ?? "")}>
        {say("start_phrase_keep")}
      </button>
      <p role="status" class="good">{done && say("start_phrase_kept")}</p>
      {refused && <p class="bad" role="alert">{say("start_phrase_refused")}</p>}
    </form>
  );
}
