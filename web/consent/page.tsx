/** One question of the agent to the person, from its first look to its end. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type {
  ConsentReply,
  ConsentView,
  GrantRequest,
  OtpRequest,
  PinRequest,
  SignChoice,
  Unlocked,
} from "../../protocol/consent.ts";
import { languageOf, speak, type Speech, type Word } from "../../words/agent.ts";
import { Foreign, Header, Section } from "../parts.tsx";
import type { ConsentApi } from "./api.ts";
import { useArming } from "./arming.ts";
import { Certificates, Documents, WhoAsks } from "./parts.tsx";
import { OtpQuestion } from "./otp.tsx";
import { Pin, type Refusal } from "./pin.tsx";
import { Unproven } from "./signers.tsx";
import { TokenPin } from "./token_pin.tsx";

/** How it ended. */
interface End {
  /** The message shown if the window cannot close itself or has something to say. */
  tell(speech: Speech): string;
  good: boolean;
  /** The person has decided or the question is void: the window closes itself. A failure stays to be read. */
  close: boolean;
}

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
      const ended = await api.follow();
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
      <Header speech={speech} choose={setLanguage} />
      <main>
        {view?.phrase && (
          <p class="phrase">
            {speech.say("phrase_yours")}{" "}
            <strong>
              <Foreign text={view.phrase} />
            </strong>
          </p>
        )}
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
  const { request, deadline } = view;
  if (request.kind === "pin") {
    const ended: Record<"done" | "declined" | "lost", End> = {
      done: { tell: ({ say }) => say(wordsOf(request).done), good: true, close: true },
      declined: { tell: ({ say }) => say("end_declined"), good: false, close: true },
      lost: { tell: ({ say }) => say("error_unreachable"), good: false, close: false },
    };
    return (
      <TokenPin
        request={request}
        api={api}
        speech={speech}
        finish={(how) =>
          finish(
            typeof how === "string"
              ? ended[how]
              : { tell: ({ error }) => error(how.code, how.message), good: false, close: false },
          )}
      >
        <Countdown deadline={deadline} speech={speech} />
      </TokenPin>
    );
  }
  if (request.kind !== "otp") {
    return (
      <Question request={request} deadline={deadline} api={api} speech={speech} finish={finish} />
    );
  }
  const ended: Record<"sent" | "declined" | "lost", End> = {
    sent: { tell: ({ say }) => say("end_signed"), good: true, close: true },
    declined: { tell: ({ say }) => say("end_declined"), good: false, close: true },
    lost: { tell: ({ say }) => say("error_unreachable"), good: false, close: false },
  };
  return (
    <OtpQuestion
      request={request}
      api={api}
      speech={speech}
      finish={(how) => finish(ended[how])}
    >
      <Countdown deadline={deadline} speech={speech} />
    </OtpQuestion>
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
      <p>{speech.say("end_close")}</p>
      <button type="button" onClick={close}>{speech.say("do_close")}</button>
    </div>
  );
}

/** Puts the focus on the main words when they appear, so that a screen reader starts there. */
function useFocus<E extends HTMLElement>() {
  const element = useRef<E>(null);
  useEffect(() => element.current?.focus(), []);
  return element;
}

/** The words that differ between kinds of questions; `count` is the number of documents to sign. */
function wordsOf(
  request: ConsentView["request"],
): Record<"ask" | "approve" | "decline" | "done", Word> & { count: number } {
  switch (request.kind) {
    case "grant":
      return {
        ask: "ask_grant",
        approve: "do_grant",
        decline: "do_not_grant",
        done: "end_granted",
        count: 1,
      };
    case "choose":
      return {
        ask: "ask_choose",
        approve: "do_choose",
        decline: "do_not_choose",
        done: "end_chosen",
        count: 1,
      };
    case "otp":
      return {
        ask: "ask_sign_one",
        approve: "do_sign_one",
        decline: "do_not_sign",
        done: "end_signed",
        count: 1,
      };
    case "pin":
      return {
        ask: "ask_pin_certificates",
        approve: "do_unlock",
        decline: "do_cancel",
        done: request.purpose === "change" ? "end_pin_changed" : "end_unlocked",
        count: 1,
      };
    case "sign": {
      if (request.login) {
        return {
          ask: "ask_login",
          approve: "do_login",
          decline: "do_not_login",
          done: "end_login",
          count: 1,
        };
      }
      const many = request.items.length > 1;
      return {
        ask: request.blind ? "ask_sign_blind" : many ? "ask_sign_many" : "ask_sign_one",
        approve: many ? "do_sign_many" : "do_sign_one",
        decline: "do_not_sign",
        done: "end_signed",
        count: request.items.length,
      };
    }
  }
}

function Question(
  { request, deadline, api, speech, finish }: {
    request: Exclude<ConsentView["request"], OtpRequest | PinRequest>;
    deadline: string;
    api: ConsentApi;
    speech: Speech;
    finish: (end: End) => void;
  },
) {
  const { say } = speech;
  const words = wordsOf(request);
  const blind = request.kind === "sign" && request.blind;
  const choices = request.kind === "grant" ? [] : request.choices;
  const [chosen, setChosen] = useState(
    request.kind === "grant"
      ? ""
      // Among several, the person chooses, or has chosen for this site before.
      : request.preferred ?? (choices.length === 1 ? choices[0]!.id : ""),
  );
  /** The last refusal of each token, by its URI. */
  const [refusals, setRefusals] = useState<Record<string, Refusal>>({});
  const [attempts, setAttempts] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Word | null>(null);
  const heading = useFocus<HTMLHeadingElement>();
  const pinField = useRef<HTMLInputElement>(null);
  const confirmation = useRef<HTMLInputElement>(null);
  const accepted = useRef<HTMLInputElement>(null);

  /** The revision that has been drawn, and the certificate that it is for. */
  const [drawn, setDrawn] = useState({ certificate: "", revision: "" });
  const goesInto = request.kind === "sign" && !request.batch && request.items.length === 1 &&
    Boolean(request.items[0]!.pdf?.adds);
  const isDrawn = !goesInto || drawn.certificate === chosen && drawn.revision !== "";
  const form = useRef<HTMLFormElement>(null);
  const { armed, roomy, opened, unseen, showUnseen } = useArming(form, isDrawn);
  /** Counts up where what was shown has to be shown anew. */
  const [looks, setLooks] = useState(0);
  useEffect(() => {
    if (attempts > 0) pinField.current?.focus();
  }, [attempts]);

  const choice = choices.find(({ id }) => id === chosen);
  const refusal = choice && refusals[choice.token.uri] || null;
  const undecided = choices.length > 0 && !choice;
  const pin = request.kind === "sign"
    ? refusal?.pin ?? (choice as SignChoice | undefined)?.pin ?? null
    : null;

  async function send(reply: ConsentReply) {
    setBusy(true);
    setProblem(null);
    let unlocked: Unlocked;
    try {
      unlocked = await api.answer(reply);
    } catch {
      return finish({ tell: ({ say }) => say("error_unreachable"), good: false, close: false });
    }
    if (reply.decision === "decline") {
      return finish({ tell: ({ say }) => say("end_declined"), good: false, close: true });
    }
    if (unlocked.ok) return finish({ tell: ({ say }) => say(words.done), good: true, close: true });
    if (!unlocked.again) {
      const { code, message } = unlocked;
      return finish({ tell: ({ error }) => error(code, message), good: false, close: false });
    }
    setBusy(false);
    if (unlocked.code === "consent_mismatch") {
      setDrawn({ certificate: "", revision: "" });
      setLooks(looks + 1);
    }
    if (choice) setRefusals({ ...refusals, [choice.token.uri]: unlocked });
    setAttempts(attempts + 1);
  }

  function approve() {
    if (request.kind === "grant") return send({ decision: "approve" });
    if (request.kind === "choose") return send({ decision: "approve", certificate: chosen });
    const typed = pinField.current?.value ?? "";
    if (pin?.entry === "typed" && typed === "") {
      setProblem("pin_missing");
      pinField.current?.focus();
      return;
    }
    if (request.unproven && !accepted.current?.checked) {
      setProblem("confirm_missing");
      accepted.current?.focus();
      return;
    }
    if (pin?.confirm && !confirmation.current?.checked) {
      setProblem("confirm_missing");
      confirmation.current?.focus();
      return;
    }
    // The field is emptied before anything else can happen to it; a script cannot wipe the string itself.
    if (pinField.current) pinField.current.value = "";
    return send({
      decision: "approve",
      certificate: chosen,
      binding: request.binding,
      ...goesInto && { revision: drawn.revision },
      ...pin?.entry === "typed" && { pin: typed },
      ...pin?.confirm && { finalTry: true as const },
      ...request.unproven && { acceptsUnproven: true as const },
    });
  }

  return (
    <form
      ref={form}
      class={blind ? "blind" : undefined}
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (armed && !busy && !undecided) approve();
      }}
    >
      <h1 ref={heading} tabIndex={-1} data-see="">{say(words.ask, { count: words.count })}</h1>
      {blind && (
        <div class="warning">
          <p>{say("blind_explain")}</p>
          <p>
            <strong>{say("blind_advice")}</strong>
          </p>
        </div>
      )}
      {request.kind === "sign" &&
        request.items.some(({ hash }) => hash.algorithm === "SHA-1") &&
        <p class="warning">{say("weak_explain")}</p>}
      <WhoAsks asker={request.asker} speech={speech} />
      {request.kind === "grant" && <Scopes request={request} speech={speech} />}
      {request.kind === "sign" && !request.login && (
        <Documents
          key={looks}
          signed={{
            certificate: chosen,
            drawn: (revision) => setDrawn({ certificate: chosen, revision }),
          }}
          items={request.items}
          blind={request.blind}
          batch={request.batch && request.binding}
          api={api}
          speech={speech}
        />
      )}
      {choices.length > 0 && (
        <Certificates
          choices={choices}
          chosen={chosen}
          choose={(id) => {
            setChosen(id);
            setProblem(null);
          }}
          disabled={busy}
          speech={speech}
        />
      )}
      {request.kind === "sign" && request.login && <p class="notice">{say("login_explain")}</p>}
      {request.kind === "sign" && !request.login && choice && (
        <Section title={say("law")}>
          <p class="law">{say(`law_${choice.kind}`)}</p>
        </Section>
      )}
      <footer>
        {choice?.signed
          ? <p class="notice">{say("batch_signed", { count: choice.signed })}</p>
          : null}
        {request.kind === "sign" && request.unproven && (
          <Unproven accepted={accepted} disabled={busy} speech={speech} />
        )}
        {pin && (
          <Pin
            // A new one each time: what was typed and ticked is gone, and the alert is read out again.
            key={`${attempts} ${chosen}`}
            state={pin}
            choice={choice!}
            problem={problem}
            decline={words.decline}
            refusal={refusal}
            busy={busy}
            field={pinField}
            confirmation={confirmation}
            speech={speech}
          />
        )}
        {undecided && <p class="notice" role="status">{say("certificate_many")}</p>}
        {!roomy && <p class="notice" role="alert">{say("window_small")}</p>}
        {opened
          ? <p class="warning" role="alert">{say("window_opened")}</p>
          : unseen && roomy && (
            <p class="notice see-next" role="status">
              {say("see_all")}{" "}
              <button type="button" class="secondary" onClick={showUnseen}>
                {say("see_next")}
              </button>
            </p>
          )}
        <div class="actions">
          <Countdown deadline={deadline} speech={speech} />
          <button
            type="button"
            class={blind ? undefined : "secondary"}
            disabled={busy}
            onClick={() => send({ decision: "decline" })}
          >
            {say(words.decline)}
          </button>
          <button
            type="submit"
            class={blind ? "danger" : undefined}
            disabled={!armed || busy || undecided || pin?.entry === "impossible"}
          >
            {busy && request.kind === "sign"
              ? say("working")
              : say(words.approve, { count: words.count })}
          </button>
        </div>
      </footer>
    </form>
  );
}

function Scopes({ request, speech: { say, date } }: { request: GrantRequest; speech: Speech }) {
  return (
    <section>
      <h2>{say("grant_explain")}</h2>
      <ul class="scopes">
        {request.scopes.map((scope) => (
          <li class={scope === "sign_hash" ? "warning" : undefined}>{say(`scope_${scope}`)}</li>
        ))}
      </ul>
      <p class="aside">
        {say("grant_until", { date: date(request.expiresAt) })} {say("grant_no_signature")}
      </p>
    </section>
  );
}

function Countdown({ deadline, speech: { say, clock } }: { deadline: string; speech: Speech }) {
  const left = () => Math.max(0, Math.ceil((Date.parse(deadline) - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    const timer = setInterval(() => setSeconds(left), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <p class={seconds <= 30 ? "time soon" : "time"} role="timer">
        {say("time_left", { time: clock(seconds) })}
      </p>
      <p class="unseen-but-read" aria-live="polite">{seconds <= 30 ? say("time_soon") : ""}</p>
    </>
  );
}
