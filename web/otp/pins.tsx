/** The views about the PIN itself: signing in with it, setting it, changing it. */
import type { ComponentChildren, RefObject } from "preact";
import { useRef, useState } from "preact/hooks";
import type { OtpReply, OtpView } from "../../protocol/csc.ts";
import { type Language, speak } from "../../words/agent.ts";
import type { OtpApi } from "./api.ts";
import type { End } from "./end.ts";
import { Delivery, TimeLeft, useSeconds } from "./otp_field.tsx";
import type { OtpWord, Say } from "../../words/otp.ts";

type View<K extends OtpView["kind"]> = Extract<OtpView, { kind: K }>;

interface Props {
  api: OtpApi;
  say: Say;
  finish: (end: End) => void;
  /** The page goes on with another ticket. */
  goOn: (ticket: string) => void;
}

/** A field for digits that are not shown. A script cannot wipe a string; so it is emptied at once. */
export function DigitsField(
  { id, label, hint, field, invalid, disabled, otp, describedBy }: {
    id: string;
    label: string;
    hint?: ComponentChildren;
    field: RefObject<HTMLInputElement | null>;
    invalid?: boolean;
    disabled?: boolean;
    /** The digits of an OTP are good once, and may be seen. */
    otp?: boolean;
    describedBy?: string;
  },
) {
  const attributes = {
    id,
    ref: field,
    inputMode: "numeric",
    spellcheck: false,
    disabled,
    "aria-invalid": invalid ?? false,
    "aria-describedby": [hint && `${id}-hint`, describedBy].filter(Boolean).join(" ") || undefined,
  } as const;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {otp
        ? <input {...attributes} type="text" autocomplete="one-time-code" maxLength={8} />
        : <input {...attributes} type="password" autocomplete="off" maxLength={12} />}
      {hint && <div class="aside" id={`${id}-hint`}>{hint}</div>}
    </div>
  );
}

/** Takes what was typed and leaves nothing in the field. */
export function takeValue(field: RefObject<HTMLInputElement | null>): string {
  const value = field.current?.value.trim() ?? "";
  if (field.current) field.current.value = "";
  return value;
}

/** A form with a heading, a place for what went wrong, and one button. */
function PinForm(
  { title, explain, warning, button, problem, busy, submit, say, children }: {
    title: string;
    explain?: string;
    warning?: string;
    button: string;
    problem: OtpWord | null;
    busy: boolean;
    submit: () => void;
    say: Say;
    children: ComponentChildren;
  },
) {
  return (
    <form
      class="pin-form"
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) submit();
      }}
    >
      <h1>{title}</h1>
      {explain && <p>{explain}</p>}
      {warning && <p class="warning">{warning}</p>}
      <section>
        <div role="alert" id="problem">{problem && <p class="warning">{say(problem)}</p>}</div>
        {children}
        <div class="actions">
          <button type="submit" disabled={busy}>{say(busy ? "working" : button as OtpWord)}</button>
        </div>
      </section>
    </form>
  );
}

/** Sends a reply; `wrong` is what is said when the service says so. */
function useReply({ api, finish, goOn }: Props, wrong: OtpWord, done: OtpWord) {
  const [waitUntil, setWaitUntil] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<OtpWord | null>(null);
  const send = async (reply: OtpReply) => {
    setBusy(true);
    setProblem(null);
    try {
      const answered = await api.answer(reply);
      if (answered.ok) {
        const { redirect, ticket } = answered;
        if (ticket !== undefined) return goOn(ticket);
        return finish({ word: done, good: true, redirect, go: redirect !== undefined });
      }
      const { code, waitUntil } = answered;
      if (code === "ended") return finish({ word: "nothing", good: false });
      if (code === "locked") return finish({ word: "locked", good: false });
      setWaitUntil(waitUntil);
      setProblem(code === "wait" ? null : code === "weak_pin" ? "pin_weak" : wrong);
    } catch {
      setProblem("unavailable");
    }
    setBusy(false);
  };
  return { busy, problem, setProblem, waitUntil, send };
}

export function SignIn({ view, ...props }: Props & { view: View<"sign_in"> }) {
  const { say } = props;
  const { busy, problem, send } = useReply(props, "sign_in_wrong", "done");
  const user = useRef<HTMLInputElement>(null);
  const pin = useRef<HTMLInputElement>(null);
  return (
    <PinForm
      title={say("sign_in")}
      explain={say(view.sign ? "sign_in_first" : "sign_in_explain", { client: view.client })}
      warning={view.anybody ? say("asked_by_app") : undefined}
      button="sign_in"
      problem={problem}
      busy={busy}
      say={say}
      submit={() =>
        send({ decision: "sign_in", userID: user.current!.value.trim(), pin: takeValue(pin) })}
    >
      <UserField field={user} busy={busy} say={say} />
      <DigitsField id="pin" label={say("pin")} field={pin} disabled={busy} describedBy="problem" />
    </PinForm>
  );
}

function UserField(
  { field, busy, say }: { field: RefObject<HTMLInputElement | null>; busy: boolean; say: Say },
) {
  return (
    <div class="field">
      <label for="user">{say("user")}</label>
      <input
        id="user"
        ref={field}
        type="text"
        autocomplete="username"
        autocapitalize="off"
        spellcheck={false}
        maxLength={64}
        disabled={busy}
      />
    </div>
  );
}

export function SetPin({ view, ...props }: Props & { view: View<"enrol"> }) {
  const { say } = props;
  const { totp } = view;
  const { busy, problem, setProblem, send } = useReply(
    props,
    totp ? "totp_wrong" : "pin_weak",
    "set_done",
  );
  const pin = useRef<HTMLInputElement>(null);
  const again = useRef<HTMLInputElement>(null);
  const otp = useRef<HTMLInputElement>(null);
  return (
    <PinForm
      title={say("enrol")}
      explain={say("enrol_explain", { name: view.name })}
      button="set"
      problem={problem}
      busy={busy}
      say={say}
      submit={() => {
        const [first, second] = [takeValue(pin), takeValue(again)];
        if (first !== second) return setProblem("pin_differs");
        return send({
          decision: "set_pin",
          pin: first || "-",
          ...totp && { otp: takeValue(otp) },
        });
      }}
    >
      <div>
        <DigitsField
          id="pin"
          label={say("new_pin")}
          hint={say("pin_rule")}
          field={pin}
          disabled={busy}
          describedBy="problem"
        />
        <DigitsField id="again" label={say("again")} field={again} disabled={busy} />
      </div>
      {totp && (
        <div class="totp">
          <p>{say("totp_explain")}</p>
          <img
            class="qr"
            alt={say("totp_picture")}
            src={`data:image/svg+xml,${encodeURIComponent(totp.svg)}`}
          />
          <details>
            <summary>{say("totp_address")}</summary>
            <code class="digits">{totp.uri}</code>
          </details>
          <DigitsField id="otp" label={say("otp")} field={otp} disabled={busy} otp />
        </div>
      )}
    </PinForm>
  );
}

/** The PIN is changed in two steps: the present one first, then an OTP and the new one. */
export function StartChange(props: Props) {
  const { say } = props;
  const { busy, problem, send } = useReply(props, "sign_in_wrong", "change_done");
  const user = useRef<HTMLInputElement>(null);
  const old = useRef<HTMLInputElement>(null);
  return (
    <PinForm
      title={say("change")}
      explain={say("change_explain")}
      button="change_go"
      problem={problem}
      busy={busy}
      say={say}
      submit={() =>
        send({
          decision: "start_change",
          userID: user.current!.value.trim(),
          pin: takeValue(old) || "-",
        })}
    >
      <UserField field={user} busy={busy} say={say} />
      <DigitsField
        id="old"
        label={say("old_pin")}
        field={old}
        disabled={busy}
        describedBy="problem"
      />
    </PinForm>
  );
}

export function ChangePin(
  { view, language, ...props }: Props & { view: View<"change">; language: Language },
) {
  const { say, api, finish } = props;
  const speech = speak(language);
  const { busy, problem, setProblem, waitUntil, send } = useReply(
    props,
    "otp_wrong",
    "change_done",
  );
  const wait = useSeconds(waitUntil);
  const pin = useRef<HTMLInputElement>(null);
  const again = useRef<HTMLInputElement>(null);
  const otp = useRef<HTMLInputElement>(null);
  return (
    <PinForm
      title={say("change")}
      button="change_do"
      problem={problem}
      busy={busy || wait > 0}
      say={say}
      submit={() => {
        const [first, second] = [takeValue(pin), takeValue(again)];
        if (first !== second) return setProblem("pin_differs");
        return send({ decision: "change_pin", otp: takeValue(otp) || "-", newPin: first || "-" });
      }}
    >
      {wait > 0 && <p class="warning">{say("wait", { time: speech.clock(wait) })}</p>}
      <DigitsField
        id="pin"
        label={say("new_pin")}
        hint={say("pin_rule")}
        field={pin}
        disabled={busy}
        describedBy="problem"
      />
      <DigitsField id="again" label={say("again")} field={again} disabled={busy} />
      <DigitsField
        id="otp"
        label={say("otp")}
        hint={
          <Delivery otp={view.otp} change api={api} say={say} speech={speech} finish={finish} />
        }
        field={otp}
        disabled={busy}
        otp
      />
      <TimeLeft deadline={view.deadline} say={say} speech={speech} />
    </PinForm>
  );
}
