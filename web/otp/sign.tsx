/** The view in which an order is signed: what, for whom, as whom, and the two factors. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { OtpView } from "../../protocol/csc.ts";
import { type Language, speak } from "../../words/agent.ts";
import { useArming } from "../consent/arming.ts";
import { Purpose } from "../consent/parts.tsx";
import { isUnarmed, Unarmed } from "../consent/unarmed.tsx";
import { Foreign, Section } from "../parts.tsx";
import { Screen } from "../screen.tsx";
import type { OtpApi } from "./api.ts";
import { Document } from "./document.tsx";
import type { End } from "./end.ts";
import { Delivery, TimeLeft, useSeconds } from "./otp_field.tsx";
import { DigitsField, takeValue } from "./pins.tsx";
import type { OtpWord, Say } from "../../words/otp.ts";

type SignView = Extract<OtpView, { kind: "sign" }>;

export function Sign(
  { view, api, language, say, finish }: {
    view: SignView;
    api: OtpApi;
    language: Language;
    say: Say;
    finish: (end: End) => void;
  },
) {
  const speech = speak(language);
  const { documents, signer, credential, purpose } = view;
  const { organization } = signer;
  const consent = view.consent[language];
  const [busy, setBusy] = useState(false);
  const [triesLeft, setTriesLeft] = useState(view.triesLeft);
  const [problem, setProblem] = useState<OtpWord | null>(null);
  const [waitUntil, setWaitUntil] = useState<string>();
  const wait = useSeconds(waitUntil);
  const pin = useRef<HTMLInputElement>(null);
  const otp = useRef<HTMLInputElement>(null);
  /** Documents of which all is there that will be shown. */
  const [drawn, setDrawn] = useState<ReadonlySet<number>>(new Set());
  const form = useRef<HTMLFormElement>(null);
  const arming = useArming(form, drawn.size === documents.length);
  useEffect(() => {
    const left = Date.parse(view.deadline) - Date.now();
    const timer = setTimeout(
      () => finish({ word: "ended", good: false, redirect: view.portal }),
      Math.max(0, left),
    );
    return () => clearTimeout(timer);
  }, []);

  async function approve() {
    const given = { pin: takeValue(pin), otp: takeValue(otp).replace(/\s/g, "") };
    if (given.pin === "" || !/^\d{6,8}$/.test(given.otp)) {
      setProblem("missing");
      return pin.current?.focus();
    }
    setBusy(true);
    setProblem(null);
    try {
      const answered = await api.answer({
        decision: "approve",
        ...given,
        language,
      });
      if (answered.ok) {
        return finish({ word: "done", good: true, redirect: answered.redirect, go: true });
      }
      const { code, redirect } = answered;
      if (code === "locked") return finish({ word: "locked", good: false, redirect });
      if (code === "ended") return finish({ word: "ended", good: false, redirect });
      setTriesLeft(answered.triesLeft ?? triesLeft);
      setWaitUntil(answered.waitUntil);
      setProblem(code === "wait" ? null : "wrong");
    } catch {
      setProblem("unavailable");
    }
    setBusy(false);
    pin.current?.focus();
  }

  async function reject() {
    setBusy(true);
    try {
      const answered = await api.answer({ decision: "reject" });
      finish({ word: "rejected", good: false, redirect: answered.redirect, go: true });
    } catch {
      setBusy(false);
      setProblem("unavailable");
    }
  }

  return (
    <Screen
      title={say("ask")}
      about={say("document_one")}
      speech={speech}
      form={form}
      submit={() => {
        if (arming.armed && !busy && wait === 0) approve();
      }}
      notice={isUnarmed(arming) && <Unarmed arming={arming} speech={speech} />}
      decline={() => {
        if (!busy) reject();
      }}
      pane={
        <Section
          title={documents.length === 1
            ? say("document_one")
            : say("document_many", { count: documents.length })}
        >
          {documents.map((document, index) => (
            <Document
              key={index}
              document={document}
              index={index}
              api={api}
              algorithm={view.hashAlgorithm}
              drawn={() => setDrawn((before) => new Set([...before, index]))}
              say={say}
              speech={speech}
            />
          ))}
        </Section>
      }
      facts={
        <>
          <section id="asker">
            <h2>{say("asked_by")}</h2>
            <p class="origin" data-see="">
              <strong>
                <Foreign text={view.client} />
              </strong>
            </p>
            {view.anybody && <div class="aside">{say("asked_by_any")}</div>}
          </section>
          <section class="kind">
            <h2>{speech.say("law")}</h2>
            <p>
              <strong>{say("kind")}</strong>
            </p>
            <details>
              <summary>{speech.say("law_more")}</summary>
              <p class="aside">{say("kind_explain", { organization })}</p>
            </details>
          </section>
          <Purpose title={say("purpose")} text={purpose} />
          <section class="certificates">
            <h2>{say("signer")}</h2>
            <span class="facts">
              <strong>
                <Foreign text={signer.name} />
              </strong>
              <span>
                {signer.role && <Foreign text={`${signer.role}, `} />}
                <Foreign text={organization} />
              </span>
              <span class="aside">
                {credential.kind === "one-time"
                  ? say("certificate_once")
                  : say("certificate_stored", { organization })}
              </span>
              <span class="aside">{say("policy", { policy: credential.policy })}</span>
            </span>
          </section>
        </>
      }
      answer={
        <>
          <p class="consent-text">
            <Foreign text={consent} />
          </p>
          <div role="alert" id="problem">
            {problem && <p class="warning">{say(problem)}</p>}
            {wait > 0 && <p class="warning">{say("wait", { time: speech.clock(wait) })}</p>}
            {(problem === "wrong" || triesLeft < 3) && (
              <p class="notice">{say("tries", { count: triesLeft })}</p>
            )}
          </div>
          <div class="factors">
            <DigitsField
              id="pin"
              label={say("pin")}
              field={pin}
              invalid={problem === "wrong" || problem === "missing"}
              disabled={busy}
              describedBy="problem"
            />
            <DigitsField
              id="otp"
              label={say("otp")}
              field={otp}
              invalid={problem === "wrong" || problem === "missing"}
              disabled={busy}
              describedBy="otp-hint"
              otp
            />
          </div>
          <div class="aside" id="otp-hint">
            <Delivery otp={view.otp} api={api} say={say} speech={speech} finish={finish} />
          </div>
        </>
      }
      actions={
        <>
          <TimeLeft deadline={view.deadline} say={say} speech={speech} />
          <button type="button" class="secondary" disabled={busy} onClick={reject}>
            {say("reject")}
          </button>
          <button type="submit" disabled={busy || wait > 0 || !arming.armed}>
            {say(busy ? "working" : "sign")}
          </button>
        </>
      }
    />
  );
}
