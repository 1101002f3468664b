/** One question of the agent to the person, from its first look to its end. */
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { ConsentView } from "../../protocol/consent.ts";
import { languageOf, speak, type Speech } from "../../words/agent.ts";
import { Foreign, Header } from "../parts.tsx";
import { useFocus } from "../screen.tsx";
import type { ConsentApi } from "./api.ts";
import type { End } from "./end.ts";
import { OtpQuestion } from "./otp.tsx";
import { Question, wordsOf } from "./question.tsx";
import { TokenPin } from "./token_pin.tsx";

/**
 * @param close called when nothing is left to be read or answered; default: the window closes itself, where the browser
 * lets it
 */
export function Page(
  { api, close = () => globalThis.close() }: { api: ConsentApi; close?: () => void },
) {
  const [view, setView] = useState<ConsentView | null>(null);
  const [language, setLanguage] = useState(() => languageOf(navigator.language));
  const [end, setEnd] = useState<End | null>(null);
  const speech = speak(language);

  useEffect(() => {
    (async () => {
      const view = await api.view().catch(() => null);
      if (!view) {
        return setEnd({ tell: ({ say }) => say("end_nothing"), good: false, close: false });
      }
      setLanguage(languageOf(view.language));
      setView(view);
      const ended = await api.follow((deadline) => setView({ ...view, deadline }));
      setEnd((end) => end ?? endOf(ended, view));
    })();
  }, []);
  // With the words, not after them: a screen reader must not read them in the language before.
  useLayoutEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  useEffect(() => {
    if (end?.close) close();
  }, [end]);

  return (
    <>
      <Header
        speech={speech}
        choose={(language) => {
          setLanguage(language);
          api.keepLanguage(language).catch(() => {}); // the window is told by its stream if the agent is gone
        }}
      >
        {view?.phrase && (
          <p class="phrase">
            {speech.say("phrase_yours")}{" "}
            <strong>
              <Foreign text={view.phrase} />
            </strong>
          </p>
        )}
      </Header>
      <main>
        {end
          ? <Ended end={end} close={close} speech={speech} />
          : view
          ? <Asked view={view} api={api} speech={speech} finish={setEnd} />
          : <p>{speech.say("loading")}</p>}
      </main>
    </>
  );
}

function Asked(
  { view, api, speech, finish }: {
    view: ConsentView;
    api: ConsentApi;
    speech: Speech;
    finish: (end: End) => void;
  },
) {
  const { request } = view;
  if (request.kind === "pin") {
    const ended: Record<"done" | "declined" | "lost", End> = {
      done: { tell: ({ say }) => say(wordsOf(request).done), good: true, close: true },
      declined: { tell: ({ say }) => say("end_declined"), good: false, close: true },
      lost: { tell: ({ say }) => say("error_unreachable"), good: false, close: false },
    };
    return (
      <TokenPin
        request={request}
        time={view}
        api={api}
        speech={speech}
        finish={(how) =>
          finish(
            typeof how === "string"
              ? ended[how]
              : { tell: ({ error }) => error(how.code, how.message), good: false, close: false },
          )}
      />
    );
  }
  if (request.kind !== "otp") {
    return <Question request={request} time={view} api={api} speech={speech} finish={finish} />;
  }
  const ended: Record<"sent" | "declined" | "lost", End> = {
    sent: { tell: ({ say }) => say("end_signed"), good: true, close: true },
    declined: { tell: ({ say }) => say("end_declined"), good: false, close: true },
    lost: { tell: ({ say }) => say("error_unreachable"), good: false, close: false },
  };
  return (
    <OtpQuestion
      request={request}
      time={view}
      api={api}
      speech={speech}
      finish={(how) => finish(ended[how])}
    />
  );
}

/** Why the agent ended the question without the page's doing. */
function endOf(
  code: Awaited<ReturnType<ConsentApi["follow"]>>,
  { request }: ConsentView,
): End {
  switch (code) {
    case null:
      return { tell: ({ say }) => say(wordsOf(request).done), good: true, close: true };
    case "consent_timeout":
      return { tell: ({ say }) => say("end_timeout"), good: false, close: true };
    case "request_cancelled":
      return { tell: ({ say }) => say("end_withdrawn"), good: false, close: true };
    case "user_cancelled":
      return { tell: ({ say }) => say("end_declined"), good: false, close: true };
    case "lost":
      return { tell: ({ say }) => say("end_lost"), good: false, close: false };
    default:
      return {
        tell: ({ error, say }) => error(code, say("end_failed")),
        good: false,
        close: false,
      };
  }
}

function Ended(
  { end, close, speech }: { end: End; close: () => void; speech: Speech },
) {
  const heading = useFocus<HTMLHeadingElement>();
  return (
    <div class={end.good ? "ended good" : "ended"} role="status">
      <h1 ref={heading} tabIndex={-1}>{end.tell(speech)}</h1>
      {end.unsigned && <p>{speech.say("end_failed")}</p>}
      <p>{speech.say("end_close")}</p>
      <button type="button" onClick={close}>{speech.say("do_close")}</button>
    </div>
  );
}
