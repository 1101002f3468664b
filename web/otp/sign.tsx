/** The view in which an order is signed: what, for whom, as whom, and the two factors. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { OtpDocument, OtpSent, OtpView } from "../../protocol/csc.ts";
import { Pages } from "../consent/pdf_view.tsx";
import type { PdfFile } from "../consent/pdf_file.ts";
import { type Language, speak, type Speech } from "../../words/agent.ts";
import { Foreign, Section } from "../parts.tsx";
import { sizeOf } from "../text.ts";
import type { OtpApi } from "./api.ts";
import type { End } from "./end.ts";
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
  const pin = useRef<HTMLInputElement>(null);
  const otp = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    const left = Date.parse(view.deadline) - Date.now();
    const timer = setTimeout(() => finish({ word: "ended", good: false }), Math.max(0, left));
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
      setProblem("wrong");
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
    <form
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) approve();
      }}
    >
      <h1 ref={heading} tabIndex={-1}>{say("ask")}</h1>
      <p class="notice">
        <strong>{say("kind")}:</strong> {say("kind_explain", { organization })}
      </p>
      <Section title={say("asked_by")}>
        <p class="origin">
          <strong>
            <Foreign text={view.client} />
          </strong>
        </p>
        <figure class="purpose">
          <figcaption>{say("purpose")}</figcaption>
          <blockquote dir="auto">
            <Foreign text={purpose} />
          </blockquote>
        </figure>
      </Section>
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
            say={say}
            speech={speech}
          />
        ))}
      </Section>
      <Section title={say("signer")}>
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
      </Section>
      <section class="factors">
        <p class="consent-text">
          <Foreign text={consent} />
        </p>
        <div role="alert" id="problem">
          {problem && <p class="warning">{say(problem)}</p>}
          {(problem === "wrong" || triesLeft < 3) && (
            <p class="notice">{say("tries", { count: triesLeft })}</p>
          )}
        </div>
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
          hint={<Delivery view={view} api={api} say={say} speech={speech} finish={finish} />}
          field={otp}
          invalid={problem === "wrong" || problem === "missing"}
          disabled={busy}
          otp
        />
        <div class="actions">
          <TimeLeft deadline={view.deadline} say={say} speech={speech} />
          <button type="button" class="secondary" disabled={busy} onClick={reject}>
            {say("reject")}
          </button>
          <button type="submit" disabled={busy}>{say(busy ? "working" : "sign")}</button>
        </div>
      </section>
    </form>
  );
}

function Document({ document, index, api, algorithm, say, speech }: {
  document: OtpDocument;
  index: number;
  api: OtpApi;
  algorithm: string;
  say: Say;
  speech: Speech;
}) {
  const { shown } = document;
  const isPdf = shown?.mediaType.startsWith("application/pdf");
  return (
    <article class="document">
      <p class="name">
        <strong>
          <Foreign text={document.label} />
        </strong>
        {shown && (
          <span class="aside">
            <Foreign text={shown.name} />, {sizeOf(shown.size, speech.number)}
          </span>
        )}
      </p>
      <p>
        {say("hash")} <code class="prefix">{document.hashPrefix}</code>
      </p>
      {!shown ? <p class="notice">{say("not_shown")}</p> : shown.text !== undefined
        ? (
          <pre
            class="preview"
            tabIndex={0}
            role="region"
            aria-label={document.label}
          ><Foreign text={shown.text} /></pre>
        )
        : isPdf
        ? <Pdf api={api} index={index} label={document.label} say={say} speech={speech} />
        : <p class="aside">{say("not_preview")}</p>}
      {shown && <Save api={api} index={index} name={shown.name} say={say} />}
      <details>
        <summary>{say("hash_whole", { algorithm })}</summary>
        <code class="digits">{document.hash.match(/.{1,4}/g)!.join(" ")}</code>
      </details>
    </article>
  );
}

function Pdf({ api, index, label, say, speech }: {
  api: OtpApi;
  index: number;
  label: string;
  say: Say;
  speech: Speech;
}) {
  const [file, setFile] = useState<PdfFile | "loading" | "failed">("loading");
  useEffect(() => {
    let opened: PdfFile | undefined;
    let gone = false;
    api.openPdf(index).then((file) => {
      if (gone) return file.close();
      setFile(opened = file);
    }, () => gone || setFile("failed"));
    return () => {
      gone = true;
      opened?.close();
    };
  }, []);
  if (file === "loading") return <p class="aside" role="status">{say("loading")}</p>;
  if (file === "failed") return <p class="notice">{say("pages_failed")}</p>;
  return <Pages file={file} name={label} speech={speech} />;
}

/** Only to look at: what is saved is what is signed. */
function Save({ api, index, name, say }: { api: OtpApi; index: number; name: string; say: Say }) {
  return (
    <button
      type="button"
      class="secondary small"
      onClick={async () => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(await api.document(index));
        link.download = name;
        link.click();
        URL.revokeObjectURL(link.href);
      }}
    >
      {say("save")}
    </button>
  );
}

/** Sends the OTP when the page comes up, and again on request. */
function Delivery({ view, api, say, speech, finish }: {
  view: SignView;
  api: OtpApi;
  say: Say;
  speech: Speech;
  finish: (end: End) => void;
}) {
  const { way, to = "", digits } = view.otp;
  const [sendsLeft, setSendsLeft] = useState(view.otp.sendsLeft);
  const [resendAt, setResendAt] = useState(view.otp.resendAt);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<OtpWord | null>(null);
  const wait = useSeconds(resendAt);

  async function send() {
    setSending(true);
    setProblem(null);
    let sent: OtpSent;
    try {
      sent = await api.send();
    } catch {
      setProblem("unavailable");
      return setSending(false);
    }
    setSending(false);
    setResendAt(sent.resendAt);
    if (sent.ok) return setSendsLeft(sent.sendsLeft);
    if (sent.code === "locked" || sent.code === "ended") {
      return finish({ word: sent.code, good: false });
    }
    if (sent.code === "too_many") setSendsLeft(0);
    setProblem(
      sent.code === "not_delivered" ? "send_failed" : sent.code === "too_many" ? "send_many" : null,
    );
  }
  useEffect(() => {
    if (view.otp.resendAt === undefined) send();
  }, []);

  return (
    <div class="delivery">
      <p>{sending ? say("otp_sending") : say(`otp_${way}`, { to, digits })}</p>
      <div aria-live="polite">{problem && <p class="warning">{say(problem)}</p>}</div>
      {way !== "totp" && (
        sendsLeft > 0
          ? (
            <button
              type="button"
              class="secondary small"
              disabled={sending || wait > 0}
              onClick={send}
            >
              {wait > 0 ? say("resend_in", { time: speech.clock(wait) }) : say("resend")}
            </button>
          )
          : <p>{say("resend_none")}</p>
      )}
    </div>
  );
}

function TimeLeft({ deadline, say, speech }: { deadline: string; say: Say; speech: Speech }) {
  const seconds = useSeconds(deadline);
  return (
    <p class={seconds <= 60 ? "time soon" : "time"} role="timer">
      {say("time_left", { time: speech.clock(seconds) })}
    </p>
  );
}

/** Seconds until a time (RFC 3339), counted down. */
function useSeconds(until: string | undefined): number {
  const left = () =>
    until === undefined ? 0 : Math.max(0, Math.ceil((Date.parse(until) - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 500);
    return () => clearInterval(timer);
  }, [until]);
  return seconds;
}
