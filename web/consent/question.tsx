/** The question itself: whether to sign, to allow a site, to log in, or which certificate to use. */
import { useEffect, useRef, useState } from "preact/hooks";
import type {
  ConsentReply,
  ConsentView,
  GrantRequest,
  OtpRequest,
  PinRequest,
  SignChoice,
  Unlocked,
} from "../../protocol/consent.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { Screen } from "../screen.tsx";
import type { ConsentApi } from "./api.ts";
import { useArming } from "./arming.ts";
import { Countdown, type TimeLeft } from "./countdown.tsx";
import { Documents } from "./documents.tsx";
import type { End } from "./end.ts";
import { Certificates, WhoAsks } from "./parts.tsx";
import { Pin, type Refusal } from "./pin.tsx";
import { Unproven } from "./signers.tsx";
import { isUnarmed, Unarmed } from "./unarmed.tsx";

/** The words that differ between kinds of questions; `count` is the number of documents to sign. */
export function wordsOf(
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

export function Question(
  { request, time, api, speech, finish }: {
    request: Exclude<ConsentView["request"], OtpRequest | PinRequest>;
    time: TimeLeft;
    api: ConsentApi;
    speech: Speech;
    finish: (end: End) => void;
  },
) {
  const { say } = speech;
  const words = wordsOf(request);
  const blind = request.kind === "sign" && request.blind;
  const choices = request.kind === "grant" ? [] : request.choices;
  const persons = new Set(choices.map(({ certificate }) => certificate.commonName));
  const [chosen, setChosen] = useState(() => {
    // Among certificates of several persons, nobody is taken for another.
    if (request.kind === "grant" || persons.size > 1) return "";
    return request.preferred ?? (choices.length === 1 ? choices[0]!.id : "");
  });
  /** The last refusal of each token, by its URI. */
  const [refusals, setRefusals] = useState<Record<string, Refusal>>({});
  const [attempts, setAttempts] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Word | null>(null);
  const pinField = useRef<HTMLInputElement>(null);
  const confirmation = useRef<HTMLInputElement>(null);
  const accepted = useRef<HTMLInputElement>(null);

  /** The revision that has been drawn, and the certificate that it is for. */
  const [drawn, setDrawn] = useState({ certificate: "", revision: "" });
  const goesInto = request.kind === "sign" && !request.batch && request.items.length === 1 &&
    Boolean(request.items[0]!.pdf?.adds);
  const isDrawn = !goesInto || drawn.certificate === chosen && drawn.revision !== "";
  const form = useRef<HTMLFormElement>(null);
  const arming = useArming(form, isDrawn);
  const { armed } = arming;
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
      return finish({
        tell: ({ error }) => error(code, message),
        good: false,
        unsigned: request.kind === "sign",
        close: false,
      });
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
      setProblem(pin.password ? "password_missing" : "pin_missing");
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

  const isLogin = request.kind === "sign" && Boolean(request.login);
  const kinds = new Set(choices.map(({ kind }) => kind));
  const kind = choice?.kind ?? (kinds.size === 1 ? choices[0]!.kind : null);
  const certificates = choices.length > 0 && (
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
  );
  return (
    <Screen
      form={form}
      title={say(words.ask, { count: words.count })}
      about={say(request.kind === "grant" ? "grant_explain" : "items_one")}
      danger={blind}
      speech={speech}
      submit={() => {
        if (armed && !busy && !undecided) approve();
      }}
      decline={() => {
        if (!busy) send({ decision: "decline" });
      }}
      pane={
        <>
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
          {request.kind === "sign" && request.network && (
            <p class="aside">
              {say(request.network.level === "B-T" ? "network_time" : "network_lasting", {
                level: request.network.level,
                service: request.network.timestampAuthority ?? say("network_none"),
              })}
            </p>
          )}
          {request.kind === "grant" && <Scopes request={request} speech={speech} />}
          {request.kind === "choose" && certificates}
          {isLogin && <p data-see="">{say("login_explain")}</p>}
          {request.kind === "sign" && !isLogin && (
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
          {request.kind === "sign" && request.unproven && (
            <Unproven accepted={accepted} disabled={busy} speech={speech} />
          )}
        </>
      }
      notice={isUnarmed(arming) && <Unarmed arming={arming} speech={speech} />}
      facts={
        <>
          <WhoAsks
            asker={request.asker}
            kind={request.kind === "sign" ? kind : null}
            speech={speech}
          />
          {request.kind === "sign" && certificates}
          {choice?.signed
            ? <p class="notice">{say("batch_signed", { count: choice.signed })}</p>
            : null}
        </>
      }
      answer={undecided
        ? <p class="notice" role="status">{say("certificate_many")}</p>
        : pin && (
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
      actions={
        <>
          <Countdown time={time} api={api} busy={busy} speech={speech} />
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
        </>
      }
    />
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
