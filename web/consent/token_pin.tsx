/** The question for a token's PIN that signs nothing: to see the certificates that it hides, or to change it. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConsentReply, PinRequest, Unlocked } from "../../protocol/consent.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { Foreign } from "../parts.tsx";
import { Screen } from "../screen.tsx";
import type { ConsentApi } from "./api.ts";
import { useArming } from "./arming.ts";
import { Countdown, type TimeLeft } from "./countdown.tsx";
import { WhoAsks } from "./parts.tsx";

type Refusal = Exclude<Unlocked, { ok: true }>;

export function TokenPin(
  { request, time, api, speech, finish }: {
    request: PinRequest;
    time: TimeLeft;
    api: ConsentApi;
    speech: Speech;
    finish: (how: "done" | "declined" | "lost" | Refusal) => void;
  },
) {
  const { say, error } = speech;
  const { asker, token, purpose, password, length } = request;
  const changes = purpose === "change";
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [problem, setProblem] = useState<Word | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const confirmation = useRef<HTMLInputElement>(null);
  const { armed, roomy } = useArming(form, true);
  const { entry, why, tries, confirm } = refusal?.pin ?? request.pin;
  const names = ["pin", ...changes ? ["pin_new", "pin_again"] as const : []] as const;
  const field = (name: string) => form.current?.elements.namedItem(name) as HTMLInputElement | null;
  useEffect(() => field("pin")?.focus(), [refusal]);

  async function send(reply: ConsentReply) {
    setBusy(true);
    setProblem(null);
    try {
      const unlocked = await api.answer(reply);
      if (reply.decision === "decline") return finish("declined");
      if (unlocked.ok) return finish("done");
      if (!unlocked.again) return finish(unlocked);
      setRefusal(unlocked);
    } catch {
      finish("lost");
    } finally {
      setBusy(false);
    }
  }

  function approve() {
    const typed = names.map((name) => field(name)?.value ?? "");
    const [pin, newPin, again] = typed;
    if (entry === "typed" && typed.includes("")) return setProblem("pin_missing");
    if (newPin !== again) return setProblem("pin_differs");
    if (confirm && !confirmation.current?.checked) return setProblem("confirm_missing");
    // The fields are emptied before anything else can happen to them; a script cannot wipe the strings themselves.
    for (const name of names) field(name)!.value = "";
    return send({
      decision: "approve",
      ...entry === "typed" && { pin },
      ...entry === "typed" && changes && { newPin },
      ...confirm && { finalTry: true as const },
    });
  }

  const labels: Record<string, Word> = {
    pin: password ? "password" : changes ? "pin_old" : "pin",
    pin_new: "pin_new",
    pin_again: "pin_again",
  };
  // `pin_final_try` is no failure: nothing was tried, and the notice about the last try says it all.
  const failure = !busy && refusal && refusal.code !== "pin_final_try" ? refusal : null;
  return (
    <Screen
      form={form}
      title={say(changes ? "ask_pin_change" : "ask_pin_certificates")}
      about={say("console_tokens")}
      speech={speech}
      submit={() => {
        if (armed && !busy) approve();
      }}
      decline={() => {
        if (!busy) send({ decision: "decline" });
      }}
      pane={
        <>
          <p data-see="">
            <strong>
              <Foreign text={token.label || token.model} />
            </strong>
          </p>
          <p>{say(changes ? "pin_change_explain" : "pin_certificates_explain")}</p>
        </>
      }
      notice={!roomy && <p class="notice" role="alert">{say("window_small")}</p>}
      facts={<WhoAsks asker={asker} speech={speech} />}
      answer={
        <section class="pin">
          <div role="alert" id="pin-problem">
            {failure && <p class="warning">{error(failure.code, failure.message)}</p>}
            {tries && <p class={tries === "low" ? "notice" : "warning"}>{say(`tries_${tries}`)}</p>}
            {why && <p class="warning">{error(why)}</p>}
            {problem && <p class="warning">{say(problem, { button: say("do_cancel") })}</p>}
          </div>
          {entry === "typed" && names.map((name) => (
            <>
              <label for={name}>{say(labels[name])}</label>
              <input
                id={name}
                name={name}
                type="password"
                autocomplete="off"
                autocapitalize="off"
                spellcheck={false}
                maxLength={255}
                disabled={busy}
                aria-describedby="pin-problem"
              />
            </>
          ))}
          {changes && entry === "typed" && length.max > 0 && (
            <p class="aside">{say("pin_length", { min: length.min, max: length.max })}</p>
          )}
          {entry === "keypad" && <p>{say("pin_keypad")}</p>}
          {confirm && (
            <label class="confirm">
              <input type="checkbox" ref={confirmation} disabled={busy} />
              <span>{say(tries === "final" ? "final_confirm" : "unknown_confirm")}</span>
            </label>
          )}
        </section>
      }
      actions={
        <>
          <Countdown time={time} api={api} busy={busy} speech={speech} />
          <button
            type="button"
            class="secondary"
            disabled={busy}
            onClick={() => send({ decision: "decline" })}
          >
            {say("do_cancel")}
          </button>
          <button type="submit" disabled={!armed || busy || entry === "impossible"}>
            {say(changes ? "do_change_pin" : "do_unlock")}
          </button>
        </>
      }
    />
  );
}
